package grantfire_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// failing is a Firestore that returns answer's error to every call, unlike the
// emulator.
type failing struct {
	firestorepb.UnimplementedFirestoreServer
	answer func(context.Context) error
}

func (f failing) BatchGetDocuments(_ *firestorepb.BatchGetDocumentsRequest, s firestorepb.Firestore_BatchGetDocumentsServer) error {
	return f.answer(s.Context())
}

func (f failing) RunQuery(_ *firestorepb.RunQueryRequest, s firestorepb.Firestore_RunQueryServer) error {
	return f.answer(s.Context())
}

func (f failing) RunAggregationQuery(
	_ *firestorepb.RunAggregationQueryRequest, s firestorepb.Firestore_RunAggregationQueryServer,
) error {
	return f.answer(s.Context())
}

func (f failing) Commit(ctx context.Context, _ *firestorepb.CommitRequest) (*firestorepb.CommitResponse, error) {
	return nil, f.answer(ctx)
}

// serve starts a Firestore and returns its store.
func serve(t *testing.T, firestore firestorepb.FirestoreServer) *grantfire.Store {
	t.Helper()
	address := cloud.Serve(t, func(s *grpc.Server) { firestorepb.RegisterFirestoreServer(s, firestore) })
	return grantfire.New(connect(t, address))
}

// record returns a record without grants, with a revision.
func record(revision grant.Revision) grant.Record {
	r := grant.New(grant.Key{UserID: "u-1"})
	r.Revision = revision
	return r
}

// second returns the error of a call with two results.
func second[T any](_ T, err error) error { return err }

// methods calls every method of a store.
var methods = map[string]func(context.Context, grant.Admin) error{
	"Read": func(ctx context.Context, s grant.Admin) error { return second(s.Read(ctx, grant.Key{UserID: "u-1"})) },
	"Due": func(ctx context.Context, s grant.Admin) error {
		return second(s.Due(ctx, grant.DueQuery{Buckets: []int{1}, Limit: 1}))
	},
	"CountDue": func(ctx context.Context, s grant.Admin) error {
		return second(s.CountDue(ctx, grant.DueQuery{Buckets: []int{1}, Limit: 1}))
	},
	"Delete": func(ctx context.Context, s grant.Admin) error { return s.Delete(ctx, record(1000)) },
	"List":   func(ctx context.Context, s grant.Admin) error { return second(s.List(ctx, "", 1)) },
	"Erase":  func(ctx context.Context, s grant.Admin) error { return second(s.Erase(ctx, grant.Key{UserID: "u-1"})) },
	"create": func(ctx context.Context, s grant.Admin) error {
		return second(s.Write(ctx, record(0), filled(record(0))))
	},
	"update": func(ctx context.Context, s grant.Admin) error {
		return second(s.Write(ctx, record(1000), filled(record(1000))))
	},
	"CountCustomers": func(ctx context.Context, s grant.Admin) error { return second(s.CountCustomers(ctx)) },
	"ReadControl":    func(ctx context.Context, s grant.Admin) error { return second(s.ReadControl(ctx, "c-1")) },
	"create a control document": func(ctx context.Context, s grant.Admin) error {
		return second(s.WriteControl(ctx, grant.Control{Name: "c-1"}, grant.Control{Name: "c-1", Document: map[string]any{"n": int64(1)}}))
	},
	"update a control document": func(ctx context.Context, s grant.Admin) error {
		return second(s.WriteControl(ctx, grant.Control{Name: "c-1", Revision: 1000}, grant.Control{Name: "c-1"}))
	},
	"ReadDelivery": func(ctx context.Context, s grant.Admin) error {
		return second(s.ReadDelivery(ctx, grant.DeliveryKey{EventID: "e-1"}))
	},
	"ReadAccount": func(ctx context.Context, s grant.Admin) error { return second(s.ReadAccount(ctx, "a-1")) },
	"create an account": func(ctx context.Context, s grant.Admin) error {
		return second(s.WriteAccount(ctx, grant.Account{ID: "a-1"}, grant.Account{ID: "a-1", Customer: "c-1"}))
	},
	"update an account": func(ctx context.Context, s grant.Admin) error {
		return second(s.WriteAccount(ctx, grant.Account{ID: "a-1", Revision: 1000}, grant.Account{ID: "a-1", Customer: "c-1"}))
	},
	"create a delivery": func(ctx context.Context, s grant.Admin) error {
		return second(s.WriteDelivery(ctx, grant.Delivery{}, grant.Delivery{ExpireAt: at(1)}))
	},
	"update a delivery": func(ctx context.Context, s grant.Admin) error {
		return second(s.WriteDelivery(ctx, grant.Delivery{Revision: 1000}, grant.Delivery{ExpireAt: at(1)}))
	},
}

func TestErrors(t *testing.T) {
	t.Parallel()
	creates := []string{"create", "create a delivery", "create an account", "create a control document"}
	updates := []string{"update", "update a delivery", "update an account", "update a control document", "Delete"}
	writes := slices.Concat(creates, updates)
	all := func(want error, methods []string) map[string]error {
		wants := make(map[string]error)
		for _, m := range methods {
			wants[m] = want
		}
		return wants
	}
	tests := map[codes.Code]map[string]error{ // sentinels by method
		codes.AlreadyExists:      all(grant.ErrConflict, creates),
		codes.FailedPrecondition: all(grant.ErrConflict, updates), // of Due: a missing index
		codes.NotFound:           all(grant.ErrConflict, updates), // of the others: a missing database
		codes.Aborted:            all(grant.ErrConflict, writes),  // of reads: another error
		codes.PermissionDenied:   nil,
		codes.InvalidArgument:    nil,
		codes.DeadlineExceeded:   all(context.DeadlineExceeded, writes), // not retried by the client library
	}
	for code, wants := range tests {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			store := serve(t, failing{answer: func(context.Context) error { return status.Error(code, "from the test") }})
			for name, call := range methods {
				want := wants[name]
				if code == codes.DeadlineExceeded && want == nil {
					continue
				}
				err := call(t.Context(), store)
				for _, sentinel := range []error{grant.ErrConflict, grant.ErrNotFound, context.DeadlineExceeded} {
					if got := errors.Is(err, sentinel); got != (want == sentinel) {
						t.Errorf("%s: error = %v, errors.Is(%q) = %t", name, err, sentinel, got)
					}
				}
				if want == nil && status.Code(err) != code {
					t.Errorf("%s: error = %v, want Firestore's in it", name, err)
				}
			}
		})
	}
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

// TestHangingFirestore calls a server that never answers.
func TestHangingFirestore(t *testing.T) {
	t.Parallel()
	store := serve(t, failing{answer: hang})
	for name, call := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			late, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer stop()
			if err := call(late, store); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error = %v, want %v", err, context.DeadlineExceeded)
			}
			cancelled, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			if err := call(cancelled, store); !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want %v", err, context.Canceled)
			}
		})
	}
}

// TestEraseMany erases several pages of deliveries, the last one full, and of
// accounts, with other customers' before, after and among them.
func TestEraseMany(t *testing.T) {
	t.Parallel()
	client := connect(t, emulator.Firestore(t))
	key := grant.Key{Skill: "default", UserID: "u-1"}
	const deliveries, accounts, others = 600, 401, 3
	writer := client.BulkWriter(t.Context())
	create := func(collection, id string, doc map[string]any) {
		if _, err := writer.Create(client.Collection(collection).Doc(id), doc); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{key.ID() + "-1", key.ID() + "0.1", key.ID()[:63] + "~.1"} {
		create(grantfire.Deliveries, id, map[string]any{"expireAt": at(1)})
		create(grantfire.Accounts, "a-"+id, map[string]any{"customer": "not " + id})
	}
	for i := range deliveries {
		id := grant.DeliveryKey{Customer: key.ID(), EventID: fmt.Sprint("e-", i)}.ID()
		create(grantfire.Deliveries, id, map[string]any{"expireAt": at(1)})
	}
	for i := range accounts {
		create(grantfire.Accounts, fmt.Sprint("a-", i), map[string]any{"customer": key.ID()})
	}
	writer.End()
	erased, err := grantfire.New(client).Erase(t.Context(), key)
	if want := (grant.Erased{Deliveries: deliveries, Accounts: accounts}); err != nil || erased != want {
		t.Errorf("Erase() = %+v, %v, want %+v", erased, err, want)
	}
	for _, collection := range []string{grantfire.Deliveries, grantfire.Accounts} {
		left, err := client.Collection(collection).Documents(t.Context()).GetAll()
		if err != nil || len(left) != others {
			t.Errorf("%d %s are left (%v), want only those of %d others", len(left), collection, err, others)
		}
	}
}

// half is a Firestore with no records and two documents of one collection, which
// fails to find or to delete these.
type half struct {
	firestorepb.UnimplementedFirestoreServer
	collection string
	find       func(context.Context) error
	delete     func(context.Context) (*firestorepb.BatchWriteResponse, error)
}

func (half) BatchGetDocuments(r *firestorepb.BatchGetDocumentsRequest, s firestorepb.Firestore_BatchGetDocumentsServer) error {
	missing := &firestorepb.BatchGetDocumentsResponse_Missing{Missing: r.Documents[0]}
	return s.Send(&firestorepb.BatchGetDocumentsResponse{Result: missing, ReadTime: timestamppb.New(at(1))})
}

func (h half) RunQuery(r *firestorepb.RunQueryRequest, s firestorepb.Firestore_RunQueryServer) error {
	if r.GetStructuredQuery().From[0].CollectionId != h.collection {
		return s.Send(&firestorepb.RunQueryResponse{ReadTime: timestamppb.New(at(2))})
	}
	if h.find != nil {
		return h.find(s.Context())
	}
	for _, id := range []string{"/1", "/2"} {
		name, created := r.Parent+"/"+h.collection+id, timestamppb.New(at(1))
		doc := &firestorepb.Document{Name: name, CreateTime: created, UpdateTime: created}
		if err := s.Send(&firestorepb.RunQueryResponse{Document: doc, ReadTime: timestamppb.New(at(2))}); err != nil {
			return err
		}
	}
	return nil
}

func (h half) BatchWrite(ctx context.Context, _ *firestorepb.BatchWriteRequest) (*firestorepb.BatchWriteResponse, error) {
	return h.delete(ctx)
}

// TestEraseStopsHalfWay: an interrupted Erase reports its progress and the error.
func TestEraseStopsHalfWay(t *testing.T) {
	t.Parallel()
	key := grant.Key{Skill: "default", UserID: "u-1"}
	for collection, one := range map[string]grant.Erased{grantfire.Deliveries: {Deliveries: 1}, grantfire.Accounts: {Accounts: 1}} {
		t.Run("one of two "+collection+" is refused", func(t *testing.T) {
			t.Parallel()
			store := serve(t, half{collection: collection, delete: func(context.Context) (*firestorepb.BatchWriteResponse, error) {
				answer := &firestorepb.BatchWriteResponse{WriteResults: []*firestorepb.WriteResult{{}, {}}}
				for _, code := range []codes.Code{codes.OK, codes.PermissionDenied} {
					answer.Status = append(answer.Status, status.New(code, "as the test wants it").Proto())
				}
				return answer, nil
			}})
			erased, err := store.Erase(t.Context(), key)
			if erased != one || status.Code(err) != codes.PermissionDenied {
				t.Errorf("Erase() = %+v, %v, want %+v and Firestore's error", erased, err, one)
			}
		})
		for name, firestore := range map[string]half{
			"no answer to the query":  {find: hang},
			"no answer to the delete": {delete: func(ctx context.Context) (*firestorepb.BatchWriteResponse, error) { return nil, hang(ctx) }},
		} {
			firestore.collection = collection
			t.Run(name+" of "+collection, func(t *testing.T) {
				t.Parallel()
				erased, err := serve(t, firestore).Erase(testkit.Within(t, 200*time.Millisecond), key)
				if erased != (grant.Erased{}) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Erase() = %+v, %v, want nothing and %v", erased, err, context.DeadlineExceeded)
				}
			})
		}
	}
}

// TestUnreadableAccount reads a document that this code did not write.
func TestUnreadableAccount(t *testing.T) {
	t.Parallel()
	client := connect(t, emulator.Firestore(t))
	doc := map[string]any{"customer": "c-1", "linkedAt": "yesterday"}
	if _, err := client.Collection(grantfire.Accounts).Doc("a-1").Create(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	a, err := grantfire.New(client).ReadAccount(t.Context(), "a-1")
	if err == nil || errors.Is(err, grant.ErrNotFound) || a != (grant.Account{}) {
		t.Errorf("ReadAccount() = %+v, %v, want nothing and the bad field", a, err)
	}
}
