package granttest_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Mistakes that a store may make with records.

func readsMissingAsNew(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		read:  func(ctx context.Context, key grant.Key) (grant.Record, error) { return current(ctx, s, key), ctx.Err() },
	}
}

func readsMissingDeliveryAsNew(s grant.Admin) grant.Admin {
	return broken{Admin: s, readDelivery: func(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
		return currentDelivery(ctx, s, key), ctx.Err()
	}}
}

func overwritesOnCreate(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			if was.Revision == 0 {
				was = current(ctx, s, was.Key())
			}
			return s.Write(ctx, was, now)
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			if was.Revision == 0 {
				was = currentDelivery(ctx, s, was.Key)
			}
			return s.WriteDelivery(ctx, was, now)
		},
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			if was.Revision == 0 {
				was = currentAccount(ctx, s, was.ID)
			}
			return s.WriteAccount(ctx, was, now)
		},
		writeControl: func(ctx context.Context, was, now grant.Control) (grant.Control, error) {
			if was.Revision == 0 {
				was = currentControl(ctx, s, was.Name)
			}
			return s.WriteControl(ctx, was, now)
		},
	}
}

func ignoresRevision(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			was.Revision = current(ctx, s, was.Key()).Revision
			return s.Write(ctx, was, now)
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			was.Revision = currentDelivery(ctx, s, was.Key).Revision
			return s.WriteDelivery(ctx, was, now)
		},
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			was.Revision = currentAccount(ctx, s, was.ID).Revision
			return s.WriteAccount(ctx, was, now)
		},
		writeControl: func(ctx context.Context, was, now grant.Control) (grant.Control, error) {
			was.Revision = currentControl(ctx, s, was.Name).Revision
			return s.WriteControl(ctx, was, now)
		},
	}
}

func createsOnUpdate(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			if _, err := s.Read(ctx, was.Key()); errors.Is(err, grant.ErrNotFound) {
				was = grant.New(was.Key())
			}
			return s.Write(ctx, was, now)
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			if _, err := s.ReadDelivery(ctx, was.Key); errors.Is(err, grant.ErrNotFound) {
				was = grant.Delivery{Key: was.Key}
			}
			return s.WriteDelivery(ctx, was, now)
		},
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			if _, err := s.ReadAccount(ctx, was.ID); errors.Is(err, grant.ErrNotFound) {
				was = grant.Account{ID: was.ID}
			}
			return s.WriteAccount(ctx, was, now)
		},
		writeControl: func(ctx context.Context, was, now grant.Control) (grant.Control, error) {
			if _, err := s.ReadControl(ctx, was.Name); errors.Is(err, grant.ErrNotFound) {
				was = grant.Control{Name: was.Name}
			}
			return s.WriteControl(ctx, was, now)
		},
	}
}

// looksThenWrites has the right idea, in two steps.
func looksThenWrites(s grant.Admin) grant.Admin {
	const another = time.Millisecond // in which another racer comes
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			if current(ctx, s, was.Key()).Revision != was.Revision {
				return grant.Record{}, grant.ErrConflict
			}
			time.Sleep(another)
			return ignoresRevision(s).Write(ctx, was, now)
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			if currentDelivery(ctx, s, was.Key).Revision != was.Revision {
				return grant.Delivery{}, grant.ErrConflict
			}
			time.Sleep(another)
			return ignoresRevision(s).WriteDelivery(ctx, was, now)
		},
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			if currentAccount(ctx, s, was.ID).Revision != was.Revision {
				return grant.Account{}, grant.ErrConflict
			}
			time.Sleep(another)
			return ignoresRevision(s).WriteAccount(ctx, was, now)
		},
	}
}

// countsByContent has revisions, but one state always has the same.
func countsByContent(s grant.Admin) grant.Admin {
	return onRecords(s, func(r *grant.Record) { r.Revision = grant.Revision(1 + r.Version) })
}

func looksBeforeNothing(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			if current(ctx, s, was.Key()).Revision != was.Revision {
				return grant.Record{}, grant.ErrConflict
			}
			return s.Write(ctx, was, now)
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			if currentDelivery(ctx, s, was.Key).Revision != was.Revision {
				return grant.Delivery{}, grant.ErrConflict
			}
			return s.WriteDelivery(ctx, was, now)
		},
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			if currentAccount(ctx, s, was.ID).Revision != was.Revision {
				return grant.Account{}, grant.ErrConflict
			}
			return s.WriteAccount(ctx, was, now)
		},
	}
}

// comparesExactly takes less than a microsecond for a change.
func comparesExactly(s grant.Admin) grant.Admin {
	return broken{Admin: s, write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
		if g, h := was.Grants["g1"], now.Grants["g1"]; g.NextTry.Equal(h.NextTry) || len(grant.Diff(was, now)) > 0 {
			return s.Write(ctx, was, now)
		}
		touched := now.Clone()
		touched.Version++
		touched, err := s.Write(ctx, was, touched)
		if err != nil {
			return grant.Record{}, err
		}
		return s.Write(ctx, touched, now)
	}}
}

func movesRecords(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			if was.Key() != now.Key() {
				was = grant.New(now.Key())
			}
			return s.Write(ctx, was, now)
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			if was.Key != now.Key {
				was = grant.Delivery{Key: now.Key}
			}
			return s.WriteDelivery(ctx, was, now)
		},
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			if was.ID != now.ID {
				was = grant.Account{ID: now.ID}
			}
			return s.WriteAccount(ctx, was, now)
		},
		writeControl: func(ctx context.Context, was, now grant.Control) (grant.Control, error) {
			if was.Name != now.Name {
				was = grant.Control{Name: now.Name}
			}
			return s.WriteControl(ctx, was, now)
		},
	}
}

// joinsKeys lets skill and userId, and customer and event, run into one.
func joinsKeys(s grant.Admin) grant.Admin {
	joined := func(r grant.Record) grant.Record { r.UserID, r.Skill = r.Skill+r.UserID, ""; return r }
	return broken{
		Admin: s,
		read: func(ctx context.Context, key grant.Key) (grant.Record, error) {
			r, err := s.Read(ctx, joined(grant.New(key)).Key())
			r.Skill, r.UserID = key.Skill, key.UserID
			return r, err
		},
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			r, err := s.Write(ctx, joined(was), joined(now))
			r.Skill, r.UserID = now.Skill, now.UserID
			return r, err
		},
		readDelivery: func(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
			d, err := s.ReadDelivery(ctx, grant.DeliveryKey{EventID: key.EventID})
			d.Key = key
			return d, err
		},
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			key := now.Key
			was.Key, now.Key = grant.DeliveryKey{EventID: was.Key.EventID}, grant.DeliveryKey{EventID: now.Key.EventID}
			d, err := s.WriteDelivery(ctx, was, now)
			d.Key = key
			return d, err
		},
	}
}

// writesAll writes the whole record, whatever has changed.
func writesAll(s grant.Admin) grant.Admin {
	return broken{Admin: s, write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
		if stored := current(ctx, s, was.Key()); stored.Revision == was.Revision && len(grant.Diff(was, now)) > 0 {
			was = stored
		}
		return s.Write(ctx, was, now)
	}}
}

// writesWholeGrants masks the fields of the record, but not those of a grant.
func writesWholeGrants(s grant.Admin) grant.Admin {
	return broken{Admin: s, write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
		stored := current(ctx, s, was.Key())
		was = was.Clone()
		for id, g := range now.Grants {
			one := func(g grant.Grant) grant.Record { return grant.Record{Grants: map[string]grant.Grant{"": g}} }
			before, known := stored.Grants[id]
			if _, changed := was.Grants[id]; changed && known && len(grant.Diff(one(was.Grants[id]), one(g))) > 0 {
				was.Grants[id] = before
			}
		}
		return s.Write(ctx, was, now)
	}}
}

// emptiesGrants removes the known fields of a grant, and not the grant.
func emptiesGrants(s grant.Admin) grant.Admin {
	return broken{Admin: s, write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
		now = now.Clone()
		for id := range was.Grants {
			if _, kept := now.Grants[id]; !kept {
				now.Grants[id] = grant.Grant{}
			}
		}
		return s.Write(ctx, was, now)
	}}
}

func dropsEmptyGrants(s grant.Admin) grant.Admin {
	return onRecords(s, func(r *grant.Record) {
		maps.DeleteFunc(r.Grants, func(_ string, g grant.Grant) bool { return g.State == "" && g.Failures == 0 })
	})
}

// remembers returns what it was given, and what it has returned before. Of a
// record that it copies, a shallow copy keeps the tokens.
func remembers(s grant.Admin, copied func(grant.Record) grant.Record) grant.Admin {
	given, returned := make(map[grant.Key]grant.Record), make(map[grant.Key]grant.Record)
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			r, err := s.Write(ctx, was, now)
			if err == nil && r.Revision != was.Revision {
				now.Revision = r.Revision
				given[now.Key()] = copied(now)
				delete(returned, now.Key())
			}
			return r, err
		},
		read: func(ctx context.Context, key grant.Key) (grant.Record, error) {
			if r, ok := given[key]; ok {
				return copied(r), nil
			}
			return s.Read(ctx, key)
		},
	}
}

// cachesReads returns one value to all readers until it is written.
func cachesReads(s grant.Admin) grant.Admin {
	cache := make(map[grant.Key]grant.Record)
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			delete(cache, now.Key())
			return s.Write(ctx, was, now)
		},
		read: func(ctx context.Context, key grant.Key) (grant.Record, error) {
			if r, ok := cache[key]; ok {
				return r, nil
			}
			r, err := s.Read(ctx, key)
			if err == nil {
				cache[key] = r
			}
			return r, err
		},
	}
}

func cutsBigTokens(s grant.Admin) grant.Admin {
	return onWrites(s, func(r *grant.Record) {
		for id, g := range r.Grants {
			g.RefreshToken = g.RefreshToken[:min(len(g.RefreshToken), 1500)]
			r.Grants[id] = g
		}
	})
}

func sortsAnnouncements(s grant.Admin) grant.Admin {
	return onRecords(s, func(r *grant.Record) {
		slices.SortStableFunc(r.Announce, func(a, b grant.Announcement) int { return a.At.Compare(b.At) })
	})
}

func foldsCase(s grant.Admin) grant.Admin {
	fold := func(r grant.Record) grant.Record { r.UserID = strings.ToLower(r.UserID); return r }
	return broken{
		Admin: s,
		read: func(ctx context.Context, key grant.Key) (grant.Record, error) {
			return s.Read(ctx, fold(grant.New(key)).Key())
		},
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			return s.Write(ctx, fold(was), fold(now))
		},
	}
}

func refusesSlashes(s grant.Admin) grant.Admin {
	return broken{Admin: s, write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
		if strings.Contains(now.UserID, "/") {
			return grant.Record{}, errors.New("invalid document id")
		}
		return s.Write(ctx, was, now)
	}}
}

func ignoresContext(s grant.Admin) grant.Admin {
	return broken{Admin: s, read: func(ctx context.Context, key grant.Key) (grant.Record, error) {
		return s.Read(context.WithoutCancel(ctx), key)
	}}
}

func hidesContextError(s grant.Admin) grant.Admin {
	return broken{Admin: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		page, err := s.Due(ctx, q)
		if err != nil {
			err = errors.New(err.Error())
		}
		return page, err
	}}
}

func returnsLocalTimes(s grant.Admin) grant.Admin {
	east := time.FixedZone("east", 3600)
	records := onRecords(s, func(r *grant.Record) { r.UsedAt = r.UsedAt.In(east) })
	deliveries := onDeliveries(records, func(d *grant.Delivery) { d.ClaimedUntil = d.ClaimedUntil.In(east) })
	return onAccounts(deliveries, func(a *grant.Account) { a.LinkedAt = a.LinkedAt.In(east) })
}
