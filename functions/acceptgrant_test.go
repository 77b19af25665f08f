package functions_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// grantTime is how long AcceptGrant may take, whatever hangs. Alexa waits
// eight seconds, and the skill proxy is on the way.
const grantTime = 5 * time.Second

// TestAcceptGrantFails sends good directives that cannot be accepted. Alexa
// knows one answer for all of them, and nothing may be left behind.
func TestAcceptGrantFails(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	severalRegions := launch(t, amazon.env(alexa.NA, alexa.EU))
	wrongSecret := launch(t, with(amazon.env(alexa.EU), map[string]string{
		"LWA_CLIENT": `{"client_id":"amzn1.application-oa2-client.fake","client_secret":"amzn1.oa2-cs.v1.fake-wrong"}`,
	}))
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hangs.Close)
	lostProvider := launch(t, with(amazon.env(alexa.EU), map[string]string{"GRANTEE_RESOLVER": "userinfo:" + hangs.URL + "/userinfo"}))

	tests := []struct {
		name    string
		baseURL string
		region  string // header
		faults  []simulator.Fault
		code    string // empty: a good one
		grantee string // empty: a good one
	}{
		{name: "no region", baseURL: severalRegions.URL()},
		{name: "no such region", baseURL: severalRegions.URL(), region: "eu"},
		{name: "region not served", baseURL: severalRegions.URL(), region: "FE"},
		{name: "region not served by one of one", baseURL: wrongSecret.URL(), region: "NA"},
		{name: "grantee token of nobody", baseURL: severalRegions.URL(), region: "EU", grantee: "expired-grantee-u-1"},
		{name: "identity provider hangs", baseURL: lostProvider.URL(), region: "EU"},
		{name: "client secret wrong", baseURL: wrongSecret.URL(), region: "EU"},
		{name: "code unknown", baseURL: severalRegions.URL(), region: "EU", code: "ANfake-unknown"},
		{name: "code refused", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{Code: simulator.LWAInvalidGrant}}},
		{name: "client not authorized", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{Code: simulator.LWAUnauthorizedClient}}},
		{name: "throttled", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{Status: 429}}},
		{name: "Login with Amazon down", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{Status: 503, Times: 2}}},
		{name: "Login with Amazon hangs", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{Delay: 10 * time.Second, Times: 2}}},
		{name: "answer lost", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{AnswerLost: true}}},
		{name: "answer cut off", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{CutBody: true}}},
		{name: "answer no JSON", baseURL: severalRegions.URL(), region: "EU", faults: []simulator.Fault{{Body: "<html>Atza|fake-echo</html>"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(test.name)
			code := amazon.Code(alexa.EU, c.amazonUser).Reveal()
			if test.code != "" {
				code = test.code
			}
			grantee := c.granteeToken()
			if test.grantee != "" {
				grantee = test.grantee
			}
			header := map[string]string{}
			if test.region != "" {
				header["X-Alexa-Region"] = test.region
			}
			var asked atomic.Bool // Login with Amazon, where its answer is the point
			asked.Store(len(test.faults) == 0)
			for _, fault := range test.faults {
				fault.User = c.amazonUser
				fault.Match = func(simulator.Request) bool { asked.Store(true); return true }
				amazon.Script(simulator.Exchange, fault)
			}
			got, err := send(testkit.Within(t, grantTime), http.MethodPost, test.baseURL+"/AcceptGrant", header, acceptGrantDirective(code, grantee))
			if err != nil {
				t.Fatalf("no answer within %v: %v", grantTime, err)
			}
			wantFailed(t, got)
			if !asked.Load() {
				t.Error("Login with Amazon was not asked")
			}
			event := post(t, test.baseURL+"/SendEvent", nil, pushed(t, c.report("lamp-1"), nil))
			if want := (answer{200, `{"outcomes":[]}`}); event != want {
				t.Errorf("an event for the customer was answered %v, want %v", event, want)
			}
		})
	}
}

// TestAcceptGrantRepeats makes Login with Amazon fail once in ways that leave
// a code unused.
func TestAcceptGrantRepeats(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, amazon.env(alexa.EU))
	for name, fault := range map[string]simulator.Fault{
		"internal error": {Status: 500, Body: "{}"},
		"unavailable":    {Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(name)
			fault.User = c.amazonUser
			amazon.Script(simulator.Exchange, fault)
			amazon.link(t, p.URL()+"/AcceptGrant", c, alexa.EU)
		})
	}
}

// TestAcceptGrantTwice delivers one directive several times, as a proxy or
// Alexa may. The code works once, and every delivery succeeds all the same.
func TestAcceptGrantTwice(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, amazon.env(alexa.FE))
	tests := []struct {
		name       string
		deliveries int
		atOnce     int
	}{
		{"one after the other", 2, 1},
		{"ten at once", 10, 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(test.name)
			directive := c.directive(amazon.Code(alexa.FE, c.amazonUser))
			answers := make([]answer, test.deliveries)
			var deliveries errgroup.Group
			deliveries.SetLimit(test.atOnce)
			for i := range answers {
				deliveries.Go(func() (err error) {
					answers[i], err = send(testkit.Context(t), http.MethodPost, p.URL()+"/AcceptGrant", nil, directive)
					return err
				})
			}
			if err := deliveries.Wait(); err != nil {
				t.Fatal(err)
			}
			for _, a := range answers {
				wantAccepted(t, a)
			}
			got := decode[outcomes](t, post(t, p.URL()+"/SendEvent", nil, pushed(t, c.report("lamp-1"), nil)).Body)
			for i := range got.Outcomes {
				got.Outcomes[i].GrantID = ""
			}
			if diff := cmp.Diff(outcomes{Outcomes: []grantOutcome{{Outcome: "accepted"}}}, got); diff != "" {
				t.Errorf("the customer's grants differ from one (-want +got):\n%s", diff)
			}
			exchanged := 0
			for _, seen := range amazon.LWARequests() {
				if seen.User == c.amazonUser && seen.Target == simulator.Exchange && seen.Accepted {
					exchanged++
				}
			}
			if exchanged != 1 {
				t.Errorf("the code was exchanged %d times, want once", exchanged)
			}
		})
	}
}
