package oneprocess

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// The topics, and the subscriptions of the same names.
const (
	DeviceEvents = "device-events"
	GrantEvents  = "grant-events"
	DeadLetters  = "dead-letters"
	refresh      = "refresh"
)

// watchedLetters is a second subscription of DeadLetters. The first keeps dead letters
// to be replayed.
const watchedLetters = "dead-letters-watched"

// ackDeadline is how many seconds a push may take.
const ackDeadline = 60

// MaxAttempts is how often a device event is pushed before it is dead-lettered.
const MaxAttempts = 100

// Broker is Pub/Sub, in memory or an emulator.
type Broker struct {
	Address  string // host:port
	Project  string
	InMemory bool

	run    string // ends the names of the subscriptions in the emulator
	client *pubsub.Client
	server *pstest.Server // nil with the emulator
}

// Emulator returns the options of a client of Google's APIs for an emulator.
func Emulator(address string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// openBroker connects to the emulator, or starts a Pub/Sub in memory if there is none.
func openBroker(ctx context.Context, o Options) (*Broker, error) {
	b := &Broker{Address: o.PubSubServer, Project: o.Project, InMemory: o.PubSubServer == "", run: o.Run}
	var err error
	if b.InMemory {
		if b.server, err = startFake(cmp.Or(o.PubSubAt, anyPort)); err != nil {
			return nil, err
		}
		b.Address = b.server.Addr
	}
	if b.client, err = pubsub.NewClient(context.WithoutCancel(ctx), b.Project, Emulator(b.Address)...); err != nil {
		b.close()
		return nil, fmt.Errorf("connecting to Pub/Sub: %w", err)
	}
	if err := b.create(ctx); err != nil {
		b.close()
		return nil, fmt.Errorf("Pub/Sub at %s: %w", b.Address, err)
	}
	return b, nil
}

// startFake starts Google's fake server, which panics if it cannot listen.
func startFake(address string) (server *pstest.Server, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("starting Pub/Sub: %v", cause)
		}
	}()
	return pstest.NewServerWithAddress(address), nil
}

// deleteTime bounds the deletion of what a run has in the emulator.
const deleteTime = 2 * time.Second

// close ends Pub/Sub, or deletes what is this run's in the emulator.
func (b *Broker) close() {
	if b.client != nil && b.ofRun() {
		ctx, cancel := context.WithTimeout(context.Background(), deleteTime)
		defer cancel()
		for _, id := range []string{DeviceEvents, refresh, GrantEvents, watchedLetters} {
			request := &pubsubpb.DeleteSubscriptionRequest{Subscription: b.subscription(id)}
			_ = b.client.SubscriptionAdminClient.DeleteSubscription(ctx, request) // it does not disturb other runs
		}
		_ = b.client.TopicAdminClient.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: b.topic(refresh)})
	}
	if b.client != nil {
		_ = b.client.Close() // no publish is in flight
	}
	if b.server != nil {
		_ = b.server.Close()
	}
}

// topic returns the full name of a topic. A sweep is of one run.
func (b *Broker) topic(id string) string {
	if b.ofRun() && id == refresh {
		id += "-" + b.run
	}
	return "projects/" + b.Project + "/topics/" + id
}

// ofRun reports whether the subscriptions are those of one run of several.
func (b *Broker) ofRun() bool { return !b.InMemory && b.run != "" }

// subscription returns the full name of a subscription. Runs with the same emulator must
// not take each other's messages, but share the dead letters to be replayed.
func (b *Broker) subscription(id string) string {
	if b.ofRun() && id != DeadLetters {
		id += "-" + b.run
	}
	return "projects/" + b.Project + "/subscriptions/" + id
}

// Subscriptions returns the full names of the subscriptions that are delivered, and of the
// one that keeps dead letters.
func (b *Broker) Subscriptions() []string {
	var names []string
	for _, id := range []string{DeviceEvents, refresh, GrantEvents, DeadLetters} {
		names = append(names, b.subscription(id))
	}
	return names
}

// create creates missing topics and subscriptions. A deployment has push subscriptions
// with filters for its region; here one process serves all regions, and the pump pushes.
func (b *Broker) create(ctx context.Context) error {
	for _, id := range []string{DeviceEvents, GrantEvents, DeadLetters, refresh} {
		_, err := b.client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: b.topic(id)})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("creating topic %s: %w", id, err)
		}
	}
	for _, wanted := range []*pubsubpb.Subscription{
		{Name: DeviceEvents, Topic: DeviceEvents, EnableMessageOrdering: true, DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{
			DeadLetterTopic: b.topic(DeadLetters), MaxDeliveryAttempts: MaxAttempts,
		}},
		{Name: refresh, Topic: refresh},
		{Name: GrantEvents, Topic: GrantEvents},
		{Name: DeadLetters, Topic: DeadLetters},
		{Name: watchedLetters, Topic: DeadLetters},
	} {
		wanted.Name, wanted.Topic, wanted.AckDeadlineSeconds = b.subscription(wanted.Name), b.topic(wanted.Topic), ackDeadline
		_, err := b.client.SubscriptionAdminClient.CreateSubscription(ctx, wanted)
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("creating %s: %w", wanted.GetName(), err)
		}
	}
	return nil
}
