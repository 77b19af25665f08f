package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// customer is somebody who has linked an Amazon account.
type customer struct {
	userID, amazonUser string
	region             alexa.Region
	grantID            string
}

func (c customer) key() grant.Key { return grant.Key{Skill: "default", UserID: c.userID} }

// newCustomer makes a customer who is not linked yet. No two may have one
// name.
func newCustomer(name string) customer {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" ,;:'", r) { // what a bearer token may not have
			return '-'
		}
		return r
	}, name)
	return customer{userID: "u-" + name, amazonUser: "amzn-" + name}
}

// link has a new customer enable the skill in a region.
func (w *world) link(t *testing.T, name string, region alexa.Region) customer {
	t.Helper()
	c := newCustomer(name)
	if err := w.enable(testkit.Context(t), &c, region); err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) enable(ctx context.Context, c *customer, region alexa.Region) error {
	code := w.Code(region, c.amazonUser)
	accepted, err := w.acceptGrant(ctx, *c, region, code)
	if err == nil && accepted != "AcceptGrant.Response" {
		err = fmt.Errorf("linking %s was answered %s", c.userID, accepted)
	}
	c.region, c.grantID = region, grant.ID(region, "default", code.Reveal())
	return err
}

// acceptGrant sends the directive for a code, and returns the name of the
// answer, with the type of an error.
func (w *world) acceptGrant(ctx context.Context, c customer, region alexa.Region, code sensitive.String) (string, error) {
	directive := fmt.Sprintf(`{"directive":{
		"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"5f8a426e-01e4-4cc9-8b79-65f8bd0fd8a4","payloadVersion":"3"},
		"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":%q}}}}`,
		code.Reveal(), "grantee-"+c.userID)
	status, body, err := post(ctx, w.office.URL()+"/AcceptGrant", map[string]string{"X-Alexa-Region": string(region)}, directive)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("AcceptGrant answered %d %s", status, body)
	}
	var answer struct {
		Event struct {
			Header  struct{ Name string }
			Payload struct{ Type string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("AcceptGrant answered %s: %w", body, err)
	}
	return words(answer.Event.Header.Name, answer.Event.Payload.Type), nil
}

// message is the push of an event that was published just now.
func (c customer) message(event, eventID string, attempt int) push.Message {
	return push.Message{
		ID: "m-" + eventID, Data: []byte(event), PublishTime: time.Now().UTC(), Attempt: attempt,
		Attributes:   map[string]string{"eventId": eventID, "customer": c.userID},
		Subscription: "projects/p/subscriptions/device-events",
	}
}

// change alters what is stored of a customer's grant: time passes for it, or
// it was left by a process that died.
func (w *world) change(t *testing.T, c customer, edit func(*grant.Grant)) {
	t.Helper()
	_, err := grant.Change(testkit.Context(t), w.store, c.key(), func(r *grant.Record) error {
		g := r.Grants[c.grantID]
		edit(&g)
		r.Grants[c.grantID] = g
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// grant reads what is stored of a customer's grant.
func (w *world) grant(t *testing.T, c customer) grant.Grant {
	t.Helper()
	record, err := w.store.Read(testkit.Context(t), c.key())
	if err != nil {
		t.Fatal(err)
	}
	return record.Grants[c.grantID]
}

// linkMany links customers, spread over the regions, several at a time.
func (w *world) linkMany(t *testing.T, name string, n int) []customer {
	t.Helper()
	customers := make([]customer, n)
	var all errgroup.Group
	all.SetLimit(8)
	for i := range customers {
		customers[i] = newCustomer(fmt.Sprint(name, "-", i))
		regions := alexa.Regions()
		all.Go(func() error {
			return w.enable(testkit.Context(t), &customers[i], regions[i%len(regions)])
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	return customers
}
