package grantfire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Due implements [grant.Store].
func (s *Store) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	if len(q.Buckets) < 1 || len(q.Buckets) > grant.MaxDueBuckets || q.Limit < 1 {
		return grant.DuePage{}, errors.New("grantfire: find due records: number of buckets or limit is out of range")
	}
	docs, err := s.dueQuery(q).Documents(ctx).GetAll()
	if err != nil {
		return grant.DuePage{}, failed(ctx, "find due records", err)
	}
	var page grant.DuePage
	for _, doc := range docs {
		r, err := parseRecord(doc)
		if err != nil {
			page.Unreadable = append(page.Unreadable, err)
			continue
		}
		page.Records = append(page.Records, r)
	}
	if len(docs) < q.Limit {
		return page, nil
	}
	page.Next, err = cursor(docs[len(docs)-1])
	return page, err
}

// dueQuery is the one query that needs the composite index on bucket and
// refreshDue.
func (s *Store) dueQuery(q grant.DueQuery) firestore.Query {
	buckets := slices.Compact(slices.Sorted(slices.Values(q.Buckets)))
	query := s.client.Collection(Customers).
		Where("bucket", "in", buckets).
		Where("refreshDue", "<=", q.Before).
		OrderBy("refreshDue", firestore.Asc).
		OrderBy(firestore.DocumentID, firestore.Asc).
		Limit(q.Limit)
	if q.After != nil {
		query = query.StartAfter(q.After.RefreshDue, q.After.ID)
	}
	return query
}

// cursor is the place behind a document that the query found. It is read from
// the document, of which perhaps no record can be made.
func cursor(doc *firestore.DocumentSnapshot) (*grant.DueCursor, error) {
	value, err := doc.DataAt("refreshDue")
	due, ok := value.(time.Time)
	if !ok {
		return nil, fmt.Errorf("grantfire: document %s was found by a refreshDue that is no time (%v)", doc.Ref.ID, err)
	}
	return &grant.DueCursor{RefreshDue: due, ID: doc.Ref.ID}, nil
}
