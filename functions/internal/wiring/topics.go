package wiring

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/lifecycle"
	"github.com/gatepostdev/gatepost/shared/topic"
)

// topicPart is the Pub/Sub topics that functions publish to. An empty id is a
// topic that is not configured.
type topicPart struct {
	grantEvents, deadLetters, refresh string

	client     *topic.Client
	publishers map[string]*topic.Publisher
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
	client, err := topic.Open(context.WithoutCancel(ctx), p.Project)
	if err != nil {
		return fmt.Errorf("GRANT_EVENTS_TOPIC, DEAD_LETTER_TOPIC, REFRESH_TOPIC: %w", err)
	}
	t.client, t.publishers = client, make(map[string]*topic.Publisher)
	return nil
}

// DeadLetters returns the topic for dead letters, nil if there is none.
func (p *Process) DeadLetters() *topic.Publisher { return p.publisher(p.topics.deadLetters) }

// HasRefresh reports whether there is a topic for the shards of a sweep.
func (p *Process) HasRefresh() bool { return p.topics.refresh != "" }

// Refresh returns the topic for the shards of a sweep, nil if there is none.
func (p *Process) Refresh() *topic.Publisher { return p.publisher(p.topics.refresh) }

func (p *Process) publisher(id string) *topic.Publisher {
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
