package publish

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// published runs a program with a Pub/Sub at host and returns what reached the
// topic device-events.
func published(t *testing.T, c command, host string) push.Message {
	t.Helper()
	topic := newTopic(t, host)
	c.run(t, "PUBSUB_EMULATOR_HOST="+host, "GOOGLE_CLOUD_PROJECT="+topic.project)
	return topic.receive(t)
}

// handedOver runs a program whose client library is a stand-in and returns
// what the library was given.
func handedOver(t *testing.T, c command) push.Message {
	t.Helper()
	path := filepath.Join(t.TempDir(), "published.json")
	c.run(t, "PUBLISHED="+path, "GOOGLE_CLOUD_PROJECT=p")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Topic, OrderingKey string
		Data               []byte
		Attributes         map[string]string
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Topic != "projects/p/topics/device-events" {
		t.Errorf("published to %s", m.Topic)
	}
	return push.Message{Data: m.Data, OrderingKey: m.OrderingKey, Attributes: m.Attributes}
}

// run runs the program to its end.
func (c command) run(t *testing.T, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(testkit.Context(t), c.args[0], c.args[1:]...)
	cmd.Env = slices.Concat(os.Environ(), c.env, env)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", c.args, err, output)
	}
}

// topic is the topic device-events of a project of its own, with a
// subscription.
type topic struct {
	project string
	client  *pubsub.Client
}

const subscription = "device-events-inbox"

func newTopic(t *testing.T, host string) topic {
	t.Helper()
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	project := emulator.Project()
	client, err := pubsub.NewClient(t.Context(), project, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	name := "projects/" + project + "/topics/device-events"
	if _, err := client.TopicAdminClient.CreateTopic(testkit.Context(t), &pubsubpb.Topic{Name: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.SubscriptionAdminClient.CreateSubscription(testkit.Context(t), &pubsubpb.Subscription{
		Name: "projects/" + project + "/subscriptions/" + subscription, Topic: name, EnableMessageOrdering: true, AckDeadlineSeconds: 60,
	}); err != nil {
		t.Fatal(err)
	}
	return topic{project, client}
}

// receive returns the first message.
func (p topic) receive(t *testing.T) push.Message {
	t.Helper()
	ctx, cancel := context.WithCancel(testkit.Context(t))
	defer cancel()
	first := make(chan push.Message, 1)
	err := p.client.Subscriber(subscription).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		select {
		case first <- push.Message{ID: m.ID, Data: m.Data, Attributes: m.Attributes, OrderingKey: m.OrderingKey, PublishTime: m.PublishTime}:
			cancel()
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-first:
		return m
	default:
		t.Fatal("nothing was published")
		return push.Message{}
	}
}

// fake is a Pub/Sub inside of this process.
func fake(t *testing.T) string {
	t.Helper()
	server := pstest.NewServerWithAddress("127.0.0.1:0")
	t.Cleanup(func() { _ = server.Close() })
	return server.Addr
}
