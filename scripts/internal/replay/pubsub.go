package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	// pullSize is the most messages of one pull, and so the most publishes in
	// parallel.
	pullSize = 500
	// pullTries is how often a pull with a transient error is tried, and pullPause the
	// pause before the next, which doubles.
	pullTries = 5
	pullPause = 50 * time.Millisecond
	// settleTime is how long Pub/Sub may take to notice a cancelled pull. Until then it
	// may lease released messages to that pull.
	settleTime = 500 * time.Millisecond
	// publishTime bounds one publish, including the client library's retries.
	publishTime = 10 * time.Second
)

// connect connects to Pub/Sub with the credentials of the environment, or to
// the emulator that PUBSUB_EMULATOR_HOST names.
func connect(ctx context.Context, project string, o ...option.ClientOption) (*pubsub.Client, error) {
	client, err := pubsub.NewClient(ctx, cmp.Or(project, pubsub.DetectProjectID), o...)
	if err != nil {
		return nil, fmt.Errorf("connecting to Pub/Sub: %w", err)
	}
	// With the library's retries, an empty subscription and an unavailable Pub/Sub
	// would look the same when the time is over.
	client.SubscriptionAdminClient.CallOptions.Pull = nil
	return client, nil
}

// fullName returns the full name of a topic or subscription.
func fullName(project, kind, name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return "projects/" + project + "/" + kind + "/" + name
}

// subscription is a source.
type subscription struct {
	client *apiv1.SubscriptionAdminClient
	name   string
}

// The reasons to refuse a subscription.
var (
	errOwnPolicy = errors.New("it has a dead-letter policy of its own: " +
		"each pull counts as a failed delivery, and the last one moves the message away")
	errSameTopic = errors.New("it is a subscription of the topic to publish to")
)

// check returns an error for a subscription that must not be read, and a warning for
// one that cannot be read completely.
func (s subscription) check(ctx context.Context, topic string) (warning string, err error) {
	found, err := s.client.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: s.name})
	switch {
	case err != nil:
		return "", fmt.Errorf("checking %s: %w", s.name, err)
	case found.DeadLetterPolicy != nil:
		return "", fmt.Errorf("%s: %w", s.name, errOwnPolicy)
	case found.Topic == topic:
		return "", fmt.Errorf("%s: %w", s.name, errSameTopic)
	case found.EnableMessageOrdering:
		return s.name + " is ordered: of messages with the same ordering key only the first is seen until it has been replayed", nil
	}
	return "", nil
}

func (s subscription) pull(ctx context.Context) ([]received, error) {
	for failures := 0; ; {
		response, err := s.client.Pull(ctx, &pubsubpb.PullRequest{Subscription: s.name, MaxMessages: pullSize})
		switch {
		case err == nil && len(response.ReceivedMessages) > 0:
			return fromWire(response.ReceivedMessages), nil
		case err == nil:
			failures = 0
		case ctx.Err() != nil, status.Code(err) == codes.DeadlineExceeded:
			<-time.After(settleTime)
			err, failures = nil, 0
		default:
			failures++
		}
		if failures == pullTries || err != nil && !transient(err) {
			return nil, err
		}
		// An empty answer may come at once.
		if wait.For(ctx, pullPause<<failures) != nil {
			return nil, err
		}
	}
}

func transient(err error) bool {
	return slices.Contains([]codes.Code{
		codes.Aborted, codes.Internal, codes.ResourceExhausted, codes.Unavailable, codes.Unknown,
	}, status.Code(err))
}

func fromWire(messages []*pubsubpb.ReceivedMessage) []received {
	result := make([]received, len(messages))
	for i, m := range messages {
		result[i] = received{ackID: m.AckId, Message: push.Message{
			ID: m.Message.MessageId, Data: m.Message.Data, Attributes: m.Message.Attributes,
			PublishTime: m.Message.PublishTime.AsTime(), OrderingKey: m.Message.OrderingKey,
		}}
	}
	return result
}

func (s subscription) acknowledge(ctx context.Context, ackIDs []string) error {
	return s.client.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: s.name, AckIds: ackIDs})
}

func (s subscription) extend(ctx context.Context, ackIDs []string, d time.Duration) error {
	return s.client.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{
		Subscription: s.name, AckIds: ackIDs, AckDeadlineSeconds: int32(d / time.Second),
	})
}

// topic is a sink.
type topic struct{ publisher *pubsub.Publisher }

// newTopic returns a topic that is to be stopped after use.
func newTopic(client *pubsub.Client, name string) topic {
	p := client.Publisher(name)
	p.EnableMessageOrdering = true
	p.PublishSettings.Timeout = publishTime
	// Pub/Sub accepts or refuses a request as a whole. With one message in each, no
	// message fails because of another.
	p.PublishSettings.CountThreshold = 1
	return topic{p}
}

func (t topic) publish(m push.Message) func() error {
	result := t.publisher.Publish(context.Background(), &pubsub.Message{
		Data: m.Data, Attributes: m.Attributes, OrderingKey: m.OrderingKey,
	})
	return func() error {
		_, err := result.Get(context.Background())
		var paused pubsub.ErrPublishingPaused
		if errors.As(err, &paused) {
			return errHeldBack // the library's error names the key, and keys name customers
		}
		return err
	}
}
