package grantmem

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// List implements [grant.Admin]. It sorts all ids anew for each page.
func (s *Store) List(ctx context.Context, after string, limit int) (grant.ListPage, error) {
	if err := ctx.Err(); err != nil {
		return grant.ListPage{}, fmt.Errorf("grantmem: list records: %w", err)
	}
	if limit < 1 {
		return grant.ListPage{}, errors.New("grantmem: list records: limit is out of range")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	ids := slices.Sorted(maps.Keys(s.customers))
	first, found := slices.BinarySearch(ids, after)
	if found {
		first++
	}
	ids = ids[first:]
	var page grant.ListPage
	if len(ids) > limit {
		ids = ids[:limit]
		page.Next = ids[limit-1]
	}
	for _, id := range ids {
		r, err := s.record(id)
		if err != nil {
			return grant.ListPage{}, err
		}
		page.Records = append(page.Records, r)
	}
	return page, nil
}

// Erase implements [grant.Admin].
func (s *Store) Erase(ctx context.Context, key grant.Key) (grant.Erased, error) {
	if err := ctx.Err(); err != nil {
		return grant.Erased{}, fmt.Errorf("grantmem: erase a customer: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var erased grant.Erased
	id := key.ID()
	if _, ok := s.customers[id]; ok {
		s.remove(id)
		erased.Records = 1
	}
	for delivery := range s.deliveries {
		if strings.HasPrefix(delivery, grant.DeliveryPrefix(id)) {
			delete(s.deliveries, delivery)
			erased.Deliveries++
		}
	}
	for account, doc := range s.accounts {
		if doc.fields["customer"] == id {
			delete(s.accounts, account)
			erased.Accounts++
		}
	}
	return erased, nil
}
