package oneprocess

import (
	"context"
	"fmt"

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

// openBroker connects to the emulator, or starts a Pub/Sub in memory if emulator is
// empty.
func openBroker(ctx context.Context, project, address, emulator string) (*Broker, error) {
	b := &Broker{Address: emulator, Project: project, InMemory: emulator == ""}
	var err error
	if b.InMemory {
		if b.server, err = startFake(address); err != nil {
			return nil, err
		}
		b.Address = b.server.Addr
	}
	if b.client, err = pubsub.NewClient(context.WithoutCancel(ctx), project, Emulator(b.Address)...); err != nil {
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

// close ends Pub/Sub.
func (b *Broker) close() {
	if b.client != nil {
		_ = b.client.Close() // no publish is in flight
	}
	if b.server != nil {
		_ = b.server.Close()
	}
}

func (b *Broker) topic(id string) string { return "projects/" + b.Project + "/topics/" + id }
func (b *Broker) subscription(id string) string {
	return "projects/" + b.Project + "/subscriptions/" + id
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
