package wiring

import (
	"context"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
)

// open starts a Pub/Sub server of the client library's own, with one topic.
// Not for parallel tests: the client finds the server by the environment.
func open(t *testing.T) (*pubsubClient, *pstest.Server) {
	t.Helper()
	server := pstest.NewServer()
	t.Cleanup(func() { _ = server.Close() })
	if _, err := server.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/events"}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PUBSUB_EMULATOR_HOST", server.Addr)
	client, err := openPubSub(context.Background(), "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, server
}

func TestPublishIsAwaited(t *testing.T) {
	client, server := open(t)
	publisher := client.Publisher("events")
	if err := publisher.Publish(t.Context(), []byte("hello"), map[string]string{"type": "linked"}); err != nil {
		t.Fatal(err)
	}
	messages := server.Messages()
	if len(messages) != 1 || string(messages[0].Data) != "hello" {
		t.Fatalf("the topic has %v when Publish returns", messages)
	}
	if diff := cmp.Diff(map[string]string{"type": "linked"}, messages[0].Attributes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPublishFails(t *testing.T) {
	client, _ := open(t)
	if err := client.Publisher("nowhere").Publish(t.Context(), []byte("x"), nil); err == nil {
		t.Error("published to a topic that does not exist")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	cancel()
	if err := client.Publisher("events").Publish(ctx, []byte("x"), nil); err == nil {
		t.Error("published after the request had ended")
	}
}

// TestPublishOrdered: the ordering key is kept, and a message without one goes
// to the same publisher.
func TestPublishOrdered(t *testing.T) {
	client, server := open(t)
	publisher := client.Publisher("events")
	for _, key := range []string{"u-1/lamp-1", ""} {
		if err := publisher.PublishOrdered(t.Context(), key, []byte(key), nil); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, m := range server.Messages() {
		got = append(got, m.OrderingKey)
	}
	if diff := cmp.Diff([]string{"u-1/lamp-1", ""}, got); diff != "" {
		t.Errorf("ordering keys (-want +got):\n%s", diff)
	}
}
