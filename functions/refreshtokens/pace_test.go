package refreshtokens

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
func dueSweep(t *testing.T, n int, r *refresher) *Sweep {
	t.Helper()
	w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New()}
	for i := range n {
		w.Change(t, fmt.Sprint("u-", i), func(record *grant.Record) {
			record.Link("g", alexa.EU, "", grant.Tokens{RefreshDue: w.Now()}, w.Now())
			record.Announced(record.Announce, w.Now())
		})
	}
	return &Sweep{Store: w.Store, Tokens: r, Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: DefaultPeriod}
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

// TestRefusalsBetweenSuccesses are single grants' and no refusal of our client.
func TestRefusalsBetweenSuccesses(t *testing.T) {
	t.Parallel()
	refused := fmt.Errorf("refresh: %w", lwa.ErrClientRefused)
	synctest.Test(t, func(t *testing.T) {
		r := &refresher{fail: func(call int) error {
			if call%10 == 0 {
				return refused
			}
			return nil
		}}
		counts, err := dueSweep(t, 100, r).Sweep(t.Context(), all())
		if err != nil || counts.Refreshed != 90 || counts.Failed["client_refused"] != 10 {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestSweepEndsWhenHalfFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := lwaError(http.StatusInternalServerError, nil)
		r := &refresher{fail: func(call int) error {
			if call > 200 { // it was well for long
				return down
			}
			return nil
		}}
		counts, err := dueSweep(t, 400, r).Sweep(t.Context(), all())
		if !errors.Is(err, errIll) || !counts.Remaining || counts.Failed["login_with_amazon"] > window/2+concurrency+elsewhere {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestStoreThatFailsEndsTheSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &refresher{fail: func(int) error { return errors.New("firestore: unavailable") }}
		counts, err := dueSweep(t, 400, r).Sweep(t.Context(), all())
		if err == nil || counts.Failed["internal"] > sample+elsewhere {
			t.Errorf("%+v, %v", counts, err)
		}
	})
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
		if !errors.Is(err, errIll) || !strings.Contains(err.Error(), "1m0s") || r.calls > concurrency+elsewhere || !counts.Remaining {
			t.Errorf("%+v, %v after %d calls", counts, err, r.calls)
		}
	})
}
