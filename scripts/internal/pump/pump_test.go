package pump_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	topic := b.topic("events")
	subscription := b.subscription("events", topic, b.topic("dead"))
	url, arrived := endpoint(t, accept)
	id := b.publish(topic, "u-1/lamp-1", "hello")[0]
	start(t, b.pump(subscription, url))

	got := receive(t, arrived, "the request")
	want := map[string]any{
		"deliveryAttempt": 1.0,
		"subscription":    subscription,
		"message": map[string]any{
			"attributes": map[string]any{"region": "EU"}, "data": "aGVsbG8=", "messageId": id, "orderingKey": "u-1/lamp-1",
			"publishTime": b.server.Message(id).PublishTime.UTC().Format(time.RFC3339Nano),
		},
	}
	if diff := cmp.Diff(want, got.raw); diff != "" {
		t.Errorf("the envelope differs (-want +got):\n%s", diff)
	}
	if got := got.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type: %s", got)
	}
}

// TestAnswers has a message answered in one way, and then with 200.
func TestAnswers(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			if code != http.StatusNoContent && code != http.StatusNotModified {
				_, _ = io.WriteString(w, "answer")
			}
		}
	}
	tests := []struct {
		name         string
		answer       http.HandlerFunc
		wantStatus   int
		acknowledges bool
	}{
		{"200", status(200), 200, true},
		{"201", status(201), 201, true},
		{"202", status(202), 202, true},
		{"204", status(204), 204, true},
		{"102 before 200", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(102); status(200)(w, r) }, 200, true},
		{"203", status(203), 203, false},
		{"206", status(206), 206, false},
		{"redirect", status(307), 307, false},
		{"not modified", status(304), 304, false},
		{"400", status(400), 400, false},
		{"404", status(404), 404, false},
		{"429", status(429), 429, false},
		{"500", status(500), 500, false},
		{"503", status(503), 503, false},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, false},
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			topic := b.topic("events")
			url, _ := endpoint(t, func(w http.ResponseWriter, r *http.Request, p posted) {
				if p.Attempt > 1 {
					accept(w, r, p)
					return
				}
				test.answer(w, r)
			})
			p := b.pump(b.subscription("events", topic, b.topic("dead")), url)
			p.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			if test.name == "no answer in time" {
				p.AckDeadline = 200 * time.Millisecond
			}
			seen := make(chan pump.Delivery, 100)
			p.Observe = func(d pump.Delivery) { seen <- d }
			b.publish(topic, "key", "message")
			start(t, p)

			first := receive(t, seen, "the first delivery")
			if first.Acknowledged != test.acknowledges || first.Status != test.wantStatus || (first.Err != nil) != (test.wantStatus == 0) {
				t.Errorf("acknowledged %v, status %d, %v; want %v, %d", first.Acknowledged, first.Status, first.Err, test.acknowledges, test.wantStatus)
			}
			if test.acknowledges {
				return
			}
			again := receive(t, seen, "the second delivery")
			for test.wantStatus == 0 && !again.Acknowledged { // a slow machine does not answer in time either
				again = receive(t, seen, "another delivery")
			}
			if again.Message.Attempt < 2 || !again.Acknowledged {
				t.Errorf("attempt %d, acknowledged %v; want 2, true", again.Message.Attempt, again.Acknowledged)
			}
		})
	}
}

// TestBackoff fails a message seven times.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		counted bool // by Pub/Sub, which needs a dead-letter policy
	}{{"Pub/Sub counts", true}, {"Pub/Sub does not count", false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			topic, dead := b.topic("events"), ""
			if test.counted {
				dead = b.topic("dead")
			}
			url, _ := endpoint(t, failing("bad", 7))
			p := b.pump(b.subscription("events", topic, dead), url)
			waits := make(chan time.Duration, 100)
			p.Wait = func(_ context.Context, d time.Duration) { waits <- d }
			seen := make(chan pump.Delivery, 100)
			p.Observe = func(d pump.Delivery) { seen <- d }
			b.publish(topic, "", "bad")
			start(t, p)

			var attempts, seconds []int
			var backoffs []int
			for range 8 {
				d := receive(t, seen, "a delivery")
				attempts = append(attempts, d.Message.Attempt)
				backoffs = append(backoffs, int(d.Backoff.Seconds()))
			}
			for range 7 {
				seconds = append(seconds, int(receive(t, waits, "a wait").Seconds()))
			}
			wantAttempts := []int{1, 2, 3, 4, 5, 6, 7, 8}
			if !test.counted {
				wantAttempts = make([]int, 8)
			}
			if diff := cmp.Diff(wantAttempts, attempts); diff != "" {
				t.Errorf("attempts differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]int{1, 2, 4, 8, 10, 10, 10}, seconds); diff != "" {
				t.Errorf("waits differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append(seconds, 0), backoffs); diff != "" {
				t.Errorf("what was observed differs from the waits (-want +got):\n%s", diff)
			}
			// The next message starts anew.
			b.publish(topic, "", "good")
			if d := receive(t, seen, "another message"); !d.Acknowledged || d.Backoff != 0 {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestDeadLetter fails one message for ever. Neither server can be asked for
// more: the emulator breaks the stream of an ordered subscription when it
// forwards a dead letter, and pstest 2.8.1 forwards it again and again.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	for name, newBroker := range map[string]func(*testing.T) *broker{"pstest": newBroker, "emulator": newEmulator} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			topic, dead := b.topic("events"), b.topic("dead")
			url, arrived := endpoint(t, failing("bad", 1000))
			graveyard, buried := endpoint(t, accept)
			events := b.pump(b.unordered("events", topic, dead), url)
			letters := b.pump(b.unordered("dead", dead, ""), graveyard)
			b.publish(topic, "", "bad", "good")
			start(t, events)
			start(t, letters)

			if got := receive(t, buried, "the dead letter"); got.text() != "bad" {
				t.Errorf("dead letter %q", got.text())
			}
			got := map[string]int{}
			for _, text := range texts(t, arrived, attempts+1) {
				got[text]++
			}
			if diff := cmp.Diff(map[string]int{"bad": attempts, "good": 1}, got); diff != "" {
				t.Errorf("requests differ (-want +got):\n%s", diff)
			}
			if more := len(arrived); more != 0 {
				t.Errorf("%d more requests", more)
			}
		})
	}
}

func TestNothingToPullFrom(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	_, err := b.pump(b.project+"/subscriptions/none", "http://127.0.0.1:1").Run(t.Context())
	var asked interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &asked) || asked.GRPCStatus().Code() != codes.NotFound || !strings.Contains(err.Error(), "/subscriptions/none") {
		t.Errorf("Run() = %v, want NotFound with the subscription's name", err)
	}
}
