package pump_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
)

// TestStop ends a pump while it holds two messages of one key.
func TestStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		grace time.Duration
		// answer answers the first message; released is closed when the pump
		// has been told to end.
		answer func(w http.ResponseWriter, r *http.Request, released <-chan struct{})
		want   pump.Rest
		left   []string // what the next pump gets
	}{
		{"finished in time", patience, func(w http.ResponseWriter, _ *http.Request, released <-chan struct{}) {
			<-released
			w.WriteHeader(http.StatusOK)
		}, pump.Rest{Acknowledged: 1, HandedBack: 1}, []string{"2"}},
		{"failed in time", patience, func(w http.ResponseWriter, _ *http.Request, released <-chan struct{}) {
			<-released
			w.WriteHeader(http.StatusServiceUnavailable)
		}, pump.Rest{HandedBack: 2}, []string{"1", "2"}},
		{"not finished in time", time.Millisecond, func(_ http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			<-r.Context().Done()
		}, pump.Rest{HandedBack: 2}, []string{"1", "2"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, b := newEager(t)
			released := make(chan struct{})
			url, arrived := endpoint(t, func(w http.ResponseWriter, r *http.Request, _ posted) { test.answer(w, r, released) })
			p := b.pump(b.project+"/subscriptions/s", url)
			p.Grace = test.grace
			server.send(message("1", "key"), message("2", "key"))
			running := start(t, p)
			receive(t, arrived, "the request")
			running.end()
			close(released)

			if diff := cmp.Diff(test.want, running.stop()); diff != "" {
				t.Errorf("Run() differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.left, receive(t, server.back, "the handing back")); diff != "" {
				t.Errorf("handed back (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStopWhileBackingOff ends a pump that would wait for ever, and lets
// another have the message.
func TestStopWhileBackingOff(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	topic := b.topic("events")
	subscription := b.subscription("events", topic, b.topic("dead"))
	url, arrived := endpoint(t, failing("bad", 1))
	p := b.pump(subscription, url)
	waiting := make(chan struct{}, 1)
	p.Wait = func(ctx context.Context, _ time.Duration) {
		waiting <- struct{}{}
		<-ctx.Done()
	}
	b.publish(topic, "key", "bad")
	first := start(t, p)
	receive(t, waiting, "the back-off")
	if diff := cmp.Diff(pump.Rest{HandedBack: 1}, first.stop()); diff != "" {
		t.Errorf("Run() differs (-want +got):\n%s", diff)
	}

	start(t, b.pump(subscription, url))
	for attempt := 1; attempt <= 2; attempt++ {
		if got := receive(t, arrived, "a request"); got.Attempt != attempt {
			t.Errorf("attempt %d, want %d", got.Attempt, attempt)
		}
	}
}

// TestStopHandsBackWhatArrivesLate has the server send a message after the
// pump has said that it wants none.
func TestStopHandsBackWhatArrivesLate(t *testing.T) {
	t.Parallel()
	server, b := newEager(t)
	url, arrived := endpoint(t, accept)
	server.streams <- func(stream pubsubpb.Subscriber_StreamingPullServer) error {
		if err := sendAll(stream, message("1", "")); err != nil {
			return err
		}
		return stream.Send(&pubsubpb.StreamingPullResponse{ReceivedMessages: []*pubsubpb.ReceivedMessage{message("late", "")}})
	}
	p := b.pump(b.project+"/subscriptions/s", url)
	settled := make(chan pump.Delivery, 1)
	p.Observe = func(d pump.Delivery) { settled <- d }
	running := start(t, p)
	receive(t, settled, "the first message")
	if diff := cmp.Diff(pump.Rest{HandedBack: 1}, running.stop()); diff != "" {
		t.Errorf("Run() differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"late"}, receive(t, server.back, "the handing back")); diff != "" {
		t.Errorf("handed back (-want +got):\n%s", diff)
	}
	if got := len(arrived); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}
