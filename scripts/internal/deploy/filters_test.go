package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestFilters has the planned filters judge messages, as Pub/Sub's own fake
// understands them: an event with a known region reaches exactly the stack of
// that region, and any other reaches all, where one of them can say what is
// wrong with it.
func TestFilters(t *testing.T) {
	t.Parallel()
	regions := []string{"EU", "FE", "NA"}
	filters := map[string]string{}
	for _, p := range readPlan(t, "testdata/plan.json") {
		if name := p.at("name"); p.Type == "google_pubsub_subscription" && strings.HasSuffix(name, "-device-events") {
			filters[strings.ToUpper(strings.Split(name, "-")[1])] = p.at("filter")
		}
	}
	if diff := cmp.Diff(regions, slices.Sorted(maps.Keys(filters))); diff != "" {
		t.Fatalf("regions of the planned subscriptions differ (-want +got):\n%s", diff)
	}
	client := subscribe(t, filters)
	for _, test := range []struct {
		name       string
		attributes map[string]string
		want       []string
	}{
		{"no attributes", nil, regions},
		{"NA", map[string]string{"region": "NA"}, []string{"NA"}},
		{"EU", map[string]string{"region": "EU"}, []string{"EU"}},
		{"FE", map[string]string{"region": "FE"}, []string{"FE"}},
		{"lower case", map[string]string{"region": "eu"}, regions},
		{"space in front", map[string]string{"region": " EU"}, regions},
		{"space behind", map[string]string{"region": "EU "}, regions},
		{"empty", map[string]string{"region": ""}, regions},
		{"unknown", map[string]string{"region": "XX"}, regions},
		{"several", map[string]string{"region": "EU,NA"}, regions},
		{"other attributes", map[string]string{"eventId": "1", "Region": "EU", "regions": "NA"}, regions},
		{"region and others", map[string]string{"eventId": "NA", "region": "FE"}, []string{"FE"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := client.reached(t, test.attributes); !slices.Equal(got, test.want) {
				t.Errorf("%v reached %v, want %v", test.attributes, got, test.want)
			}
		})
	}
}

// filtered is a topic with one subscription for each region.
type filtered struct {
	*pubsub.Client
	topic   string
	regions []string
}

func subscribe(t *testing.T, filters map[string]string) filtered {
	t.Helper()
	server := pstest.NewServer()
	t.Cleanup(func() { _ = server.Close() })
	client, err := pubsub.NewClient(t.Context(), "p", option.WithEndpoint(server.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	f := filtered{client, "projects/p/topics/device-events", slices.Sorted(maps.Keys(filters))}
	if _, err := client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: f.topic}); err != nil {
		t.Fatal(err)
	}
	for _, region := range f.regions {
		subscription := &pubsubpb.Subscription{Name: f.subscription(region), Topic: f.topic, Filter: filters[region]}
		if _, err := client.SubscriptionAdminClient.CreateSubscription(t.Context(), subscription); err != nil {
			t.Fatalf("the filter %q is refused: %v", subscription.Filter, err)
		}
	}
	return f
}

func (f filtered) subscription(region string) string { return "projects/p/subscriptions/" + region }

// reached publishes a message, and returns the regions whose subscriptions get
// it.
func (f filtered) reached(t *testing.T, attributes map[string]string) []string {
	t.Helper()
	ctx := t.Context()
	message := &pubsubpb.PubsubMessage{Data: []byte("x"), Attributes: attributes}
	request := &pubsubpb.PublishRequest{Topic: f.topic, Messages: []*pubsubpb.PubsubMessage{message}}
	if _, err := f.TopicAdminClient.Publish(ctx, request); err != nil {
		t.Fatal(err)
	}
	var reached []string
	for _, region := range f.regions {
		if f.pull(ctx, t, region) > 0 {
			reached = append(reached, region)
		}
	}
	return reached
}

// pull takes what the region's subscription has.
func (f filtered) pull(ctx context.Context, t *testing.T, region string) int {
	t.Helper()
	name := f.subscription(region)
	//lint:ignore SA1019 with ReturnImmediately an empty subscription says that it is
	request := &pubsubpb.PullRequest{Subscription: name, MaxMessages: 10, ReturnImmediately: true}
	got, err := f.SubscriptionAdminClient.Pull(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range got.ReceivedMessages {
		request := &pubsubpb.AcknowledgeRequest{Subscription: name, AckIds: []string{one.AckId}}
		if err := f.SubscriptionAdminClient.Acknowledge(ctx, request); err != nil {
			t.Fatal(err)
		}
	}
	return len(got.ReceivedMessages)
}
