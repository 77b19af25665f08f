package deploy

import (
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

// TestFilters applies the planned filters to messages in Pub/Sub's own fake: an
// event with a known region reaches exactly that region's stack, and any other
// reaches all, so that one of them can dead-letter it.
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
	const topic = "projects/p/topics/device-events"
	ctx, client := t.Context(), fakePubSub(t)
	if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	for region, filter := range filters {
		subscription := &pubsubpb.Subscription{Name: "projects/p/subscriptions/" + region, Topic: topic, Filter: filter}
		if _, err := client.SubscriptionAdminClient.CreateSubscription(ctx, subscription); err != nil {
			t.Fatalf("filter %q: %v", filter, err)
		}
	}
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
		message := &pubsubpb.PubsubMessage{Data: []byte(test.name), Attributes: test.attributes}
		request := &pubsubpb.PublishRequest{Topic: topic, Messages: []*pubsubpb.PubsubMessage{message}}
		if _, err := client.TopicAdminClient.Publish(ctx, request); err != nil {
			t.Fatal(err)
		}
		var reached []string
		for _, region := range regions {
			//lint:ignore SA1019 with ReturnImmediately an empty subscription
			// answers at once
			request := &pubsubpb.PullRequest{Subscription: "projects/p/subscriptions/" + region, MaxMessages: 100, ReturnImmediately: true}
			got, err := client.SubscriptionAdminClient.Pull(ctx, request)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range got.ReceivedMessages { // not acknowledged, and not redelivered so soon
				if string(one.Message.Data) == test.name {
					reached = append(reached, region)
				}
			}
		}
		if !slices.Equal(reached, test.want) {
			t.Errorf("%s: stacks reached by %v = %v, want %v", test.name, test.attributes, reached, test.want)
		}
	}
}

func fakePubSub(t *testing.T) *pubsub.Client {
	t.Helper()
	server := pstest.NewServer()
	t.Cleanup(func() { _ = server.Close() })
	client, err := pubsub.NewClient(t.Context(), "p", option.WithEndpoint(server.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
