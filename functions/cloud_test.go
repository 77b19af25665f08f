package functions_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/emulator"
)

// The topics that all stacks share.
const (
	deviceEventsTopic = "device-events"
	grantEventsTopic  = "grant-events"
	deadLetterTopic   = "dead-letters"
)

// cloud is a Google Cloud project in the emulators.
type cloud struct {
	project       string
	firestoreHost string
	pubsubHost    string
	pubsub        *pubsub.Client
	deviceEvents  *pubsub.Publisher
	grantEvents   *inbox
	deadLetters   *inbox
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{project: emulator.Project(), firestoreHost: emulator.Firestore(t), pubsubHost: emulator.PubSub(t)}
	client, err := pubsub.NewClient(t.Context(), c.project, dial(t, c.pubsubHost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	c.pubsub = client
	for _, topic := range []string{deviceEventsTopic, grantEventsTopic, deadLetterTopic} {
		c.createTopic(t, topic)
	}
	c.grantEvents, c.deadLetters = c.pull(t, grantEventsTopic), c.pull(t, deadLetterTopic)
	c.deviceEvents = client.Publisher(deviceEventsTopic)
	c.deviceEvents.EnableMessageOrdering = true
	c.deviceEvents.PublishSettings.DelayThreshold = time.Millisecond
	t.Cleanup(c.deviceEvents.Stop)
	return c
}

// dial connects to an emulator. The client libraries would find it by
// variables of the environment, which belong to all tests.
func dial(t *testing.T, host string) option.ClientOption {
	t.Helper()
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return option.WithGRPCConn(conn)
}

// database returns a client of a database, which the emulator makes when it is
// first used.
func (c *cloud) database(t *testing.T, id string) *firestore.Client {
	t.Helper()
	client, err := firestore.NewClientWithDatabase(t.Context(), c.project, id, dial(t, c.firestoreHost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (c *cloud) topicName(id string) string {
	return fmt.Sprintf("projects/%s/topics/%s", c.project, id)
}

func (c *cloud) createTopic(t *testing.T, id string) {
	t.Helper()
	if _, err := c.pubsub.TopicAdminClient.CreateTopic(within(t, patience), &pubsubpb.Topic{Name: c.topicName(id)}); err != nil {
		t.Fatal(err)
	}
}

// subscribe adds a subscription to a topic. It is gone when the test ends, so
// that an emulator that lives on stops pushing.
func (c *cloud) subscribe(t *testing.T, topic string, s *pubsubpb.Subscription) {
	t.Helper()
	s.Name = fmt.Sprintf("projects/%s/subscriptions/%s", c.project, s.Name)
	s.Topic = c.topicName(topic)
	if _, err := c.pubsub.SubscriptionAdminClient.CreateSubscription(within(t, patience), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := c.pubsub.SubscriptionAdminClient.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: s.Name}); err != nil {
			t.Error(err)
		}
	})
}

// push adds a push subscription. The filter is there for emulators that apply
// filters: many do not, and the tests hold either way.
func (c *cloud) push(t *testing.T, topic, name, url, filter string) {
	t.Helper()
	c.subscribe(t, topic, &pubsubpb.Subscription{
		Name: name, Filter: filter, EnableMessageOrdering: true, AckDeadlineSeconds: 60,
		PushConfig: &pubsubpb.PushConfig{PushEndpoint: url},
	})
}

// pull collects what a topic is sent.
func (c *cloud) pull(t *testing.T, topic string) *inbox {
	t.Helper()
	name := topic + "-inbox"
	c.subscribe(t, topic, &pubsubpb.Subscription{Name: name, AckDeadlineSeconds: 60})
	box := &inbox{more: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- c.pubsub.Subscriber(name).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			m.Ack()
			shown.add("topic "+topic, fmt.Sprint(string(m.Data), m.Attributes))
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

// inbox is the messages that a topic was sent.
type inbox struct {
	mu       sync.Mutex
	messages []*pubsub.Message
	more     chan struct{} // closed, and made anew, with each message
}

func (b *inbox) put(m *pubsub.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, m)
	close(b.more)
	b.more = make(chan struct{})
}

// find returns the messages that match, and a channel that is closed when
// there are more messages.
func (b *inbox) find(match func(*pubsub.Message) bool) ([]*pubsub.Message, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*pubsub.Message
	for _, m := range b.messages {
		if match(m) {
			found = append(found, m)
		}
	}
	return found, b.more
}

// wait returns when n messages match.
func (b *inbox) wait(t *testing.T, n int, what string, match func(*pubsub.Message) bool) []*pubsub.Message {
	t.Helper()
	ctx := within(t, patience)
	for {
		found, more := b.find(match)
		if len(found) >= n {
			return found
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%d of %d messages arrived: %s", len(found), n, what)
		}
	}
}
