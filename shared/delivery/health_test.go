package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
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

// noAnswer is the error of a call that was sent and got no answer.
func noAnswer(t *testing.T) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = gateway.New(alexa.EU, base, server.Client()).Send(t.Context(), sensitive.New("t"), []byte("{}"))
	var failed *gateway.Error
	if !errors.As(err, &failed) || !failed.Unanswered() {
		t.Fatalf("%v", err)
	}
	return err
}

// handle delivers a message within the time of a handler.
func handle(d *delivery.Deliverer, m push.Message) []delivery.Result {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	return d.Deliver(ctx, m)
}

// reportOf is the n-th report, of a customer's endpoint.
func reportOf(n, customer int, endpoint string) push.Message {
	data := strings.Replace(strings.Replace(report, "u-1", fmt.Sprint("u-", customer), 1), "lamp-1", endpoint, 1)
	return push.Message{ID: fmt.Sprint("m-", n), Data: []byte(data), PublishTime: time.Now(), Attempt: 1}
}

// TestChattyCustomersAreNotARegion: however many events of few customers are
// throttled, the others' go out.
func TestChattyCustomersAreNotARegion(t *testing.T) {
	t.Parallel()
	busy := refusal(t, 429, "")
	for _, every := range []int{1000, 100, 20, 7} { // 0.1 to 15 %
		t.Run(fmt.Sprint("one of ", every), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const customers, chatty = 1000, 100
				d := bubble(t, gatewayFunc(func(_ context.Context, body string) error {
					time.Sleep(100 * time.Millisecond)
					if strings.Contains(body, "chatty") {
						return busy
					}
					return nil
				}), 0.5, customers)
				var all sync.WaitGroup
				var others, handedBack atomic.Int64
				for n := range 20 * 500 { // 500 events a second
					time.Sleep(2 * time.Millisecond)
					m, isChatty := reportOf(n, n%(customers-chatty)+chatty+1, "lamp-1"), n%every == 0
					if isChatty {
						m = reportOf(n, n/every%chatty+1, "chatty")
					}
					all.Go(func() {
						r := handle(d, m)
						if isChatty {
							return
						}
						others.Add(1)
						if r[0].Name != delivery.Accepted {
							handedBack.Add(1)
						}
					})
				}
				all.Wait()
				if 100*handedBack.Load() >= others.Load() {
					t.Errorf("%d of the others' %d events were handed back", handedBack.Load(), others.Load())
				}
			})
		})
	}
}

// TestThrottledGrantTakesOneSlot: of thirty events a second of a grant that is
// throttled one is in flight or waits. The rest is handed back at once.
func TestThrottledGrantTakesOneSlot(t *testing.T) {
	t.Parallel()
	busy := refusal(t, 429, "")
	synctest.Test(t, func(t *testing.T) {
		var inFlight, most atomic.Int64
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
				if now := inFlight.Add(1); now > most.Load() {
					most.Store(now)
				}
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
	busy := refusal(t, 429, "")
	synctest.Test(t, func(t *testing.T) {
		g := &scripted{answers: []error{busy, busy, busy, busy}, started: time.Now()}
		d := bubble(t, g, 0, 1)
		store := &failing{Store: d.Store}
		d.Store = store
		handle(d, eventOf(1)) // throttled
		w := &accesstest.World{Store: store.Store}
		w.Change(t, "u-1", func(r *grant.Record) { r.Suspect("g-1", "x", time.Now()) })
		time.Sleep(2 * time.Minute)
		store.fail.Store(true)
		if r := handle(d, reportOf(2, 1, "lamp-1")); r[0].Decision != delivery.Retry {
			t.Errorf("%+v", r)
		}
		store.fail.Store(false)
		if r := handle(d, reportOf(3, 1, "lamp-1")); r[0].Name != delivery.Accepted {
			t.Errorf("%+v", r)
		}
	})
}

// failing is a store whose operations are counted and whose writes may fail.
type failing struct {
	grant.Store
	fail                    atomic.Bool
	reads, writes, controls atomic.Int64
}

func (s *failing) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	s.reads.Add(1)
	return s.Store.Read(ctx, key)
}

func (s *failing) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	s.reads.Add(1)
	return s.Store.ReadDelivery(ctx, key)
}

func (s *failing) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if s.fail.Load() {
		return grant.Record{}, fmt.Errorf("out of order")
	}
	written, err := s.Store.Write(ctx, was, now)
	if err == nil {
		s.writes.Add(1)
	}
	return written, err
}

func (s *failing) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	s.controls.Add(1)
	return s.Store.WriteControl(ctx, was, now)
}

// TestUnwellRegion: the gateway refuses everybody, or answers nobody. The
// breaker opens, and until it is half-open events are handed back unread. The
// sweep hears of it once a minute.
func TestUnwellRegion(t *testing.T) {
	t.Parallel()
	down, silent := refusal(t, 503, ""), noAnswer(t)
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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const customers = 100
				start := time.Now()
				var opened, attempts atomic.Int64
				var isOpen atomic.Bool
				d := bubble(t, gatewayFunc(func(ctx context.Context, body string) error {
					attempts.Add(1)
					return answer(ctx, body)
				}), 0.5, customers)
				store := &failing{Store: d.Store}
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
				if n, took := store.controls.Load(), time.Since(start); n < 3 || n > int64(took/time.Minute)+1 {
					t.Errorf("the sweep heard of it %d times in %v", n, took)
				}
				doc, err := d.Store.ReadControl(t.Context(), grant.RegionName("EU"))
				mark, _ := grant.ParseRegionMark(doc.Document)
				if err != nil || !mark.Unwell(time.Now()) {
					t.Errorf("%+v %v", mark, err)
				}
				t.Logf("opened after %v, %d attempts of %d events, %d reads", time.Duration(opened.Load()), attempts.Load(), 3*60*50, store.reads.Load())
			})
		})
	}
}

// TestRecovery: after an outage the gateway is slow and manages 80 events a
// second, and the backlog comes on top of what is new. The gateway is met step by
// step, and does not collapse again.
func TestRecovery(t *testing.T) {
	t.Parallel()
	down := refusal(t, 503, "")
	synctest.Test(t, func(t *testing.T) {
		const customers, capacity = 300, 80
		var mu sync.Mutex
		outage, taken, refused, collapses := true, 0, 0, 0
		second, inSecond := int64(0), 0
		d := bubble(t, gatewayFunc(func(context.Context, string) error {
			mu.Lock()
			if now := time.Now().Unix(); now != second {
				second, inSecond = now, 0
			}
			inSecond++
			takes, err := time.Second, error(nil)
			switch {
			case outage:
				takes, err = 20*time.Millisecond, down
			case inSecond > capacity:
				takes, err = 20*time.Millisecond, down
				refused++
			default:
				taken++
			}
			mu.Unlock()
			time.Sleep(takes)
			return err
		}), 0.5, customers)
		options := d.Options
		options.OnBreaker = func(_ alexa.Region, _ string, _, to breaker.State) {
			mu.Lock()
			defer mu.Unlock()
			if to == breaker.Open && !outage {
				collapses++
			}
		}
		d = delivery.New(options)
		var all sync.WaitGroup
		published, done, process := 0, atomic.Int64{}, make(chan struct{}, 80)
		publish := func() {
			m := reportOf(published, published%customers+1, fmt.Sprint("lamp-", published))
			published++
			all.Go(func() { // as Pub/Sub pushes it
				for pause := 5 * time.Second; ; pause = min(2*pause, time.Minute) {
					process <- struct{}{} // one of the 80 that it serves at once
					r := handle(d, m)
					<-process
					if r[0].Decision != delivery.Retry {
						done.Add(1)
						return
					}
					m.Attempt++
					time.Sleep(pause)
				}
			})
		}
		for range 60 * 20 { // a minute of outage at 20 events a second
			time.Sleep(50 * time.Millisecond)
			publish()
		}
		mu.Lock()
		outage = false
		mu.Unlock()
		for range 120 * 20 { // two minutes in which it is well
			time.Sleep(50 * time.Millisecond)
			publish()
		}
		all.Wait()
		t.Logf("%d events, %d taken, %d refused, %d collapses", published, taken, refused, collapses)
		if collapses > 0 {
			t.Errorf("the breaker opened %d times after the outage", collapses)
		}
		if taken != published || int(done.Load()) != published {
			t.Errorf("%d of %d events were taken", taken, published)
		}
	})
}

// TestDoorbellOnlyMaker: where nothing else is sent, an event that must not be
// repeated is the trial. Where something is, it is none, and not even read.
func TestDoorbellOnlyMaker(t *testing.T) {
	t.Parallel()
	down := refusal(t, 503, "")
	for name, reports := range map[string]bool{"only doorbells": false, "reports too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
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
				store := &failing{Store: d.Store}
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
// becomes suspect, and every event is delivered later.
func TestEverybodyIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		concurrent bool
		fault      simulator.Fault
	}{
		"one after the other":         {false, simulator.Fault{Status: 401}},
		"all at once":                 {true, simulator.Fault{Status: 401}},
		"as if it were the skill":     {false, simulator.Fault{Code: simulator.InsufficientPermission}},
		"as if all had left, at once": {true, simulator.Fault{Code: simulator.SkillDisabled}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const customers = 200
				w := accesstest.InBubble(t, simulator.Options{})
				linkMany(t, w, customers)
				d := deliverer(t, w, alexa.EU)
				topic := announced(w, d)
				test.fault.Delay = 20 * time.Millisecond
				w.Sim.Always(simulator.Gateway(alexa.EU), test.fault)
				linked := w.Sim.Counts().Refreshes
				var waiting sync.WaitGroup
				var accepted atomic.Int64
				redeliver := func(m push.Message) {
					for pause := 5 * time.Second; ; pause = min(2*pause, time.Minute) {
						r := handle(d, m)
						if r[0].Decision != delivery.Retry {
							if r[0].Name == delivery.Accepted {
								accepted.Add(1)
							}
							return
						}
						m.Attempt++
						time.Sleep(pause)
					}
				}
				go func() { time.Sleep(time.Minute); w.Sim.Clear() }()
				for i := range customers {
					m := reportOf(i, i+1, "lamp-1")
					waiting.Go(func() { redeliver(m) })
					if !test.concurrent {
						time.Sleep(100 * time.Millisecond)
					}
				}
				waiting.Wait()
				if n := w.Sim.Counts().Refreshes - linked; n >= 40 {
					t.Errorf("%d refreshes", n)
				}
				if accepted.Load() != customers {
					t.Errorf("%d of %d events were delivered", accepted.Load(), customers)
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
				t.Logf("%d refreshes", w.Sim.Counts().Refreshes-linked)
			})
		})
	}
}

// TestEverybodysTokenEnds: Amazon ends all access tokens before their time. The
// region recovers as they are refreshed, a few at a time, and does not wait for
// the sweep.
func TestEverybodysTokenEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const customers = 200
		w := accesstest.InBubble(t, simulator.Options{})
		linkMany(t, w, customers)
		for i := range customers {
			w.Sim.ExpireAccessTokens(alexa.EU, fmt.Sprint("amzn-", i+1))
		}
		d := deliverer(t, w, alexa.EU)
		began := w.Now()
		var all sync.WaitGroup
		for i := range customers {
			all.Go(func() {
				for n := 1; ; n++ {
					m := reportOf(i, i+1, "lamp-1")
					m.Attempt = n
					if r := handle(d, m); r[0].Name == delivery.Accepted {
						return
					} else if r[0].Decision != delivery.Retry {
						t.Errorf("customer %d: %+v", i+1, r)
						return
					}
					time.Sleep(5 * time.Second)
				}
			})
		}
		all.Wait()
		if took := w.Now().Sub(began); took > 5*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
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
		w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Status: 401})
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
