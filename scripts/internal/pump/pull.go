package pump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// lease is how long Pub/Sub leaves a message to the pump. It is the most
	// that may be asked for, and more than the longest request with the longest
	// back-off. A message that has to queue for longer comes twice.
	lease = 10 * time.Minute
	// ahead is how many messages a server may send before any is settled.
	// pstest sends what it has.
	ahead = 1000
	// pause is between a stream that broke and the next.
	pause = time.Second
	// settleTime bounds a call that acknowledges or hands back.
	settleTime = 5 * time.Second
)

// pull takes messages until the pump ends, or cannot go on.
func (r *run) pull() error {
	for {
		err := r.stream()
		if r.ctx.Err() != nil {
			return nil
		}
		if !temporary(err) {
			return fmt.Errorf("pulling from %s: %w", r.Subscription, err)
		}
		r.wait(pause)
	}
}

// stream takes messages until the stream ends. When the pump ends it says so
// to the server and takes what was on its way, to hand it back: it would be
// nobody's until the lease is over.
func (r *run) stream() error {
	stream, err := r.Client.StreamingPull(r.posting)
	if err != nil {
		return err
	}
	err = stream.Send(&pubsubpb.StreamingPullRequest{
		Subscription: r.Subscription, StreamAckDeadlineSeconds: int32(lease.Seconds()), MaxOutstandingMessages: ahead,
	})
	if err != nil && !errors.Is(err, io.EOF) { // after EOF, Recv says why
		return err
	}
	defer context.AfterFunc(r.ctx, func() { _ = stream.CloseSend() })()
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, m := range response.GetReceivedMessages() {
			r.take(m)
		}
	}
}

// temporary reports whether another stream may work where this one ended.
func temporary(err error) bool {
	if errors.Is(err, io.EOF) {
		return true
	}
	switch status.Code(err) {
	case codes.Aborted, codes.DeadlineExceeded, codes.Internal, codes.ResourceExhausted, codes.Unavailable, codes.Unknown:
		return true
	}
	return false
}

// acknowledge tells Pub/Sub that a message is done with.
func (r *run) acknowledge(m *pubsubpb.ReceivedMessage) error {
	ctx, cancel := settling(r.posting)
	defer cancel()
	err := r.Client.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: r.Subscription, AckIds: []string{m.GetAckId()}})
	if err != nil {
		return fmt.Errorf("acknowledging %s: %w", m.GetMessage().GetMessageId(), err)
	}
	r.settled(1, 0)
	return nil
}

// handBack lets Pub/Sub deliver messages again, in their order.
func (r *run) handBack(messages ...*pubsubpb.ReceivedMessage) {
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.GetAckId()
	}
	ctx, cancel := settling(r.posting)
	defer cancel()
	// If the call fails they come back as well, when their lease is over.
	_ = r.Client.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: r.Subscription, AckIds: ids})
	r.settled(0, len(ids))
}

// settling returns a context that has time left when the requests have none.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}

// settled counts what is settled after the pump was told to end.
func (r *run) settled(acknowledged, handedBack int) {
	if r.ctx.Err() == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest.Acknowledged += acknowledged
	r.rest.HandedBack += handedBack
}
