package wiring

import (
	"context"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestPublish publishes to a Pub/Sub server of the client library's own, with one
// topic. The client finds the server by the environment, so that this is not parallel.
func TestPublish(t *testing.T) {
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

	type sent struct {
		Key, Data  string
		Attributes map[string]string
	}
	linked := map[string]string{"type": "linked"}
	publisher := client.Publisher("events")
	if err := publisher.Publish(t.Context(), []byte("hello"), linked); err != nil {
		t.Fatal(err)
	}
	want := []sent{{"", "hello", linked}}
	for _, key := range []string{"u-1/lamp-1", ""} { // a message without a key goes to the same publisher
		if err := publisher.PublishOrdered(t.Context(), key, []byte(key), nil); err != nil {
			t.Fatal(err)
		}
		want = append(want, sent{key, key, nil})
	}
	var got []sent // when the calls return
	for _, m := range server.Messages() {
		got = append(got, sent{m.OrderingKey, string(m.Data), m.Attributes})
	}
	expect.Equal(t, "the topic's messages", want, got, cmpopts.EquateEmpty())

	if err := client.Publisher("nowhere").Publish(t.Context(), []byte("x"), nil); err == nil {
		t.Error("published to a topic that does not exist")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.Publisher("events").Publish(ctx, []byte("x"), nil); err == nil {
		t.Error("published after the request had ended")
	}
}
