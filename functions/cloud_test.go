package functions_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	gcloud "github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// The topics that all stacks share.
const (
	deviceEventsTopic = "device-events"
	grantEventsTopic  = "grant-events"
	deadLetterTopic   = "dead-letters"
)

// cloud is the Google Cloud project that all stacks are in.
type cloud struct {
	*gcloud.Project
	deviceEvents *pubsub.Publisher
	grantEvents  *gcloud.Inbox
	deadLetters  *gcloud.Inbox
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{Project: gcloud.New(t)}
	c.CreateTopic(t, deviceEventsTopic, grantEventsTopic, deadLetterTopic)
	c.grantEvents, c.deadLetters = c.pull(t, grantEventsTopic), c.pull(t, deadLetterTopic)
	c.deviceEvents = c.PubSub.Publisher(deviceEventsTopic)
	c.deviceEvents.EnableMessageOrdering = true
	c.deviceEvents.PublishSettings.DelayThreshold = time.Millisecond
	t.Cleanup(c.deviceEvents.Stop)
	return c
}

// pull collects what a topic is sent, which is looked through for secrets when the
// test ends.
func (c *cloud) pull(t *testing.T, topic string) *gcloud.Inbox {
	t.Helper()
	box := c.Pull(t, topic)
	t.Cleanup(func() {
		all, _ := box.Find(func(*pubsub.Message) bool { return true })
		for _, m := range all {
			shown.add("topic "+topic, fmt.Sprint(string(m.Data), m.Attributes))
		}
	})
	return box
}

// push adds a push subscription. The filter is there for emulators that apply
// filters: many do not, and the tests hold either way.
func (c *cloud) push(t *testing.T, topic, name, url, filter string) {
	t.Helper()
	c.Subscribe(t, topic, &pubsubpb.Subscription{
		Name: name, Filter: filter, EnableMessageOrdering: true, PushConfig: &pubsubpb.PushConfig{PushEndpoint: url},
	})
}
