package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// caching is a process that caches customers, while others change the stored
// records.
type caching struct {
	*accesstest.World // without the cache
	deliverer         *delivery.Deliverer
	store             *counting
	n                 int
}

func newCaching(t *testing.T) *caching {
	t.Helper()
	w := accesstest.New(t, simulator.Options{})
	p := *w // with the cache
	store := &counting{Store: w.Store}
	cache := grantcache.New(store, 10, w.Now)
	p.Store = cache
	d := deliverer(t, &p)
	d.Customers = cache
	return &caching{World: w, deliverer: d, store: store}
}

// next returns a new report.
func (r *caching) next() push.Message {
	r.n++
	return numbered(r.World, report, r.n)
}

// deliver delivers a message, and returns the results and the number of record
// reads.
func (r *caching) deliver(t *testing.T, m push.Message) ([]delivery.Result, int) {
	t.Helper()
	was := r.store.reads.Load()
	results := r.deliverer.Deliver(t.Context(), m)
	return results, int(r.store.reads.Load() - was)
}

// TestCachedCustomer: an event for a customer who was read within the last minute
// reads nothing, unless it needs more than the tokens.
func TestCachedCustomer(t *testing.T) {
	t.Parallel()
	const accepted, revoked = delivery.Accepted, delivery.Revoked
	// meanwhile acts after the customer is cached. It may change the next message,
	// and returns the id of another grant.
	type meanwhile = func(t *testing.T, r *caching, old string, m *push.Message) (other string)
	event := func(edit func(r *caching, old string, m *push.Message)) meanwhile {
		return func(_ *testing.T, r *caching, old string, m *push.Message) string { edit(r, old, m); return "" }
	}
	alsoLinked := func(region alexa.Region, edit func(m *push.Message)) meanwhile {
		return func(t *testing.T, r *caching, _ string, m *push.Message) string {
			edit(m)
			return r.Link(t, "u-1", region, "amzn-2")
		}
	}
	replaced := func(then func(r *caching)) meanwhile {
		return func(t *testing.T, r *caching, old string, _ *push.Message) string {
			id := r.Link(t, "u-1", alexa.EU, "amzn-2")
			r.Change(t, "u-1", func(r *grant.Record) { delete(r.Grants, old) })
			then(r)
			return id
		}
	}
	disable := func(r *caching) { r.Sim.Disable(alexa.EU, "amzn-1") }
	refresh := func(t *testing.T, r *caching, old string) {
		if _, err := r.Process("other").Refresh(t.Context(), r.Read(t, "u-1"), old); err != nil {
			t.Error(err)
		}
	}
	tests := []struct {
		name      string
		meanwhile meanwhile
		want      [2]delivery.OutcomeName // of the old grant and of the other; empty for no result
		reads     int
	}{
		{"nothing", event(func(*caching, string, *push.Message) {}), [2]delivery.OutcomeName{accepted}, 0},
		{"a minute", event(func(r *caching, _ string, m *push.Message) {
			r.Forward(time.Minute)
			m.PublishTime = r.Now()
		}), [2]delivery.OutcomeName{accepted}, 1},
		{"too old", event(func(r *caching, _ string, m *push.Message) { m.PublishTime = r.Now().Add(-6 * time.Minute) }),
			[2]delivery.OutcomeName{delivery.Expired}, 1},
		{"a replay", event(func(_ *caching, old string, m *push.Message) {
			m.Attributes = map[string]string{"gatepost-grant": old}
		}), [2]delivery.OutcomeName{accepted}, 1},
		{"erased elsewhere, and the doorbell rings", func(t *testing.T, r *caching, _ string, m *push.Message) string {
			if err := r.Store.Delete(t.Context(), r.Read(t, "u-1")); err != nil {
				t.Error(err)
			}
			m.Data = []byte(doorbell)
			return ""
		}, [2]delivery.OutcomeName{}, 1},
		{"linked again elsewhere", alsoLinked(alexa.EU, func(*push.Message) {}), [2]delivery.OutcomeName{accepted}, 0},
		{"linked again elsewhere, and an endpoint goes", alsoLinked(alexa.EU, func(m *push.Message) { m.Data = []byte(removal) }),
			[2]delivery.OutcomeName{accepted, accepted}, 1},
		{"linked again elsewhere, and the event comes back", alsoLinked(alexa.EU, func(m *push.Message) { m.Attempt = 2 }),
			[2]delivery.OutcomeName{accepted, accepted}, 1},
		{"linked in another region, which the event is for", alsoLinked(alexa.NA, func(m *push.Message) {
			m.Attributes = map[string]string{"region": "NA"}
		}), [2]delivery.OutcomeName{"", accepted}, 1},
		{"replaced elsewhere", replaced(disable), [2]delivery.OutcomeName{"", accepted}, 2},
		{"replaced elsewhere, and the gateway knows the old account no more", replaced(func(r *caching) {
			r.Sim.Script(eu, simulator.Fault{Code: simulator.AccountNotFound})
		}), [2]delivery.OutcomeName{"", accepted}, 1},
		{"revoked elsewhere", func(t *testing.T, r *caching, old string, _ *push.Message) string {
			r.Change(t, "u-1", func(record *grant.Record) { record.Revoke(old, grant.ReasonInvalidGrant, r.Now()) })
			disable(r)
			return ""
		}, [2]delivery.OutcomeName{revoked}, 2},
		{"revoked by this event", event(func(r *caching, _ string, _ *push.Message) { disable(r) }),
			[2]delivery.OutcomeName{revoked}, 2},
		{"refreshed elsewhere, and the old token refused", func(t *testing.T, r *caching, old string, _ *push.Message) string {
			r.Sim.ExpireAccessTokens(alexa.EU, "amzn-1")
			refresh(t, r, old)
			return ""
		}, [2]delivery.OutcomeName{accepted}, 1},
		{"refreshed elsewhere, and then disabled", func(t *testing.T, r *caching, old string, _ *push.Message) string {
			refresh(t, r, old)
			disable(r)
			return ""
		}, [2]delivery.OutcomeName{revoked}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newCaching(t)
			old := r.Link(t, "u-1", alexa.EU, "amzn-1")
			if got, reads := r.deliver(t, r.next()); got[0].Name != accepted || reads != 1 {
				t.Fatalf("first event = %+v after %d reads, want accepted after 1", got, reads)
			}
			m := r.next()
			other := test.meanwhile(t, r, old, &m)
			want := outcomes{}
			for i, id := range []string{old, other} {
				if test.want[i] != "" {
					want[id] = test.want[i]
				}
			}
			if len(want) == 0 {
				want[""] = delivery.NoGrant
			}
			got, reads := r.deliver(t, m)
			if want.check(t, "then", got); reads != test.reads {
				t.Errorf("reads = %d, want %d", reads, test.reads)
			}
		})
	}
}

// TestJustLinked: a cached record without an active grant is trusted only for
// events that were published before it was read.
func TestJustLinked(t *testing.T) {
	t.Parallel()
	for name, revoked := range map[string]bool{"unknown before": false, "revoked before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCaching(t)
			if revoked {
				id := r.Link(t, "u-1", alexa.EU, "amzn-1")
				r.Change(t, "u-1", func(record *grant.Record) { record.Revoke(id, grant.ReasonInvalidGrant, r.Now()) })
			}
			r.Forward(2 * time.Second)
			before := r.next()
			before.PublishTime = r.Now().Add(-2 * time.Second)
			for _, reads := range []int{1, 0} {
				if _, got := r.deliver(t, before); got != reads {
					t.Errorf("reads = %d, want %d", got, reads)
				}
			}
			id := r.Link(t, "u-1", alexa.EU, "amzn-2")
			if got, _ := r.deliver(t, r.next()); names(got)[id] != delivery.Accepted {
				t.Errorf("event after the link = %+v, want accepted", got)
			}
		})
	}
}

// TestRevokedButNotReread: an event of a revoked grant is acknowledged only if the
// record shows whether another grant has replaced it.
func TestRevokedButNotReread(t *testing.T) {
	t.Parallel()
	r := newCaching(t)
	gone, stays := r.Link(t, "u-1", alexa.EU, "amzn-1"), r.Link(t, "u-1", alexa.NA, "amzn-2")
	if _, reads := r.deliver(t, r.next()); reads != 1 {
		t.Fatalf("reads = %d, want 1", reads)
	}
	r.Sim.Disable(alexa.EU, "amzn-1")
	m := r.next()
	// The forced refresh reads; the read after it fails.
	failing := &counting{Store: r.store}
	failing.failReads.Store(true)
	r.deliverer.Store = failing
	got, _ := r.deliver(t, m)
	outcomes{gone: delivery.Redeliver, stays: delivery.Accepted}.check(t, "not read", got)
	r.deliverer.Store, m.Attempt = r.store, 2
	got, _ = r.deliver(t, m)
	outcomes{gone: delivery.Revoked, stays: delivery.Duplicate}.check(t, "redelivered", got)
}

// TestReplacedSinceRead: a report that one grant accepted is not redelivered. If
// the failed grant was replaced since the customer was cached, the new grant gets
// the report at once; if the record cannot be read, the report is redelivered.
func TestReplacedSinceRead(t *testing.T) {
	t.Parallel()
	r := newCaching(t)
	old, stays := r.Link(t, "u-1", alexa.EU, "amzn-1"), r.Link(t, "u-1", alexa.NA, "amzn-2")
	if _, reads := r.deliver(t, r.next()); reads != 1 {
		t.Fatalf("reads = %d, want 1", reads)
	}
	replacement := r.Link(t, "u-1", alexa.EU, "amzn-3")
	r.Change(t, "u-1", func(record *grant.Record) { delete(record.Grants, old) })
	r.Sim.Always(eu, simulator.Fault{Code: simulator.Throttling, RetryAfter: time.Minute, User: "amzn-1"})
	failing := &counting{Store: r.store}
	failing.failReads.Store(true)
	r.deliverer.Store = failing
	m := r.next()
	got, _ := r.deliver(t, m)
	outcomes{old: delivery.Redeliver, stays: delivery.Accepted}.check(t, "not read", got)
	r.deliverer.Store = r.store
	got, _ = r.deliver(t, m)
	outcomes{replacement: delivery.Accepted, stays: delivery.Duplicate}.check(t, "read", got)
}

// TestUse: use is recorded at most once in a token's lifetime, for any number of
// events and processes. A refused event is not use, and without IdleAfter nothing
// is recorded.
func TestUse(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{TokenLifetime: 48 * time.Hour})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	start := w.Now()
	w.Change(t, "u-1", func(r *grant.Record) { r.Used(start) })
	store := &counting{Store: w.Store}
	w.Store = store
	// Three processes. Use is recorded at most once an hour for ten-hour rests.
	d, other, without := deliverer(t, w), deliverer(t, w), deliverer(t, w)
	d.IdleAfter, other.IdleAfter = 5*time.Hour, 5*time.Hour
	n := 0
	deliver := func(d *delivery.Deliverer, when string, want delivery.OutcomeName, used time.Duration, tries int64) {
		t.Helper()
		n++
		if got := d.Deliver(t.Context(), numbered(w, report, n)); len(got) != 1 || got[0].Name != want {
			t.Fatalf("%s: results = %+v, want %s", when, got, want)
		}
		if at := w.Read(t, "u-1").UsedAt.Sub(start); at != used || store.tries.Load() != tries {
			t.Errorf("%s: used at %v with %d writes, want %v and %d", when, at, store.tries.Load(), used, tries)
		}
	}
	w.Forward(time.Hour)
	deliver(d, "an hour later", delivery.Accepted, 0, 0)
	w.Forward(time.Second)
	deliver(without, "without the rule", delivery.Accepted, 0, 0)
	w.Sim.Script(eu, simulator.Fault{Code: simulator.InvalidRequest})
	deliver(d, "refused", delivery.Dead, 0, 0)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { d.Deliver(context.Background(), numbered(w, report, 100+i)) })
	}
	wg.Wait()
	const noted = time.Hour + time.Second
	for range 3 {
		deliver(d, "after twenty at once", delivery.Accepted, noted, 1)
		w.Forward(10 * time.Minute)
		deliver(other, "in another process", delivery.Accepted, noted, 1)
	}
}

// TestErasedDuringDelivery: recording an event's outcome does not recreate a customer
// who was erased meanwhile.
func TestErasedDuringDelivery(t *testing.T) {
	t.Parallel()
	for name, suspect := range map[string]bool{"use": false, "a missed report": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id := linked(t)
			if suspect {
				w.Change(t, "u-1", func(r *grant.Record) { r.Suspect(id, "x", w.Now()) })
			}
			store := &erasing{Store: w.Store, record: w.Read(t, "u-1")}
			d := deliverer(t, w)
			d.Store, d.IdleAfter = store, time.Hour
			d.Deliver(t.Context(), message(w, report))
			if _, err := w.Store.Read(t.Context(), accesstest.Key("u-1")); err == nil || !store.done || store.err != nil {
				t.Errorf("the record exists again, or was not erased: %t, %v", store.done, store.err)
			}
		})
	}
}

// erasing is a store that erases the customer right before the first write.
type erasing struct {
	grant.Store
	record grant.Record
	done   bool
	err    error
}

func (s *erasing) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if !s.done {
		s.done, s.err = true, s.Store.Delete(ctx, s.record)
	}
	return s.Store.Write(ctx, was, now)
}
