package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// gatewayFunc is a gateway without a network.
type gatewayFunc func(ctx context.Context, body string) error

func (f gatewayFunc) Send(ctx context.Context, _ sensitive.String, body []byte) (gateway.Receipt, error) {
	if err := f(ctx, string(body)); err != nil {
		return gateway.Receipt{}, err
	}
	return gateway.Receipt{Status: 202}, nil
}

// scripted is a gateway that gives prepared answers, then accepts everything, and
// records the times of its calls.
type scripted struct {
	mu        sync.Mutex
	started   time.Time
	takes     time.Duration // each answer
	slower    time.Duration // more for each further answer
	answers   []error
	requested []time.Duration
}

func (s *scripted) Send(ctx context.Context, _ sensitive.String, _ []byte) (gateway.Receipt, error) {
	s.mu.Lock()
	s.requested = append(s.requested, time.Since(s.started))
	takes := s.takes + time.Duration(len(s.requested)-1)*s.slower
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	time.Sleep(takes) // in a bubble
	return gateway.Receipt{Status: 202}, err
}

// constant always returns the same token.
type constant struct{}

func (constant) Token(context.Context, grant.Record, string) (access.Token, error) {
	return access.Token{Access: sensitive.New("Atza|fake"), Version: 1}, nil
}

func (constant) Renew(context.Context, grant.Key, string, int64) (access.Token, error) {
	return access.Token{Access: sensitive.New("Atza|fake-2"), Version: 2}, nil
}

// bubble returns a Deliverer with the bubble's clock, and customers with one grant
// each.
func bubble(t *testing.T, g delivery.Gateway, draw float64, customers int) *delivery.Deliverer {
	t.Helper()
	w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New()}
	for i := range customers {
		w.Change(t, fmt.Sprint("u-", i+1), func(r *grant.Record) {
			tokens := grant.Tokens{AccessToken: []byte("x"), ExpiresAt: time.Now().Add(time.Hour)}
			r.Link(fmt.Sprint("g-", i+1), alexa.EU, "", tokens, time.Now())
		})
	}
	return delivery.New(delivery.Options{
		Skill: accesstest.Skill, Store: w.Store, Tokens: constant{}, Gateways: map[alexa.Region]delivery.Gateway{alexa.EU: g},
		Announcer: w.Announcer(), MaxEventAge: 5 * time.Minute, Draw: func() float64 { return draw }, Now: time.Now,
	})
}

// handle delivers a message within a handler's time.
func handle(d *delivery.Deliverer, m push.Message) []delivery.Result {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	return d.Deliver(ctx, m)
}

// redelivered delivers a message until it is acknowledged, like Pub/Sub.
func redelivered(d *delivery.Deliverer, m push.Message) []delivery.Result {
	for pause := 5 * time.Second; ; pause = min(2*pause, time.Minute) {
		if r := handle(d, m); r[0].Decision != delivery.Retry {
			return r
		}
		m.Attempt++
		time.Sleep(pause)
	}
}

// reportOf returns the nth report, of a customer's endpoint.
func reportOf(n, customer int, endpoint string) push.Message {
	data := strings.Replace(strings.Replace(report, "u-1", fmt.Sprint("u-", customer), 1), "lamp-1", endpoint, 1)
	return push.Message{ID: fmt.Sprint("m-", n), Data: []byte(data), PublishTime: time.Now(), Attempt: 1}
}

func TestResends(t *testing.T) {
	t.Parallel()
	busy, down, proxy, silent := refused(t, 429, ""), refused(t, 503, ""), refused(t, 404, ""), noAnswer(t)
	slow, never := refusedUntil(t, 503, "", "4"), refusedUntil(t, 503, "", "3600")
	const s = time.Second
	for _, test := range []struct {
		name      string
		answers   []error
		draw      float64
		takes     time.Duration
		time      time.Duration // left for the handler
		want      delivery.OutcomeName
		requested []time.Duration
	}{
		{"taken at once", nil, 0, 0, 25 * s, delivery.Accepted, []time.Duration{0}},
		{"a second apart", []error{busy, down, proxy}, 0, 0, 25 * s, delivery.Accepted, []time.Duration{0, s, 2 * s, 3 * s}},
		{"three times at most", []error{busy, down, busy, busy}, 0, 0, 25 * s, delivery.Redeliver, []time.Duration{0, s, 2 * s, 3 * s}},
		{"jitter grows", []error{busy, busy, busy}, 1, 0, 25 * s, delivery.Accepted, []time.Duration{0, 2 * s, 5 * s, 10 * s}},
		{"Retry-After", []error{slow}, 0.5, 0, 25 * s, delivery.Accepted, []time.Duration{0, 4500 * time.Millisecond}},
		{"Retry-After of an hour", []error{never}, 0, 0, 25 * s, delivery.Redeliver, []time.Duration{0}},
		{"redelivery is the resend of what got no answer", []error{silent}, 0, 0, 25 * s, delivery.Redeliver, []time.Duration{0}},
		{"handed back early", []error{busy, busy}, 0, 4 * s, 15 * s, delivery.Redeliver, []time.Duration{0, 5 * s}},
		{"no time for a first attempt", nil, 0, 0, 5 * s, delivery.Redeliver, nil},
	} {
		inBubble(t, test.name, func(t *testing.T) {
			g := &scripted{answers: test.answers, takes: test.takes, started: time.Now()}
			ctx, cancel := context.WithTimeout(t.Context(), test.time)
			defer cancel()
			results := bubble(t, g, test.draw, 1).Deliver(ctx, reportOf(1, 1, "lamp-1"))
			if len(results) != 1 || results[0].Name != test.want {
				t.Errorf("results = %+v, want %s", results, test.want)
			}
			expect.Equal(t, "times of requests", test.requested, g.requested)
			if ctx.Err() != nil {
				t.Error("Deliver returned too late")
			}
		})
	}
}

// TestPauseOfAGrant: events of a throttled grant are handed back unsent, and
// another grant's are sent. A later answer with a shorter Retry-After does not
// shorten the pause.
func TestPauseOfAGrant(t *testing.T) {
	t.Parallel()
	busy, down := refusedUntil(t, 429, "", "30"), refused(t, 503, "")
	synctest.Test(t, func(t *testing.T) {
		// The second answer comes a second after the first.
		g := &scripted{answers: []error{busy, down}, started: time.Now(), takes: time.Second, slower: time.Second}
		d := bubble(t, g, 0, 2)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { handle(d, reportOf(1, 1, "lamp-1")) })
		}
		wg.Wait()
		g.takes, g.slower = 0, 0
		wantOutcome := func(n, customer int, want delivery.OutcomeName, requested int) {
			t.Helper()
			if r := handle(d, reportOf(n, customer, "lamp-1")); r[0].Name != want || len(g.requested) != requested {
				t.Errorf("customer %d: result = %+v after %d requests, want %s after %d", customer, r[0], len(g.requested), want, requested)
			}
		}
		wantOutcome(1, 1, delivery.Redeliver, 2)
		wantOutcome(2, 2, delivery.Accepted, 3)
		time.Sleep(27 * time.Second) // most of the pause
		wantOutcome(1, 1, delivery.Accepted, 4)
		if last := g.requested[3]; last != 31*time.Second {
			t.Errorf("sent at %v, want after the pause of 30 s that began at 1 s", last)
		}
	})
}

// TestThrottledGrantTakesOneSlot: a throttled grant gets thirty events a second, of
// which one is in flight or waits. The others are handed back at once.
func TestThrottledGrantTakesOneSlot(t *testing.T) {
	t.Parallel()
	busy := refused(t, 429, "")
	synctest.Test(t, func(t *testing.T) {
		var inFlight atomic.Int64
		var healthy atomic.Bool
		d := bubble(t, gatewayFunc(func(context.Context, string) error {
			time.Sleep(20 * time.Millisecond)
			if healthy.Load() {
				return nil
			}
			return busy
		}), 0.5, 1)
		var all sync.WaitGroup
		send := func(n int) {
			all.Go(func() {
				inFlight.Add(1)
				handle(d, reportOf(n, 1, "chatty"))
				inFlight.Add(-1)
			})
		}
		send(0)
		time.Sleep(30 * time.Millisecond) // its throttling is known
		for n := range 30 * 30 {
			time.Sleep(time.Second / 30)
			send(n + 1)
			synctest.Wait() // events that are handed back have returned
			if now := inFlight.Load(); now > 1 {
				t.Fatalf("%d events are in flight or wait after %d, want 1", now, n)
			}
		}
		all.Wait()
		healthy.Store(true)
		time.Sleep(3 * time.Second)
		for n := range 3 {
			if r := handle(d, reportOf(1000+n, 1, "lamp-1")); r[0].Name != delivery.Accepted {
				t.Errorf("result after the recovery = %+v, want accepted", r)
			}
		}
	})
}

// TestProbeReturnsItsSlot: a probe that was not claimed frees the slot of a
// throttled grant.
func TestProbeReturnsItsSlot(t *testing.T) {
	t.Parallel()
	busy := refused(t, 429, "")
	synctest.Test(t, func(t *testing.T) {
		g := &scripted{answers: []error{busy, busy, busy, busy}, started: time.Now()}
		d := bubble(t, g, 0, 1)
		store := &counting{Store: d.Store}
		d.Store = store
		handle(d, reportOf(1, 1, "lamp-1")) // throttled from now on
		w := &accesstest.World{Store: store.Store}
		w.Change(t, "u-1", func(r *grant.Record) { r.Suspect("g-1", "x", time.Now()) })
		time.Sleep(2 * time.Minute)
		store.failWrites.Store(true)
		if r := handle(d, reportOf(2, 1, "lamp-1")); r[0].Decision != delivery.Retry {
			t.Errorf("result = %+v, want a retry", r)
		}
		store.failWrites.Store(false)
		if r := handle(d, reportOf(3, 1, "lamp-1")); r[0].Name != delivery.Accepted {
			t.Errorf("result with a free slot = %+v, want accepted", r)
		}
	})
}

// TestUnhealthyRegion: the gateway refuses all events, or answers none. The breaker
// opens, and until it is half-open events are handed back unread. The sweep gets a
// mark once a minute.
func TestUnhealthyRegion(t *testing.T) {
	t.Parallel()
	down, silent := refused(t, 503, ""), noAnswer(t)
	for name, answer := range map[string]gatewayFunc{
		"refuses": func(context.Context, string) error { return down },
		"hangs": func(ctx context.Context, _ string) error {
			select {
			case <-time.After(gateway.CallTimeout):
			case <-ctx.Done():
			}
			return silent
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			const customers = 100
			start := time.Now()
			var opened atomic.Int64
			var isOpen atomic.Bool
			d := bubble(t, answer, 0.5, customers)
			store := &counting{Store: d.Store}
			options := d.Options
			options.Store = store
			options.OnBreaker = func(region alexa.Region, name string, c breaker.Change) {
				if region != alexa.EU || name != "gateway" {
					t.Errorf("breaker %s of %s changed, want only the gateway of EU", name, region)
				}
				opened.CompareAndSwap(0, int64(time.Since(start)))
				isOpen.Store(c.To == breaker.Open)
			}
			d = delivery.New(options)
			var all sync.WaitGroup
			for n := range 3 * 60 * 50 { // three minutes at 50 events a second
				time.Sleep(20 * time.Millisecond)
				m := reportOf(n, n%customers+1, "lamp-1")
				if n%2 == 0 {
					m.Attempt = 3
				}
				wasOpen, reads := isOpen.Load(), store.reads.Load()
				all.Go(func() {
					if r := handle(d, m); r[0].Decision != delivery.Retry {
						t.Errorf("result = %+v, want a retry", r)
					}
				})
				synctest.Wait()
				if wasOpen && isOpen.Load() && store.reads.Load() != reads {
					t.Fatalf("event %d was read while the breaker was open", n)
				}
			}
			all.Wait()
			if at := time.Duration(opened.Load()); at == 0 || at > 11*time.Second {
				t.Errorf("breaker opened after %v, want 11 s or less", at)
			}
			if n, took := store.regionMarks.Load(), time.Since(start); n < 3 || n > int64(took/time.Minute)+1 {
				t.Errorf("marks = %d in %v, want one a minute", n, took)
			}
			doc, err := d.Store.ReadControl(t.Context(), grant.RegionName("EU"))
			mark, _ := grant.ParseRegionMark(doc.Document)
			if err != nil || !mark.Unhealthy(time.Now()) {
				t.Errorf("mark = %+v (%v), want unhealthy", mark, err)
			}
		})
	}
}

// TestDoorbellOnlyMaker: if nothing else is sent, an event that must not be
// repeated is the breaker's trial. If other events are sent, it is not a trial, and
// is not even read.
func TestDoorbellOnlyMaker(t *testing.T) {
	t.Parallel()
	down := refused(t, 503, "")
	for name, reports := range map[string]bool{"only doorbells": false, "reports too": true} {
		inBubble(t, name, func(t *testing.T) {
			const customers = 20
			var healthy atomic.Bool
			var rings atomic.Int64
			d := bubble(t, gatewayFunc(func(_ context.Context, body string) error {
				if strings.Contains(body, "DoorbellPress") {
					rings.Add(1)
				}
				if healthy.Load() {
					return nil
				}
				return down
			}), 0, customers)
			store := &counting{Store: d.Store}
			d.Store = store
			var made atomic.Int64
			ring := func() delivery.OutcomeName {
				n := int(made.Add(1))
				m := reportOf(n, n%customers+1, "lamp-1")
				m.Data = []byte(strings.Replace(doorbell, "u-1", fmt.Sprint("u-", n%customers+1), 1))
				return handle(d, m)[0].Name
			}
			for range customers {
				go ring()
			}
			time.Sleep(20 * time.Second)
			healthy.Store(true)
			rings.Store(0)
			time.Sleep(2 * time.Minute)
			accepted := 0
			for range 30 {
				if reports {
					handle(d, reportOf(int(made.Add(1)), 1, "lamp-1"))
				}
				before := store.reads.Load()
				if ring() == delivery.Accepted {
					accepted++
				} else if store.reads.Load() != before {
					t.Error("a doorbell event that was handed back was read")
				}
				time.Sleep(time.Second)
			}
			if want := map[bool]int{false: 30, true: 24}[reports]; accepted < want-1 || int(rings.Load()) != accepted {
				t.Errorf("accepted rings = %d of 30 after %d posts, want %d", accepted, rings.Load(), want)
			}
		})
	}
}

// linkMany links the customers u-1 to u-n with the Amazon users amzn-1 to amzn-n.
func linkMany(t *testing.T, w *accesstest.World, n int) {
	t.Helper()
	for i := range n {
		w.Link(t, fmt.Sprint("u-", i+1), alexa.EU, fmt.Sprint("amzn-", i+1))
	}
}

// TestAllAreRefused: the gateway refuses every event for a minute. That is its own
// fault: few tokens are refreshed, no grant becomes suspect, and every event is
// delivered later. If Amazon ended all access tokens, the region recovers as they
// are refreshed, without waiting for the sweep.
func TestAllAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		concurrent bool
		fault      simulator.Fault
		refreshes  int64 // fewer
	}{
		"one after the other":         {false, simulator.Fault{Status: 401}, 40},
		"all at once":                 {true, simulator.Fault{Status: 401}, 40},
		"as if it were the skill":     {false, simulator.Fault{Code: simulator.InsufficientPermission}, 40},
		"as if all had left, at once": {true, simulator.Fault{Code: simulator.SkillDisabled}, 40},
		"all tokens have ended":       {true, simulator.Fault{}, 201},
	} {
		inBubble(t, name, func(t *testing.T) {
			const customers = 200
			w := accesstest.InBubble(t, simulator.Options{})
			linkMany(t, w, customers)
			d := deliverer(t, w, alexa.EU)
			topic := announced(w, d)
			if name == "all tokens have ended" {
				for i := range customers {
					w.Sim.ExpireAccessTokens(alexa.EU, fmt.Sprint("amzn-", i+1))
				}
			} else {
				test.fault.Delay = 20 * time.Millisecond
				w.Sim.Always(eu, test.fault)
			}
			linked, began := w.Sim.Counts().Refreshes, w.Now()
			var waiting sync.WaitGroup
			var accepted atomic.Int64
			defer time.AfterFunc(time.Minute, w.Sim.Clear).Stop()
			for i := range customers {
				m := reportOf(i, i+1, "lamp-1")
				waiting.Go(func() {
					if redelivered(d, m)[0].Name == delivery.Accepted {
						accepted.Add(1)
					}
				})
				if !test.concurrent {
					time.Sleep(100 * time.Millisecond)
				}
			}
			waiting.Wait()
			if n := w.Sim.Counts().Refreshes - linked; n >= test.refreshes {
				t.Errorf("refreshes = %d, want fewer than %d", n, test.refreshes)
			}
			if took := w.Now().Sub(began); accepted.Load() != customers || took > 5*time.Minute {
				t.Errorf("delivered events = %d of %d in %v", accepted.Load(), customers, took)
			}
			if got := told(t, topic); len(got) != 0 {
				t.Errorf("grant events = %v, want none", got)
			}
			for i := range customers {
				for id, g := range w.Read(t, fmt.Sprint("u-", i+1)).Grants {
					if g.State != grant.Active {
						t.Errorf("grant %s = %s, want active", id, g.State)
					}
				}
			}
		})
	}
}

// TestRefusalWithoutRefresh: the gateway refuses every event, and Login with Amazon
// fails, so that no refresh can show whose fault it is. The refusals count against
// the region at any rate of events.
func TestRefusalWithoutRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const customers = 40
		w := accesstest.InBubble(t, simulator.Options{})
		linkMany(t, w, customers)
		d := deliverer(t, w, alexa.EU)
		w.Sim.Always(eu, simulator.Fault{Status: 401})
		w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
		for i := range customers {
			if r := handle(d, reportOf(i, i+1, "lamp-1")); r[0].Decision != delivery.Retry {
				t.Errorf("customer %d: result = %+v, want a retry", i+1, r)
			}
			time.Sleep(time.Second)
		}
		if n := len(w.Sim.Events(alexa.EU)); n >= 20 {
			t.Errorf("requests to the gateway = %d, want fewer than 20", n)
		}
	})
}

// TestLeaversDoNotOpenTheBreaker: three of twelve customers have disabled the
// skill.
func TestLeaversDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		linkMany(t, w, 12)
		for i := range 3 {
			w.Sim.Disable(alexa.EU, fmt.Sprint("amzn-", i+1))
		}
		d := deliverer(t, w, alexa.EU)
		for n := range 36 {
			customer := n%12 + 1
			want := delivery.Accepted
			if customer <= 3 {
				want = delivery.Revoked
			}
			if r := handle(d, reportOf(n, customer, "lamp-1")); len(r) != 1 || r[0].Name != want {
				t.Errorf("customer %d: result = %+v, want %s", customer, r, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}
