package faults_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/emulator"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
)

// The topics.
const (
	grantEventsTopic = "grant-events"
	deadLetterTopic  = "dead-letters"
)

// cloud is a Google Cloud project in the emulators.
type cloud struct {
	project, firestoreHost, pubsubHost string

	store       *grantfire.Store
	pubsub      *pubsub.Client
	grantEvents *inbox
	deadLetters *inbox
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{project: emulator.Project(), firestoreHost: emulator.Firestore(t), pubsubHost: emulator.PubSub(t)}
	database, err := firestore.NewClient(t.Context(), c.project, dial(t, c.firestoreHost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	c.store = grantfire.New(database)
	if c.pubsub, err = pubsub.NewClient(t.Context(), c.project, dial(t, c.pubsubHost)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.pubsub.Close() })
	c.createTopic(t, grantEventsTopic)
	c.createTopic(t, deadLetterTopic)
	c.grantEvents, c.deadLetters = c.pull(t, grantEventsTopic), c.pull(t, deadLetterTopic)
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
	s.AckDeadlineSeconds = 60
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

// pull collects what a topic is sent.
func (c *cloud) pull(t *testing.T, topic string) *inbox {
	t.Helper()
	name := topic + "-inbox"
	c.subscribe(t, topic, &pubsubpb.Subscription{Name: name})
	box := &inbox{publisher: c.pubsub.Publisher(topic), more: make(chan struct{})}
	t.Cleanup(box.publisher.Stop)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- c.pubsub.Subscriber(name).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
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

// inbox is the messages that a topic was sent.
type inbox struct {
	publisher *pubsub.Publisher

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

// find returns what say makes of the messages it says something about, and a
// channel that is closed when there are more messages.
func (b *inbox) find(say func(*pubsub.Message) string) ([]string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for _, m := range b.messages {
		if text := say(m); text != "" {
			found = append(found, text)
		}
	}
	return found, b.more
}

// say waits until say has something to say about n messages, and for whatever
// else was published before. It returns all it says, sorted.
func (b *inbox) say(t *testing.T, n int, say func(*pubsub.Message) string) []string {
	t.Helper()
	// The emulator keeps the order, so that an extra message is found before
	// the marker; the test does not depend on it to pass.
	marker := rand.Text()
	if _, err := b.publisher.Publish(t.Context(), &pubsub.Message{Data: []byte("{}"), Attributes: map[string]string{"marker": marker}}).Get(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	marked := func(m *pubsub.Message) string {
		if m.Attributes["marker"] == marker {
			return marker
		}
		return ""
	}
	ctx := within(t, arrivalTime)
	for {
		markers, more := b.find(marked)
		found, _ := b.find(say)
		if len(found) >= n && len(markers) > 0 {
			slices.Sort(found)
			return found
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Errorf("%d of %d messages arrived", len(found), n)
			return found
		}
	}
}

// told is what the maker is told of a customer, other than that it was linked.
func (c customer) told(m *pubsub.Message) string {
	var message struct{ Type, UserID, Reason string }
	if json.Unmarshal(m.Data, &message) != nil || message.UserID != c.userID || message.Type == "linked" {
		return ""
	}
	return words(message.Type, message.Reason)
}

// buried is the code of a customer's dead letter.
func (c customer) buried(m *pubsub.Message) string {
	if m.Attributes["eventId"] == "" || m.Attributes["customer"] != c.userID {
		return ""
	}
	return m.Attributes["gatepost-code"]
}
