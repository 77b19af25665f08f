package pump

import (
	"context"
	"net/http"
	"sync"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// Pump delivers the messages of one subscription to one endpoint. All fields
// but Observe and Wait are required.
type Pump struct {
	Client       *pubsub.SubscriptionAdminClient
	Subscription string // full name of a pull subscription: projects/P/subscriptions/S

	HTTP        *http.Client  // must follow no redirects: they are no acknowledgement
	Endpoint    string        // URL
	Concurrency int           // requests at a time
	AckDeadline time.Duration // how long an answer may take, at most five minutes

	MinBackoff, MaxBackoff time.Duration // the wait after a failure; at most five minutes
	// Grace is how long requests that are under way when Run's context ends may
	// go on. After it they are cancelled and their messages handed back.
	Grace time.Duration

	// Observe is told of every request: of one that was acknowledged after
	// Pub/Sub knows, of another before the wait. It is called from many
	// goroutines at once, and the message is not done with before it returns.
	Observe func(Delivery)

	Now func() time.Time
	// Wait lets d pass, or returns when ctx ends; a timer does if it is nil.
	Wait func(ctx context.Context, d time.Duration)
}

// Delivery is one request and its answer.
type Delivery struct {
	Message      push.Message
	Status       int    // 0 when there was no answer
	Body         []byte // of the answer, 64 KiB at most
	Err          error  // why there was no answer, or why it could not be passed on to Pub/Sub
	Acknowledged bool
	Took         time.Duration // until the answer
	Backoff      time.Duration // before Pub/Sub may deliver the message again
}

// Rest is what became of the messages that the pump held when it was told to
// end.
type Rest struct {
	Acknowledged int
	HandedBack   int // Pub/Sub delivers them again, to the next that asks
}

// Run delivers until ctx ends. Then it takes no more messages, waits for the
// requests that are under way, no longer than Grace, and hands back all
// messages that were not acknowledged. It returns an error if it cannot pull.
func (p *Pump) Run(ctx context.Context) (Rest, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	posting, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	context.AfterFunc(ctx, func() {
		select {
		case <-time.After(p.Grace):
			cut()
		case <-posting.Done():
		}
	})
	r := &run{
		Pump: p, ctx: ctx, posting: posting, slots: make(chan struct{}, p.Concurrency),
		lanes: make(map[string][]*pubsubpb.ReceivedMessage), failures: make(map[string]int),
	}
	err := r.pull()
	end()
	r.workers.Wait()
	return r.rest, err
}

// run is a Pump at work. The contexts are here, and not handed from function
// to function, because there are two and each goroutine needs both.
type run struct {
	*Pump
	ctx     context.Context // ends when no request may be begun any more
	posting context.Context // ends when those under way have had their time
	slots   chan struct{}   // holds one element for each request under way
	workers sync.WaitGroup

	mu       sync.Mutex
	lanes    map[string][]*pubsubpb.ReceivedMessage // what waits for its predecessor, by ordering key
	failures map[string]int                         // by message id, where Pub/Sub does not count
	rest     Rest
}

// wait lets d pass unless the pump ends.
func (r *run) wait(d time.Duration) {
	if r.Wait != nil {
		r.Wait(r.ctx, d)
		return
	}
	_ = wait.For(r.ctx, d) // how it ended is the caller's to see
}

// take begins to deliver a message, or lets it wait for those of the same key
// that came before.
func (r *run) take(m *pubsubpb.ReceivedMessage) {
	key := m.GetMessage().GetOrderingKey()
	if key == "" {
		r.workers.Go(func() {
			if !r.deliver(m) {
				r.handBack(m)
			}
		})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting, busy := r.lanes[key]; busy {
		r.lanes[key] = append(waiting, m)
		return
	}
	r.lanes[key] = nil // busy, and nothing waits
	r.workers.Go(func() { r.lane(key, m) })
}

// lane delivers a message and then what waits for it. After a failure the
// whole lane goes back, so that Pub/Sub sends it again from there in order.
func (r *run) lane(key string, m *pubsubpb.ReceivedMessage) {
	for m != nil {
		if !r.deliver(m) {
			r.handBack(append([]*pubsubpb.ReceivedMessage{m}, r.clear(key)...)...)
			return
		}
		m = r.next(key)
	}
}

// next takes the next message out of a lane. The lane is gone with its last.
func (r *run) next(key string) *pubsubpb.ReceivedMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.lanes[key]
	if len(waiting) == 0 {
		delete(r.lanes, key)
		return nil
	}
	r.lanes[key] = waiting[1:]
	return waiting[0]
}

// clear removes a lane and returns what waited in it.
func (r *run) clear(key string) []*pubsubpb.ReceivedMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.lanes[key]
	delete(r.lanes, key)
	return waiting
}
