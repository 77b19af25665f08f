package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// fleet refreshes customers in the store, but for the sick.
type fleet struct {
	store grant.Store
	sick  map[string]error
	takes time.Duration

	mu        sync.Mutex
	refreshed map[string]int
	asked     int
}

func (f *fleet) Refresh(ctx context.Context, record grant.Record, id string) (access.Token, error) {
	f.mu.Lock()
	f.asked++
	draw := float64(f.asked%97) / 97
	f.mu.Unlock()
	time.Sleep(f.takes) // in a bubble
	if err := f.sick[record.UserID]; err != nil {
		return access.Token{}, err
	}
	f.mu.Lock()
	f.refreshed[record.UserID]++
	f.mu.Unlock()
	_, err := grant.ChangeFrom(ctx, f.store, record, func(r *grant.Record) error {
		expires := time.Now().Add(time.Hour)
		r.Refreshed(id, r.Grants[id], grant.Tokens{ExpiresAt: expires, RefreshDue: grant.RefreshDue(expires, draw)}, time.Now())
		return nil
	})
	return access.Token{}, err
}

// newFleet links n customers of the first buckets, who become due one after the
// other over a time, and returns what sweeps them. The first to become due are
// the first of users.
func newFleet(t *testing.T, n, buckets int, over time.Duration) (sweep *Sweep, f *fleet, users []string) {
	t.Helper()
	w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New()}
	f = &fleet{store: w.Store, sick: make(map[string]error), takes: 100 * time.Millisecond, refreshed: make(map[string]int)}
	for i := 0; len(users) < n; i++ {
		user := fmt.Sprint("u-", i)
		if accesstest.Key(user).Bucket() >= buckets {
			continue
		}
		due := time.Now().Add(time.Duration(len(users)) * over / time.Duration(n))
		w.Change(t, user, func(r *grant.Record) {
			r.Link("g", alexa.EU, "", grant.Tokens{RefreshDue: due}, time.Now())
			r.Announced(r.Announce, time.Now())
		})
		users = append(users, user)
	}
	return &Sweep{Store: w.Store, Tokens: f, Brake: w.Brake(), Announce: w.Announcer(), Now: time.Now, Period: DefaultPeriod}, f, users
}

// sweepsOf sweeps buckets each period for a time, as a function would.
func sweepsOf(t *testing.T, sweep *Sweep, buckets int, during time.Duration) {
	t.Helper()
	for range int(during / DefaultPeriod) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), Limits.Time)
		_, _ = sweep.Sweep(ctx, all()[:buckets])
		cancel()
		time.Sleep(DefaultPeriod - time.Since(began))
	}
}

// TestSickGrantsHoldNobodyUp: they stand together at the head of the queue, and
// every sweep begins with them.
func TestSickGrantsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	const n = 400
	for name, test := range map[string]struct {
		sick int
		err  error
	}{
		"invalid requests":            {3, fmt.Errorf("refresh: %w", lwa.ErrClientRefused)},
		"throttled for long":          {2, lwaError(http.StatusTooManyRequests, http.Header{"Retry-After": {"60"}})},
		"failed by Login with Amazon": {40, lwaError(http.StatusInternalServerError, nil)},
		"that cannot be saved":        {40, errors.New("firestore: invalid argument")},
		"of another client":           {250, access.ErrOtherClient},
		"sealed by another keyset":    {250, fmt.Errorf("opening: %w", seal.ErrOpen)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sweep, f, users := newFleet(t, n, 16, time.Minute)
				for _, user := range users[:test.sick] {
					f.sick[user] = test.err
				}
				time.Sleep(time.Hour)
				sweepsOf(t, sweep, 16, 40*time.Minute)
				if len(f.refreshed) != n-test.sick {
					t.Errorf("%d of %d were refreshed", len(f.refreshed), n-test.sick)
				}
				asked := f.asked
				sweepsOf(t, sweep, 16, 2*time.Hour)
				if most := (n-test.sick)*4 + test.sick*12; f.asked-asked > most {
					t.Errorf("asked %d times in two hours, want %d at most", f.asked-asked, most)
				}
				for _, user := range users[test.sick:] {
					if f.refreshed[user] < 3 {
						t.Fatalf("%s was refreshed %d times in two hours and 40 minutes", user, f.refreshed[user])
					}
				}
			})
		})
	}
}

// TestSickAreMovedFromAmongTheUnwell: once they are known to be sick by
// themselves, they move, although Login with Amazon fails others as well.
func TestSickAreMovedFromAmongTheUnwell(t *testing.T) {
	t.Parallel()
	down := lwaError(http.StatusInternalServerError, nil)
	synctest.Test(t, func(t *testing.T) {
		sweep, f, users := newFleet(t, pageSize, 16, time.Minute)
		const sick = 30
		for i, user := range users {
			if i < sick || i%7 == 0 {
				f.sick[user] = down
			}
		}
		time.Sleep(time.Hour)
		if _, err := sweep.Sweep(t.Context(), all()[:16]); err != nil {
			t.Fatal(err)
		}
		for _, user := range users[:sample] {
			record, err := sweep.Store.Read(t.Context(), accesstest.Key(user))
			if err != nil || !record.RefreshDue.After(time.Now()) {
				t.Errorf("%s is still at the head of the queue: %v", user, err)
			}
		}
	})
}

// TestNothingIsWrittenWhenAllFail: an outage, or a fault of ours, must not cost
// a write for each customer.
func TestNothingIsWrittenWhenAllFail(t *testing.T) {
	t.Parallel()
	const n, few = mostOurs + 200, sample + concurrency + elsewhere
	for name, test := range map[string]struct {
		err  error
		most int // grants that are tried
	}{
		"client refused": {fmt.Errorf("refresh: %w", lwa.ErrClientRefused), few},
		"throttled":      {lwaError(http.StatusTooManyRequests, http.Header{"Retry-After": {"60"}}), few},
		"down":           {lwaError(http.StatusInternalServerError, nil), few},
		"braked":         {access.ErrBraked, few},
		"another client": {access.ErrOtherClient, mostOurs + concurrency},
		"another keyset": {seal.ErrOpen, mostOurs + concurrency},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sweep, f, users := newFleet(t, n, 16, time.Minute)
				for _, user := range users {
					f.sick[user] = test.err
				}
				writes := new(writes)
				sweep.Store = counted{sweep.Store, writes}
				time.Sleep(time.Hour)
				began := time.Now()
				counts, err := sweep.Sweep(t.Context(), all()[:16])
				if took := time.Since(began); name == "throttled" && took < mostRest {
					t.Errorf("it looked elsewhere after %v, although it was to leave Login with Amazon alone", took)
				}
				if err == nil || writes.n != 0 || !counts.Remaining || counts.Left != n || f.asked > test.most {
					t.Errorf("%+v, %v: %d writes after %d tries", counts, err, writes.n, f.asked)
				}
			})
		})
	}
}

// TestEveryGroupHasItsTurn: a sweep that never comes to the end must not always
// leave out the same customers.
func TestEveryGroupHasItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sweep, f, users := newFleet(t, 6000, grant.Buckets, time.Minute)
		f.takes = time.Second // a sweep manages some seven hundred
		time.Sleep(time.Hour)
		sweepsOf(t, sweep, grant.Buckets, 2*time.Hour)
		for _, user := range users {
			if f.refreshed[user] == 0 {
				t.Fatalf("%s of bucket %d was not refreshed in two hours", user, accesstest.Key(user).Bucket())
			}
		}
	})
}

// hanging is an Announcer whose topic does not answer.
type hanging struct{}

func (hanging) Announce(context.Context, grant.Record) error {
	time.Sleep(10 * time.Second) // in a bubble
	return errors.New("topic is down")
}

func TestTopicThatHangsHoldsNoRefreshUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sweep, f, users := newFleet(t, 600, 16, time.Minute)
		sweep.Announce = hanging{}
		for _, user := range users[:100] {
			_, err := grant.Change(t.Context(), sweep.Store, accesstest.Key(user), func(r *grant.Record) error {
				r.Link("other", alexa.EU, "x", grant.Tokens{RefreshDue: time.Now().Add(time.Hour)}, time.Now())
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), Limits.Time)
		defer cancel()
		counts, err := sweep.Sweep(ctx, all()[:16])
		if err != nil || len(f.refreshed) != 600 {
			t.Errorf("%d of 600 customers were refreshed: %+v, %v", len(f.refreshed), counts, err)
		}
	})
}
