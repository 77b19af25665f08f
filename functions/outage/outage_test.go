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

// load is the rate of the maker's reports, and the gateway's answer time. The
// function can deliver 8 events while the maker reports 5.
type load struct {
	perTick    int
	answerTime time.Duration // with the rest of the tick
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
	quiet                 = 75 * time.Minute // by when every missed report has been requested
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

// household is a customer, and how often its reports were requested.
type household struct {
	userID string
	lamps  int
	asked  int // grant events of type stale
}

// world is the simulated cloud. Only the bubble's main goroutine uses it, except
// for the fields below mu.
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
	lost      map[string]time.Time // last expired report, by endpoint
	reported  map[string]time.Time // last accepted report, by endpoint

	mu       sync.Mutex
	free     int
	asked    []announce.Message
	oldest   time.Duration // greatest age of an accepted report
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

// Publish publishes to the grant-events topic.
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

// obey has the maker publish the reports that it was asked for.
func (w *world) obey() {
	w.mu.Lock()
	asked := w.asked
	w.asked = nil
	w.mu.Unlock()
	for _, m := range asked {
		if m.Type != grant.Stale {
			w.t.Errorf("grant event of %s = %s, want stale", m.UserID, m.Type)
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

// push delivers the first message of a lane in a slot.
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
	synctest.Wait() // for deliveries that still write results
}

// TestOutage: within ten minutes of a gateway's recovery from a long outage, events
// are delivered as before it, though the maker repeats reports on request. It gets
// one request for each customer, and no endpoint stays out of date. A gateway that
// hangs also keeps the slots, so it is tested under the higher load.
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
		t.Fatalf("%d messages wait before the outage, want %d or fewer: %v", w.queue.held, slots, w.outcomes)
	}
	w.amazon.mode = mode
	w.run(down, true)
	t.Logf("at the recovery %d messages wait; %v", w.queue.held, w.outcomes)
	w.amazon.mode = ""
	w.run(after, true)
	w.mu.Lock()
	w.oldest = 0
	expired, held := w.outcomes[delivery.Expired], w.queue.held
	w.mu.Unlock()
	w.run(settle, true)
	if n := w.outcomes[delivery.Expired] - expired; n > 0 || w.oldest > time.Minute { // the requested reports may take that long
		t.Errorf("later than %v after the recovery %d reports expired, and one was accepted at age %v; %d waited",
			after, n, w.oldest, held)
	}
	w.run(quiet, false)
	if w.queue.held > 0 {
		t.Errorf("%d messages wait at the end, want 0", w.queue.held)
	}
	asked := make(map[int]int)
	for _, h := range w.homes {
		asked[h.asked]++
		if h.asked != 1 {
			t.Errorf("%d requests for the reports of %s with %d lamps, want 1", h.asked, h.userID, h.lamps)
		}
		for id, g := range w.Read(t, h.userID).Grants {
			if !g.Behind.Empty() || g.State != grant.Active {
				t.Errorf("grant %s of %s is %s and behind %+v, want active and not behind", id, h.userID, g.State, g.Behind)
			}
		}
	}
	for endpoint, at := range w.lost {
		if !w.reported[endpoint].After(at) {
			t.Errorf("last report of %s expired at %v, accepted at %v, want later", strings.TrimSpace(endpoint), at, w.reported[endpoint])
		}
	}
	t.Logf("requests (number: customers) %v; %v", asked, w.outcomes)
}
