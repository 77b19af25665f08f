package outage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// load is what the maker reports, and what the function can deliver: 8 events in
// the time of 5.
type load struct {
	perTick    int
	answerTime time.Duration // and what is left of the tick
}

var (
	usual = load{5, 150 * time.Millisecond} // 50 events a second, of 80
	light = load{1, 950 * time.Millisecond} // 10 of 16, for the longer runs
)

const (
	tick        = 100 * time.Millisecond
	slots       = 16
	handlerTime = 25 * time.Second
	maxAge      = 5 * time.Minute

	fewLamps, manyLamps   = 1, 30
	withFew, withMany     = 60, 15
	before, after, settle = time.Minute, 10 * time.Minute, 5 * time.Minute
	quiet                 = 75 * time.Minute // by when whatever was put off is asked for
)

// amazon is the event gateway.
type amazon struct {
	mode       string // "", refuses or hangs
	answerTime time.Duration
}

func (a *amazon) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	status := http.StatusAccepted
	switch a.mode {
	case "hangs":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "refuses":
		status = http.StatusServiceUnavailable
	default:
		time.Sleep(a.answerTime)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// household is a customer and what became of its events.
type household struct {
	userID string
	lamps  int
	asked  int // times that the maker was told stale
}

// world is everything. Only the bubble's main goroutine touches it, but for
// what mu guards.
type world struct {
	*accesstest.World
	t         *testing.T
	load      load
	amazon    *amazon
	deliverer *delivery.Deliverer
	sweeper   *sweep.Sweeper
	queue     *queue
	homes     []*household
	places    []place
	published int
	lost      map[string]time.Time // when a report of an endpoint was last given up, by endpoint
	reported  map[string]time.Time // when a report of an endpoint was last accepted

	mu       sync.Mutex
	free     int
	asked    []announce.Message
	oldest   time.Duration // age of what was accepted lately
	outcomes map[delivery.OutcomeName]int
}

// place is an endpoint of a household.
type place struct {
	home *household
	name string
}

func newWorld(t *testing.T, l load) *world {
	w := &world{
		World: accesstest.InBubble(t, simulator.Options{}), t: t, load: l,
		amazon: &amazon{answerTime: l.answerTime}, queue: newQueue(), free: slots,
		lost: make(map[string]time.Time), reported: make(map[string]time.Time), outcomes: make(map[delivery.OutcomeName]int),
	}
	for i := range withFew + withMany {
		h := &household{userID: fmt.Sprint("u-", i), lamps: fewLamps}
		if i >= withFew {
			h.lamps = manyLamps
		}
		w.homes = append(w.homes, h)
		w.Link(t, h.userID, alexa.EU, fmt.Sprint("amzn-", i))
		for lamp := range h.lamps {
			w.places = append(w.places, place{h, fmt.Sprint("lamp-", lamp)})
		}
	}
	announcer := &announce.Announcer{Store: w.Store, Topic: w, Log: slog.New(slog.DiscardHandler), Now: w.Now}
	base, err := url.Parse("http://gateway.test")
	if err != nil {
		t.Fatal(err)
	}
	w.deliverer = delivery.New(delivery.Options{
		Skill: accesstest.Skill, Store: w.Store, Tokens: w.Process("sendevent"), Announcer: announcer,
		Gateways:    map[alexa.Region]delivery.Gateway{alexa.EU: gateway.New(alexa.EU, base, &http.Client{Transport: w.amazon})},
		MaxEventAge: maxAge, Draw: func() float64 { return 0.5 }, Now: w.Now,
	})
	w.sweeper = &sweep.Sweeper{
		Store: w.Store, Tokens: w.Process("sweep"), Brake: w.Brake(), Announce: announcer, Now: w.Now, Period: sweep.DefaultPeriod,
	}
	return w
}

// Publish is the grant-events topic.
func (w *world) Publish(_ context.Context, data []byte, _ map[string]string) error {
	var m announce.Message
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, m)
	return nil
}

// report publishes a report of an endpoint.
func (w *world) report(p place, cause string) {
	w.published++
	data := fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":%q,"changed":[
		{"namespace":"Alexa.BrightnessController","name":"brightness","value":%d}]}`,
		p.home.userID, p.name, cause, w.published%100)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.put(push.Message{
		ID: fmt.Sprint("m-", w.published), Data: []byte(data), PublishTime: w.Now(), OrderingKey: p.home.userID + "/" + p.name,
	})
}

// obey has the maker report again what it was asked for.
func (w *world) obey() {
	w.mu.Lock()
	asked := w.asked
	w.asked = nil
	w.mu.Unlock()
	for _, m := range asked {
		if m.Type != grant.Stale {
			w.t.Errorf("the maker is told that %s is %s", m.UserID, m.Type)
			continue
		}
		for _, h := range w.homes {
			if h.userID != m.UserID {
				continue
			}
			h.asked++
			names := m.EndpointIDs
			if len(names) == 0 {
				for lamp := range h.lamps {
					names = append(names, fmt.Sprint("lamp-", lamp))
				}
			}
			for _, name := range names {
				w.report(place{h, name}, "PERIODIC_POLL")
			}
		}
	}
}

// push has a slot deliver the first message of a lane.
func (w *world) push(l *lane) {
	ctx, cancel := context.WithTimeout(context.Background(), handlerTime)
	defer cancel()
	w.mu.Lock()
	m := l.messages[0]
	w.mu.Unlock()
	acknowledged := true
	results := w.deliverer.Deliver(ctx, m)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range results {
		acknowledged = acknowledged && r.Decision != delivery.Retry
		w.outcomes[r.Name]++
		switch r.Name {
		case delivery.Accepted:
			w.oldest = max(w.oldest, w.Now().Sub(m.PublishTime))
			w.reported[m.OrderingKey] = w.Now()
		case delivery.Expired:
			w.lost[m.OrderingKey] = w.Now()
		case delivery.Redeliver, delivery.Duplicate:
		default:
			w.t.Errorf("%s: %s %v", m.OrderingKey, r.Name, r.Err)
		}
	}
	w.free++
	w.queue.done(l, acknowledged, w.Now())
}

// run lets time pass, with or without changes to report.
func (w *world) run(during time.Duration, changes bool) {
	for end := w.Now().Add(during); w.Now().Before(end); w.Forward(tick) {
		if changes {
			for range w.load.perTick {
				w.report(w.places[w.published%len(w.places)], "PHYSICAL_INTERACTION")
			}
		}
		w.obey()
		w.mu.Lock()
		for w.free > 0 {
			l := w.queue.next(w.Now())
			if l == nil {
				break
			}
			w.free--
			go w.push(l)
		}
		w.mu.Unlock()
		if w.Now().Unix()%int64(sweep.DefaultPeriod/time.Second) == 0 && w.Now().Nanosecond() < int(tick) {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), sweep.Timeout)
				defer cancel()
				if _, err := w.sweeper.Sweep(ctx, sweep.Buckets(0, 1)); err != nil {
					w.t.Error(err)
				}
			}()
		}
	}
	synctest.Wait() // for those who are about to write what the caller reads
}

// TestOutage: a gateway that was down for long is served again as before within
// ten minutes of its recovery, though the maker reports again what it is asked
// for. It is asked once for each customer, and no endpoint stays wrong. The
// gateway that hangs, and so keeps the slots, meets the higher load.
func TestOutage(t *testing.T) {
	t.Parallel()
	for mode, down := range map[string]time.Duration{"hangs": 10 * time.Minute, "refuses": time.Hour} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			l := usual
			if down == time.Hour {
				l = light
				if testing.Short() {
					t.Skip("takes several seconds")
				}
			}
			synctest.Test(t, func(t *testing.T) { outage(t, l, mode, down) })
		})
	}
}

func outage(t *testing.T, l load, mode string, down time.Duration) {
	w := newWorld(t, l)
	w.run(before, true)
	if w.queue.held > slots || w.outcomes[delivery.Expired] > 0 {
		t.Fatalf("%d messages wait before the outage: %v", w.queue.held, w.outcomes)
	}
	w.amazon.mode = mode
	w.run(down, true)
	t.Logf("when the gateway is well again %d messages wait; %v", w.queue.held, w.outcomes)
	w.amazon.mode = ""
	w.run(after, true)
	w.mu.Lock()
	w.oldest = 0
	expired, held := w.outcomes[delivery.Expired], w.queue.held
	w.mu.Unlock()
	w.run(settle, true)
	if n := w.outcomes[delivery.Expired] - expired; n > 0 || w.oldest > time.Minute { // which the repetitions that were asked for may take
		t.Errorf("from %v after the recovery on %d reports expired, and one was accepted %v after it was published; %d waited",
			after, n, w.oldest, held)
	}
	w.run(quiet, false)
	if w.queue.held > 0 {
		t.Errorf("%d messages wait at the end", w.queue.held)
	}
	asked := make(map[int]int)
	for _, h := range w.homes {
		asked[h.asked]++
		if h.asked != 1 {
			t.Errorf("the maker was asked %d times for %s, who has %d lamps; want once", h.asked, h.userID, h.lamps)
		}
		for id, g := range w.Read(t, h.userID).Grants {
			if !g.Behind.Empty() || g.State != grant.Active {
				t.Errorf("grant %s of %s is %s, and behind %+v", id, h.userID, g.State, g.Behind)
			}
		}
	}
	for endpoint, at := range w.lost {
		if !w.reported[endpoint].After(at) {
			t.Errorf("%s was last given up at %v, and accepted at %v", strings.TrimSpace(endpoint), at, w.reported[endpoint])
		}
	}
	t.Logf("asked (times: customers) %v; %v", asked, w.outcomes)
}
