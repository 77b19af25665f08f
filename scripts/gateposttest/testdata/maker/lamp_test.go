package maker

import (
	"context"
	"testing"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/scripts/gateposttest"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

func TestLampTellsAlexa(t *testing.T) {
	t.Parallel()
	g := gateposttest.Start(t)
	customer := g.Link("u-1", alexa.EU)
	g.Amazon.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.Throttling}) // Gatepost retries

	client, err := pubsub.NewClient(t.Context(), g.PubSub.Project, g.PubSub.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	id, err := SwitchOn(t.Context(), client, "u-1", "lamp-1")
	if err != nil {
		t.Fatal(err)
	}

	if got := g.Outcome(id); got.Outcome != "accepted" {
		t.Errorf("the outcome is %+v", got)
	}
	if got := g.State(customer, "lamp-1")["Alexa.PowerController.powerState"]; got != "ON" {
		t.Errorf("Alexa believes that the lamp is %v", got)
	}
}

func TestCustomerUnlinks(t *testing.T) {
	t.Parallel()
	g := gateposttest.Start(t)
	customer := g.Link("u-1", alexa.EU)
	g.Amazon.Disable(customer.Region, customer.AmazonUser)
	g.Amazon.ExpireAccessTokens(customer.Region, customer.AmazonUser)

	client, err := pubsub.NewClient(t.Context(), g.PubSub.Project, g.PubSub.ClientOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := SwitchOn(t.Context(), client, "u-1", "lamp-1"); err != nil {
		t.Fatal(err)
	}
	if got := g.GrantEvent("u-1", "revoked"); got.ActiveGrants != 0 {
		t.Errorf("the grant event is %+v", got)
	}
}

// SwitchOn is the maker's code.
func SwitchOn(ctx context.Context, client *pubsub.Client, userID, endpointID string) (string, error) {
	events := client.Publisher(gateposttest.DeviceEvents)
	defer events.Stop()
	data := `{"userId":"` + userID + `","endpointId":"` + endpointID + `","cause":"PHYSICAL_INTERACTION","changed":[
		{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}],"unchanged":[
		{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"}}]}`
	return events.Publish(ctx, &pubsub.Message{Data: []byte(data), Attributes: map[string]string{"region": "EU"}}).Get(ctx)
}
