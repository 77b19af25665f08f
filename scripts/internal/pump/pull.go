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
	// lease is the length of a message's lease. It is the maximum, and more than the
	// longest request plus the longest back-off. A message that is queued for longer is
	// redelivered.
	lease = 10 * time.Minute
	// ahead is how many unsettled messages a server may send. pstest ignores it.
	ahead = 1000
	// pause is the pause between a broken stream and the next.
	pause = time.Second
	// settleTime bounds a call that acknowledges or returns messages.
	settleTime = 5 * time.Second
)

// pull takes messages until the pump ends, or until a permanent error.
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

// stream takes messages until the stream ends. When the pump ends it closes the sending
// side, and takes the messages in flight from the server to return them: otherwise they
// would be hidden until their leases are over.
func (r *run) stream() error {
	stream, err := r.Client.StreamingPull(r.posting)
	if err != nil {
		return err
	}
	err = stream.Send(&pubsubpb.StreamingPullRequest{
		Subscription: r.Subscription, StreamAckDeadlineSeconds: int32(lease.Seconds()), MaxOutstandingMessages: ahead,
	})
	if err != nil && !errors.Is(err, io.EOF) { // after EOF, Recv returns the cause
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

// temporary reports whether a new stream may work after this error.
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

// acknowledge acknowledges a message.
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

// handBack returns messages to Pub/Sub, which redelivers them in order.
func (r *run) handBack(messages ...*pubsubpb.ReceivedMessage) {
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.GetAckId()
	}
	ctx, cancel := settling(r.posting)
	defer cancel()
	// If the call fails, they are redelivered when their leases are over.
	_ = r.Client.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: r.Subscription, AckIds: ids})
	r.settled(0, len(ids))
}

// settling returns a context for a call that outlives the requests.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTime)
}

// settled counts messages that are settled after the pump's context has ended.
func (r *run) settled(acknowledged, handedBack int) {
	if r.ctx.Err() == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest.Acknowledged += acknowledged
	r.rest.HandedBack += handedBack
}
