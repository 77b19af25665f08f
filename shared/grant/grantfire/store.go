package grantfire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// The collections. Their indexes and the TTL policy are defined with the database.
const (
	Customers  = "customers"  // records, by grant.Key.ID
	Deliveries = "deliveries" // delivery records, by grant.DeliveryKey.ID
	Accounts   = "accounts"   // Amazon accounts, by grant.AccountKey.ID
	Controls   = "control"    // the few documents that the processes of a stack share, by grant.Control.Name
)

// Store is a [grant.Store] in Firestore. Make one with [Open] or [New].
type Store struct {
	client *firestore.Client
}

// New returns a store that uses the caller's client, which the caller closes.
func New(client *firestore.Client) *Store { return &Store{client: client} }

// Open connects to a database with the credentials of the environment, or to the
// emulator that FIRESTORE_EMULATOR_HOST names. The default project is that of the
// credentials, the default database "(default)". Nothing is sent before the first
// call, which fails if the database does not exist.
func Open(ctx context.Context, project, database string) (*Store, error) {
	client, err := firestore.NewClientWithDatabase(ctx,
		cmp.Or(project, firestore.DetectProjectID), cmp.Or(database, firestore.DefaultDatabaseID))
	if err != nil {
		return nil, fmt.Errorf("grantfire: open the database: %w", err)
	}
	return New(client), nil
}

// Close closes the connection of a store made by [Open].
func (s *Store) Close() error { return s.client.Close() }

// Read implements [grant.Store].
func (s *Store) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	doc, err := read(ctx, s.customer(key))
	if err != nil {
		return grant.Record{}, failed(ctx, "read a record", err)
	}
	return parseRecord(doc)
}

// Write implements [grant.Store].
func (s *Store) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if was.Key() != now.Key() {
		return grant.Record{}, errors.New("grantfire: write a record: was and now have different keys")
	}
	changes := grant.Diff(was, now)
	if len(changes) == 0 {
		return was.Clone(), nil
	}
	doc := now.Document()
	revision, err := write(ctx, s.customer(now.Key()), was.Revision, doc, changes)
	if err != nil {
		return grant.Record{}, failed(ctx, "write a record", err)
	}
	stored, err := grant.ParseRecord(doc) // now with its times as they were stored
	stored.Revision = revision
	return stored, err
}

// Delete implements [grant.Store].
func (s *Store) Delete(ctx context.Context, was grant.Record) error {
	if !was.Stored() {
		return errors.New("grantfire: delete a record: it is not stored")
	}
	_, err := s.customer(was.Key()).Delete(ctx, firestore.LastUpdateTime(updateTime(was.Revision)))
	if slices.Contains([]codes.Code{codes.FailedPrecondition, codes.NotFound, codes.Aborted}, status.Code(err)) {
		return grant.ErrConflict
	}
	if err != nil {
		return failed(ctx, "delete a record", err)
	}
	return nil
}

// ReadDelivery implements [grant.Store]. It returns expired records too.
func (s *Store) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	doc, err := read(ctx, s.delivery(key))
	if err != nil {
		return grant.Delivery{}, failed(ctx, "read a delivery", err)
	}
	d, err := grant.ParseDelivery(doc.Data())
	d.Revision = revisionOf(doc.UpdateTime)
	return d, err
}

// WriteDelivery implements [grant.Store].
func (s *Store) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	if was.Key != now.Key {
		return grant.Delivery{}, errors.New("grantfire: write a delivery: was and now have different keys")
	}
	if now.ExpireAt.IsZero() {
		return grant.Delivery{}, errors.New("grantfire: write a delivery: it has no ExpireAt")
	}
	doc := now.Document()
	if reflect.DeepEqual(was.Document(), doc) {
		return was, nil
	}
	var all []grant.Field
	for name, value := range doc {
		all = append(all, grant.Field{Path: []string{name}, Value: value})
	}
	revision, err := write(ctx, s.delivery(now.Key), was.Revision, doc, all)
	if err != nil {
		return grant.Delivery{}, failed(ctx, "write a delivery", err)
	}
	stored, err := grant.ParseDelivery(doc)
	stored.Revision = revision
	return stored, err
}

func (s *Store) customer(key grant.Key) *firestore.DocumentRef {
	return s.client.Collection(Customers).Doc(key.ID())
}

func (s *Store) delivery(key grant.DeliveryKey) *firestore.DocumentRef {
	return s.client.Collection(Deliveries).Doc(key.ID())
}

// read fetches a document. It returns ErrNotFound only for a document that
// Firestore reports as missing. The code NotFound alone may also mean that the
// database does not exist; to treat that as a customer without grants would drop
// every event silently.
func read(ctx context.Context, ref *firestore.DocumentRef) (*firestore.DocumentSnapshot, error) {
	doc, err := ref.Get(ctx)
	if doc != nil && !doc.Exists() {
		return nil, grant.ErrNotFound
	}
	return doc, err
}

// write creates the document, or updates fields of the one with revision was. A failed
// precondition is ErrConflict: AlreadyExists for a create; FailedPrecondition for an
// update, or NotFound if the document is gone. See
// https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#precondition.
// So is Aborted, Firestore's answer to contention and fast-growing traffic. The client
// library does not retry it, and the emulator never returns it.
func write(
	ctx context.Context, ref *firestore.DocumentRef, was grant.Revision, doc map[string]any, changes []grant.Field,
) (grant.Revision, error) {
	var result *firestore.WriteResult
	var err error
	var conflicts []codes.Code
	if was == 0 {
		conflicts = []codes.Code{codes.AlreadyExists, codes.Aborted}
		result, err = ref.Create(ctx, doc)
	} else {
		conflicts = []codes.Code{codes.FailedPrecondition, codes.NotFound, codes.Aborted}
		result, err = ref.Update(ctx, updates(changes), firestore.LastUpdateTime(updateTime(was)))
	}
	if slices.Contains(conflicts, status.Code(err)) {
		return 0, grant.ErrConflict
	}
	if err != nil {
		return 0, err
	}
	return revisionOf(result.UpdateTime), nil
}

func updates(changes []grant.Field) []firestore.Update {
	var updates []firestore.Update
	for _, c := range changes {
		u := firestore.Update{FieldPath: c.Path, Value: c.Value}
		if c.Value == nil {
			u.Value = firestore.Delete
		}
		updates = append(updates, u)
	}
	return updates
}

// failed wraps err with the operation that failed. It keeps the end of ctx
// recognizable: gRPC returns a status that hides the context's error.
func failed(ctx context.Context, operation string, err error) error {
	switch {
	case errors.Is(err, grant.ErrNotFound), errors.Is(err, grant.ErrConflict):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("grantfire: %s: %w (%w)", operation, ctx.Err(), err)
	case status.Code(err) == codes.DeadlineExceeded: // the server's clock is ahead of ours
		return fmt.Errorf("grantfire: %s: %w (%w)", operation, context.DeadlineExceeded, err)
	}
	return fmt.Errorf("grantfire: %s: %w", operation, err)
}

// parseRecord decodes a document. A document whose customer does not match its id
// was not written by this code, and a change would go to another customer's
// document.
func parseRecord(doc *firestore.DocumentSnapshot) (grant.Record, error) {
	r, err := grant.ParseRecord(doc.Data())
	if err == nil && r.Key().ID() != doc.Ref.ID {
		err = errors.New("skill and userId do not belong to this id")
	}
	if err != nil {
		return grant.Record{}, fmt.Errorf("grantfire: document %s: %w", doc.Ref.ID, err)
	}
	r.Revision = revisionOf(doc.UpdateTime)
	return r, nil
}

// parseRecords decodes documents, and returns an error for each that is unreadable.
func parseRecords(docs []*firestore.DocumentSnapshot) (records []grant.Record, unreadable []error) {
	for _, doc := range docs {
		r, err := parseRecord(doc)
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		records = append(records, r)
	}
	return records, unreadable
}

// A revision is a document's update time in nanoseconds.

func revisionOf(updated time.Time) grant.Revision { return grant.Revision(updated.UnixNano()) }

func updateTime(r grant.Revision) time.Time { return time.Unix(0, int64(r)) }

// ReadAccount implements [grant.Store].
func (s *Store) ReadAccount(ctx context.Context, id string) (grant.Account, error) {
	doc, err := read(ctx, s.client.Collection(Accounts).Doc(id))
	if err != nil {
		return grant.Account{}, failed(ctx, "read an account", err)
	}
	a, err := grant.ParseAccount(id, doc.Data())
	if err != nil {
		return grant.Account{}, fmt.Errorf("grantfire: account %s: %w", id, err)
	}
	a.Revision = revisionOf(doc.UpdateTime)
	return a, nil
}

// WriteAccount implements [grant.Store].
func (s *Store) WriteAccount(ctx context.Context, was, now grant.Account) (grant.Account, error) {
	if was.ID != now.ID {
		return grant.Account{}, errors.New("grantfire: write an account: was and now have different ids")
	}
	if now.Customer == "" {
		return grant.Account{}, errors.New("grantfire: write an account: it has no Customer")
	}
	doc := now.Document()
	if reflect.DeepEqual(was.Document(), doc) {
		return was, nil
	}
	var all []grant.Field
	for name, value := range doc {
		all = append(all, grant.Field{Path: []string{name}, Value: value})
	}
	revision, err := write(ctx, s.client.Collection(Accounts).Doc(now.ID), was.Revision, doc, all)
	if err != nil {
		return grant.Account{}, failed(ctx, "write an account", err)
	}
	stored, err := grant.ParseAccount(now.ID, doc)
	stored.Revision = revision
	return stored, err
}

// ReadControl implements [grant.Store].
func (s *Store) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	doc, err := read(ctx, s.client.Collection(Controls).Doc(name))
	if err != nil {
		return grant.Control{}, failed(ctx, "read a control document", err)
	}
	return grant.Control{Name: name, Document: doc.Data(), Revision: revisionOf(doc.UpdateTime)}, nil
}

// WriteControl implements [grant.Store].
func (s *Store) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	if was.Name != now.Name {
		return grant.Control{}, errors.New("grantfire: write a control document: was and now have different names")
	}
	var all []grant.Field
	for name := range was.Document {
		if _, stays := now.Document[name]; !stays {
			all = append(all, grant.Field{Path: []string{name}})
		}
	}
	for name, value := range now.Document {
		all = append(all, grant.Field{Path: []string{name}, Value: value})
	}
	if len(all) == 0 { // an update must name a field
		all = []grant.Field{{Path: []string{"none"}}}
	}
	var err error
	now.Revision, err = write(ctx, s.client.Collection(Controls).Doc(now.Name), was.Revision, now.Document, all)
	if err != nil {
		return grant.Control{}, failed(ctx, "write a control document", err)
	}
	now.Document = maps.Clone(now.Document)
	return now, nil
}
