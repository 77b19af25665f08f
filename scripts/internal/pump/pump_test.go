package pump_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	server := cloud.Fake(t)
	b := newBroker(t, server.Addr)
	url, arrived := endpoint(t, accept)
	p := b.pumpOf("events", "dead", url)
	id := b.publish("events", "u-1/lamp-1", "hello")[0]
	start(t, p)

	got := receive(t, arrived, "the request")
	want := map[string]any{
		"deliveryAttempt": 1.0,
		"subscription":    p.Subscription,
		"message": map[string]any{
			"attributes": map[string]any{"region": "EU"}, "data": "aGVsbG8=", "messageId": id, "orderingKey": "u-1/lamp-1",
			"publishTime": server.Message(id).PublishTime.UTC().Format(time.RFC3339Nano),
		},
	}
	expect.Equal(t, "the envelope", want, got.raw)
	if got := got.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %s", got)
	}
}

// TestAnswers: a message is answered in one way, and then with 200.
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
	type answer struct {
		name         string
		answer       http.HandlerFunc
		wantStatus   int
		acknowledges bool
	}
	tests := []answer{
		{"102 before 200", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(102); status(200)(w, r) }, 200, true},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, false},
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, false},
	}
	for _, code := range []int{200, 201, 202, 204} {
		tests = append(tests, answer{fmt.Sprint(code), status(code), code, true})
	}
	for _, code := range []int{203, 206, 304, 307, 400, 404, 429, 500, 503} {
		tests = append(tests, answer{fmt.Sprint(code), status(code), code, false})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, cloud.Fake(t).Addr)
			url, _ := endpoint(t, func(w http.ResponseWriter, r *http.Request, p posted) {
				if p.Attempt > 1 {
					accept(w, r, p)
					return
				}
				test.answer(w, r)
			})
			p := b.pumpOf("events", "dead", url)
			p.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			if test.name == "no answer in time" {
				p.AckDeadline = 200 * time.Millisecond
			}
			seen := make(chan pump.Delivery, 100)
			p.Observe = func(d pump.Delivery) { seen <- d }
			b.publish("events", "key", "message")
			start(t, p)

			first := receive(t, seen, "the first delivery")
			if first.Acknowledged != test.acknowledges || first.Status != test.wantStatus || (first.Err != nil) != (test.wantStatus == 0) {
				t.Errorf("acknowledged = %v, status = %d, %v; want %v, %d",
					first.Acknowledged, first.Status, first.Err, test.acknowledges, test.wantStatus)
			}
			if test.acknowledges {
				return
			}
			again := receive(t, seen, "the second delivery")
			for test.wantStatus == 0 && !again.Acknowledged { // a slow machine may time out again
				again = receive(t, seen, "another delivery")
			}
			if again.Message.Attempt < 2 || !again.Acknowledged {
				t.Errorf("attempt = %d, acknowledged = %v; want 2, true", again.Message.Attempt, again.Acknowledged)
			}
		})
	}
}

// TestBackoff: a message fails seven times. Without a dead-letter policy Pub/Sub
// does not count attempts.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for dead, wantAttempts := range map[string][]int{"dead": {1, 2, 3, 4, 5, 6, 7, 8}, "": make([]int, 8)} {
		t.Run("dead letters to "+dead, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, cloud.Fake(t).Addr)
			url, _ := endpoint(t, failing("bad", 7))
			p := b.pumpOf("events", dead, url)
			waits, seen := make(chan time.Duration, 100), make(chan pump.Delivery, 100)
			p.Wait = func(_ context.Context, d time.Duration) { waits <- d }
			p.Observe = func(d pump.Delivery) { seen <- d }
			b.publish("events", "", "bad")
			start(t, p)

			var attempts, seconds, backoffs []int
			for range 8 {
				d := receive(t, seen, "a delivery")
				attempts = append(attempts, d.Message.Attempt)
				backoffs = append(backoffs, int(d.Backoff.Seconds()))
			}
			for range 7 {
				seconds = append(seconds, int(receive(t, waits, "a wait").Seconds()))
			}
			want := [][]int{wantAttempts, {1, 2, 4, 8, 10, 10, 10}, {1, 2, 4, 8, 10, 10, 10, 0}}
			expect.Equal(t, "attempts and waits", want, [][]int{attempts, seconds, backoffs})
			b.publish("events", "", "good") // starts at the shortest wait
			if d := receive(t, seen, "another message"); !d.Acknowledged || d.Backoff != 0 {
				t.Errorf("delivery = %+v", d)
			}
		})
	}
}

// TestDeadLetter: one message always fails. Neither server supports more: the
// emulator breaks the stream of an ordered subscription when it forwards a dead
// letter, and pstest 2.8.1 forwards it again and again.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *broker) {
		url, arrived := endpoint(t, failing("bad", 1000))
		graveyard, buried := endpoint(t, accept)
		events := b.pumpFrom(&pubsubpb.Subscription{Name: "events"}, "events", "dead", url)
		letters := &pubsubpb.Subscription{Name: "dead"}
		b.Subscribe(t, "dead", letters)
		b.publish("events", "", "bad", "good")
		start(t, events)
		start(t, b.pump(letters.Name, graveyard))

		if got := receive(t, buried, "the dead letter"); got.text() != "bad" {
			t.Errorf("dead letter = %q", got.text())
		}
		if diff := cmp.Diff(map[string]int{"bad": attempts, "good": 1}, texts(t, arrived, attempts+1)); diff != "" || len(arrived) != 0 {
			t.Errorf("requests differ, with %d more (-want +got):\n%s", len(arrived), diff)
		}
	})
}

func TestNothingToPullFrom(t *testing.T) {
	t.Parallel()
	b := newBroker(t, cloud.Fake(t).Addr)
	_, err := b.pump("projects/p/subscriptions/none", "http://127.0.0.1:1").Run(t.Context())
	var asked interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &asked) || asked.GRPCStatus().Code() != codes.NotFound || !strings.Contains(err.Error(), "/subscriptions/none") {
		t.Errorf("Run() = %v, want NotFound with the subscription's name", err)
	}
}

// TestOrder fails the first message of key a twice, until all of key b are
// delivered. With one request at a time this proves that a waiting message occupies
// no slot.
func TestOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *broker) {
		url, arrived := endpoint(t, failing("a1", 2))
		p := b.pumpOf("events", "dead", url)
		p.Concurrency = 1
		othersGone := make(chan struct{})
		p.Wait = func(ctx context.Context, _ time.Duration) {
			select {
			case <-othersGone:
			case <-ctx.Done():
			}
		}
		b.publish("events", "a", "a1", "a2", "a3")
		b.publish("events", "b", "b1", "b2", "b3")
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
			t.Fatalf("requests during the backoff differ (-want +got):\n%s", diff)
		}
		close(othersGone)
		for range 4 {
			note()
		}
		expect.Equal(t, "requests of key a", []string{"a1", "a1", "a1", "a2", "a3"}, got["a"])
	})
}
