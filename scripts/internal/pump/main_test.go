package pump_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// broker is a new project in a Pub/Sub server.
type broker struct {
	*cloud.Project
	t *testing.T
}

func newBroker(t *testing.T, host string) *broker {
	t.Helper()
	return &broker{cloud.At(t, host), t}
}

// onBoth runs a test with Google's fake and with the emulator.
func onBoth(t *testing.T, test func(t *testing.T, b *broker)) {
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		test(t, newBroker(t, cloud.Fake(t).Addr))
	})
	t.Run("emulator", func(t *testing.T) {
		t.Parallel()
		test(t, newBroker(t, emulator.PubSub(t)))
	})
}

// topic returns a topic's full name.
func (b *broker) topic(id string) string { return "projects/" + b.ID + "/topics/" + id }

// pumpOf creates a topic and an ordered subscription, and returns a pump of it.
// With a dead-letter topic, which is created too, Pub/Sub counts attempts.
func (b *broker) pumpOf(topic, dead, endpoint string) *pump.Pump {
	b.t.Helper()
	return b.pumpFrom(&pubsubpb.Subscription{Name: topic, EnableMessageOrdering: true}, topic, dead, endpoint)
}

func (b *broker) pumpFrom(s *pubsubpb.Subscription, topic, dead, endpoint string) *pump.Pump {
	b.t.Helper()
	b.CreateTopic(b.t, topic)
	if dead != "" {
		b.CreateTopic(b.t, dead)
		s.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: b.topic(dead), MaxDeliveryAttempts: attempts}
	}
	b.Subscribe(b.t, topic, s)
	return b.pump(s.Name, endpoint)
}

// attempts is how often a message is delivered before it is dead-lettered.
const attempts = 10

// publish publishes messages with the given data in order, and returns their ids.
func (b *broker) publish(topic, key string, texts ...string) []string {
	b.t.Helper()
	request := &pubsubpb.PublishRequest{Topic: b.topic(topic)}
	for _, text := range texts {
		request.Messages = append(request.Messages, &pubsubpb.PubsubMessage{
			Data: []byte(text), OrderingKey: key, Attributes: map[string]string{"region": "EU"},
		})
	}
	response, err := b.PubSub.TopicAdminClient.Publish(b.t.Context(), request)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.GetMessageIds()
}

// pump returns a pump without waits.
func (b *broker) pump(subscription, endpoint string) *pump.Pump {
	return &pump.Pump{
		Client: b.PubSub.SubscriptionAdminClient, Subscription: subscription,
		HTTP: http.DefaultClient, Endpoint: endpoint, Concurrency: 8, AckDeadline: 10 * testkit.Patience,
		MinBackoff: time.Second, MaxBackoff: 10 * time.Second, Grace: testkit.Patience,
		Now: time.Now, Wait: func(context.Context, time.Duration) {},
	}
}

// started is a running pump.
type started struct {
	t     *testing.T
	end   context.CancelFunc
	ended chan struct{}
	rest  pump.Rest
	err   error
}

// start runs a pump until it is stopped or the test ends.
func start(t *testing.T, p *pump.Pump) *started {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	s := &started{t: t, end: end, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.rest, s.err = p.Run(ctx)
	}()
	t.Cleanup(func() { s.stop() })
	return s
}

// stop stops the pump and returns the rest of its messages.
func (s *started) stop() pump.Rest {
	s.t.Helper()
	s.end()
	receive(s.t, s.ended, "the pump to end")
	if s.err != nil {
		s.t.Errorf("Run() = %v", s.err)
	}
	return s.rest
}

// receive returns the next value of a channel, or the zero value of a closed one.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(testkit.Patience):
		t.Fatalf("no %s in time", what)
		panic("not reached")
	}
}

// posted is a request to an endpoint.
type posted struct {
	push.Message
	header http.Header
	raw    map[string]any
}

// text returns the data.
func (p posted) text() string { return string(p.Data) }

// endpoint serves answer and reports each request on its arrival.
func endpoint(t *testing.T, answer func(http.ResponseWriter, *http.Request, posted)) (url string, arrived <-chan posted) {
	t.Helper()
	requests := make(chan posted, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("%s, %v", r.Method, err)
		}
		p := posted{header: r.Header}
		if p.Message, err = push.Decode(body); err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal(body, &p.raw); err != nil {
			t.Error(err)
		}
		select {
		case requests <- p:
		case <-r.Context().Done(): // the test has failed and stopped reading
		}
		answer(w, r, p)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// accept answers 204.
func accept(w http.ResponseWriter, _ *http.Request, _ posted) { w.WriteHeader(http.StatusNoContent) }

// failing answers 503 to the first n requests with a text, and then 204.
func failing(text string, n int) func(http.ResponseWriter, *http.Request, posted) {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request, p posted) {
		mu.Lock()
		defer mu.Unlock()
		if p.text() == text && n > 0 {
			n--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		accept(w, r, p)
	}
}

// texts counts the next n requests by their data.
func texts(t *testing.T, arrived <-chan posted, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		got[receive(t, arrived, "a request").text()]++
	}
	return got
}
