package wiring

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/lifecycle"
)

// topicPart is the Pub/Sub topics that functions publish to. An empty id is a
// topic that is not configured.
type topicPart struct {
	grantEvents, deadLetters, refresh string

	client     *pubsubClient
	publishers map[string]*Publisher
}

// NeedGrantEvents reads the topic for lifecycle messages.
func (p *Process) NeedGrantEvents() { p.topics.grantEvents = p.Source.Text("GRANT_EVENTS_TOPIC", "") }

// NeedDeadLetters reads the topic for events that cannot be delivered.
func (p *Process) NeedDeadLetters() { p.topics.deadLetters = p.Source.Text("DEAD_LETTER_TOPIC", "") }

// NeedRefresh reads the topic for the shards of a sweep.
func (p *Process) NeedRefresh() { p.topics.refresh = p.Source.Text("REFRESH_TOPIC", "") }

func (p *Process) buildTopics(ctx context.Context) error {
	t := &p.topics
	if cmp.Or(t.grantEvents, t.deadLetters, t.refresh) == "" {
		return nil
	}
	// Not ctx: the client lives as long as the process.
	client, err := openPubSub(context.WithoutCancel(ctx), p.Project)
	if err != nil {
		return fmt.Errorf("GRANT_EVENTS_TOPIC, DEAD_LETTER_TOPIC, REFRESH_TOPIC: %w", err)
	}
	t.client, t.publishers = client, make(map[string]*Publisher)
	return nil
}

// DeadLetters returns the topic for dead letters, nil if there is none.
func (p *Process) DeadLetters() *Publisher { return p.publisher(p.topics.deadLetters) }

// HasRefresh reports whether there is a topic for the shards of a sweep.
func (p *Process) HasRefresh() bool { return p.topics.refresh != "" }

// Refresh returns the topic for the shards of a sweep, nil if there is none.
func (p *Process) Refresh() *Publisher { return p.publisher(p.topics.refresh) }

func (p *Process) publisher(id string) *Publisher {
	if id == "" {
		return nil
	}
	if p.topics.publishers[id] == nil {
		p.topics.publishers[id] = p.topics.client.Publisher(id)
	}
	return p.topics.publishers[id]
}

// Announcer returns who publishes lifecycle messages.
func (p *Process) Announcer() *lifecycle.Announcer {
	a := &lifecycle.Announcer{Store: p.Store(), Log: p.Log, Now: p.Now}
	if events := p.publisher(p.topics.grantEvents); events != nil {
		a.Topic = events
	}
	return a
}

// publishTime bounds one publish with the client library's own retries.
const publishTime = 10 * time.Second

// pubsubClient is the connection to Pub/Sub of one process.
type pubsubClient struct{ client *pubsub.Client }

// openPubSub connects to Pub/Sub with the credentials of the environment, or to the
// emulator that PUBSUB_EMULATOR_HOST names. An empty project is the one that
// the credentials belong to. Nothing is sent before the first publish. ctx
// must live as long as the client.
func openPubSub(ctx context.Context, project string) (*pubsubClient, error) {
	client, err := pubsub.NewClient(ctx, cmp.Or(project, pubsub.DetectProjectID))
	if err != nil {
		return nil, fmt.Errorf("connecting to Pub/Sub: %w", err)
	}
	return &pubsubClient{client: client}, nil
}

// Close closes the connection. Publishers made from it are of no use then.
func (c *pubsubClient) Close() error { return c.client.Close() }

// Publisher publishes to one topic, and waits for each publish: the platform stops
// the process once a function has answered. It may be used by many goroutines at once.
type Publisher struct {
	id        string
	publisher *pubsub.Publisher
}

// Publisher returns the publisher of a topic, by its id or full name.
func (c *pubsubClient) Publisher(id string) *Publisher {
	p := c.client.Publisher(id)
	// One message at a time is what functions publish; waiting for company
	// would only cost them ten milliseconds each.
	p.PublishSettings.DelayThreshold = time.Millisecond
	p.PublishSettings.Timeout = publishTime
	p.EnableMessageOrdering = true
	return &Publisher{id: id, publisher: p}
}

// Publish returns once the topic has the message, or with an error after which
// it may have it all the same.
func (p *Publisher) Publish(ctx context.Context, data []byte, attributes map[string]string) error {
	return p.PublishOrdered(ctx, "", data, attributes)
}

// PublishOrdered is Publish with an ordering key.
func (p *Publisher) PublishOrdered(ctx context.Context, key string, data []byte, attributes map[string]string) error {
	result := p.publisher.Publish(ctx, &pubsub.Message{Data: data, Attributes: attributes, OrderingKey: key})
	if _, err := result.Get(ctx); err != nil {
		p.publisher.ResumePublish(key) // the library would refuse the key from now on
		return fmt.Errorf("publishing to %s: %w", p.id, err)
	}
	return nil
}
