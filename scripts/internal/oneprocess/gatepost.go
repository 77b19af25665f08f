package oneprocess

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/functions"
	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// concurrency is how many requests a pump makes in parallel.
const concurrency = 80

// Options say how to run Gatepost. Project and Amazon are required. Addresses are on
// the loopback interface, with free ports if they are empty.
type Options struct {
	Project string // in Pub/Sub and in traces
	Amazon  *simulator.Simulator
	Store   grant.Store       // in memory if nil
	Env     map[string]string // of the functions, instead of the usual

	SimulatorAt  simulator.Addresses
	FunctionsAt  string
	PubSubAt     string
	PubSubServer string // address of an emulator, which is used instead of a Pub/Sub in memory
	Run          string // in an emulator, names subscriptions of this run, which are deleted at the end

	// MinBackoff and MaxBackoff are how long Pub/Sub waits before it redelivers.
	MinBackoff, MaxBackoff time.Duration
	SweepEvery             time.Duration // zero for none but those of Sweep
	Grace                  time.Duration // that events in flight have at the end

	Log slog.Handler // of the functions; nil to discard
	// The functions that follow are called for each element of a feed, one at a time. They
	// must not use the feed, and may be nil.
	OnLine       func(Line)
	OnGrantEvent func(push.Message)
	OnDeadLetter func(push.Message)
	// OnFailure is called if a part fails after the start.
	OnFailure func(error)
}

// Gatepost is a running Gatepost. Make one with [Start].
type Gatepost struct {
	URL    string // of the functions: append "/AcceptGrant"
	Amazon *simulator.Server
	Broker *Broker

	Lines       *Feed[Line]
	GrantEvents *Feed[push.Message]
	DeadLetters *Feed[push.Message]

	options   Options
	client    *http.Client
	publisher *pubsub.Publisher
	functions *functions.Built
	server    *http.Server
	settled   *Feed[string] // ids of device events that are acknowledged

	serving sync.WaitGroup // the server
	work    sync.WaitGroup // the pumps and the scheduler
	end     context.CancelFunc
	events  pump.Rest // of the device events in flight at the end
}

// Start starts a Gatepost, which is ready to serve. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Gatepost, error) {
	if o.Log == nil {
		o.Log = slog.DiscardHandler
	}
	if o.OnFailure == nil {
		o.OnFailure = func(error) {}
	}
	g := &Gatepost{
		options: o, client: transport.NewClient(concurrency),
		settled: newFeed[string](nil), Lines: newFeed(o.OnLine), GrantEvents: newFeed(o.OnGrantEvent), DeadLetters: newFeed(o.OnDeadLetter),
	}
	if err := g.start(ctx); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *Gatepost) start(ctx context.Context) (err error) {
	o := g.options
	if g.Broker, err = openBroker(ctx, o); err != nil {
		return err
	}
	g.publisher = g.Broker.client.Publisher(DeviceEvents)
	g.publisher.EnableMessageOrdering = true
	g.publisher.PublishSettings.DelayThreshold = time.Millisecond // the callers wait for each message
	g.publisher.PublishSettings.Timeout = 10 * time.Second
	if g.Amazon, err = simulator.StartOn(o.Amazon, o.SimulatorAt); err != nil {
		return err
	}
	env, err := environment(o, g.Amazon, g.Broker.topic(refresh))
	if err != nil {
		return err
	}
	log := slog.New(observer{Handler: o.Log, add: func(l Line) {
		l.Backoff = g.backoff(l)
		g.Lines.add(l)
	}})
	g.functions, err = functions.Build(env, log, functions.Parts{Store: o.Store, PubSub: Emulator(g.Broker.Address)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cmp.Or(o.FunctionsAt, anyPort))
	if err != nil {
		return fmt.Errorf("serving the functions: %w", err)
	}
	g.serve(listener)
	g.startWork()
	return nil
}

// anyPort is the address of a free port.
const anyPort = "127.0.0.1:0"

// environment returns the environment of the functions. It does not contain the
// environment of this process, because a variable that is set for a deployment must not
// lead here.
func environment(o Options, amazon *simulator.Server, refreshTopic string) (map[string]string, error) {
	client := simulator.DefaultClient()
	credentials, err := json.Marshal(map[string]string{"client_id": client.ID, "client_secret": client.Secret.Reveal()})
	if err != nil {
		return nil, err
	}
	env := map[string]string{
		"ALEXA_REGIONS":        "NA,EU,FE",
		"GOOGLE_CLOUD_PROJECT": o.Project,
		"GRANT_EVENTS_TOPIC":   GrantEvents,
		"DEAD_LETTER_TOPIC":    DeadLetters,
		"REFRESH_TOPIC":        refreshTopic,
		"GRANTEE_RESOLVER":     "userinfo:" + amazon.UserInfoURL,
		"LWA_CREDENTIALS":      "env:SIMULATOR_CLIENT",
		"SIMULATOR_CLIENT":     string(credentials),
		"GRANT_STORE":          "memory",
	}
	maps.Copy(env, amazon.Env())
	maps.Copy(env, o.Env)
	return env, nil
}

// serve serves each function at the path of its name, and the two feeds of messages.
func (g *Gatepost) serve(listener net.Listener) {
	mux := http.NewServeMux()
	for name, handle := range g.functions.Handlers {
		mux.Handle("/"+name, notePushed(handle))
	}
	mux.Handle("POST /"+GrantEvents, collect(g.GrantEvents))
	mux.Handle("POST /"+DeadLetters, collect(g.DeadLetters))
	g.URL = "http://" + listener.Addr().String()
	g.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	g.serving.Go(func() {
		if err := g.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			g.options.OnFailure(fmt.Errorf("serving the functions: %w", err))
		}
	})
}

// startWork starts the pumps and the scheduler.
func (g *Gatepost) startWork() {
	ctx, end := context.WithCancel(context.Background())
	g.end = end
	g.push(ctx, DeviceEvents, "SendEvent", &g.events, func(d pump.Delivery) {
		if d.Acknowledged {
			g.settled.add(d.Message.ID)
		}
	})
	g.push(ctx, refresh, "RefreshShard", new(pump.Rest), nil)
	g.push(ctx, GrantEvents, GrantEvents, new(pump.Rest), nil)
	g.push(ctx, watchedLetters, DeadLetters, new(pump.Rest), nil)
	if g.options.SweepEvery > 0 {
		g.work.Go(func() { schedule(ctx, g.options.SweepEvery, func(ctx context.Context) { _, _ = g.startSweep(ctx) }) })
	}
}

// push starts to deliver a subscription's messages to a path until ctx ends. Then it sets
// rest.
func (g *Gatepost) push(ctx context.Context, subscription, path string, rest *pump.Rest, observe func(pump.Delivery)) {
	p := &pump.Pump{
		Client: g.Broker.client.SubscriptionAdminClient, Subscription: g.Broker.subscription(subscription),
		HTTP: g.client, Endpoint: g.URL + "/" + path, Concurrency: concurrency, AckDeadline: ackDeadline * time.Second,
		MinBackoff: g.options.MinBackoff, MaxBackoff: g.options.MaxBackoff, Grace: g.options.Grace, Observe: observe, Now: time.Now,
	}
	g.work.Go(func() {
		var err error
		if *rest, err = p.Run(ctx); err != nil {
			g.options.OnFailure(err)
		}
	})
}

func (g *Gatepost) backoff(l Line) time.Duration {
	if l.Pushed == nil || l.Pushed.Subscription != g.Broker.subscription(DeviceEvents) {
		return 0
	}
	p := pump.Pump{MinBackoff: g.options.MinBackoff, MaxBackoff: g.options.MaxBackoff}
	return p.Backoff(l.Pushed.Attempt)
}

// collect returns the handler of a push subscription whose messages are added to a feed.
func collect(feed *Feed[push.Message]) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			var m push.Message
			if m, err = push.Decode(body); err == nil {
				feed.add(m)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// schedule calls do once in every period until ctx ends, like Cloud Scheduler.
func schedule(ctx context.Context, period time.Duration, do func(context.Context)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// Rest is what became of the work in flight at the end.
type Rest struct {
	Acknowledged, HandedBack int  // device events
	Drained                  bool // no other request was cut off
}

// Stop stops everything, in an order that loses nothing: what pushes to the functions,
// the functions, and then their dependencies.
func (g *Gatepost) Stop() Rest {
	drained := g.close()
	return Rest{g.events.Acknowledged, g.events.HandedBack, drained}
}

// close stops what runs.
func (g *Gatepost) close() (drained bool) {
	if g.server != nil {
		g.end()
		g.work.Wait()
	}
	if g.functions != nil {
		drained = g.functions.Drain()
	}
	if g.server != nil {
		_ = g.server.Close() // nothing is in flight, or it was cut off
		g.serving.Wait()
	}
	if g.functions != nil {
		_ = g.functions.Close()
	}
	if g.Amazon != nil {
		_ = g.Amazon.Close() // no client is left
	}
	if g.Broker != nil {
		g.publisher.Stop()
		g.Broker.close()
	}
	return drained
}
