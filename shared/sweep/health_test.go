package sweep

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

var (
	errDown    = lwaError(http.StatusInternalServerError, 0)
	errRefused = fmt.Errorf("refresh: %w", lwa.ErrClientRefused)
)

// lwaError returns Login with Amazon's error with a status.
func lwaError(status int, retryAfter time.Duration) error {
	err := lwa.Throttled(retryAfter)
	err.Status = status
	return err
}

// fleet is the customers of a Sweeper, and its Refresher.
type fleet struct {
	*Sweeper
	t       *testing.T
	store   *spy // the Sweeper's
	buckets []int
	users   []string // in the order of their due times
	place   map[string]int
	takes   time.Duration
	fail    func(call, user int) error // both count from 0

	mu        sync.Mutex
	calls     int
	running   int
	widths    []int // refreshes in flight, by call
	refreshed map[string]int
}

// inFleet runs a test in a bubble with n customers of the first buckets, which
// became due one after the other.
func inFleet(t *testing.T, n, buckets int, test func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New()}
		f := &fleet{t: t, store: &spy{Store: w.Store, calls: make(map[string]int)}, buckets: Buckets(0, 1)[:buckets],
			takes: 100 * time.Millisecond, fail: func(int, int) error { return nil },
			place: make(map[string]int), refreshed: make(map[string]int)}
		f.Sweeper = &Sweeper{Store: f.store, Tokens: f, Brake: w.Brake(), Announce: w.Announcer(), Now: time.Now, Period: DefaultPeriod}
		for i := 0; len(f.users) < n; i++ {
			if accesstest.Key(user(i)).Bucket() < buckets {
				due := time.Now().Add(time.Duration(len(f.users)) * time.Minute / time.Duration(n))
				w.Change(t, user(i), func(r *grant.Record) {
					r.Link("g", alexa.EU, "", grant.Tokens{RefreshDue: due}, time.Now())
					r.Announced(r.Announce, time.Now())
				})
				f.place[user(i)] = len(f.users)
				f.users = append(f.users, user(i))
			}
		}
		<-time.After(time.Hour)
		test(t, f)
	})
}

// Refresh implements [Refresher]. It takes f.takes, and returns f.fail's error.
func (f *fleet) Refresh(ctx context.Context, record grant.Record, id string) (access.Token, error) {
	f.mu.Lock()
	call := f.calls
	f.calls++
	f.running++
	f.widths = append(f.widths, f.running)
	err := f.fail(call, f.place[record.UserID])
	f.mu.Unlock()
	<-time.After(f.takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	if err != nil {
		return access.Token{}, err
	}
	f.refreshed[record.UserID]++
	_, err = grant.ChangeFrom(ctx, f.store.Store, record, func(r *grant.Record) error {
		expires := time.Now().Add(time.Hour)
		due := grant.RefreshDue(record.UserID, time.Now(), expires)
		r.Refreshed(id, r.Grants[id], grant.Tokens{ExpiresAt: expires, RefreshDue: due}, time.Now())
		return nil
	})
	return access.Token{}, err
}

// sweep sweeps within a function's time limit.
func (f *fleet) sweep() (Counts, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), Timeout)
	defer cancel()
	return f.Sweep(ctx, f.buckets)
}

// sweeps sweeps in each period.
func (f *fleet) sweeps(during time.Duration) {
	for range during / DefaultPeriod {
		next := time.After(DefaultPeriod)
		_, _ = f.sweep()
		<-next
	}
}

// moved returns the customers that the next sweep will not meet.
func (f *fleet) moved() (list []int) {
	f.t.Helper()
	for i, user := range f.users {
		record, err := f.store.Read(f.t.Context(), accesstest.Key(user))
		if err != nil {
			f.t.Fatal(err)
		}
		if record.RefreshDue.After(time.Now()) && f.refreshed[user] == 0 {
			list = append(list, i)
		}
	}
	return list
}

func TestLimiterFollowsHealth(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		one           int // refresh in this many fails, 0 for none
		err           error
		least, widest int           // refreshes in flight, towards the end
		takes         time.Duration // the least
	}{
		{"well", 0, nil, concurrency, concurrency, 0},
		{"one in twenty does not slow the sweep", 20, errDown, concurrency, concurrency, 0},
		{"one in four", 4, errDown, 6, 10, 0},
		{"nearly half", 3, errDown, 3, 7, 0},
		{"refusals of our client between successes", 10, errRefused, concurrency, concurrency, 0},
		{"Retry-After, twice", 150, lwaError(http.StatusTooManyRequests, 4*time.Second), concurrency, concurrency, 8 * time.Second},
		{"a long Retry-After", 300, lwaError(http.StatusTooManyRequests, time.Minute), concurrency, concurrency, maxRest},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inFleet(t, 400, 16, func(t *testing.T, f *fleet) {
				f.fail = func(call, _ int) error {
					if test.one > 0 && call%test.one == test.one-1 {
						return test.err
					}
					return nil
				}
				began := time.Now()
				counts, err := f.sweep()
				if took := time.Since(began); err != nil || counts.Remaining || f.calls != 400 || took < test.takes {
					t.Errorf("sweep = %+v, %v after %d calls and %v", counts, err, f.calls, took)
				}
				if late := slices.Max(f.widths[300:380]); late < test.least || late > test.widest {
					t.Errorf("refreshes in flight = %d, want %d to %d", late, test.least, test.widest)
				}
			})
		})
	}
}

// TestMaxRate: half of the buckets get half of the rate.
func TestMaxRate(t *testing.T) {
	t.Parallel()
	inFleet(t, 600, grant.Buckets/2, func(t *testing.T, f *fleet) {
		f.MaxRate = 16
		least := 8 * int((Timeout-access.RefreshTime)/time.Second)
		if counts, err := f.sweep(); err != nil || counts.Refreshed < least || counts.Refreshed > least+1+concurrency {
			t.Errorf("sweep = %+v, %v, want %d refreshes or a few more", counts, err, least)
		}
	})
}

// TestHowSweepsEnd: a sweep ends soon when most refreshes fail. An outage, or a
// fault of our configuration, must not cost a write for each customer.
func TestHowSweepsEnd(t *testing.T) {
	t.Parallel()
	const n, few = maxConfigFaults + 200, minAnswers + concurrency + sampleSize
	for name, test := range map[string]struct {
		well  int // refreshes before all fail
		err   error
		most  int // failures
		opens error
		text  string
	}{
		"client refused":     {0, errRefused, maxClientRefusals - 1 + concurrency + sampleSize, errClientRefused, "refuses our client"},
		"throttled":          {0, lwaError(http.StatusTooManyRequests, time.Minute), concurrency + sampleSize, errUnhealthy, "1m0s"},
		"down":               {0, errDown, few, errUnhealthy, "500"},
		"down late":          {200, errDown, window/2 + concurrency + sampleSize, errUnhealthy, "500"},
		"braked":             {0, access.ErrBraked, few, errUnhealthy, "refused"},
		"a store that fails": {0, errors.New("firestore: unavailable"), minAnswers + sampleSize, errUnhealthy, "firestore"},
		"another client":     {0, access.ErrOtherClient, maxConfigFaults + concurrency, errMisconfigured, "client"},
		"another keyset":     {0, seal.ErrOpen, maxConfigFaults + concurrency, errMisconfigured, "keyset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFleet(t, n, 16, func(t *testing.T, f *fleet) {
				f.fail = func(call, _ int) error {
					if call < test.well {
						return nil
					}
					return test.err
				}
				f.takes = 10 * time.Millisecond
				began := time.Now()
				counts, err := f.sweep()
				if took := time.Since(began); name == "throttled" && took < maxRest {
					t.Errorf("the sweep probed after %v, although Login with Amazon asked for a pause", took)
				}
				if !errors.Is(err, test.opens) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("error = %v, want %v with %q", err, test.opens, test.text)
				}
				if f.store.calls["write"] != 0 || !counts.Remaining || counts.Left != n-counts.Refreshed || f.calls > test.well+test.most {
					t.Errorf("counts = %+v, calls = %v after %d refreshes", counts, f.store.calls, f.calls)
				}
			})
		})
	}
}

// latched is a latched brake that records its calls.
type latched struct{ good, bad, counted int }

func (b *latched) Latched(context.Context) (bool, error) { return true, nil }
func (b *latched) CountCustomers(context.Context) error  { b.counted++; return nil }
func (b *latched) Observe(_ context.Context, good, bad int) (bool, error) {
	b.good, b.bad = good, bad
	return false, nil
}

// TestBrakeObserves: the brake gets the outcomes of a sweep's refreshes, and one
// shard has it count the customers.
func TestBrakeObserves(t *testing.T) {
	t.Parallel()
	inFleet(t, 6, 16, func(t *testing.T, f *fleet) {
		b := new(latched)
		f.Brake = b
		f.fail = func(_, user int) error {
			return []error{nil, nil, access.ErrSuspect, access.ErrRevoked, access.ErrBraked, errDown}[user]
		}
		_, _ = f.sweep()
		if want := (latched{good: 2, bad: 3, counted: 1}); *b != want {
			t.Errorf("brake = %+v, want %+v", *b, want)
		}
		f.buckets = f.buckets[1:]
		if _, _ = f.sweep(); b.counted != 1 {
			t.Error("another shard counted the customers again")
		}
	})
}

// TestSickGrantsDelayNoOthers: grants that fail are at the head of the queue, and
// every sweep begins with them.
func TestSickGrantsDelayNoOthers(t *testing.T) {
	t.Parallel()
	const n = 400
	for name, test := range map[string]struct {
		sick int
		err  error
	}{
		"invalid requests":            {3, errRefused},
		"throttled for long":          {2, lwaError(http.StatusTooManyRequests, time.Minute)},
		"failed by Login with Amazon": {40, errDown},
		"that cannot be saved":        {40, errors.New("firestore: invalid argument")},
		"of another client":           {250, access.ErrOtherClient},
		"sealed by another keyset":    {250, fmt.Errorf("opening: %w", seal.ErrOpen)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFleet(t, n, 16, func(t *testing.T, f *fleet) {
				f.fail = func(_, user int) error {
					if user < test.sick {
						return test.err
					}
					return nil
				}
				f.sweeps(40 * time.Minute)
				if len(f.refreshed) != n-test.sick {
					t.Errorf("refreshed grants = %d, want %d", len(f.refreshed), n-test.sick)
				}
				before := f.calls
				f.sweeps(2 * time.Hour)
				if calls, most := f.calls-before, (n-test.sick)*4+test.sick*12; calls > most {
					t.Errorf("calls in two hours = %d, want %d or fewer", calls, most)
				}
				for _, user := range f.users[test.sick:] {
					if f.refreshed[user] < 3 {
						t.Fatalf("refreshes of %s in two hours and 40 minutes = %d, want 3 or more", user, f.refreshed[user])
					}
				}
			})
		})
	}
}

// TestWhichFailuresMove: a grant that fails for its own reason is moved back even
// while Login with Amazon fails others, which are not. After a probe has shown that
// only the head of the queue fails, these are moved too.
func TestWhichFailuresMove(t *testing.T) {
	t.Parallel()
	inFleet(t, 100, 16, func(t *testing.T, f *fleet) {
		var want []int
		for i := 9; i < 100; i += 10 {
			want = append(want, i)
		}
		f.fail = func(_, user int) error {
			switch {
			case user%10 == 9:
				return access.ErrOtherClient
			case user%3 == 2:
				return errDown
			}
			return nil
		}
		if counts, err := f.sweep(); err != nil || !slices.Equal(f.moved(), want) || counts.Failed["login_with_amazon"] < 20 {
			t.Errorf("moved = %v, want %v, with %+v, %v", f.moved(), want, counts, err)
		}
	})
	inFleet(t, pageSize, 16, func(t *testing.T, f *fleet) {
		f.fail = func(_, user int) error {
			if user < 30 || user%7 == 0 {
				return errDown
			}
			return nil
		}
		_, err := f.sweep()
		if moved := f.moved(); err != nil || len(moved) < minAnswers || moved[minAnswers-1] != minAnswers-1 {
			t.Errorf("moved = %v, want %d or more from the head of the queue, %v", moved, minAnswers, err)
		}
	})
}

// TestBusyGrantStaysDue: a grant that another process is refreshing is
// skipped at each sweep.
func TestBusyGrantStaysDue(t *testing.T) {
	t.Parallel()
	inFleet(t, 1, 16, func(t *testing.T, f *fleet) {
		f.fail = func(int, int) error { return access.ErrBusy }
		f.sweeps(11 * DefaultPeriod)
		if f.calls != 11 {
			t.Errorf("refreshes of the grant = %d, want one at each of 11 sweeps", f.calls)
		}
	})
}

// TestEveryGroupHasItsTurn: sweeps that run out of time must not always leave out
// the same customers.
func TestEveryGroupHasItsTurn(t *testing.T) {
	t.Parallel()
	inFleet(t, 3000, grant.Buckets, func(t *testing.T, f *fleet) {
		f.takes = 2 * time.Second // one sweep has time for about 350
		f.sweeps(2 * time.Hour)
		for _, user := range f.users {
			if f.refreshed[user] == 0 {
				t.Fatalf("%s in bucket %d was not refreshed in two hours", user, accesstest.Key(user).Bucket())
			}
		}
	})
}
