package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	cloudtest "github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// onBoth runs a test on Google's fake in this process, and on the emulator.
// They are not alike in everything, and neither is Pub/Sub.
func onBoth(t *testing.T, test func(t *testing.T, c *cloud)) {
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		test(t, newCloud(t, cloudtest.Fake(t).Addr))
	})
	t.Run("emulator", func(t *testing.T) {
		t.Parallel()
		test(t, newEmulated(t))
	})
}

// newEmulated returns a project of the emulator, which takes its time.
func newEmulated(t *testing.T) *cloud {
	t.Helper()
	c := newCloud(t, emulator.PubSub(t))
	c.idle = "1s"
	return c
}

// grammar is the part of the command line that is tested.
type grammar struct {
	Replay Command `cmd:""`
}

// cloud is a project with the topics device-events and dead-letters, and a
// subscription of each with the same name.
type cloud struct {
	*testing.T
	project string
	options []option.ClientOption
	client  *pubsub.Client
	idle    string

	now      func() time.Time
	terminal bool
}

// letterName is an attribute that tells the tests' messages apart, whatever
// becomes of them.
const letterName = "letter"

func newCloud(t *testing.T, host string) *cloud {
	t.Helper()
	c := &cloud{T: t, project: emulator.Project(), options: oneprocess.Emulator(host), idle: "500ms", now: time.Now}
	client, err := pubsub.NewClient(t.Context(), c.project, c.options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	c.client = client
	for _, id := range []string{"device-events", "dead-letters"} {
		c.createTopic(id)
		c.subscribe(id, id, func(s *pubsubpb.Subscription) { s.EnableMessageOrdering = id == "device-events" })
	}
	return c
}

func (c *cloud) name(kind, id string) string { return fullName(c.project, kind, id) }

func (c *cloud) createTopic(id string) {
	c.Helper()
	if _, err := c.client.TopicAdminClient.CreateTopic(c.Context(), &pubsubpb.Topic{Name: c.name("topics", id)}); err != nil {
		c.Fatal(err)
	}
}

func (c *cloud) subscribe(id, topic string, change func(*pubsubpb.Subscription)) {
	c.Helper()
	s := &pubsubpb.Subscription{Name: c.name("subscriptions", id), Topic: c.name("topics", topic), AckDeadlineSeconds: 60}
	change(s)
	if _, err := c.client.SubscriptionAdminClient.CreateSubscription(c.Context(), s); err != nil {
		c.Fatal(err)
	}
}

// bury makes dead letters.
func (c *cloud) bury(messages ...*pubsub.Message) {
	c.Helper()
	publisher := c.client.Publisher("dead-letters")
	publisher.EnableMessageOrdering = true
	defer publisher.Stop()
	for _, m := range messages {
		if _, err := publisher.Publish(c.Context(), m).Get(c.Context()); err != nil {
			c.Fatal(err)
		}
	}
}

// replay runs the program, and returns its status and what it wrote.
func (c *cloud) replay(args ...string) (status int, stdout, stderr string) {
	return c.call(c.Context(), append(args, "--topic", "device-events", "--subscription", "dead-letters")...)
}

// call is replay with another subscription and topic.
func (c *cloud) call(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env := &cli.Env{Stdout: &out, Stderr: &errs, Now: c.now, Terminal: c.terminal, Google: c.options}
	args = append([]string{"replay", "--project", c.project, "--idle", c.idle}, args...)
	status = cli.Run(ctx, env, new(grammar), args)
	return status, out.String(), errs.String()
}

// tally runs the program, which must succeed, and returns what it counted.
func (c *cloud) tally(args ...string) tally {
	c.Helper()
	status, stdout, stderr := c.replay(append(args, "--json")...)
	if status != cli.StatusDone || stderr != "" {
		c.Fatalf("replay %q = %d and said %q", args, status, stderr)
	}
	return c.parse(stdout)
}

func (c *cloud) parse(stdout string) tally {
	c.Helper()
	var got tally
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		c.Fatalf("%v in %q", err, stdout)
	}
	checkSums(c.T, got)
	return got
}

// left returns the names of the dead letters that are ready to be read, and
// leaves them so. It waits for as many as wanted, for less time than a lease.
func (c *cloud) left(want int) string {
	c.Helper()
	s := subscription{c.client.SubscriptionAdminClient, c.name("subscriptions", "dead-letters")}
	messages := c.pull(s, want)
	ackIDs := make([]string, len(messages))
	for i, m := range messages {
		ackIDs[i] = m.ackID
	}
	if len(messages) > 0 {
		if err := s.extend(c.Context(), ackIDs, 0); err != nil {
			c.Fatal(err)
		}
	}
	return names(messages)
}

// names returns the names of messages in alphabetical order.
func names(messages []received) string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = m.Attributes[letterName]
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// delivered returns the device events, and acknowledges them.
func (c *cloud) delivered(want int) []received {
	c.Helper()
	return c.pull(subscription{c.client.SubscriptionAdminClient, c.name("subscriptions", "device-events")}, want)
}

// pull returns as many messages of a subscription as wanted, or more. Those of
// device-events are acknowledged, since an ordered subscription gives the next
// message of a key only then.
func (c *cloud) pull(s subscription, want int) []received {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), leaseTime/4)
	defer cancel()
	var all []received
	for len(all) < want {
		messages, err := s.pull(ctx)
		if err != nil || len(messages) == 0 {
			c.Fatalf("%d messages in %s and %v, want %d", len(all), s.name, err, want)
		}
		for _, m := range messages {
			if strings.HasSuffix(s.name, "device-events") {
				if err := s.acknowledge(ctx, []string{m.ackID}); err != nil {
					c.Fatal(err)
				}
			}
		}
		all = append(all, messages...)
	}
	return all
}
