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

	"github.com/google/go-cmp/cmp"

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
)

// gatewayFunc is a gateway in a bubble.
type gatewayFunc func(ctx context.Context, body string) error

func (f gatewayFunc) Send(ctx context.Context, _ sensitive.String, body []byte) (gateway.Receipt, error) {
	if err := f(ctx, string(body)); err != nil {
		return gateway.Receipt{}, err
	}
	return gateway.Receipt{Status: 202}, nil
}

// scripted is a gateway that gives prepared answers, then takes everything,
// and notes when it was asked.
type scripted struct {
	mu      sync.Mutex
	started time.Time
	takes   time.Duration // for each answer
	slower  time.Duration // for each further one
	answers []error
	asked   []time.Duration
}

func (s *scripted) Send(ctx context.Context, _ sensitive.String, _ []byte) (gateway.Receipt, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Since(s.started))
	takes := s.takes + time.Duration(len(s.asked)-1)*s.slower
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	time.Sleep(takes) // in a bubble
	return gateway.Receipt{Status: 202}, err
}

// constant gives out the same token always.
type constant struct{}

func (constant) Token(context.Context, grant.Record, string) (access.Token, error) {
	return access.Token{Access: sensitive.New("Atza|fake"), Version: 1}, nil
}

func (constant) Renew(context.Context, grant.Key, string, int64) (access.Token, error) {
	return access.Token{Access: sensitive.New("Atza|fake-2"), Version: 2}, nil
}

// bubble is a Deliverer whose clock is the bubble's, and customers with one
// grant each.
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

// handle delivers a message within the time of a handler.
func handle(d *delivery.Deliverer, m push.Message) []delivery.Result {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	return d.Deliver(ctx, m)
}

// redelivered delivers a message until it is acknowledged, as Pub/Sub does.
func redelivered(d *delivery.Deliverer, m push.Message) []delivery.Result {
	for pause := 5 * time.Second; ; pause = min(2*pause, time.Minute) {
		if r := handle(d, m); r[0].Decision != delivery.Retry {
			return r
		}
		m.Attempt++
		time.Sleep(pause)
	}
}

// reportOf is the n-th report, of a customer's endpoint.
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
		name    string
		answers []error
		draw    float64
		takes   time.Duration
		time    time.Duration // of the handler
		want    delivery.OutcomeName
		asked   []time.Duration
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
				t.Errorf("%+v, want %s", results, test.want)
			}
			if diff := cmp.Diff(test.asked, g.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if ctx.Err() != nil {
				t.Error("it came back too late")
			}
		})
	}
}

// TestPauseOfAGrant: while it is throttled its events are handed back unsent, and
// another's go out. A later answer that asks for less does not shorten the pause.
func TestPauseOfAGrant(t *testing.T) {
	t.Parallel()
	busy, down := refusedUntil(t, 429, "", "30"), refused(t, 503, "")
	synctest.Test(t, func(t *testing.T) {
		// The answer to the second comes a second after that to the first.
		g := &scripted{answers: []error{busy, down}, started: time.Now(), takes: time.Second, slower: time.Second}
		d := bubble(t, g, 0, 2)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { handle(d, reportOf(1, 1, "lamp-1")) })
		}
		wg.Wait()
		g.takes, g.slower = 0, 0
		expect := func(n, customer int, want delivery.OutcomeName, asked int) {
			t.Helper()
			if r := handle(d, reportOf(n, customer, "lamp-1")); r[0].Name != want || len(g.asked) != asked {
				t.Errorf("customer %d: %+v after %d requests, want %s after %d", customer, r[0], len(g.asked), want, asked)
			}
		}
		expect(1, 1, delivery.Redeliver, 2)
		expect(2, 2, delivery.Accepted, 3)
		time.Sleep(27 * time.Second) // the rest of the pause is short
		expect(1, 1, delivery.Accepted, 4)
		if last := g.asked[3]; last != 31*time.Second {
			t.Errorf("sent after %v, want after the pause of 30 s, which began after 1 s", last)
		}
	})
}

// TestThrottledGrantTakesOneSlot: of thirty events a second of a grant that is
// throttled one is in flight or waits. The rest is handed back at once.
func TestThrottledGrantTakesOneSlot(t *testing.T) {
	t.Parallel()
	busy := refused(t, 429, "")
	synctest.Test(t, func(t *testing.T) {
		var inFlight atomic.Int64
		var well atomic.Bool
		d := bubble(t, gatewayFunc(func(context.Context, string) error {
			time.Sleep(20 * time.Millisecond)
			if well.Load() {
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
		time.Sleep(30 * time.Millisecond) // it is known to be throttled
		for n := range 30 * 30 {
			time.Sleep(time.Second / 30)
			send(n + 1)
			synctest.Wait() // whoever is handed back is gone
			if now := inFlight.Load(); now > 1 {
				t.Fatalf("%d events are in flight or wait after %d", now, n)
			}
		}
		all.Wait()
		well.Store(true)
		time.Sleep(3 * time.Second)
		for n := range 3 {
			if r := handle(d, reportOf(1000+n, 1, "lamp-1")); r[0].Name != delivery.Accepted {
				t.Errorf("the gateway is well: %+v", r)
			}
		}
	})
}

// TestProbeReturnsItsSlot: a probe that could not be claimed leaves the slot of
// a throttled grant to the next.
func TestProbeReturnsItsSlot(t *testing.T) {
	t.Parallel()
	busy := refused(t, 429, "")
	synctest.Test(t, func(t *testing.T) {
		g := &scripted{answers: []error{busy, busy, busy, busy}, started: time.Now()}
		d := bubble(t, g, 0, 1)
		store := &counting{Store: d.Store}
		d.Store = store
		handle(d, reportOf(1, 1, "lamp-1")) // throttled
		w := &accesstest.World{Store: store.Store}
		w.Change(t, "u-1", func(r *grant.Record) { r.Suspect("g-1", "x", time.Now()) })
		time.Sleep(2 * time.Minute)
		store.failWrites.Store(true)
		if r := handle(d, reportOf(2, 1, "lamp-1")); r[0].Decision != delivery.Retry {
			t.Errorf("%+v", r)
		}
		store.failWrites.Store(false)
		if r := handle(d, reportOf(3, 1, "lamp-1")); r[0].Name != delivery.Accepted {
			t.Errorf("%+v", r)
		}
	})
}

// TestUnwellRegion: the gateway refuses everybody, or answers nobody. The
// breaker opens, and until it is half-open events are handed back unread. The
// sweep hears of it once a minute.
func TestUnwellRegion(t *testing.T) {
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
			options.OnBreaker = func(region alexa.Region, name string, _, to breaker.State) {
				if region != alexa.EU || name != "gateway" {
					t.Errorf("breaker %s of %s", name, region)
				}
				opened.CompareAndSwap(0, int64(time.Since(start)))
				isOpen.Store(to == breaker.Open)
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
						t.Errorf("%+v", r)
					}
				})
				synctest.Wait()
				if wasOpen && isOpen.Load() && store.reads.Load() != reads {
					t.Fatalf("event %d was read while the breaker was open", n)
				}
			}
			all.Wait()
			if at := time.Duration(opened.Load()); at == 0 || at > 11*time.Second {
				t.Errorf("the breaker opened after %v, want at most 11 s", at)
			}
			if n, took := store.regionMarks.Load(), time.Since(start); n < 3 || n > int64(took/time.Minute)+1 {
				t.Errorf("the sweep heard of it %d times in %v", n, took)
			}
			doc, err := d.Store.ReadControl(t.Context(), grant.RegionName("EU"))
			mark, _ := grant.ParseRegionMark(doc.Document)
			if err != nil || !mark.Unhealthy(time.Now()) {
				t.Errorf("%+v %v", mark, err)
			}
		})
	}
}

// TestDoorbellOnlyMaker: where nothing else is sent, an event that must not be
// repeated is the trial. Where something is, it is none, and not even read.
func TestDoorbellOnlyMaker(t *testing.T) {
	t.Parallel()
	down := refused(t, 503, "")
	for name, reports := range map[string]bool{"only doorbells": false, "reports too": true} {
		inBubble(t, name, func(t *testing.T) {
			const customers = 20
			var well atomic.Bool
			var rings atomic.Int64
			d := bubble(t, gatewayFunc(func(_ context.Context, body string) error {
				if strings.Contains(body, "DoorbellPress") {
					rings.Add(1)
				}
				if well.Load() {
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
			well.Store(true)
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
					t.Error("a doorbell that is handed back was read")
				}
				time.Sleep(time.Second)
			}
			if want := map[bool]int{false: 30, true: 24}[reports]; accepted < want-1 || int(rings.Load()) != accepted {
				t.Errorf("%d of 30 rings accepted after %d posts, want %d", accepted, rings.Load(), want)
			}
		})
	}
}

// linkMany links the customers u-1 to u-n, of the Amazon users amzn-1 to amzn-n.
func linkMany(t *testing.T, w *accesstest.World, n int) {
	t.Helper()
	for i := range n {
		w.Link(t, fmt.Sprint("u-", i+1), alexa.EU, fmt.Sprint("amzn-", i+1))
	}
}

// TestEverybodyIsRefused: the gateway refuses everybody for a minute.
// That is its fault and none of the grants': few tokens are refreshed, nobody
// becomes suspect, and every event is delivered later. If Amazon ended all access
// tokens the region recovers as they are refreshed, and does not wait for the sweep.
func TestEverybodyIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		concurrent bool
		fault      simulator.Fault
		refreshes  int64 // at most
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
				t.Errorf("%d refreshes", n)
			}
			if took := w.Now().Sub(began); accepted.Load() != customers || took > 5*time.Minute {
				t.Errorf("%d of %d events were delivered in %v", accepted.Load(), customers, took)
			}
			if got := told(t, topic); len(got) != 0 {
				t.Errorf("told: %v", got)
			}
			for i := range customers {
				for id, g := range w.Read(t, fmt.Sprint("u-", i+1)).Grants {
					if g.State != grant.Active {
						t.Errorf("grant %s is %s", id, g.State)
					}
				}
			}
		})
	}
}

// TestRefusalNotMended: the gateway refuses everybody, and Login with Amazon fails, so
// that no refresh can tell whose fault it is. The refusals count against the region,
// however slowly they come.
func TestRefusalNotMended(t *testing.T) {
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
				t.Errorf("customer %d: %+v", i+1, r)
			}
			time.Sleep(time.Second)
		}
		if n := len(w.Sim.Events(alexa.EU)); n >= 20 {
			t.Errorf("the gateway was asked %d times", n)
		}
	})
}

// TestLeaversHoldNobodyUp: three of twelve customers have disabled the skill.
func TestLeaversHoldNobodyUp(t *testing.T) {
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
				t.Errorf("customer %d: %+v, want %s", customer, r, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}
