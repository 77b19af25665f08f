package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
	"github.com/gatepostdev/gatepost/shared/transport"
)

const (
	// startTime bounds the start. It takes a tenth of a second, and some with
	// emulators.
	startTime = 10 * time.Second
	// concurrency is how many requests a pump makes in parallel.
	concurrency = 80
	// minBackoff and maxBackoff are short for the user who watches; a deployment waits
	// from 5 to 60 seconds.
	minBackoff, maxBackoff = time.Second, 10 * time.Second
	// grace is how long events in flight may take after a signal: longer than a call
	// of the event gateway.
	grace = 8 * time.Second
)

// stack is everything that runs.
type stack struct {
	command Command
	screen  *screen
	client  *http.Client

	sim       *simulator.Simulator
	amazon    *simulator.Server
	broker    *broker
	maker     *maker
	functions string // base URL
	host      *handler.Group

	work sync.WaitGroup // the pumps and the scheduler
	end  context.CancelFunc
	fail func(error) // is called when a part fails
	rest pump.Rest   // of the device events in flight at the end

	// Deliveries for the demonstration, until over is closed.
	events, shards chan pump.Delivery
	over           chan struct{}
}

// start starts everything. It calls fail if a part fails later. Parts that run after an
// error end with the process.
func start(c Command, sim *simulator.Simulator, stdout, stderr io.Writer, fail func(error)) (*stack, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	s := &stack{
		command: c, screen: &screen{w: stdout}, client: transport.NewClient(concurrency), sim: sim,
		fail: fail, events: make(chan pump.Delivery), shards: make(chan pump.Delivery), over: make(chan struct{}),
	}
	var err error
	if s.broker, err = openBroker(ctx, c.Project); err != nil {
		return nil, err
	}
	if s.amazon, err = simulator.StartOn(sim, c.addresses()); err != nil {
		return nil, err
	}
	if s.maker, err = startMaker(address(c.MakerPort), s.broker.client, s.screen, fail); err != nil {
		return nil, err
	}
	env, err := settings(ctx, c.Project, s.amazon)
	if err != nil {
		return nil, err
	}
	if s.functions, s.host, err = serveFunctions(ctx, c, env, logger(c, s.screen, stderr), fail); err != nil {
		return nil, err
	}
	s.startWork()
	s.introduce()
	return s, nil
}

// addresses returns the addresses of the simulator.
func (c Command) addresses() simulator.Addresses {
	gateway := func(n int) string {
		if c.SimulatorPort == 0 {
			return address(0)
		}
		return address(c.SimulatorPort + n)
	}
	return simulator.Addresses{LWA: address(c.SimulatorPort), NA: gateway(1), EU: gateway(2), FE: gateway(3)}
}

// startWork starts the pumps and the scheduler.
func (s *stack) startWork() {
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	s.push(ctx, deviceEvents, s.functions+"/SendEvent", s.sent, func(rest pump.Rest) { s.rest = rest })
	s.push(ctx, refresh, s.functions+"/RefreshShard", s.swept, nil)
	s.push(ctx, grantEvents, s.maker.url+"/grant-events", nil, nil)
	s.push(ctx, deadLetters, s.maker.url+"/dead-letters", nil, nil)
	s.work.Go(func() {
		schedule(ctx, sweep.DefaultPeriod, func(ctx context.Context) {
			if _, err := s.post(ctx, s.functions+"/RefreshTokens", nil, nil); err != nil {
				s.screen.row("sweep", 0, "could not be started: %v", err)
			}
		})
	})
}

// push starts a pump that delivers a subscription's messages until ctx ends. Then it
// calls ended, if that is not nil, with the result of those in flight.
func (s *stack) push(ctx context.Context, subscription, endpoint string, observe func(pump.Delivery), ended func(pump.Rest)) {
	p := &pump.Pump{
		Client: s.broker.client.SubscriptionAdminClient, Subscription: s.broker.subscription(subscription),
		HTTP: s.client, Endpoint: endpoint, Concurrency: concurrency, AckDeadline: ackDeadline * time.Second,
		MinBackoff: minBackoff, MaxBackoff: maxBackoff, Grace: grace, Observe: observe, Now: time.Now,
	}
	s.work.Go(func() {
		rest, err := p.Run(ctx)
		if err != nil {
			s.fail(err)
		}
		if ended != nil {
			ended(rest)
		}
	})
}

// post makes a request and returns the answer. A status other than 200 is an error.
func (s *stack) post(ctx context.Context, url string, header map[string]string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d: %s", request.URL.Path, response.StatusCode, answer)
	}
	return answer, err
}

// stop stops everything, in an order that loses nothing: the callers of the functions,
// the functions, and then their dependencies.
func (s *stack) stop() {
	s.end()
	s.work.Wait()
	drained := s.host.Drain()
	s.maker.close()
	_ = s.amazon.Close() // no client is left
	s.broker.close()
	s.screen.print("\nStopped with %s.\n", s.restInWords(drained))
}

// restInWords describes the result of the device events that were in flight.
func (s *stack) restInWords(drained bool) string {
	text := "no event in flight"
	if n := s.rest.Acknowledged + s.rest.HandedBack; n > 0 {
		text = fmt.Sprintf("%s in flight: %d acknowledged, %d returned to Pub/Sub", count(n, "event"), s.rest.Acknowledged, s.rest.HandedBack)
	}
	if s.rest.HandedBack > 0 && s.broker.server != nil {
		text += " (which ends with this process)"
	}
	if !drained {
		text += "; other requests were cut off"
	}
	return text
}
