// Package cloud is a Google Cloud project in the Firestore and Pub/Sub emulators,
// for tests: databases, topics, subscriptions and received messages.
package cloud

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"testing"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// Project is a test's own project.
type Project struct {
	ID                        string
	FirestoreHost, PubSubHost string // host:port
	PubSub                    *pubsub.Client
}

// New returns a new project. The test is skipped without emulators, see package
// emulator.
func New(t *testing.T) *Project {
	t.Helper()
	p := At(t, emulator.PubSub(t))
	p.FirestoreHost = emulator.Firestore(t)
	return p
}

// At returns a new project of a Pub/Sub server, without databases.
func At(t *testing.T, pubSubHost string) *Project {
	t.Helper()
	p := &Project{ID: emulator.Project(), PubSubHost: pubSubHost}
	client, err := pubsub.NewClient(t.Context(), p.ID, Dial(t, p.PubSubHost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	p.PubSub = client
	return p
}

// Fake starts Google's fake of Pub/Sub in this process.
func Fake(t *testing.T, o ...pstest.ServerReactorOption) *pstest.Server {
	t.Helper()
	server := pstest.NewServerWithAddress("127.0.0.1:0", o...)
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// Serve serves an API on the loopback interface until the test ends, and returns its
// address.
func Serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	return listener.Addr().String()
}

// Dial connects to an emulator. The client libraries would read its address from
// environment variables, which all tests share.
func Dial(t *testing.T, host string, o ...grpc.DialOption) option.ClientOption {
	t.Helper()
	conn, err := grpc.NewClient(host, append(o, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return option.WithGRPCConn(conn)
}

// Calls returns the options of a connection that calls called with the method of each call.
func Calls(called func(method string)) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(
			ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			called(method)
			return invoke(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			called(method)
			return stream(ctx, desc, cc, method, opts...)
		}),
	}
}

// Database returns a client of a database, which the emulator creates at its first
// use.
func (p *Project) Database(t *testing.T, id string, o ...grpc.DialOption) *firestore.Client {
	t.Helper()
	client, err := firestore.NewClientWithDatabase(t.Context(), p.ID, id, Dial(t, p.FirestoreHost, o...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (p *Project) topicName(id string) string {
	return fmt.Sprintf("projects/%s/topics/%s", p.ID, id)
}

// CreateTopic creates topics.
func (p *Project) CreateTopic(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if _, err := p.PubSub.TopicAdminClient.CreateTopic(testkit.Context(t), &pubsubpb.Topic{Name: p.topicName(id)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Subscribe adds a subscription, whose name is an id, to a topic. It is deleted
// after the test, so that an emulator that keeps running stops pushing.
func (p *Project) Subscribe(t *testing.T, topic string, s *pubsubpb.Subscription) {
	t.Helper()
	s.Name = fmt.Sprintf("projects/%s/subscriptions/%s", p.ID, s.Name)
	s.Topic = p.topicName(topic)
	s.AckDeadlineSeconds = 60
	if _, err := p.PubSub.SubscriptionAdminClient.CreateSubscription(testkit.Context(t), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), testkit.Patience)
		defer cancel()
		request := &pubsubpb.DeleteSubscriptionRequest{Subscription: s.Name}
		if err := p.PubSub.SubscriptionAdminClient.DeleteSubscription(ctx, request); err != nil {
			t.Error(err)
		}
	})
}

// Pull collects the messages that a topic gets from now on.
func (p *Project) Pull(t *testing.T, topic string) *Inbox {
	t.Helper()
	name := topic + "-inbox"
	p.Subscribe(t, topic, &pubsubpb.Subscription{Name: name})
	box := &Inbox{publisher: p.PubSub.Publisher(topic), more: make(chan struct{})}
	t.Cleanup(box.publisher.Stop)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- p.PubSub.Subscriber(name).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			m.Ack()
			box.put(m)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("receiving from %s: %v", topic, err)
		}
	})
	return box
}

// Inbox collects the messages of a topic.
type Inbox struct {
	publisher *pubsub.Publisher

	mu       sync.Mutex
	messages []*pubsub.Message
	more     chan struct{} // closed and replaced at each message
}

func (b *Inbox) put(m *pubsub.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, m)
	close(b.more)
	b.more = make(chan struct{})
}

// Find returns the matching messages in order of arrival, and a channel that is
// closed when there are more.
func (b *Inbox) Find(match func(*pubsub.Message) bool) ([]*pubsub.Message, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*pubsub.Message
	for _, m := range b.messages {
		if m.Attributes[marker] == "" && match(m) {
			found = append(found, m)
		}
	}
	return found, b.more
}

// marker is the attribute of Wait's own messages.
const marker = "marker"

// Wait waits for n matching messages, and until all that were published before the
// call have arrived, and returns the matching ones.
func (b *Inbox) Wait(t *testing.T, n int, match func(*pubsub.Message) bool) []*pubsub.Message {
	t.Helper()
	// The emulator keeps the order, so an extra message arrives before the
	// marker; the test does not need that to pass.
	last := rand.Text()
	ctx := testkit.Context(t)
	message := &pubsub.Message{Data: []byte("{}"), Attributes: map[string]string{marker: last}}
	if _, err := b.publisher.Publish(ctx, message).Get(ctx); err != nil {
		t.Fatal(err)
	}
	for {
		found, more := b.Find(match)
		if len(found) >= n && b.has(last) {
			return found
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%d of %d messages arrived", len(found), n)
		}
	}
}

func (b *Inbox) has(last string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.Attributes[marker] == last {
			return true
		}
	}
	return false
}
