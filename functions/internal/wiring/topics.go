package wiring

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
)

// Topic returns the publisher of the topic that a variable names, nil if the id is
// empty.
func (p *Process) Topic(ctx context.Context, id string) *Publisher {
	if id == "" {
		return nil
	}
	// Not ctx: the client lives as long as the process.
	client := p.pubsub.get(p, func() (*pubsubClient, error) {
		client, err := openPubSub(context.WithoutCancel(ctx), p.Project, p.Parts.PubSub...)
		if err != nil {
			return nil, fmt.Errorf("GRANT_EVENTS_TOPIC, DEAD_LETTER_TOPIC, REFRESH_TOPIC: %w", err)
		}
		return client, nil
	})
	if client == nil {
		return nil
	}
	if p.topics[id] == nil {
		p.topics[id] = client.Publisher(id)
	}
	return p.topics[id]
}

// publishTime bounds one publish with the client library's own retries.
const publishTime = 10 * time.Second

// pubsubClient is the connection to Pub/Sub of one process.
type pubsubClient struct{ client *pubsub.Client }

// openPubSub connects to Pub/Sub with the credentials of the environment, or to the
// emulator that PUBSUB_EMULATOR_HOST names. An empty project is the one that
// the credentials belong to. Nothing is sent before the first publish. ctx
// must live as long as the client.
func openPubSub(ctx context.Context, project string, o ...option.ClientOption) (*pubsubClient, error) {
	client, err := pubsub.NewClient(ctx, cmp.Or(project, pubsub.DetectProjectID), o...)
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
