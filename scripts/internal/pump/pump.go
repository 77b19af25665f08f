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
	Concurrency int           // requests in parallel
	AckDeadline time.Duration // how long an answer may take, at most five minutes

	MinBackoff, MaxBackoff time.Duration // the wait after a failure; at most five minutes
	// Grace is how long requests in flight at the end of Run's context may continue.
	// After it they are cancelled, and their messages returned to Pub/Sub.
	Grace time.Duration

	// Observe is called after every request: after the acknowledgement, or before the
	// back-off. It is called from many goroutines at once. The pump goes on with the
	// message when it returns.
	Observe func(Delivery)

	Now func() time.Time
	// Wait waits for d, or until ctx ends. If it is nil a timer is used.
	Wait func(ctx context.Context, d time.Duration)
}

// Delivery is one request and its answer.
type Delivery struct {
	Message      push.Message
	Status       int    // 0 when there was no answer
	Body         []byte // of the answer, 64 KiB at most
	Err          error  // why there was no answer, or why the acknowledgement failed
	Acknowledged bool
	Took         time.Duration // until the answer
	Backoff      time.Duration // before Pub/Sub may redeliver the message
}

// Rest counts the messages that the pump held when its context ended.
type Rest struct {
	Acknowledged int
	HandedBack   int // Pub/Sub redelivers them
}

// Run delivers until ctx ends. Then it takes no more messages, waits for the requests in
// flight, no longer than Grace, and returns all unacknowledged messages to Pub/Sub. It
// returns an error if it cannot pull.
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

// run is one run of a Pump. It holds the contexts, because there are two and each
// goroutine needs both.
type run struct {
	*Pump
	ctx     context.Context // ends when no request may begin any more
	posting context.Context // ends when requests in flight are cancelled
	slots   chan struct{}   // holds one element for each request in flight
	workers sync.WaitGroup

	mu       sync.Mutex
	lanes    map[string][]*pubsubpb.ReceivedMessage // queued messages by ordering key
	failures map[string]int                         // by message id, if Pub/Sub does not count
	rest     Rest
}

// wait waits for d, or until the pump ends.
func (r *run) wait(d time.Duration) {
	if r.Wait != nil {
		r.Wait(r.ctx, d)
		return
	}
	_ = wait.For(r.ctx, d) // the caller checks the context
}

// take begins to deliver a message, or queues it behind earlier ones of the same key.
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
	r.lanes[key] = nil // busy, with an empty queue
	r.workers.Go(func() { r.lane(key, m) })
}

// lane delivers a message and then those queued behind it. After a failure the whole
// lane is returned, so that Pub/Sub redelivers it in order.
func (r *run) lane(key string, m *pubsubpb.ReceivedMessage) {
	for m != nil {
		if !r.deliver(m) {
			r.handBack(append([]*pubsubpb.ReceivedMessage{m}, r.clear(key)...)...)
			return
		}
		m = r.next(key)
	}
}

// next removes the next message from a lane and returns it. It removes an empty lane.
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

// clear removes a lane and returns its messages.
func (r *run) clear(key string) []*pubsubpb.ReceivedMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.lanes[key]
	delete(r.lanes, key)
	return waiting
}
