package functions_test

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// TestTrace follows an event from a publisher that traces to the gateway: the log line
// with the gateway's request id has the publisher's trace.
func TestTrace(t *testing.T) {
	t.Parallel()
	w := world.InCloud(t, simulator.Options{})
	w.CreateTopic(t, deviceEventsTopic)
	gatepost := w.Launch(t, "")
	w.Subscribe(t, deviceEventsTopic, &pubsubpb.Subscription{
		Name: "events", EnableMessageOrdering: true, PushConfig: &pubsubpb.PushConfig{PushEndpoint: gatepost.URL() + "/SendEvent"},
	})
	c := w.Link(t, gatepost.URL()+"/AcceptGrant", "traced", alexa.EU)

	provider := trace.NewTracerProvider()
	otel.SetTracerProvider(provider) // where the client library looks; no other test traces
	ctx, span := provider.Tracer("maker").Start(testkit.Context(t), "lamp is switched on")
	defer span.End()
	config := &pubsub.ClientConfig{EnableOpenTelemetryTracing: true}
	client, err := pubsub.NewClientWithConfig(ctx, w.ID, config, cloud.Dial(t, w.PubSubHost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	id, err := client.Publisher(deviceEventsTopic).Publish(ctx, &pubsub.Message{Data: []byte(report(c, "lamp-1"))}).Get(ctx)
	if err != nil {
		t.Fatal(err)
	}

	mark := fmt.Sprintf(`"event_id":%q`, id)
	if err := gatepost.WaitOutput(ctx, mark, 1); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(gatepost.Output()) {
		if !strings.Contains(line, mark) {
			continue
		}
		got := decode[struct {
			Trace   string `json:"logging.googleapis.com/trace"`
			Gateway string `json:"gateway_id"`
		}](t, line)
		if want := "projects/" + w.ID + "/traces/" + span.SpanContext().TraceID().String(); got.Trace != want || got.Gateway == "" {
			t.Errorf("the line has the trace %q and the gateway's id %q, want %q and one", got.Trace, got.Gateway, want)
		}
	}
}
