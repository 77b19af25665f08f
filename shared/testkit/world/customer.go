package world

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// Customer links an Amazon account.
type Customer struct {
	UserID, AmazonUser string
	// Of the last linked account:
	Region  alexa.Region
	GrantID string
}

// NewCustomer returns a customer who is not linked yet. Names must be unique. The
// simulator's identity provider reads the customer from the token's text: see
// [simulator.IdentityProvider].
func NewCustomer(name string) Customer {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" ,;:'", r) { // not allowed in a bearer token
			return '-'
		}
		return r
	}, name)
	return Customer{UserID: "u-" + name, AmazonUser: "amzn-" + name}
}

// Key returns the key of the customer's record.
func (c Customer) Key() grant.Key { return grant.Key{Skill: "default", UserID: c.UserID} }

// GranteeToken returns the customer's token of the maker's identity provider.
func (c Customer) GranteeToken() string { return "grantee-" + c.UserID }

// Directive returns an Alexa.Authorization.AcceptGrant directive as on
// https://developer.amazon.com/docs/device-apis/alexa-authorization.html.
func Directive(code, granteeToken string) string {
	return fmt.Sprintf(`{"directive":{
		"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"5f8a426e-01e4-4cc9-8b79-65f8bd0fd8a4","payloadVersion":"3"},
		"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":%q}}}}`,
		code, granteeToken)
}

// The answers to the directive, as [Accept] returns them.
const (
	Linked    = "AcceptGrant.Response"
	NotLinked = "ErrorResponse ACCEPT_GRANT_FAILED"
)

// Accept posts a directive to a process, and returns the answer's name, followed by
// an error's type. As the skill proxy does, it sends the region in a header.
func Accept(ctx context.Context, url string, region alexa.Region, directive string) (string, error) {
	where := map[string]string{}
	if region != "" {
		where["X-Alexa-Region"] = string(region)
	}
	a, err := Post(ctx, url, where, directive)
	if err != nil {
		return "", err
	}
	var body struct {
		Event struct {
			Header  struct{ Namespace, Name, PayloadVersion, MessageID string }
			Payload struct{ Type, Message string }
		}
	}
	err = json.Unmarshal([]byte(a.Body), &body)
	header, payload := body.Event.Header, body.Event.Payload
	if err != nil || a.Status != http.StatusOK || header.Namespace != "Alexa.Authorization" || header.PayloadVersion != "3" ||
		header.MessageID == "" || (payload.Type == "") != (payload.Message == "") {
		return "", fmt.Errorf("AcceptGrant answered %d %s (%v), want 200 with an event", a.Status, a.Body, err)
	}
	return Words(header.Name, payload.Type), nil
}

// LinkIn has a customer enable the skill, by a process whose AcceptGrant is at url.
// After a failure, too, a grant may be stored under c.GrantID.
func (w *World) LinkIn(ctx context.Context, url string, c *Customer, region alexa.Region) error {
	code := w.Code(region, c.AmazonUser)
	answer, err := Accept(ctx, url, region, Directive(code.Reveal(), c.GranteeToken()))
	if err == nil && answer != Linked {
		err = fmt.Errorf("linking %s was answered %s", c.UserID, answer)
	}
	c.Region, c.GrantID = region, GrantID(region, code)
	return err
}

// Link is [World.LinkIn] for a new customer, and must succeed.
func (w *World) Link(t *testing.T, url, name string, region alexa.Region) Customer {
	t.Helper()
	c := NewCustomer(name)
	if err := w.LinkIn(testkit.Context(t), url, &c, region); err != nil {
		t.Fatal(err)
	}
	return c
}

// GrantID returns the id of the grant for a code.
func GrantID(region alexa.Region, code sensitive.String) string {
	return grant.ID(region, "default", code.Reveal())
}

// Message returns an event as Pub/Sub pushes it, published now.
func Message(event string, attributes map[string]string) push.Message {
	return push.Message{
		ID: "1", Data: []byte(event), Attributes: attributes, PublishTime: time.Now().UTC(), Attempt: 1,
		Subscription: "projects/p/subscriptions/device-events",
	}
}

// Deliver pushes an event to a process whose SendEvent is at url, and returns the
// answer: the status, each grant's outcome and code, and the error.
func Deliver(ctx context.Context, url string, m push.Message) (string, error) {
	envelope, err := push.Encode(m)
	if err != nil {
		return "", err
	}
	a, err := Post(ctx, url, nil, string(envelope))
	if err != nil {
		return "", err
	}
	outcomes, err := Outcomes(a.Body)
	if err != nil {
		return "", fmt.Errorf("SendEvent answered %d %s: %w", a.Status, a.Body, err)
	}
	text := fmt.Sprint(a.Status)
	for _, o := range outcomes {
		text = Words(text, o.Outcome, o.Code)
	}
	return text, nil
}

// Outcome is SendEvent's answer for one grant.
type Outcome struct{ GrantID, Outcome, Code string }

// Outcomes parses an answer of SendEvent.
func Outcomes(answer string) ([]Outcome, error) {
	var body struct{ Outcomes []Outcome }
	err := json.Unmarshal([]byte(answer), &body)
	return body.Outcomes, err
}

// Words joins the nonempty words.
func Words(all ...string) string {
	return strings.Join(strings.Fields(strings.Join(all, " ")), " ")
}
