package pump_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// eager is a Pub/Sub server that sends all messages at once, as the real one and
// the emulator do; pstest holds a message back until its predecessor is
// acknowledged.
type eager struct {
	pubsubpb.UnimplementedSubscriberServer
	streams chan func(pubsubpb.Subscriber_StreamingPullServer) error // handlers of the next streams

	acked, back chan []string // ids of each call
}

// newEager starts the server, and returns it with a broker that is its client.
func newEager(t *testing.T) (*eager, *broker) {
	t.Helper()
	e := &eager{
		streams: make(chan func(pubsubpb.Subscriber_StreamingPullServer) error, 10),
		acked:   make(chan []string, 100), back: make(chan []string, 100),
	}
	return e, newBroker(t, cloud.Serve(t, func(s *grpc.Server) { pubsubpb.RegisterSubscriberServer(s, e) }))
}

// message returns a message whose id is its text.
func message(text, key string) *pubsubpb.ReceivedMessage {
	return &pubsubpb.ReceivedMessage{AckId: text, Message: &pubsubpb.PubsubMessage{MessageId: text, Data: []byte(text), OrderingKey: key}}
}

// send makes the next stream send messages, and end with the client.
func (e *eager) send(messages ...*pubsubpb.ReceivedMessage) {
	e.streams <- func(stream pubsubpb.Subscriber_StreamingPullServer) error {
		return sendAll(stream, messages...)
	}
}

// sendAll sends messages and then waits for the client to end.
func sendAll(stream pubsubpb.Subscriber_StreamingPullServer, messages ...*pubsubpb.ReceivedMessage) error {
	if err := stream.Send(&pubsubpb.StreamingPullResponse{ReceivedMessages: messages}); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (e *eager) StreamingPull(stream pubsubpb.Subscriber_StreamingPullServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return (<-e.streams)(stream)
}

func (e *eager) Acknowledge(_ context.Context, r *pubsubpb.AcknowledgeRequest) (*emptypb.Empty, error) {
	e.acked <- r.GetAckIds()
	return &emptypb.Empty{}, nil
}

func (e *eager) ModifyAckDeadline(_ context.Context, r *pubsubpb.ModifyAckDeadlineRequest) (*emptypb.Empty, error) {
	if r.GetAckDeadlineSeconds() != 0 {
		return nil, status.Error(codes.InvalidArgument, "not a nack")
	}
	e.back <- r.GetAckIds()
	return &emptypb.Empty{}, nil
}

// TestLanes: the first of three messages of a key fails, and is handed back with
// those that waited for it.
func TestLanes(t *testing.T) {
	t.Parallel()
	server, b := newEager(t)
	release := make(chan struct{})
	url, arrived := endpoint(t, func(w http.ResponseWriter, r *http.Request, p posted) {
		if p.text() == "a1" {
			<-release
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		accept(w, r, p)
	})
	server.send(message("a1", "a"), message("a2", "a"), message("a3", "a"), message("b1", "b"), message("b2", "b"), message("c", ""))
	start(t, b.pump("s", url))

	var acked []string
	for range 3 { // while a1 is posted
		acked = append(acked, receive(t, server.acked, "an acknowledgement")...)
	}
	close(release)
	expect.Equal(t, "handed back messages", []string{"a1", "a2", "a3"}, receive(t, server.back, "the lane to go back"))
	expect.Equal(t, "requests", map[string]int{"a1": 1, "b1": 1, "b2": 1, "c": 1}, texts(t, arrived, 4))
	if slices.Index(acked, "b1") > slices.Index(acked, "b2") {
		t.Errorf("acknowledged = %v, want b1 before b2", acked)
	}
}

// TestConcurrency: a third request does not join two in flight.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	server, b := newEager(t)
	var together atomic.Int32
	tooMany := make(chan struct{}, 10)
	url, _ := endpoint(t, func(w http.ResponseWriter, r *http.Request, p posted) {
		defer together.Add(-1)
		if together.Add(1) > 2 {
			tooMany <- struct{}{}
		}
		select {
		case <-tooMany:
			t.Error("more than two requests in flight")
		case <-time.After(50 * time.Millisecond):
		}
		accept(w, r, p)
	})
	p := b.pump("s", url)
	p.Concurrency = 2
	server.send(message("1", ""), message("2", ""), message("3", ""), message("4", ""))
	start(t, p)
	for range 4 {
		receive(t, server.acked, "an acknowledgement")
	}
}

func TestStreamBreaks(t *testing.T) {
	t.Parallel()
	server, b := newEager(t)
	url, arrived := endpoint(t, accept)
	server.streams <- func(pubsubpb.Subscriber_StreamingPullServer) error { return status.Error(codes.Unavailable, "moving") }
	server.streams <- func(pubsubpb.Subscriber_StreamingPullServer) error { return nil } // as after half an hour
	server.send(message("1", ""))
	start(t, b.pump("s", url))
	if got := receive(t, arrived, "the message of the third stream"); got.text() != "1" {
		t.Errorf("message = %q", got.text())
	}
}

// TestStop stops a pump while it holds two messages of one key.
func TestStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		grace time.Duration
		// answer answers the first message; released is closed after the pump was
		// stopped.
		answer func(w http.ResponseWriter, r *http.Request, released <-chan struct{})
		want   pump.Rest
		left   []string // messages of the next pump
	}{
		{"finished in time", testkit.Patience, func(w http.ResponseWriter, _ *http.Request, released <-chan struct{}) {
			<-released
			w.WriteHeader(http.StatusOK)
		}, pump.Rest{Acknowledged: 1, HandedBack: 1}, []string{"2"}},
		{"failed in time", testkit.Patience, func(w http.ResponseWriter, _ *http.Request, released <-chan struct{}) {
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
			p := b.pump("s", url)
			p.Grace = test.grace
			server.send(message("1", "key"), message("2", "key"))
			running := start(t, p)
			receive(t, arrived, "the request")
			running.end()
			close(released)

			expect.Equal(t, "Run()", test.want, running.stop())
			expect.Equal(t, "handed back messages", test.left, receive(t, server.back, "the handing back"))
		})
	}
}

// TestStopWhileBackingOff stops a pump during a long backoff, and lets another one
// deliver the message.
func TestStopWhileBackingOff(t *testing.T) {
	t.Parallel()
	b := newBroker(t, cloud.Fake(t).Addr)
	url, arrived := endpoint(t, failing("bad", 1))
	p := b.pumpOf("events", "dead", url)
	waiting := make(chan struct{}, 1)
	p.Wait = func(ctx context.Context, _ time.Duration) {
		waiting <- struct{}{}
		<-ctx.Done()
	}
	b.publish("events", "key", "bad")
	first := start(t, p)
	receive(t, waiting, "the back-off")
	expect.Equal(t, "Run()", pump.Rest{HandedBack: 1}, first.stop())

	start(t, b.pump(p.Subscription, url))
	for attempt := 1; attempt <= 2; attempt++ {
		if got := receive(t, arrived, "a request"); got.Attempt != attempt {
			t.Errorf("attempt = %d, want %d", got.Attempt, attempt)
		}
	}
}

// TestStopHandsBackLateMessages: the server sends a message after the pump has
// stopped pulling.
func TestStopHandsBackLateMessages(t *testing.T) {
	t.Parallel()
	server, b := newEager(t)
	url, arrived := endpoint(t, accept)
	server.streams <- func(stream pubsubpb.Subscriber_StreamingPullServer) error {
		if err := sendAll(stream, message("1", "")); err != nil {
			return err
		}
		return stream.Send(&pubsubpb.StreamingPullResponse{ReceivedMessages: []*pubsubpb.ReceivedMessage{message("late", "")}})
	}
	p := b.pump("s", url)
	settled := make(chan pump.Delivery, 1)
	p.Observe = func(d pump.Delivery) { settled <- d }
	running := start(t, p)
	receive(t, settled, "the first message")
	expect.Equal(t, "Run()", pump.Rest{HandedBack: 1}, running.stop())
	expect.Equal(t, "handed back messages", []string{"late"}, receive(t, server.back, "the handing back"))
	if got := len(arrived); got != 1 {
		t.Errorf("requests = %d, want 1", got)
	}
}
