package grantfire_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
)

// failing is a Firestore that answers every call with what answer returns:
// failures that the emulator does not have.
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

func (f failing) RunAggregationQuery(_ *firestorepb.RunAggregationQueryRequest, s firestorepb.Firestore_RunAggregationQueryServer) error {
	return f.answer(s.Context())
}

func (f failing) Commit(ctx context.Context, _ *firestorepb.CommitRequest) (*firestorepb.CommitResponse, error) {
	return nil, f.answer(ctx)
}

// serve starts a Firestore and returns a store in it.
func serve(t *testing.T, firestore firestorepb.FirestoreServer) *grantfire.Store {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	firestorepb.RegisterFirestoreServer(server, firestore)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return grantfire.New(connect(t, listener.Addr().String()))
}

// methods calls every method of a store.
var methods = map[string]func(context.Context, grant.Admin) error{
	"Read": func(ctx context.Context, s grant.Admin) error {
		_, err := s.Read(ctx, grant.Key{UserID: "u-1"})
		return err
	},
	"Due": func(ctx context.Context, s grant.Admin) error {
		_, err := s.Due(ctx, grant.DueQuery{Buckets: []int{1}, Limit: 1})
		return err
	},
	"CountDue": func(ctx context.Context, s grant.Admin) error {
		_, err := s.CountDue(ctx, grant.DueQuery{Buckets: []int{1}, Limit: 1})
		return err
	},
	"Delete": func(ctx context.Context, s grant.Admin) error {
		was := grant.New(grant.Key{UserID: "u-1"})
		was.Revision = 1000
		return s.Delete(ctx, was)
	},
	"List": func(ctx context.Context, s grant.Admin) error {
		_, err := s.List(ctx, "", 1)
		return err
	},
	"Erase": func(ctx context.Context, s grant.Admin) error {
		_, err := s.Erase(ctx, grant.Key{UserID: "u-1"})
		return err
	},
	"create": func(ctx context.Context, s grant.Admin) error {
		was := grant.New(grant.Key{UserID: "u-1"})
		_, err := s.Write(ctx, was, filled(was))
		return err
	},
	"update": func(ctx context.Context, s grant.Admin) error {
		was := grant.New(grant.Key{UserID: "u-1"})
		was.Revision = 1000
		_, err := s.Write(ctx, was, filled(was))
		return err
	},
	"CountCustomers": func(ctx context.Context, s grant.Admin) error {
		_, err := s.CountCustomers(ctx)
		return err
	},
	"ReadControl": func(ctx context.Context, s grant.Admin) error {
		_, err := s.ReadControl(ctx, "c-1")
		return err
	},
	"create a control document": func(ctx context.Context, s grant.Admin) error {
		_, err := s.WriteControl(ctx, grant.Control{Name: "c-1"}, grant.Control{Name: "c-1", Document: map[string]any{"n": int64(1)}})
		return err
	},
	"update a control document": func(ctx context.Context, s grant.Admin) error {
		_, err := s.WriteControl(ctx, grant.Control{Name: "c-1", Revision: 1000}, grant.Control{Name: "c-1"})
		return err
	},
	"ReadDelivery": func(ctx context.Context, s grant.Admin) error {
		_, err := s.ReadDelivery(ctx, grant.DeliveryKey{EventID: "e-1"})
		return err
	},
	"ReadAccount": func(ctx context.Context, s grant.Admin) error {
		_, err := s.ReadAccount(ctx, "a-1")
		return err
	},
	"create an account": func(ctx context.Context, s grant.Admin) error {
		_, err := s.WriteAccount(ctx, grant.Account{ID: "a-1"}, grant.Account{ID: "a-1", Customer: "c-1"})
		return err
	},
	"update an account": func(ctx context.Context, s grant.Admin) error {
		_, err := s.WriteAccount(ctx, grant.Account{ID: "a-1", Revision: 1000}, grant.Account{ID: "a-1", Customer: "c-1"})
		return err
	},
	"create a delivery": func(ctx context.Context, s grant.Admin) error {
		_, err := s.WriteDelivery(ctx, grant.Delivery{}, grant.Delivery{ExpireAt: at(1)})
		return err
	},
	"update a delivery": func(ctx context.Context, s grant.Admin) error {
		_, err := s.WriteDelivery(ctx, grant.Delivery{Revision: 1000}, grant.Delivery{ExpireAt: at(1)})
		return err
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
	tests := map[codes.Code]map[string]error{ // which methods return which sentinel
		codes.AlreadyExists:      all(grant.ErrConflict, creates),
		codes.FailedPrecondition: all(grant.ErrConflict, updates), // for Due it is a missing index
		codes.NotFound:           all(grant.ErrConflict, updates), // for the others a missing database
		codes.Aborted:            all(grant.ErrConflict, writes),  // for reads it is an error like others
		codes.PermissionDenied:   nil,
		codes.InvalidArgument:    nil,
		codes.DeadlineExceeded:   all(context.DeadlineExceeded, writes), // which the client library does not try again
	}
	for code, wants := range tests {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			store := serve(t, failing{answer: func(context.Context) error { return status.Error(code, "as the test wants it") }})
			for name, call := range methods {
				want := wants[name]
				if code == codes.DeadlineExceeded && want == nil {
					continue
				}
				err := call(t.Context(), store)
				for _, sentinel := range []error{grant.ErrConflict, grant.ErrNotFound, context.DeadlineExceeded} {
					if got := errors.Is(err, sentinel); got != (want == sentinel) {
						t.Errorf("%s: got error %v, is it %q? %t", name, err, sentinel, got)
					}
				}
				if want == nil && status.Code(err) != code {
					t.Errorf("%s: got error %v, want one that wraps Firestore's", name, err)
				}
			}
		})
	}
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

// TestHangingFirestore asks a server that never answers.
func TestHangingFirestore(t *testing.T) {
	t.Parallel()
	store := serve(t, failing{answer: hang})
	for name, call := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			late, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer stop()
			if err := call(late, store); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
			}
			cancelled, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			if err := call(cancelled, store); !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want %v", err, context.Canceled)
			}
		})
	}
}
