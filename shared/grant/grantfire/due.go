package grantfire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Due implements [grant.Store].
func (s *Store) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	if err := validate(q); err != nil {
		return grant.DuePage{}, err
	}
	docs, err := s.dueQuery(q).Documents(ctx).GetAll()
	if err != nil {
		return grant.DuePage{}, failed(ctx, "find due records", err)
	}
	var page grant.DuePage
	page.Records, page.Unreadable = parseRecords(docs)
	if len(docs) < q.Limit {
		return page, nil
	}
	page.Next, err = cursor(docs[len(docs)-1])
	return page, err
}

// CountDue implements [grant.Store]. Firestore counts a thousand documents for
// the price of one read.
func (s *Store) CountDue(ctx context.Context, q grant.DueQuery) (int, error) {
	if err := validate(q); err != nil {
		return 0, err
	}
	n, err := count(ctx, s.dueQuery(q))
	if err != nil {
		return 0, failed(ctx, "count due records", err)
	}
	return n, nil
}

// CountCustomers implements [grant.Store].
func (s *Store) CountCustomers(ctx context.Context) (int, error) {
	n, err := count(ctx, s.client.Collection(Customers).Query)
	if err != nil {
		return 0, failed(ctx, "count customers", err)
	}
	return n, nil
}

func count(ctx context.Context, query firestore.Query) (int, error) {
	result, err := query.NewAggregationQuery().WithCount("n").Get(ctx)
	if err != nil {
		return 0, err
	}
	n, ok := result["n"].(*firestorepb.Value)
	if !ok {
		return 0, errors.New("the count is not a number")
	}
	return int(n.GetIntegerValue()), nil
}

func validate(q grant.DueQuery) error {
	if len(q.Buckets) < 1 || len(q.Buckets) > grant.MaxDueBuckets || q.Limit < 1 {
		return errors.New("grantfire: find due records: number of buckets or limit is out of range")
	}
	return nil
}

// dueQuery returns the only query that needs the composite index on bucket and
// refreshDue.
func (s *Store) dueQuery(q grant.DueQuery) firestore.Query {
	buckets := slices.Compact(slices.Sorted(slices.Values(q.Buckets)))
	query := s.client.Collection(Customers).
		Where("bucket", "in", buckets).
		Where("refreshDue", "<=", q.Before).
		OrderBy("refreshDue", firestore.Asc).
		OrderBy(firestore.DocumentID, firestore.Asc).
		Limit(q.Limit)
	if !q.From.IsZero() {
		query = query.Where("refreshDue", ">=", q.From)
	}
	if q.After != nil {
		query = query.StartAfter(q.After.RefreshDue, q.After.ID)
	}
	return query
}

// cursor returns the position after a document that the query found. It reads the
// document's field, since the document may be unreadable as a record.
func cursor(doc *firestore.DocumentSnapshot) (*grant.DueCursor, error) {
	value, err := doc.DataAt("refreshDue")
	due, ok := value.(time.Time)
	if !ok {
		return nil, fmt.Errorf("grantfire: document %s has a refreshDue that is not a time (%v)", doc.Ref.ID, err)
	}
	return &grant.DueCursor{RefreshDue: due, ID: doc.Ref.ID}, nil
}
