package main

import (
	"container/heap"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/delivery"
	alexagateway "github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/push"
)

// outage implements the command outage: many reports in simulated time, through an
// outage of the event gateway.
//
// It simulates one instance of SendEvent with its part of the reports and of the
// customers, and multiplies. The instances share no more than the database and the
// gateway; a customer whose reports reach several instances costs each of them a read a
// minute, which is left out. The queue redelivers as infra configures Pub/Sub, and the
// maker reports again what grant events ask for.
type outage struct {
	rate, instances, customers, endpoints int
	takes, down, watch, step              time.Duration
	hangs                                 bool
}

func (o *outage) bind(flags *flag.FlagSet) {
	flags.IntVar(&o.rate, "rate", 5000, "`reports` a second")
	flags.IntVar(&o.instances, "instances", 10, "`number` of instances of SendEvent")
	flags.IntVar(&o.customers, "customers", 100_000, "`number` of customers")
	flags.IntVar(&o.endpoints, "endpoints", 5, "`number` of endpoints of a customer")
	flags.DurationVar(&o.takes, "gateway", 100*time.Millisecond, "`time` that the gateway takes to answer")
	flags.DurationVar(&o.down, "outage", time.Hour, "`time` that the gateway is down")
	flags.BoolVar(&o.hangs, "hangs", false, "it does not answer; otherwise it answers 503")
	flags.DurationVar(&o.watch, "watch", 30*time.Minute, "`time` that is shown after the outage")
	flags.DurationVar(&o.step, "step", 5*time.Minute, "`time` of a line")
}

func (o *outage) check() error {
	if o.instances < 1 || o.rate < 10*o.instances || o.customers < o.instances || o.endpoints < 1 ||
		min(o.takes, o.down, o.watch) <= 0 || o.step < time.Minute {
		return fmt.Errorf("want 10 reports a second and a customer for each instance, an endpoint, steps of 1m at least, and times above 0")
	}
	return nil
}

func (o *outage) run(ctx context.Context, out io.Writer) error {
	inBubble(ctx, "outage", func() error { _, err := o.simulate(out); return err })
	return nil
}

// survived is what a simulation found, for the whole stack.
type survived struct {
	lost, waiting int // endpoints whose last report has expired, and messages, at the end
	stale         int // grant events that asked for reports
	calls         int // of the gateway while it was down
}

const (
	slots       = 80 // concurrent requests of an instance
	handlerTime = 25 * time.Second
	firstPause  = 5 * time.Second // of redeliveries, as in infra
	lastPause   = time.Minute
	ticks       = 10 // a second
)

// simulate writes a line for each step. It runs in a bubble.
func (o *outage) simulate(out io.Writer) (found survived, err error) {
	w, err := o.newInstance()
	if err != nil {
		return found, err
	}
	fmt.Fprintf(out, "%d reports a second of %d customers, at %d instances; the gateway takes %v\n\n",
		o.rate, o.customers, o.instances, o.takes)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tfrom minute\tpushes a second\tcalls of the gateway\taccepted\t"+
		"expired\treads\twrites\tstale\twaiting\toldest accepted\t")
	began := time.Now()
	for _, phase := range []struct {
		name string
		d    time.Duration
	}{{"well", o.step}, {"down", o.down}, {"after", o.watch}} {
		w.gateway.setDown(phase.name == "down", o.hangs)
		for end := time.Now().Add(phase.d); time.Now().Before(end); {
			from := time.Now()
			w.pass(min(o.step, end.Sub(from)))
			n := w.take()
			rate := func(n int) float64 { return float64(n*o.instances) / time.Since(from).Seconds() }
			fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%d\t%v\t\n", phase.name, from.Sub(began).Minutes(),
				rate(n.pushes), rate(n.calls), rate(n.accepted), rate(n.expired), rate(n.reads), rate(n.writes), rate(n.stale),
				n.waiting*o.instances, n.oldest.Round(time.Second))
			found.stale += n.stale * o.instances
			if phase.name == "down" {
				found.calls += n.calls * o.instances
			}
		}
	}
	w.working.Wait()
	for _, l := range w.lanes {
		if l.lost {
			found.lost += o.instances
		}
	}
	found.waiting = w.take().waiting * o.instances
	if err := table.Flush(); err != nil {
		return found, err
	}
	const end = "\nat the end %d messages wait, %d endpoints lost a report that no later one replaced, and %d grant events asked for reports\n"
	_, err = fmt.Fprintf(out, end, found.waiting, found.lost, found.stale)
	return found, err
}

// instance is an instance of SendEvent with its part of everything.
type instance struct {
	*outage
	*shard
	deliverer *delivery.Deliverer
	gateway   *remote
	lanes     []*lane
	published int
	working   sync.WaitGroup // deliveries and sweeps

	mu    sync.Mutex
	queue subscription
	free  int
	asked []announce.Message
	n     numbers
	fault error // something that no outage explains
}

// numbers are counts of a step, the messages that wait at its end, and the greatest age of
// an accepted report.
type numbers struct {
	pushes, calls, accepted, expired, reads, writes, stale int
	waiting                                                int
	oldest                                                 time.Duration
}

func (o *outage) newInstance() (*instance, error) {
	const shards = 16 // the sweep works on one, which has all customers of the instance
	c := &carrying{customers: o.customers / o.instances * shards, shards: shards, databaseWrites: databaseWrites * shards / o.instances,
		period: time.Minute, lwa: 200 * time.Millisecond, write: 15 * time.Millisecond, query: 50 * time.Millisecond}
	s, err := c.newShard()
	if err != nil {
		return nil, err
	}
	w := &instance{outage: o, shard: s, gateway: &remote{takes: o.takes, status: http.StatusAccepted}, free: slots}
	announcer := &announce.Announcer{Store: s.store, Topic: w, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	source := s.sweeper.Tokens.(*access.Source)
	s.sweeper.Announce, source.Announce = announcer, announcer
	base := &url.URL{Scheme: "http", Host: "gateway.test"}
	w.deliverer = delivery.New(delivery.Options{
		Skill: skill, Store: s.store, Customers: grantcache.New(s.store, 10_000, time.Now), Tokens: source, Announcer: announcer,
		Gateways:    map[alexa.Region]delivery.Gateway{region: alexagateway.New(region, base, &http.Client{Transport: w.gateway})},
		MaxEventAge: 5 * time.Minute, Draw: rand.Float64, Now: time.Now,
	})
	for _, e := range s.list {
		for i := range o.endpoints {
			w.lanes = append(w.lanes, &lane{userID: e.record.UserID, endpoint: fmt.Sprint("lamp-", i)})
		}
	}
	rand.Shuffle(len(w.lanes), func(i, j int) { w.lanes[i], w.lanes[j] = w.lanes[j], w.lanes[i] })
	return w, nil
}

// take returns the counts since the last call.
func (w *instance) take() numbers {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.n
	w.n = numbers{}
	n.reads, n.writes = w.store.taken()
	n.calls, n.waiting = w.gateway.taken(), w.queue.held
	return n
}

// Publish publishes to the grant-events topic.
func (w *instance) Publish(_ context.Context, data []byte, _ map[string]string) error {
	var m announce.Message
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, m)
	w.n.stale++
	if m.Type != grant.Stale {
		w.fault = fmt.Errorf("grant event %s of %s", m.Type, m.UserID)
	}
	return nil
}

// report has the maker publish a report.
func (w *instance) report(l *lane, cause string) {
	w.published++
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.put(l, push.Message{
		ID: fmt.Sprint("m-", w.published), PublishTime: time.Now(), OrderingKey: l.userID + "/" + l.endpoint,
		Data: fmt.Appendf(nil, `{"userId":%q,"endpointId":%q,"cause":%q,"changed":[
			{"namespace":"Alexa.BrightnessController","name":"brightness","value":%d}]}`, l.userID, l.endpoint, cause, w.published%100),
	})
}

// obey has the maker report again what it was asked for.
func (w *instance) obey() {
	w.mu.Lock()
	asked := w.asked
	w.asked = nil
	w.mu.Unlock()
	if len(asked) == 0 {
		return
	}
	wanted := make(map[string]bool, len(asked)) // the endpoints of a request, or all
	for _, m := range asked {
		for _, endpoint := range m.EndpointIDs {
			wanted[m.UserID+"/"+endpoint] = true
		}
		wanted[m.UserID] = wanted[m.UserID] || len(m.EndpointIDs) == 0
	}
	for _, l := range w.lanes {
		if wanted[l.userID] || wanted[l.userID+"/"+l.endpoint] {
			l.asked++
			w.report(l, "PERIODIC_POLL")
		}
	}
}

// pass lets time pass.
func (w *instance) pass(during time.Duration) {
	for end := time.Now().Add(during); time.Now().Before(end); {
		next := time.After(time.Second / ticks)
		for range w.rate / w.instances / ticks {
			w.report(w.lanes[w.published%len(w.lanes)], "PHYSICAL_INTERACTION")
		}
		w.obey()
		w.mu.Lock()
		for w.free > 0 {
			l := w.queue.next()
			if l == nil {
				break
			}
			w.free--
			w.n.pushes++
			m := l.messages[0]
			w.working.Go(func() { w.push(l, m) })
		}
		w.mu.Unlock()
		if now := time.Now(); now.Unix()%60 == 0 && now.Nanosecond() < int(time.Second/ticks) {
			w.working.Go(w.sweep)
		}
		<-next
	}
}

func (w *instance) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), 55*time.Second)
	defer cancel()
	if _, err := w.sweeper.Sweep(ctx, w.buckets); err != nil { // the table shows what it has not done
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fault = err
	}
}

// push delivers the first message of a lane.
func (w *instance) push(l *lane, m push.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), handlerTime)
	defer cancel()
	acknowledged := true
	results := w.deliverer.Deliver(ctx, m)
	age := time.Since(m.PublishTime)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range results {
		acknowledged = acknowledged && r.Decision != delivery.Retry
		switch r.Name {
		case delivery.Accepted:
			w.n.accepted++
			w.n.oldest, l.lost = max(w.n.oldest, age), false
		case delivery.Expired:
			w.n.expired++
			l.lost = true
		case delivery.Redeliver, delivery.Duplicate:
		default:
			w.fault = fmt.Errorf("%s: %s: %w", m.OrderingKey, r.Name, r.Err)
		}
	}
	w.free++
	w.queue.done(l, acknowledged)
}

// lane is the messages of one ordering key, oldest first.
type lane struct {
	userID, endpoint string
	messages         []push.Message
	at               time.Time // when the first may be pushed
	lost             bool      // the last report that ended has expired
	asked            int       // how often its report was asked for
}

// subscription is Pub/Sub with ordering keys: one message of a key is out at a time, and
// a failed one is pushed again after a growing pause.
type subscription struct {
	held int         // messages
	due  lanesByTime // lanes with messages, of which none is out
}

func (q *subscription) put(l *lane, m push.Message) {
	q.held++
	if l.messages = append(l.messages, m); len(l.messages) == 1 {
		l.at = m.PublishTime
		heap.Push(&q.due, l)
	}
}

// next returns the lane whose first message has waited longest, nil if none is to be
// pushed now.
func (q *subscription) next() *lane {
	if len(q.due) == 0 || q.due[0].at.After(time.Now()) {
		return nil
	}
	l := heap.Pop(&q.due).(*lane)
	l.messages[0].Attempt++
	return l
}

// done returns a lane after the delivery of its first message.
func (q *subscription) done(l *lane, acknowledged bool) {
	l.at = time.Now()
	if acknowledged {
		l.messages = l.messages[1:]
		q.held--
	} else {
		l.at = l.at.Add(min(firstPause<<min(l.messages[0].Attempt-1, 8), lastPause))
	}
	if len(l.messages) > 0 {
		heap.Push(&q.due, l)
	}
}

// lanesByTime implements [heap.Interface].
type lanesByTime []*lane

func (h lanesByTime) Len() int           { return len(h) }
func (h lanesByTime) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h lanesByTime) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lanesByTime) Push(l any)        { *h = append(*h, l.(*lane)) }
func (h *lanesByTime) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
