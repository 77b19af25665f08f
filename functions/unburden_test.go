package functions_test

import (
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// TestOneLineARequest has the program run as on Google Cloud, where the Functions
// Framework would write two empty lines for each request.
func TestOneLineARequest(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, with(amazon.env(alexa.EU), map[string]string{
		"FUNCTION_TARGET": "SendEvent", "K_SERVICE": "send-event", "CLOUD_RUN_TIMEOUT_SECONDS": "60",
	}))
	const requests = 3
	for range requests {
		if got := post(t, p.URL(), nil, pushed(t, newCustomer("lines").report("lamp-1"), nil)); got.Status != 200 {
			t.Errorf("answered %v", got)
		}
	}
	// What a program writes is seen a moment later; when it has ended, all is.
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := p.Output()
	if strings.Count(got, `"event_id"`) != requests || strings.Contains("\n"+got, "\n\n") {
		t.Errorf("want a line for each of %d requests, and no empty one:\n%s", requests, got)
	}
}
