package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
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
	// checkTime bounds the calls that check a name.
	checkTime = 10 * time.Second
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

// fullNames are the full names of topics and subscriptions.
var fullNames = regexp.MustCompile(`^projects/([^/]+)/(topics|subscriptions)/([^/]+)$`)

// split returns the project and the id of a full name.
func split(name string) (project, id string) {
	found := fullNames.FindStringSubmatch(name)
	if found == nil {
		return "", name
	}
	return found[1], found[3]
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

// deletedTopic is the topic of a subscription whose topic is gone.
const deletedTopic = "_deleted-topic_"

// check returns an error for a subscription that must not be read, and a warning for
// one that cannot be read completely.
func (s subscription) check(ctx context.Context, topic string) (warning string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found, err := s.client.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: s.name})
	if silent := unanswered(err); silent != nil {
		return "", silent
	}
	if err != nil && status.Code(err) != codes.NotFound {
		return "", fmt.Errorf("checking %s: %w", s.name, err)
	}
	project, id := split(s.name)
	// Without permission to list, less is known about what would be right.
	others := all(s.client.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: "projects/" + project}).All())
	if err != nil {
		return "", cli.Missing("subscription", id, project, namesOf(others))
	}
	var graves []string // topics of the dead letters of topic
	for _, other := range others {
		if other.Topic == topic && other.DeadLetterPolicy != nil {
			graves = append(graves, other.DeadLetterPolicy.DeadLetterTopic)
		}
	}
	knownWrong := len(graves) > 0 && !slices.Contains(graves, found.Topic) && found.Topic != deletedTopic
	switch {
	case found.Topic == topic || knownWrong:
		right := slices.DeleteFunc(others, func(other *pubsubpb.Subscription) bool { return !slices.Contains(graves, other.Topic) })
		return "", wrongTopic(id, found.Topic, topic, right)
	case found.DeadLetterPolicy != nil:
		return "", fmt.Errorf("%s has a dead-letter policy of its own: "+
			"each pull counts as a failed delivery, and the last one moves the message away", id)
	case found.EnableMessageOrdering:
		return id + " is ordered: only the first message of each ordering key is seen, until it has been replayed", nil
	}
	return "", nil
}

// wrongTopic returns the error of a subscription whose topic has no dead letters of the
// topic of events.
func wrongTopic(id, topic, events string, right []*pubsubpb.Subscription) error {
	_, topic = split(topic)
	_, events = split(events)
	hint := ""
	for i, s := range right {
		_, other := split(s.Name)
		hint += map[bool]string{true: ": want ", false: " or "}[i == 0] + other
	}
	return fmt.Errorf("%s is a subscription of %s, which is not a dead-letter topic of %s%s", id, topic, events, hint)
}

// checkTopic returns an error for a topic that does not exist. To publish to one needs
// no permission to look at it.
func checkTopic(ctx context.Context, client *apiv1.TopicAdminClient, name string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	_, err := client.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: name})
	if status.Code(err) != codes.NotFound {
		return unanswered(err)
	}
	project, id := split(name)
	others := all(client.ListTopics(ctx, &pubsubpb.ListTopicsRequest{Project: "projects/" + project}).All())
	return cli.Missing("topic", id, project, namesOf(others))
}

// unanswered returns an error if err is that of a call without answer.
func unanswered(err error) error {
	code := status.Code(err)
	if code != codes.DeadlineExceeded && code != codes.Unavailable && !errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if host := os.Getenv("PUBSUB_EMULATOR_HOST"); host != "" {
		return fmt.Errorf("Pub/Sub at %s (PUBSUB_EMULATOR_HOST) does not answer: is the local run up?", host)
	}
	return fmt.Errorf("Pub/Sub does not answer: %w", err)
}

// all returns the items of a list up to the first error.
func all[T any](list iter.Seq2[T, error]) (items []T) {
	for item, err := range list {
		if err != nil {
			break
		}
		items = append(items, item)
	}
	return items
}

func namesOf[T interface{ GetName() string }](items []T) (names []string) {
	for _, item := range items {
		names = append(names, item.GetName())
	}
	return names
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
