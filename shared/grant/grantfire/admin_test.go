package grantfire_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// TestEraseManyDeliveries has some pages of them, the last one full, and those
// of other customers right before and behind.
func TestEraseManyDeliveries(t *testing.T) {
	t.Parallel()
	client := connect(t, emulator.Firestore(t))
	key := grant.Key{Skill: "default", UserID: "u-1"}
	others := []string{key.ID() + "-1", key.ID() + "0.1", key.ID()[:63] + "~.1"}
	const many = 600
	ids := slices.Clone(others)
	for i := range many {
		ids = append(ids, grant.DeliveryKey{Customer: key.ID(), EventID: fmt.Sprint("e-", i)}.ID())
	}
	writer := client.BulkWriter(t.Context())
	for _, id := range ids {
		if _, err := writer.Create(client.Collection(grantfire.Deliveries).Doc(id), map[string]any{"expireAt": at(1)}); err != nil {
			t.Fatal(err)
		}
	}
	writer.End()
	erased, err := grantfire.New(client).Erase(t.Context(), key)
	if want := (grant.Erased{Deliveries: many}); err != nil || erased != want {
		t.Errorf("got %+v and error %v, want %+v", erased, err, want)
	}
	left, err := client.Collection(grantfire.Deliveries).Documents(t.Context()).GetAll()
	if err != nil || len(left) != len(others) {
		t.Errorf("%d deliveries are left (%v), want those of %d others", len(left), err, len(others))
	}
}

// TestEraseManyAccounts has some pages of them, and accounts of others among
// them.
func TestEraseManyAccounts(t *testing.T) {
	t.Parallel()
	client := connect(t, emulator.Firestore(t))
	key := grant.Key{Skill: "default", UserID: "u-1"}
	const many, others = 401, 3
	writer := client.BulkWriter(t.Context())
	for i := range many + others {
		customer := key.ID()
		if i < others {
			customer = grant.Key{Skill: "default", UserID: fmt.Sprint("other-", i)}.ID()
		}
		if _, err := writer.Create(client.Collection(grantfire.Accounts).Doc(fmt.Sprint("a-", i)), map[string]any{"customer": customer}); err != nil {
			t.Fatal(err)
		}
	}
	writer.End()
	erased, err := grantfire.New(client).Erase(t.Context(), key)
	if want := (grant.Erased{Accounts: many}); err != nil || erased != want {
		t.Errorf("got %+v and error %v, want %+v", erased, err, want)
	}
	left, err := client.Collection(grantfire.Accounts).Documents(t.Context()).GetAll()
	if err != nil || len(left) != others {
		t.Errorf("%d accounts are left (%v), want %d", len(left), err, others)
	}
}

// half is a Firestore that has no records and two documents of one collection,
// and fails when it is to find or to delete these.
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
		doc := &firestorepb.Document{Name: r.Parent + "/" + h.collection + id, CreateTime: timestamppb.New(at(1)), UpdateTime: timestamppb.New(at(1))}
		if err := s.Send(&firestorepb.RunQueryResponse{Document: doc, ReadTime: timestamppb.New(at(2))}); err != nil {
			return err
		}
	}
	return nil
}

func (h half) BatchWrite(ctx context.Context, _ *firestorepb.BatchWriteRequest) (*firestorepb.BatchWriteResponse, error) {
	return h.delete(ctx)
}

// TestEraseStopsHalfWay wants to know how far it came, and why no further.
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
				t.Errorf("got %+v and error %v, want %+v and Firestore's error", erased, err, one)
			}
		})
		for name, firestore := range map[string]half{
			"no answer to the query":  {find: hang},
			"no answer to the delete": {delete: func(ctx context.Context) (*firestorepb.BatchWriteResponse, error) { return nil, hang(ctx) }},
		} {
			firestore.collection = collection
			t.Run(name+" of "+collection, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				erased, err := serve(t, firestore).Erase(ctx, key)
				if erased != (grant.Erased{}) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %+v and error %v, want nothing and %v", erased, err, context.DeadlineExceeded)
				}
			})
		}
	}
}

// TestUnreadableAccount is of a document that this code did not write.
func TestUnreadableAccount(t *testing.T) {
	t.Parallel()
	client := connect(t, emulator.Firestore(t))
	if _, err := client.Collection(grantfire.Accounts).Doc("a-1").Create(t.Context(), map[string]any{"customer": "c-1", "linkedAt": "yesterday"}); err != nil {
		t.Fatal(err)
	}
	a, err := grantfire.New(client).ReadAccount(t.Context(), "a-1")
	if err == nil || errors.Is(err, grant.ErrNotFound) || a != (grant.Account{}) {
		t.Errorf("got %+v and error %v, want nothing and why it cannot be read", a, err)
	}
}
