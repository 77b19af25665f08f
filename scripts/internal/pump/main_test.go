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

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// patience is when a test gives up. Nothing waits for it to pass.
const patience = 30 * time.Second

// broker is a Pub/Sub server and a project of its own in it.
type broker struct {
	t       *testing.T
	client  *pubsub.Client
	project string
	server  *pstest.Server // nil if it is another kind
}

// newBroker starts a pstest server.
func newBroker(t *testing.T) *broker {
	t.Helper()
	server := pstest.NewServerWithAddress("127.0.0.1:0")
	t.Cleanup(func() { _ = server.Close() })
	b := connect(t, server.Addr)
	b.server = server
	return b
}

// newEmulator uses the emulator.
func newEmulator(t *testing.T) *broker {
	t.Helper()
	return connect(t, emulator.PubSub(t))
}

// connect makes a client of the server at an address.
func connect(t *testing.T, address string) *broker {
	t.Helper()
	project := emulator.Project()
	client, err := pubsub.NewClient(t.Context(), project, option.WithEndpoint(address),
		option.WithoutAuthentication(), option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &broker{t: t, client: client, project: "projects/" + project}
}

// topic creates a topic and returns its name.
func (b *broker) topic(id string) string {
	b.t.Helper()
	topic, err := b.client.TopicAdminClient.CreateTopic(b.t.Context(), &pubsubpb.Topic{Name: b.project + "/topics/" + id})
	if err != nil {
		b.t.Fatal(err)
	}
	return topic.GetName()
}

// subscription creates a subscription and returns its name. It is ordered, and
// has a dead-letter policy if dead is not empty.
func (b *broker) subscription(id, topic, dead string) string {
	b.t.Helper()
	return b.create(&pubsubpb.Subscription{Name: b.project + "/subscriptions/" + id, Topic: topic, EnableMessageOrdering: true}, dead)
}

// unordered is subscription for one that is not.
func (b *broker) unordered(id, topic, dead string) string {
	b.t.Helper()
	return b.create(&pubsubpb.Subscription{Name: b.project + "/subscriptions/" + id, Topic: topic}, dead)
}

// attempts is how often a message is delivered before it is a dead letter.
const attempts = 10

func (b *broker) create(wanted *pubsubpb.Subscription, dead string) string {
	b.t.Helper()
	wanted.AckDeadlineSeconds = 60
	if dead != "" {
		wanted.DeadLetterPolicy = &pubsubpb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: attempts}
	}
	if _, err := b.client.SubscriptionAdminClient.CreateSubscription(b.t.Context(), wanted); err != nil {
		b.t.Fatal(err)
	}
	return wanted.GetName()
}

// publish publishes messages with their texts for data, in order, and returns
// their ids.
func (b *broker) publish(topic, key string, texts ...string) []string {
	b.t.Helper()
	request := &pubsubpb.PublishRequest{Topic: topic}
	for _, text := range texts {
		request.Messages = append(request.Messages, &pubsubpb.PubsubMessage{
			Data: []byte(text), OrderingKey: key, Attributes: map[string]string{"region": "EU"},
		})
	}
	response, err := b.client.TopicAdminClient.Publish(b.t.Context(), request)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.GetMessageIds()
}

// pump returns a pump whose waits take no time.
func (b *broker) pump(subscription, endpoint string) *pump.Pump {
	return &pump.Pump{
		Client: b.client.SubscriptionAdminClient, Subscription: subscription,
		HTTP: http.DefaultClient, Endpoint: endpoint, Concurrency: 8, AckDeadline: 10 * patience,
		MinBackoff: time.Second, MaxBackoff: 10 * time.Second, Grace: patience,
		Now: time.Now, Wait: func(context.Context, time.Duration) {},
	}
}

// started is a pump that runs.
type started struct {
	t     *testing.T
	end   context.CancelFunc
	ended chan struct{}
	rest  pump.Rest
	err   error
}

// start runs a pump until the test stops it, or ends.
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

// stop ends the pump and returns what became of what it held.
func (s *started) stop() pump.Rest {
	s.t.Helper()
	s.end()
	receive(s.t, s.ended, "the pump to end")
	if s.err != nil {
		s.t.Errorf("Run() = %v", s.err)
	}
	return s.rest
}

// receive returns the next value of a channel, the zero value of a closed one.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("not reached")
	}
}

// posted is one request that an endpoint got.
type posted struct {
	push.Message
	header http.Header
	raw    map[string]any
}

// text is the data.
func (p posted) text() string { return string(p.Data) }

// endpoint serves answer and reports each request when it has arrived.
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
		case <-r.Context().Done(): // the test has failed, and reads no more
		}
		answer(w, r, p)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// accept answers 204.
func accept(w http.ResponseWriter, _ *http.Request, _ posted) { w.WriteHeader(http.StatusNoContent) }

// failing answers 503 to the first n requests for a text, and then 204.
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

// texts returns the data of the next n requests.
func texts(t *testing.T, arrived <-chan posted, n int) []string {
	t.Helper()
	var got []string
	for range n {
		got = append(got, receive(t, arrived, "a request").text())
	}
	return got
}
