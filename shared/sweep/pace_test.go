package sweep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// refresher is a Refresher that takes a while, fails as it is told to, and
// notes how many it was working on at a time.
type refresher struct {
	fail func(call int) error

	mu                   sync.Mutex
	calls, running, most int
	widest               []int // how many were running, by call
}

func (r *refresher) Refresh(context.Context, grant.Record, string) (access.Token, error) {
	r.mu.Lock()
	r.calls++
	r.running++
	r.most = max(r.most, r.running)
	r.widest = append(r.widest, r.running)
	err := r.fail(r.calls)
	r.mu.Unlock()
	time.Sleep(100 * time.Millisecond) // in a bubble
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	return access.Token{}, err
}

// lwaError is an error of the real client, for an answer with the given status
// and headers.
func lwaError(status int, header http.Header) error {
	answer := func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: http.NoBody}, nil
	}
	client := lwa.New(&url.URL{Scheme: "http", Host: "127.0.0.1"}, &http.Client{Transport: roundTripper(answer)},
		[]lwa.Credentials{{ClientID: "c", ClientSecret: sensitive.New("fake")}}, time.Now)
	_, err := client.Refresh(context.Background(), "c", sensitive.New("Atzr|fake"))
	return err
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// dueSweep is a sweep of n customers, who are all due.
func dueSweep(t *testing.T, n int, r *refresher) *Sweeper {
	t.Helper()
	w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New()}
	for i := range n {
		w.Change(t, fmt.Sprint("u-", i), func(record *grant.Record) {
			record.Link("g", alexa.EU, "", grant.Tokens{RefreshDue: w.Now()}, w.Now())
			record.Announced(record.Announce, w.Now())
		})
	}
	return sweepOf(w, r)
}

func TestPaceFollowsHealth(t *testing.T) {
	t.Parallel()
	down := lwaError(http.StatusServiceUnavailable, nil)
	for _, test := range []struct {
		name          string
		one           int // of so many fails, 0 for none
		least, widest int // running at a time, towards the end
	}{
		{"well", 0, concurrency, concurrency},
		{"one in twenty is no illness", 20, concurrency, concurrency},
		{"one in four", 4, 6, 10},
		{"nearly half", 3, 3, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &refresher{fail: func(call int) error {
					if test.one > 0 && call%test.one == 0 {
						return down
					}
					return nil
				}}
				counts, err := dueSweep(t, 400, r).Sweep(t.Context(), all())
				if err != nil || counts.Remaining || r.calls != 400 {
					t.Errorf("%+v, %v after %d calls", counts, err, r.calls)
				}
				late := 0
				for _, running := range r.widest[300:380] {
					late = max(late, running)
				}
				if late < test.least || late > test.widest {
					t.Errorf("%d at a time, want %d to %d", late, test.least, test.widest)
				}
			})
		})
	}
}

// TestOwnFailuresMoveInIllnessToo: whoever fails for its own reason is moved
// out of the way even while Login with Amazon fails others, who are not.
func TestOwnFailuresMoveInIllnessToo(t *testing.T) {
	t.Parallel()
	down := lwaError(http.StatusServiceUnavailable, nil)
	synctest.Test(t, func(t *testing.T) {
		r := &refresher{fail: func(call int) error {
			switch {
			case call%10 == 0:
				return access.ErrOtherClient
			case call%3 == 0:
				return down
			}
			return nil
		}}
		sweep := dueSweep(t, 100, r)
		counts, err := sweep.Sweep(t.Context(), all())
		if err != nil {
			t.Fatal(err)
		}
		moved := 0
		for i := range 100 {
			record, err := sweep.Store.Read(t.Context(), accesstest.Key(fmt.Sprint("u-", i)))
			if err != nil {
				t.Fatal(err)
			}
			if record.RefreshDue.After(sweep.Now()) {
				moved++
			}
		}
		if moved != 10 || counts.Failed["other_client"] != 10 || counts.Failed["login_with_amazon"] < 20 {
			t.Errorf("%d were moved, of %+v", moved, counts)
		}
	})
}

// TestWhenASweepEnds: not for single failures, and soon when most fail.
func TestWhenASweepEnds(t *testing.T) {
	t.Parallel()
	refused, down := fmt.Errorf("refresh: %w", lwa.ErrClientRefused), lwaError(http.StatusInternalServerError, nil)
	for name, test := range map[string]struct {
		fails func(call int) bool
		err   error
		ends  bool
		cause string
		most  int // failures
	}{
		"refusals between successes": {func(call int) bool { return call%10 == 0 }, refused, false, "client_refused", 40},
		"down after it was well for long": {
			func(call int) bool { return call > 200 }, down, true, "login_with_amazon", window/2 + concurrency + sampleSize,
		},
		"a store that fails": {func(int) bool { return true }, errors.New("firestore: unavailable"), true, "internal", minAnswers + sampleSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &refresher{fail: func(call int) error {
					if test.fails(call) {
						return test.err
					}
					return nil
				}}
				counts, err := dueSweep(t, 400, r).Sweep(t.Context(), all())
				failed := counts.Failed[test.cause]
				if (err != nil) != test.ends || counts.Remaining != test.ends || failed == 0 || failed > test.most ||
					!test.ends && counts.Refreshed+failed != 400 || test.err == down && !errors.Is(err, errUnhealthy) {
					t.Errorf("%+v, %v", counts, err)
				}
			})
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttled := lwaError(http.StatusTooManyRequests, http.Header{"Retry-After": {"3"}})
		var resumed time.Duration
		started := time.Now()
		r := new(refresher)
		r.fail = func(call int) error {
			if call == 50 {
				started = time.Now()
				return throttled
			}
			if call > 50+concurrency && resumed == 0 {
				resumed = time.Since(started)
			}
			return nil
		}
		counts, err := dueSweep(t, 200, r).Sweep(t.Context(), all())
		if err != nil || counts.Refreshed != 199 || resumed < 3*time.Second {
			t.Errorf("%+v, %v: went on after %v", counts, err, resumed)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		throttled := lwaError(http.StatusTooManyRequests, http.Header{"Retry-After": {"60"}})
		r := &refresher{fail: func(int) error { return throttled }}
		counts, err := dueSweep(t, 200, r).Sweep(t.Context(), all())
		if !errors.Is(err, errUnhealthy) || !strings.Contains(err.Error(), "1m0s") || r.calls > concurrency+sampleSize || !counts.Remaining {
			t.Errorf("%+v, %v after %d calls", counts, err, r.calls)
		}
	})
}

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
func newFleet(t *testing.T, n, buckets int, over time.Duration) (sweep *Sweeper, f *fleet, users []string) {
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
	sweep = sweepOf(w, f)
	sweep.Now = time.Now
	return sweep, f, users
}

// sweepsOf sweeps buckets each period for a time, as a function would.
func sweepsOf(t *testing.T, sweep *Sweeper, buckets int, during time.Duration) {
	t.Helper()
	for range int(during / DefaultPeriod) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), Timeout)
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
		for _, user := range users[:minAnswers] {
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
	const n, few = maxConfigFaults + 200, minAnswers + concurrency + sampleSize
	for name, test := range map[string]struct {
		err  error
		most int // grants that are tried
	}{
		"client refused": {fmt.Errorf("refresh: %w", lwa.ErrClientRefused), 3 - 1 + concurrency + sampleSize},
		"throttled":      {lwaError(http.StatusTooManyRequests, http.Header{"Retry-After": {"60"}}), concurrency + sampleSize},
		"down":           {lwaError(http.StatusInternalServerError, nil), few},
		"braked":         {access.ErrBraked, few},
		"another client": {access.ErrOtherClient, maxConfigFaults + concurrency},
		"another keyset": {seal.ErrOpen, maxConfigFaults + concurrency},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sweep, f, users := newFleet(t, n, 16, time.Minute)
				for _, user := range users {
					f.sick[user] = test.err
				}
				store := spyOn(sweep.Store)
				sweep.Store = store
				time.Sleep(time.Hour)
				began := time.Now()
				counts, err := sweep.Sweep(t.Context(), all()[:16])
				if took := time.Since(began); name == "throttled" && took < maxRest {
					t.Errorf("it looked elsewhere after %v, although it was to leave Login with Amazon alone", took)
				}
				if err == nil || store.writes != 0 || !counts.Remaining || counts.Left != n || f.asked > test.most {
					t.Errorf("%+v, %v: %d writes after %d tries", counts, err, store.writes, f.asked)
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

func TestTopicThatHangsHoldsNoRefreshUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sweep, f, users := newFleet(t, 600, 16, time.Minute)
		sweep.Announce = announce(func(context.Context, grant.Record) error {
			time.Sleep(10 * time.Second) // in a bubble
			return errors.New("topic is down")
		})
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
		ctx, cancel := context.WithTimeout(t.Context(), Timeout)
		defer cancel()
		counts, err := sweep.Sweep(ctx, all()[:16])
		if err != nil || len(f.refreshed) != 600 {
			t.Errorf("%d of 600 customers were refreshed: %+v, %v", len(f.refreshed), counts, err)
		}
	})
}
