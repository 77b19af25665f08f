package granttest_test

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Mistakes that a store may make when it lists and erases.

// skipsAtBorders goes on behind the first record of the next page.
func skipsAtBorders(s grant.Admin) grant.Admin {
	return broken{Admin: s, list: func(ctx context.Context, after string, limit int) (grant.ListPage, error) {
		page, err := s.List(ctx, after, limit)
		if err != nil || page.Next == "" {
			return page, err
		}
		next, err := s.List(ctx, page.Next, 1)
		for _, r := range next.Records {
			page.Next = r.Key().ID()
		}
		return page, err
	}}
}

// repeatsAtBorders goes on with the last record of the page.
func repeatsAtBorders(s grant.Admin) grant.Admin {
	return onLists(s, func(page *grant.ListPage) {
		if page.Next != "" {
			page.Next = page.Next[:len(page.Next)-1]
		}
	})
}

// listsByNumber counts records instead of keeping a place among them.
func listsByNumber(s grant.Admin) grant.Admin {
	return broken{Admin: s, list: func(ctx context.Context, after string, limit int) (grant.ListPage, error) {
		if limit < 1 || after != "" && !strings.HasPrefix(after, "+") {
			return s.List(ctx, after, limit)
		}
		page, err := s.List(ctx, "", len(after)+limit)
		page.Records = page.Records[min(len(after), len(page.Records)):]
		if page.Next != "" {
			page.Next = strings.Repeat("+", len(after)+limit)
		}
		return page, err
	}}
}

func listsByUserID(s grant.Admin) grant.Admin {
	return onLists(s, func(page *grant.ListPage) {
		slices.SortFunc(page.Records, func(a, b grant.Record) int { return strings.Compare(a.UserID, b.UserID) })
	})
}

// listsDue finds records by the sweep's index.
func listsDue(s grant.Admin) grant.Admin {
	return onLists(s, func(page *grant.ListPage) {
		page.Records = slices.DeleteFunc(page.Records, func(r grant.Record) bool { return r.RefreshDue.IsZero() })
	})
}

func listsOnePage(s grant.Admin) grant.Admin {
	return onLists(s, func(page *grant.ListPage) { page.Next = "" })
}

func listsMore(s grant.Admin) grant.Admin {
	return broken{Admin: s, list: func(ctx context.Context, after string, limit int) (grant.ListPage, error) {
		return s.List(ctx, after, 2*limit)
	}}
}

func listsDeliveries(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		list: func(ctx context.Context, after string, limit int) (grant.ListPage, error) {
			page, err := s.List(ctx, after, limit)
			if err == nil && len(page.Records) == 0 {
				page.Unreadable = append(page.Unreadable, errors.New("a document without userId"))
			}
			return page, err
		},
	}
}

func listsWithoutRevision(s grant.Admin) grant.Admin {
	return onLists(s, func(page *grant.ListPage) {
		for i := range page.Records {
			page.Records[i].Revision = 0
		}
	})
}

func listsImpossible(s grant.Admin) grant.Admin {
	return broken{Admin: s, list: func(ctx context.Context, after string, limit int) (grant.ListPage, error) {
		return s.List(ctx, after, max(limit, 1))
	}}
}

// erasesOnlyTheRecord leaves the deliveries.
func erasesOnlyTheRecord(s grant.Admin) grant.Admin {
	return broken{Admin: s, erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
		r, err := s.Read(ctx, key)
		if errors.Is(err, grant.ErrNotFound) {
			return grant.Erased{}, nil
		}
		return grant.Erased{Records: 1}, errors.Join(err, s.Delete(ctx, r))
	}}
}

// erasesOnlyWithRecord does nothing for a customer without a record.
func erasesOnlyWithRecord(s grant.Admin) grant.Admin {
	return broken{Admin: s, erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
		if _, err := s.Read(ctx, key); errors.Is(err, grant.ErrNotFound) {
			return grant.Erased{}, nil
		}
		return s.Erase(ctx, key)
	}}
}

// erasesOnlyDeliveries leaves the record.
func erasesOnlyDeliveries(s grant.Admin) grant.Admin {
	return broken{Admin: s, erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
		r, err := s.Read(ctx, key)
		erased, eraseErr := s.Erase(ctx, key)
		if err == nil {
			_, err = s.Write(ctx, grant.New(key), r)
		}
		if errors.Is(err, grant.ErrNotFound) {
			err = nil
		}
		return erased, errors.Join(err, eraseErr)
	}}
}

// erasesOnce calls it an error that there is nothing to erase.
func erasesOnce(s grant.Admin) grant.Admin {
	return broken{Admin: s, erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
		erased, err := s.Erase(ctx, key)
		if err == nil && erased == (grant.Erased{}) {
			err = grant.ErrNotFound
		}
		return erased, err
	}}
}

func erasesWithoutCounting(s grant.Admin) grant.Admin {
	return broken{Admin: s, erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
		_, err := s.Erase(ctx, key)
		return grant.Erased{}, err
	}}
}

// erasesTheWholeUser takes a userId for the customer, whatever the skill.
func erasesTheWholeUser(s grant.Admin) grant.Admin {
	return broken{Admin: s, erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
		page, err := s.List(ctx, "", 1000)
		for _, r := range page.Records {
			if strings.EqualFold(r.UserID, key.UserID) && r.Key() != key && err == nil {
				err = s.Delete(ctx, r)
			}
		}
		erased, eraseErr := s.Erase(ctx, key)
		return erased, errors.Join(err, eraseErr)
	}}
}

// hides has deliveries vanish when a customer is erased: those of which vanishes
// says so, given the customer's id and the delivery's.
func hides(s grant.Admin, vanishes func(customer, delivery string) bool) grant.Admin {
	var erased []string
	return broken{
		Admin: s,
		erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
			erased = append(erased, key.ID())
			return s.Erase(ctx, key)
		},
		readDelivery: func(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
			for _, customer := range erased {
				if vanishes(customer, key.ID()) {
					return grant.Delivery{}, grant.ErrNotFound
				}
			}
			return s.ReadDelivery(ctx, key)
		},
	}
}

// erasesByPrefix forgets that a longer id may begin alike.
func erasesByPrefix(s grant.Admin) grant.Admin {
	return hides(s, func(customer, delivery string) bool { return strings.HasPrefix(delivery, customer) })
}

// erasesFrom has a range with a beginning and no end.
func erasesFrom(s grant.Admin) grant.Admin {
	return hides(s, func(customer, delivery string) bool { return delivery >= customer+"." })
}

// erasesUpTo has a range with an end and no beginning.
func erasesUpTo(s grant.Admin) grant.Admin {
	return hides(s, func(customer, delivery string) bool { return delivery < customer+".g" })
}

// erasesForEver has a customer's deliveries vanish, the later ones too.
func erasesForEver(s grant.Admin) grant.Admin {
	return hides(s, func(customer, delivery string) bool { return strings.HasPrefix(delivery, customer+".") })
}
