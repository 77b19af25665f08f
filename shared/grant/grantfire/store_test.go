package grantfire_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	host := emulator.Firestore(t)
	granttest.Run(t, func(t *testing.T) grant.Admin { return grantfire.New(connect(t, host)) })
}

// connect returns a client of a new project.
func connect(t *testing.T, host string, opts ...grpc.DialOption) *firestore.Client {
	t.Helper()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(owner{}))
	conn, err := grpc.NewClient(host, opts...)
	if err != nil {
		t.Fatal(err)
	}
	client, err := firestore.NewClient(t.Context(), emulator.Project(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// owner is the client library's credential at an emulator: security rules do not
// apply to it.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }

func TestOpen(t *testing.T) {
	t.Setenv("FIRESTORE_EMULATOR_HOST", emulator.Firestore(t))
	project := emulator.Project()
	for database, want := range map[string]string{"": "(default)", "gatepost-eu": "gatepost-eu"} {
		store, err := grantfire.Open(t.Context(), project, database)
		if err != nil {
			t.Fatal(err)
		}
		record := grant.New(grant.Key{Skill: "default", UserID: "u-" + want})
		if _, err := store.Write(t.Context(), grant.New(record.Key()), filled(record)); err != nil {
			t.Fatal(err)
		}
		client, err := firestore.NewClientWithDatabase(t.Context(), project, want)
		if err != nil {
			t.Fatal(err)
		}
		if doc, err := client.Collection("customers").Doc(record.Key().ID()).Get(t.Context()); err != nil {
			t.Errorf("Open(%q): no record in database %s (document %v): %v", database, want, doc, err)
		}
		if err := errors.Join(store.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestUnknownFieldsSurvive: an older version of the code keeps the fields that a
// newer one stored.
func TestUnknownFieldsSurvive(t *testing.T) {
	t.Parallel()
	writes := map[string]func(r *grant.Record){
		"a field of the record": func(r *grant.Record) { r.UsedAt = at(20) },
		"a field removed":       func(r *grant.Record) { r.RefreshDue = time.Time{} },
		"announcements removed": func(r *grant.Record) { r.Announce = nil },
		"a field of the grant":  editGrant(func(g *grant.Grant) { g.State = grant.Suspect }),
		"the whole grant": editGrant(func(g *grant.Grant) {
			*g = grant.Grant{State: grant.Revoked, TokenVersion: 99, Lease: grant.Lease{Owner: "another", Until: at(30)}}
		}),
		"the lease removed":     editGrant(func(g *grant.Grant) { g.Lease = grant.Lease{} }),
		"the grant made empty":  editGrant(func(g *grant.Grant) { *g = grant.Grant{} }),
		"another grant added":   func(r *grant.Record) { r.Grants["g2"] = grant.Grant{State: grant.Active} },
		"the version set lower": func(r *grant.Record) { r.Version = 0 },
	}
	unknown := []firestore.Update{
		{FieldPath: []string{"later"}, Value: map[string]any{"a": int64(1), "b": []any{"c"}}},
		{FieldPath: []string{"grants", "g1", "later"}, Value: "kept"},
		{FieldPath: []string{"grants", "g1", "lease", "later"}, Value: true},
		{FieldPath: []string{"v"}, Value: int64(grant.SchemaVersion + 1)},
	}
	client := connect(t, emulator.Firestore(t))
	store := grantfire.New(client)
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := grant.Key{Skill: "default", UserID: name}
			if _, err := store.Write(t.Context(), grant.New(key), filled(grant.New(key))); err != nil {
				t.Fatal(err)
			}
			ref := client.Collection(grantfire.Customers).Doc(key.ID())
			if _, err := ref.Update(t.Context(), unknown); err != nil {
				t.Fatal(err)
			}
			was, err := store.Read(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			now := was.Clone()
			write(&now)
			if _, err := store.Write(t.Context(), was, now); err != nil {
				t.Fatal(err)
			}
			doc, err := ref.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range unknown[:3] {
				got, err := doc.DataAtPath(u.FieldPath)
				if diff := cmp.Diff(u.Value, got); err != nil || diff != "" {
					t.Errorf("field %v is gone (%v) (-want +got):\n%s", u.FieldPath, err, diff)
				}
			}
			got, err := store.Read(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			now.Revision = got.Revision
			expect.Equal(t, "written fields", now, got)
		})
	}
}

// TestOneCallEach counts calls and documents: each is billed, and each is a round
// trip during the delivery of an event.
func TestOneCallEach(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	host := emulator.Firestore(t)
	store := grantfire.New(connect(t, host, cloud.Calls(func(string) { calls.Add(1) })...))
	var record grant.Record
	var delivery grant.Delivery
	key := grant.Key{Skill: "default", UserID: "u-1"}
	deliveryKey := grant.DeliveryKey{Customer: key.ID(), EventID: "e-1"}
	account := grant.NewAccount(grant.AccountKey{Skill: "default", AmazonUser: "a-1"}, key, at(1))
	control := grant.Control{Name: "c-1", Document: map[string]any{"n": int64(1)}}
	steps := []struct {
		name string
		want int64
		do   func(ctx context.Context) error
	}{
		{"create", 1, func(ctx context.Context) (err error) {
			record, err = store.Write(ctx, grant.New(key), filled(grant.New(key)))
			return err
		}},
		{"update", 1, func(ctx context.Context) (err error) {
			now := record.Clone()
			editGrant(func(g *grant.Grant) { g.Failures++ })(&now)
			record, err = store.Write(ctx, record, now)
			return err
		}},
		{"no change", 0, func(ctx context.Context) error { return second(store.Write(ctx, record, record.Clone())) }},
		{"read", 1, func(ctx context.Context) error { return second(store.Read(ctx, key)) }},
		{"due", 1, func(ctx context.Context) error {
			return second(store.Due(ctx, grant.DueQuery{Buckets: []int{key.Bucket()}, Before: at(60), Limit: 1}))
		}},
		{"count", 1, func(ctx context.Context) error {
			return second(store.CountDue(ctx, grant.DueQuery{Buckets: []int{key.Bucket()}, Before: at(60), Limit: 1000}))
		}},
		{"list", 1, func(ctx context.Context) error { return second(store.List(ctx, "", 1000)) }},
		{"delete", 1, func(ctx context.Context) error { return store.Delete(ctx, record) }},
		{"create a delivery", 1, func(ctx context.Context) (err error) {
			delivery, err = store.WriteDelivery(ctx, grant.Delivery{Key: deliveryKey}, grant.Delivery{Key: deliveryKey, ExpireAt: at(1)})
			return err
		}},
		{"update a delivery", 1, func(ctx context.Context) error {
			return second(store.WriteDelivery(ctx, delivery, grant.Delivery{Key: deliveryKey, ExpireAt: at(2)}))
		}},
		{"read a delivery", 1, func(ctx context.Context) error { return second(store.ReadDelivery(ctx, deliveryKey)) }},
		{"create an account", 1, func(ctx context.Context) (err error) {
			account, err = store.WriteAccount(ctx, grant.Account{ID: account.ID}, account)
			return err
		}},
		{"update an account", 1, func(ctx context.Context) error {
			now := account
			now.LinkedAt = at(2)
			_, err := store.WriteAccount(ctx, account, now)
			return err
		}},
		{"read an account", 1, func(ctx context.Context) error { return second(store.ReadAccount(ctx, account.ID)) }},
		{"create a control document", 1, func(ctx context.Context) (err error) {
			control, err = store.WriteControl(ctx, grant.Control{Name: control.Name}, control)
			return err
		}},
		{"update a control document", 1, func(ctx context.Context) error {
			return second(store.WriteControl(ctx, control, grant.Control{Name: control.Name, Document: map[string]any{"m": true}}))
		}},
		{"read a control document", 1, func(ctx context.Context) error { return second(store.ReadControl(ctx, control.Name)) }},
		{"count customers", 1, func(ctx context.Context) error { return second(store.CountCustomers(ctx)) }},
		{"erase a delivery and an account: look for the record, and for each find, delete, find no more", 7, func(ctx context.Context) error {
			return second(store.Erase(ctx, key))
		}},
	}
	for _, step := range steps {
		calls.Store(0)
		if err := step.do(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := calls.Load(); got != step.want {
			t.Errorf("calls of %s = %d, want %d", step.name, got, step.want)
		}
	}
}

// TestUnreadableRecords: some of the due documents were not written by this code,
// and cannot be read.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	client := connect(t, emulator.Firestore(t))
	store := grantfire.New(client)
	want := []string{"u-1", "u-2"}
	for _, user := range want {
		r := filled(grant.New(grant.Key{Skill: "default", UserID: user}))
		r.Bucket = 1
		if _, err := store.Write(t.Context(), grant.New(r.Key()), r); err != nil {
			t.Fatal(err)
		}
	}
	key := grant.Key{Skill: "default", UserID: "u-3"}
	for id, doc := range map[string]map[string]any{
		"0-first":     {"bucket": 1, "refreshDue": at(0), "userId": 5},
		key.ID():      {"bucket": 1, "refreshDue": at(1), "userId": "u-3", "skill": "default", "grants": "none"},
		"another's":   {"bucket": 1, "refreshDue": at(1), "userId": "u-3", "skill": "default"},
		"zzz-is-last": {"bucket": 1, "refreshDue": at(50)},
	} {
		if _, err := client.Collection(grantfire.Customers).Doc(id).Create(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := store.Read(t.Context(), key); err == nil || errors.Is(err, grant.ErrNotFound) {
		t.Errorf("Read() of an unreadable document = %+v, %v, want an error", r, err)
	}
	q := grant.DueQuery{Buckets: []int{1}, Before: at(60), Limit: 1}
	wantReadable(t, "due", want, 4, func() (records []grant.Record, unreadable []error, more bool, err error) {
		page, err := store.Due(t.Context(), q)
		q.After = page.Next
		return page.Records, page.Unreadable, page.Next != nil, err
	})
	after := ""
	wantReadable(t, "list", want, 4, func() (records []grant.Record, unreadable []error, more bool, err error) {
		page, err := store.List(t.Context(), after, 1)
		after = page.Next
		return page.Records, page.Unreadable, page.Next != "", err
	})
	if n, err := store.CountDue(t.Context(), grant.DueQuery{Buckets: []int{1}, Before: at(60), Limit: 10}); n != 6 || err != nil {
		t.Errorf("count = %d, %v, want 6: unreadable records are due too", n, err)
	}
}

// wantReadable reads all pages, and checks that they have all readable records and
// report the others.
func wantReadable(t *testing.T, name string, want []string, wantUnreadable int,
	read func() (records []grant.Record, unreadable []error, more bool, err error),
) {
	t.Helper()
	var got []string
	unreadable := 0
	for range 10 {
		records, failed, more, err := read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range records {
			got = append(got, r.UserID)
		}
		unreadable += len(failed)
		if !more {
			slices.Sort(got)
			if !slices.Equal(got, want) || unreadable != wantUnreadable {
				t.Errorf("%s: records = %v, %d unreadable, want %v, %d unreadable", name, got, unreadable, want, wantUnreadable)
			}
			return
		}
	}
	t.Errorf("%s: the pages do not end", name)
}

// at is a time in whole microseconds.
func at(n int) time.Time { return time.Date(2026, 1, 2, 3, 4, n, 123456000, time.UTC) }

// filled returns r with a grant and a value of every kind of field.
func filled(r grant.Record) grant.Record {
	r.Region, r.RefreshDue, r.UsedAt = "EU", at(1), at(2)
	r.Announce = []grant.Announcement{{Type: grant.Linked, GrantID: "g1", At: at(3)}}
	r.Grants = map[string]grant.Grant{"g1": {
		Region: "EU", State: grant.Active, AccessToken: []byte("sealed"), ExpiresAt: at(4), TokenVersion: 1,
		Lease: grant.Lease{Owner: "process-1", Until: at(5)}, RefreshDue: at(1),
	}}
	return r
}

func editGrant(change func(*grant.Grant)) func(*grant.Record) {
	return func(r *grant.Record) {
		g := r.Grants["g1"]
		change(&g)
		r.Grants["g1"] = g
	}
}

// Open a stack's database and look up a customer.
func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	store, err := grantfire.Open(ctx, "", "gatepost-eu")
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	record, err := store.Read(ctx, grant.Key{Skill: "default", UserID: "u-1"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(record.Grants), "grants")
}
