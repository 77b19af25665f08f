package granttest_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Mistakes that a store may make with control documents.

func readsMissingControlAsNew(s grant.Admin) grant.Admin {
	return broken{Admin: s, readControl: func(ctx context.Context, name string) (grant.Control, error) {
		return currentControl(ctx, s, name), ctx.Err()
	}}
}

// losesFalse takes what is false for what is absent, as records do.
func losesFalse(s grant.Admin) grant.Admin {
	return onControls(s, func(_, now *grant.Control) {
		maps.DeleteFunc(now.Document, func(_ string, v any) bool { return v == false })
	})
}

// keepsText keeps numbers as text.
func keepsText(s grant.Admin) grant.Admin {
	return onControls(s, func(_, now *grant.Control) {
		for name, v := range now.Document {
			if n, ok := v.(int64); ok {
				now.Document[name] = fmt.Sprint(n)
			}
		}
	})
}

func mergesControls(s grant.Admin) grant.Admin {
	return onControls(s, func(was, now *grant.Control) {
		for name, v := range was.Document {
			if _, stays := now.Document[name]; !stays {
				now.Document[name] = v
			}
		}
	})
}

// comparesControls looks at the store only if something differs.
func comparesControls(s grant.Admin) grant.Admin {
	return broken{Admin: s, writeControl: func(ctx context.Context, was, now grant.Control) (grant.Control, error) {
		if was.Revision != 0 && reflect.DeepEqual(was.Document, now.Document) {
			return was, nil
		}
		return s.WriteControl(ctx, was, now)
	}}
}

func remembersControls(s grant.Admin) grant.Admin {
	given := make(map[string]map[string]any)
	return broken{
		Admin: s,
		writeControl: func(ctx context.Context, was, now grant.Control) (grant.Control, error) {
			c, err := s.WriteControl(ctx, was, now)
			if err == nil {
				given[now.Name] = now.Document
			}
			return c, err
		},
		readControl: func(ctx context.Context, name string) (grant.Control, error) {
			c, err := s.ReadControl(ctx, name)
			c.Document = given[name]
			return c, err
		},
	}
}

// countsControls counts everything that is kept.
func countsControls(s grant.Admin) grant.Admin {
	return broken{Admin: s, countAll: func(ctx context.Context) (int, error) {
		n, err := s.CountCustomers(ctx)
		if _, missing := s.ReadControl(ctx, "c-1"); missing == nil {
			n++
		}
		return n, err
	}}
}

// countsWhoIsDue counts customers by the sweep's index.
func countsWhoIsDue(s grant.Admin) grant.Admin {
	return broken{Admin: s, countAll: func(ctx context.Context) (int, error) {
		n, after := 0, ""
		for {
			page, err := s.List(ctx, after, 100)
			for _, r := range page.Records {
				if !r.RefreshDue.IsZero() {
					n++
				}
			}
			if after = page.Next; after == "" || err != nil {
				return n, err
			}
		}
	}}
}
