package functions_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// amazon is the world around the program: Login with Amazon, the gateways, and
// the maker's identity provider.
type amazon struct {
	*simulator.Simulator
	*simulator.Server
}

func newAmazon(t *testing.T, options simulator.Options) amazon {
	t.Helper()
	options.Clients = []simulator.Client{lwaClient}
	sim := simulator.New(options)
	server, err := simulator.Start(sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return amazon{sim, server}
}

var lwaClient = simulator.Client{
	ID:     "amzn1.application-oa2-client.fake",
	Secret: sensitive.New(clientSecretMark + ".v1.fake"),
}

// env is the configuration of a program in this world, all functions in one
// process that keeps its grants in memory.
func (a amazon) env(regions ...alexa.Region) map[string]string {
	names := make([]string, len(regions))
	for i, region := range regions {
		names[i] = string(region)
	}
	return with(a.Env(), map[string]string{
		"ALEXA_REGIONS":    strings.Join(names, ","),
		"GRANT_STORE":      "memory",
		"GRANTEE_RESOLVER": "userinfo:" + a.UserInfoURL,
		"LWA_CREDENTIALS":  "env:LWA_CLIENT",
		"LWA_CLIENT":       fmt.Sprintf(`{"client_id":%q,"client_secret":%q}`, lwaClient.ID, lwaClient.Secret.Reveal()),
	})
}

// customer is somebody who links an Amazon account: the maker's id and
// Amazon's.
type customer struct{ userID, amazonUser string }

// newCustomer makes a customer whose names nobody else has, as long as name is
// one of its kind. The simulator's identity provider knows whose token is
// whose by its text, see [simulator.IdentityProvider].
func newCustomer(name string) customer {
	name = strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r == '\'' { // what a bearer token may not have
			return '-'
		}
		return r
	}, name)
	return customer{"u-" + name, "amzn-" + name}
}

func (c customer) granteeToken() string { return "grantee-" + c.userID }

// directive is what Alexa sends for a code.
func (c customer) directive(code sensitive.String) string {
	return acceptGrantDirective(code.Reveal(), c.granteeToken())
}

// acceptGrantDirective is Alexa.Authorization.AcceptGrant as on
// https://developer.amazon.com/docs/device-apis/alexa-authorization.html.
func acceptGrantDirective(code, granteeToken string) string {
	return fmt.Sprintf(`{"directive":{
		"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"5f8a426e-01e4-4cc9-8b79-65f8bd0fd8a4","payloadVersion":"3"},
		"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":%q}}}}`,
		code, granteeToken)
}

// regionHeader is how the skill proxy says where it runs.
func regionHeader(region alexa.Region) map[string]string {
	return map[string]string{"X-Alexa-Region": string(region)}
}

// link has a customer enable the skill, and returns the code that was accepted.
func (a amazon) link(t *testing.T, acceptGrantURL string, c customer, region alexa.Region) sensitive.String {
	t.Helper()
	code := a.Code(region, c.amazonUser)
	wantAccepted(t, post(t, acceptGrantURL, regionHeader(region), c.directive(code)))
	return code
}

// grantAnswer is an answer to AcceptGrant, less its message id.
type grantAnswer struct {
	Namespace, Name, PayloadVersion string
	Payload                         map[string]string
}

func decodeGrantAnswer(t *testing.T, a answer) grantAnswer {
	t.Helper()
	var body struct {
		Event struct {
			Header struct {
				Namespace, Name, PayloadVersion, MessageID string
			}
			Payload map[string]string
		}
	}
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil || a.Status != 200 {
		t.Fatalf("the answer is %d %q (%v), want 200 with an event", a.Status, a.Body, err)
	}
	header := body.Event.Header
	if header.MessageID == "" {
		t.Errorf("the answer has no messageId: %s", a.Body)
	}
	return grantAnswer{header.Namespace, header.Name, header.PayloadVersion, body.Event.Payload}
}

func wantAccepted(t *testing.T, a answer) {
	t.Helper()
	want := grantAnswer{"Alexa.Authorization", "AcceptGrant.Response", "3", map[string]string{}}
	if diff := cmp.Diff(want, decodeGrantAnswer(t, a)); diff != "" {
		t.Fatalf("the answer differs (-want +got):\n%s", diff)
	}
}

func wantFailed(t *testing.T, a answer) {
	t.Helper()
	got := decodeGrantAnswer(t, a)
	if got.Payload["message"] == "" {
		t.Errorf("the answer has no message: %s", a.Body)
	}
	delete(got.Payload, "message") // for people
	want := grantAnswer{"Alexa.Authorization", "ErrorResponse", "3", map[string]string{"type": "ACCEPT_GRANT_FAILED"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer differs (-want +got):\n%s", diff)
	}
}

// Two properties of a lamp: one that changes, and one that is as it was.
const (
	powerState   = `{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05.678Z","uncertaintyInMilliseconds":0}`
	connectivity = `{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":"2026-01-02T03:04:05.000Z","uncertaintyInMilliseconds":200}`
)

// report is a device event: a customer's lamp was switched on.
func (c customer) report(lamp string) string {
	return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":%q},
		"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[%s]}}},"context":{"properties":[%s]}}`, c.userID, lamp, powerState, connectivity)
}

// shortReport is the same event in the short form.
func (c customer) shortReport(lamp string) string {
	return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":"PHYSICAL_INTERACTION","changed":[%s],"unchanged":[%s]}`, c.userID, lamp, powerState, connectivity)
}

// pushed is the request body with which Pub/Sub delivers an event that was
// published just now.
func pushed(t *testing.T, event string, attributes map[string]string) string {
	t.Helper()
	return pushedAt(t, time.Now(), event, attributes)
}

func pushedAt(t *testing.T, published time.Time, event string, attributes map[string]string) string {
	t.Helper()
	body, err := push.Encode(push.Message{
		ID: "1", Data: []byte(event), Attributes: attributes, PublishTime: published.UTC(),
		Subscription: "projects/p/subscriptions/device-events", Attempt: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// outcomes is the body of SendEvent's answer.
type outcomes struct {
	Outcomes []grantOutcome
	Error    string
}

type grantOutcome struct{ GrantID, Outcome, Code string }
