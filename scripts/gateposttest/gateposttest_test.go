package gateposttest_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/scripts/gateposttest"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// report returns the report of a lamp.
func report(t *testing.T, userID, value string) alexa.Event {
	t.Helper()
	now := time.Now()
	power, err := alexa.NewProperty("Alexa.PowerController", "powerState", value, now)
	if err != nil {
		t.Fatal(err)
	}
	connectivity := alexa.NewConnectivity("", now)
	return alexa.NewChangeReport(userID, "lamp-1", "PHYSICAL_INTERACTION", []alexa.Property{power}, []alexa.Property{connectivity})
}

func Example() {
	var t *testing.T // of your test
	g := gateposttest.Start(t)
	customer := g.Link("u-1", alexa.EU)
	id := g.Publish(map[string]any{
		"userId": "u-1", "endpointId": "lamp-1", "cause": "PHYSICAL_INTERACTION",
		"changed": []any{map[string]any{"namespace": "Alexa.PowerController", "name": "powerState", "value": "ON"}},
	}, map[string]string{"region": "EU"})
	fmt.Println(g.Outcome(id).Outcome)
	fmt.Println(g.State(customer, "lamp-1")["Alexa.PowerController.powerState"])
}

// TestStart runs several Gateposts at once, with customers of the same names.
func TestStart(t *testing.T) {
	t.Parallel()
	for _, region := range alexa.Regions() {
		t.Run(string(region), func(t *testing.T) {
			t.Parallel()
			g := gateposttest.Start(t, gateposttest.WithSimulator(simulator.Options{TokenLifetime: 10 * time.Minute}))
			c := g.Link("u-1", region)
			if got := g.GrantEvent("u-1", grant.Linked); got.Region != string(region) || got.ActiveGrants != 1 {
				t.Errorf("the grant event is %+v", got)
			}
			for i, value := range []string{"ON", "OFF"} {
				eventID := fmt.Sprint("e-", i)
				id := g.Publish(report(t, "u-1", value), map[string]string{"region": string(region), "eventId": eventID})
				seen := g.Accepted(func(r simulator.Request) bool { return strings.Contains(r.Body, `"`+value+`"`) })
				if seen.Region != region || seen.User != c.AmazonUser || seen.EndpointID != "lamp-1" {
					t.Errorf("the gateway got %+v", seen)
				}
				want := gateposttest.Outcome{Outcome: "accepted", Attempt: 1, Grants: []gateposttest.GrantOutcome{
					{Region: string(region), Outcome: "accepted"},
				}}
				ignore := cmpopts.IgnoreFields(gateposttest.GrantOutcome{}, "GrantID")
				for _, name := range []string{id, eventID} {
					if diff := cmp.Diff(want, g.Outcome(name), ignore); diff != "" {
						t.Errorf("the outcome of %s differs (-want +got):\n%s", name, diff)
					}
				}
				if got := g.State(c, "lamp-1"); got["Alexa.PowerController.powerState"] != value || len(got) != 2 {
					t.Errorf("the state is %v, want %s", got, value)
				}
			}
			if counts := g.Sweep(); counts.Refreshed != 1 {
				t.Errorf("the sweep did %+v, want 1 refreshed", counts)
			}
			record, err := g.Grants.Read(t.Context(), grant.Key{Skill: "default", UserID: "u-1"})
			if err != nil || len(record.Grants) != 1 {
				t.Errorf("the record has %d grants, %v", len(record.Grants), err)
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	g := gateposttest.Start(t, gateposttest.WithEnv(map[string]string{"ALEXA_REGIONS": "NA,EU"}))
	c := g.Link("u-1", alexa.EU)

	if got := g.Outcome(g.Publish(report(t, "u-2", "ON"), nil)); got.Outcome != "no_grant" || got.Reason == "" {
		t.Errorf("the outcome for a customer who is not linked is %+v", got)
	}
	if got := g.Outcome(g.Publish(report(t, "u-1", "ON"), map[string]string{"region": "FE"})); got.Outcome != "elsewhere" {
		t.Errorf("the outcome for a region that is not served is %+v", got)
	}

	for _, eventID := range []string{"e-1", ""} {
		attributes := map[string]string{"eventId": eventID}
		if eventID == "" {
			attributes = nil
		}
		id := g.Publish(`{"userId":"u-1"}`, attributes)
		letter := g.DeadLetter(id)
		if letter.Code != "INVALID_EVENT" || letter.Description == "" || string(letter.Data) != `{"userId":"u-1"}` {
			t.Errorf("the dead letter is %+v", letter)
		}
		if got := g.Outcome(id); got.Outcome != "dead_letter" || got.Code != "INVALID_EVENT" || got.Reason != letter.Description {
			t.Errorf("the outcome is %+v", got)
		}
	}

	g.Amazon.Disable(c.Region, c.AmazonUser)
	g.Amazon.ExpireAccessTokens(c.Region, c.AmazonUser)
	if got := g.Outcome(g.Publish([]byte(`{"userId":"u-1","endpointId":"lamp-1","cause":"APP_INTERACTION","changed":[
		{"namespace":"Alexa.PowerController","name":"powerState","value":"OFF"}]}`), nil)); got.Outcome != "revoked" {
		t.Errorf("the outcome is %+v", got)
	}
	if got := g.GrantEvent("u-1", grant.WasRevoked); got.ActiveGrants != 0 {
		t.Errorf("the grant event is %+v", got)
	}
	if got := g.State(c, "lamp-1"); len(got) != 0 {
		t.Errorf("the state of a customer who has unlinked is %v", got)
	}
}

// TestRedelivery: while there is no token SendEvent does not wait, and Pub/Sub
// redelivers the event.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	g := gateposttest.Start(t)
	c := g.Link("u-1", alexa.EU)
	g.Amazon.ExpireAccessTokens(c.Region, c.AmazonUser)
	g.Amazon.Script(simulator.Refresh, simulator.Fault{Status: http.StatusServiceUnavailable})
	if got := g.Outcome(g.Publish(report(t, "u-1", "ON"), nil)); got.Outcome != "accepted" || got.Attempt < 2 {
		t.Errorf("the outcome is %+v, want accepted at a later attempt", got)
	}
}

// TestCleanup: a Gatepost serves until the cleanup of the test is over.
func TestCleanup(t *testing.T) {
	t.Parallel()
	g := gateposttest.Start(t)
	t.Cleanup(func() {
		g.Link("u-1", alexa.EU)
		if got := g.Outcome(g.Publish(report(t, "u-1", "ON"), nil)); got.Outcome != "accepted" {
			t.Errorf("the outcome is %+v", got)
		}
	})
}

// failing is a test that may fail.
type failing struct {
	testing.TB
	failed chan string
	late   *atomic.Bool // each wait ends at once
}

func (f failing) Helper() {}
func (f failing) Deadline() (deadline time.Time, ok bool) {
	return time.Now(), f.late.Load()
}
func (f failing) Fatalf(format string, args ...any) {
	f.failed <- fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// TestFailures: what does not come fails the test, and says what is known of it.
func TestFailures(t *testing.T) {
	t.Parallel()
	f := failing{t, make(chan string, 10), new(atomic.Bool)}
	g := gateposttest.Start(f)
	g.Link("u-1", alexa.EU)
	g.Amazon.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.ServiceUnavailable})
	id := g.Publish(report(t, "u-1", "ON"), nil)
	waitRefused(t, g)
	f.late.Store(true)
	for want, call := range map[string]func(){
		"the outcome of " + id + ": ":          func() { g.Outcome(id) },
		"the outcome of m-0: ":                 func() { g.Outcome("m-0") },
		"an accepted event: ":                  func() { g.Accepted(func(simulator.Request) bool { return false }) },
		"the grant event revoked of u-1: ":     func() { g.GrantEvent("u-1", "revoked") },
		"the dead letter of " + id + ": ":      func() { g.DeadLetter(id) },
		"linking u-2: ":                        func() { g.Link("u-2", alexa.EU) },
		"publishing: userId: ":                 func() { g.Publish(report(t, "", "ON"), nil) },
		"publishing: json: unsupported type: ": func() { g.Publish(make(chan int), nil) },
		"DEAD_LETTER_TOPIC is empty: ": func() {
			gateposttest.Start(f, gateposttest.WithEnv(map[string]string{"DEAD_LETTER_TOPIC": ""}))
		},
	} {
		go call()
		if got := <-f.failed; !strings.HasPrefix(got, "gateposttest: "+want) {
			t.Errorf("the failure is %q, want it to begin with %q", got, want)
		}
	}
}

func waitRefused(t *testing.T, g *gateposttest.Gatepost) {
	t.Helper()
	for g.Amazon.Counts().Refused == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the gateway refused nothing")
		}
		runtime.Gosched()
	}
}
