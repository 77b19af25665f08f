package pump_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOrder fails the first message of key a twice, and keeps it waiting until
// all of key b have gone. One request at a time proves that a message which
// waits takes nobody's place.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		broker func(t *testing.T) *broker
	}{
		{"pstest", newBroker},
		{"emulator", newEmulator},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := test.broker(t)
			topic := b.topic("events")
			url, arrived := endpoint(t, failing("a1", 2))
			p := b.pump(b.subscription("events", topic, b.topic("dead")), url)
			p.Concurrency = 1
			othersGone := make(chan struct{})
			p.Wait = func(ctx context.Context, _ time.Duration) {
				select {
				case <-othersGone:
				case <-ctx.Done():
				}
			}
			b.publish(topic, "a", "a1", "a2", "a3")
			b.publish(topic, "b", "b1", "b2", "b3")
			start(t, p)

			got := map[string][]string{}
			note := func() {
				r := receive(t, arrived, "a request")
				got[r.OrderingKey] = append(got[r.OrderingKey], r.text())
			}
			for range 4 {
				note()
			}
			if diff := cmp.Diff(map[string][]string{"a": {"a1"}, "b": {"b1", "b2", "b3"}}, got); diff != "" {
				t.Fatalf("before the back-off was over (-want +got):\n%s", diff)
			}
			close(othersGone)
			for range 4 {
				note()
			}
			if diff := cmp.Diff([]string{"a1", "a1", "a1", "a2", "a3"}, got["a"]); diff != "" {
				t.Errorf("key a (-want +got):\n%s", diff)
			}
		})
	}
}
