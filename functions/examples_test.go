package functions_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// TestExamples publishes every example of a device event to the program. The
// gateway takes each at the first try: the examples are what a maker copies.
func TestExamples(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../shared/alexa/examples/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples (%v)", err)
	}
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, amazon.env(alexa.EU))
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			event, _, err := alexa.DecodeEvent(data, time.Now(), alexa.CheckStrict)
			if err != nil {
				t.Fatal(err)
			}
			// A customer of its own tells its requests from the others'.
			c := newCustomer(name)
			id := grant.ID(alexa.EU, "default", amazon.link(t, p.URL()+"/AcceptGrant", c, alexa.EU).Reveal())
			published := strings.Replace(string(data), `"userId": "u-1"`, `"userId": "`+c.userID+`"`, 1)
			got := post(t, p.URL()+"/SendEvent", nil, pushed(t, published, nil))
			want := outcomes{Outcomes: []grantOutcome{{GrantID: id, Outcome: "accepted"}}}
			if diff := cmp.Diff(want, decode[outcomes](t, got.Body)); diff != "" || got.Status != 200 {
				t.Errorf("answered %d, want 200; the outcomes differ (-want +got):\n%s", got.Status, diff)
			}
			amazon.wantTaken(t, c, event)
		})
	}
}

// TestPublicBodies publishes what others send to the program, for one customer: the
// gateway takes all of it.
func TestPublicBodies(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../shared/alexa/testdata/bodies.json")
	if err != nil {
		t.Fatal(err)
	}
	var bodies []map[string]any
	if err := json.Unmarshal(data, &bodies); err != nil {
		t.Fatal(err)
	}
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, amazon.env(alexa.EU))
	c := newCustomer("bodies")
	amazon.link(t, p.URL()+"/AcceptGrant", c, alexa.EU)
	for i, body := range bodies {
		body["userId"] = c.userID
		event, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		got := post(t, p.URL()+"/SendEvent", nil, pushed(t, string(event), map[string]string{"eventId": fmt.Sprint("body-", i)}))
		outcomes := decode[outcomes](t, got.Body).Outcomes
		if got.Status != 200 || len(outcomes) != 1 || outcomes[0].Outcome != "accepted" {
			t.Errorf("%d %s: %s", got.Status, got.Body, event)
		}
	}
}

// wantTaken wants one request with an event for a customer, which the gateway
// accepted.
func (a amazon) wantTaken(t *testing.T, c customer, event alexa.Event) {
	t.Helper()
	type seen struct {
		Status                      int
		Namespace, Name, EndpointID string
		Reason                      string // why the simulator refused
	}
	var got []seen
	for _, r := range a.Events(alexa.EU) {
		if r.User == c.amazonUser {
			got = append(got, seen{r.Status, r.Namespace, r.Name, r.EndpointID, r.Reason})
		}
	}
	want := []seen{{202, event.Header.Namespace, event.Header.Name, event.EndpointID(), ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what arrived at the gateway differs (-want +got):\n%s", diff)
	}
}
