package grantfire

import (
	"context"
	"errors"

	"cloud.google.com/go/firestore"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var _ grant.Admin = (*Store)(nil)

// List implements [grant.Admin].
func (s *Store) List(ctx context.Context, after string, limit int) (grant.ListPage, error) {
	if limit < 1 {
		return grant.ListPage{}, errors.New("grantfire: list records: limit is out of range")
	}
	query := s.client.Collection(Customers).OrderBy(firestore.DocumentID, firestore.Asc).Limit(limit)
	if after != "" {
		query = query.StartAfter(after)
	}
	docs, err := query.Documents(ctx).GetAll()
	if err != nil {
		return grant.ListPage{}, failed(ctx, "list records", err)
	}
	var page grant.ListPage
	page.Records, page.Unreadable = parseRecords(docs)
	if len(docs) == limit {
		page.Next = docs[limit-1].Ref.ID
	}
	return page, nil
}

// Erase implements [grant.Admin]. The record is removed first: while it is stored,
// a process may find it and add a delivery record.
func (s *Store) Erase(ctx context.Context, key grant.Key) (grant.Erased, error) {
	var erased grant.Erased
	customer := s.customer(key)
	switch _, err := read(ctx, customer); {
	case errors.Is(err, grant.ErrNotFound):
	case err != nil:
		return erased, failed(ctx, "erase a customer", err)
	default:
		if _, err := customer.Delete(ctx); err != nil {
			return erased, failed(ctx, "erase a customer", err)
		}
		erased.Records = 1
	}
	var err error
	if erased.Deliveries, err = s.eraseAll(ctx, s.deliveriesOf(key.ID())); err != nil {
		return erased, failed(ctx, "erase a customer's deliveries", err)
	}
	if erased.Accounts, err = s.eraseAll(ctx, s.accountsOf(key.ID())); err != nil {
		return erased, failed(ctx, "erase a customer's accounts", err)
	}
	return erased, nil
}

// deliveriesOf returns the query for a customer's delivery records. Their ids are
// adjacent: a prefix, then hex digits.
func (s *Store) deliveriesOf(customer string) firestore.Query {
	all := s.client.Collection(Deliveries)
	first := grant.DeliveryPrefix(customer)
	return all.Where(firestore.DocumentID, ">=", all.Doc(first)).Where(firestore.DocumentID, "<", all.Doc(first+"g"))
}

// accountsOf returns the query for a customer's Amazon accounts. It needs the only
// single-field index.
func (s *Store) accountsOf(customer string) firestore.Query {
	return s.client.Collection(Accounts).Where("customer", "==", customer)
}

// erasePage is how many documents are removed in one batch.
const erasePage = 200

// eraseAll removes all documents of a query, and returns their number.
func (s *Store) eraseAll(ctx context.Context, query firestore.Query) (int, error) {
	erased := 0
	for {
		n, err := s.erasePageOf(ctx, query)
		erased += n
		if n == 0 || err != nil {
			return erased, err
		}
	}
}

// erasePageOf removes the first documents of a query, and returns their number.
func (s *Store) erasePageOf(ctx context.Context, query firestore.Query) (int, error) {
	docs, err := query.Select().Limit(erasePage).Documents(ctx).GetAll()
	if err != nil || len(docs) == 0 {
		return 0, err
	}
	writer := s.client.BulkWriter(ctx)
	jobs := make([]*firestore.BulkWriterJob, 0, len(docs))
	for _, doc := range docs {
		job, err := writer.Delete(doc.Ref)
		if err != nil {
			return 0, err
		}
		jobs = append(jobs, job)
	}
	writer.End()
	for i, job := range jobs {
		if _, err := job.Results(); err != nil {
			return i, err
		}
	}
	return len(jobs), nil
}
