package local

import (
	"context"
	"fmt"
	"os"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The topics, and the subscriptions of the same names.
const (
	deviceEvents = "device-events"
	grantEvents  = "grant-events"
	deadLetters  = "dead-letters"
	refresh      = "refresh"
)

// ackDeadline is how many seconds a push may take.
const ackDeadline = 60

// maxAttempts is how often a device event is pushed before it is dead-lettered.
const maxAttempts = 100

// pubsubHost is the variable with the address of an emulator for Google's client
// libraries.
const pubsubHost = "PUBSUB_EMULATOR_HOST"

// broker is Pub/Sub, in memory or an emulator.
type broker struct {
	project string
	address string
	client  *pubsub.Client
	server  *pstest.Server // nil with the emulator
}

// openBroker starts a Pub/Sub in memory unless there is an emulator, and sets its
// address for the client libraries of this process.
func openBroker(ctx context.Context, project string) (*broker, error) {
	b := &broker{project: project}
	var err error
	if b.address, err = emulatorAt(ctx, pubsubHost); err != nil {
		return nil, err
	}
	if b.address == "" {
		b.server = pstest.NewServerWithAddress(loopback + ":0")
		b.address = b.server.Addr
		if err := os.Setenv(pubsubHost, b.address); err != nil {
			return nil, err
		}
	}
	if b.client, err = pubsub.NewClient(context.WithoutCancel(ctx), project); err != nil {
		return nil, fmt.Errorf("connecting to Pub/Sub: %w", err)
	}
	if err := b.create(ctx); err != nil {
		return nil, fmt.Errorf("Pub/Sub at %s: %w", b.address, err)
	}
	return b, nil
}

func (b *broker) String() string {
	if b.server != nil {
		return "in memory, at " + b.address
	}
	return "the emulator at " + b.address
}

// close ends Pub/Sub.
func (b *broker) close() {
	_ = b.client.Close() // no publish is in flight
	if b.server != nil {
		_ = b.server.Close()
	}
}

func (b *broker) topic(id string) string { return "projects/" + b.project + "/topics/" + id }
func (b *broker) subscription(id string) string {
	return "projects/" + b.project + "/subscriptions/" + id
}

// create creates missing topics and subscriptions. A deployment has push subscriptions
// with filters for its region; here one process serves all regions, and the pump pushes.
func (b *broker) create(ctx context.Context) error {
	for _, id := range []string{deviceEvents, grantEvents, deadLetters, refresh} {
		_, err := b.client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: b.topic(id)})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("creating topic %s: %w", id, err)
		}
	}
	for _, wanted := range []*pubsubpb.Subscription{
		{Name: deviceEvents, EnableMessageOrdering: true, DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{
			DeadLetterTopic: b.topic(deadLetters), MaxDeliveryAttempts: maxAttempts,
		}},
		{Name: grantEvents}, {Name: deadLetters}, {Name: refresh},
	} {
		wanted.Name, wanted.Topic, wanted.AckDeadlineSeconds = b.subscription(wanted.Name), b.topic(wanted.Name), ackDeadline
		_, err := b.client.SubscriptionAdminClient.CreateSubscription(ctx, wanted)
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("creating %s: %w", wanted.GetName(), err)
		}
	}
	return nil
}
