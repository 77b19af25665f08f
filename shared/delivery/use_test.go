package delivery_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// tallied is a store whose writes are counted.
type tallied struct {
	grant.Store
	writes atomic.Int32
}

func (s *tallied) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	s.writes.Add(1)
	return s.Store.Write(ctx, was, now)
}

// TestUseIsNotedSeldom: at most once in a token's lifetime, however many events
// come, and whoever delivers them.
func TestUseIsNotedSeldom(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{TokenLifetime: 48 * time.Hour})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	linked := w.Now()
	w.Change(t, "u-1", func(r *grant.Record) { r.Used(linked) })
	store := &tallied{Store: w.Store}
	w.Store = store
	d := deliverer(t, w)
	d.IdleAfter = 5 * time.Hour // less than ten hours: noted once an hour
	event := 0
	deliver := func() {
		t.Helper()
		event++
		m := message(w, report)
		m.ID = fmt.Sprint("m-", event)
		if got := d.Deliver(t.Context(), m); len(got) != 1 || got[0].Name != delivery.Accepted {
			t.Fatalf("%+v", got)
		}
	}
	usedAt := func() time.Duration { return w.Read(t, "u-1").UsedAt.Sub(linked) }

	w.Forward(time.Hour)
	deliver()
	if store.writes.Load() != 0 || usedAt() != 0 {
		t.Errorf("%d writes, used %v after linking: linking was an hour ago", store.writes.Load(), usedAt())
	}
	w.Forward(time.Second)
	var wg sync.WaitGroup
	for i := range 20 { // at once
		wg.Go(func() {
			m := message(w, report)
			m.ID = fmt.Sprint("n-", i)
			d.Deliver(context.Background(), m)
		})
	}
	wg.Wait()
	if used := usedAt(); used != time.Hour+time.Second {
		t.Errorf("used %v after linking", used)
	}
	if n := store.writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
	before := store.writes.Load()
	other := deliverer(t, w) // another process
	other.IdleAfter = d.IdleAfter
	for range 5 {
		w.Forward(10 * time.Minute)
		deliver()
		d, other = other, d
	}
	if n := store.writes.Load(); n != before {
		t.Errorf("%d more writes within the hour", n-before)
	}
}

func TestUseIsNotNotedWithoutTheRule(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{TokenLifetime: 480 * time.Hour})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	store := &tallied{Store: w.Store}
	w.Store = store
	w.Forward(240 * time.Hour)
	if got := deliverer(t, w).Deliver(t.Context(), message(w, report)); len(got) != 1 || got[0].Name != delivery.Accepted {
		t.Fatalf("%+v", got)
	}
	if n := store.writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// TestRefusedEventIsNoUse: a customer whose events nobody takes may rest.
func TestRefusedEventIsNoUse(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{TokenLifetime: 480 * time.Hour})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	linked := w.Now()
	w.Change(t, "u-1", func(r *grant.Record) { r.Used(linked) })
	w.Forward(240 * time.Hour)
	w.Sim.Always(simulator.Target("gateway/EU"), simulator.Fault{Status: 400, Code: "INVALID_REQUEST_EXCEPTION"})
	d := deliverer(t, w)
	d.IdleAfter = 5 * time.Hour
	if got := d.Deliver(t.Context(), message(w, report)); len(got) != 1 || got[0].Name == delivery.Accepted {
		t.Fatalf("%+v", got)
	}
	if used := w.Read(t, "u-1").UsedAt; !used.Equal(linked) {
		t.Errorf("used at %v", used)
	}
}

// TestErasedCustomerStaysErased: the note of use must not bring a record back
// that was erased while the event was under way.
func TestErasedCustomerStaysErased(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{TokenLifetime: 480 * time.Hour})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Forward(240 * time.Hour)
	store := w.Store.(grant.Admin)
	w.Sim.Always(simulator.Target("gateway/EU"), simulator.Fault{Status: 202, Match: func(simulator.Request) bool {
		if _, err := store.Erase(context.Background(), accesstest.Key("u-1")); err != nil {
			t.Error(err)
		}
		return true
	}})
	d := deliverer(t, w)
	d.IdleAfter = 5 * time.Hour
	d.Deliver(t.Context(), message(w, report))
	if record, err := w.Store.Read(t.Context(), accesstest.Key("u-1")); err == nil {
		t.Errorf("%+v", record)
	}
}
