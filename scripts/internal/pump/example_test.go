package pump_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
)

// A message goes from an in-memory Pub/Sub to an HTTP server.
func Example() {
	server := pstest.NewServerWithAddress("127.0.0.1:0")
	defer server.Close()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	client, err := pubsub.NewClient(ctx, "p", option.WithEndpoint(server.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	const topic, subscription = "projects/p/topics/device-events", "projects/p/subscriptions/device-events"
	if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic}); err != nil {
		log.Fatal(err)
	}
	wanted := &pubsubpb.Subscription{Name: subscription, Topic: topic, EnableMessageOrdering: true, AckDeadlineSeconds: 60}
	if _, err := client.SubscriptionAdminClient.CreateSubscription(ctx, wanted); err != nil {
		log.Fatal(err)
	}
	server.PublishOrdered(topic, []byte("hello"), nil, "u-1/lamp-1")

	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"outcomes":[]}`)
	}))
	defer endpoint.Close()
	p := &pump.Pump{
		Client: client.SubscriptionAdminClient, Subscription: subscription,
		HTTP: endpoint.Client(), Endpoint: endpoint.URL, Concurrency: 10, AckDeadline: time.Minute,
		MinBackoff: time.Second, MaxBackoff: 10 * time.Second, Grace: 5 * time.Second, Now: time.Now,
		Observe: func(d pump.Delivery) {
			fmt.Printf("%s for %s: %d %s\n", d.Message.Data, d.Message.OrderingKey, d.Status, d.Body)
			end()
		},
	}
	if _, err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}

	// Output:
	// hello for u-1/lamp-1: 200 {"outcomes":[]}
}
