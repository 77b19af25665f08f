// Package topic publishes to Pub/Sub topics. Every publish is awaited: nothing
// may be left to do when a function has answered, because the platform stops
// its process then.
package topic

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"
)

// publishTime bounds one publish with the client library's own retries.
const publishTime = 10 * time.Second

// Client is the connection to Pub/Sub of one process.
type Client struct{ client *pubsub.Client }

// Open connects to Pub/Sub with the credentials of the environment, or to the
// emulator that PUBSUB_EMULATOR_HOST names. An empty project is the one that
// the credentials belong to. Nothing is sent before the first publish. ctx
// must live as long as the Client.
func Open(ctx context.Context, project string) (*Client, error) {
	client, err := pubsub.NewClient(ctx, cmp.Or(project, pubsub.DetectProjectID))
	if err != nil {
		return nil, fmt.Errorf("connecting to Pub/Sub: %w", err)
	}
	return &Client{client: client}, nil
}

// Close closes the connection. Publishers made from it are of no use then.
func (c *Client) Close() error { return c.client.Close() }

// Publisher publishes to one topic. It may be used by many goroutines at once.
type Publisher struct {
	id        string
	publisher *pubsub.Publisher
}

// Publisher returns the publisher of a topic, by its id or full name.
func (c *Client) Publisher(id string) *Publisher {
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
