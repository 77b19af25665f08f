package sendevent_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// calls counts the calls to Firestore by method.
type calls struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *calls) add(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[path.Base(method)]++
}

// take returns the counts since the last take.
func (c *calls) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.count
	c.count = make(map[string]int)
	return taken
}

// dial returns a client of the emulator whose calls are counted.
func (c *calls) dial(t *testing.T) *firestore.Client {
	t.Helper()
	p := cloud.Project{ID: emulator.Project(), FirestoreHost: emulator.Firestore(t)}
	return p.Database(t, firestore.DefaultDatabaseID, cloud.Calls(c.add)...)
}

// TestReadsAndWrites counts the Firestore calls of an accepted event: one read if
// the customer is not cached, otherwise none, and writes only for events that must
// not be repeated, and to note that a customer is not idle.
func TestReadsAndWrites(t *testing.T) {
	t.Parallel()
	counted := &calls{count: make(map[string]int)}
	w := accesstest.New(t, simulator.Options{})
	store := grantcache.New(grantfire.New(counted.dial(t)), 100, w.Now)
	w.Store = store
	for _, userID := range []string{"u-1", "u-2"} {
		w.Link(t, userID, alexa.EU, "amzn-"+userID)
	}
	url, err := url.Parse("https://api.eu.amazonalexa.com")
	if err != nil {
		t.Fatal(err)
	}
	d := delivery.New(delivery.Options{
		Skill: accesstest.Skill, Store: store, Customers: store, Tokens: w.Process("p"), Announcer: w.Announcer(),
		Gateways:    map[alexa.Region]delivery.Gateway{alexa.EU: gateway.New(alexa.EU, url, &http.Client{Transport: new(acceptingGateway)})},
		MaxEventAge: 5 * time.Minute, Draw: func() float64 { return 0 }, Now: w.Now,
	})
	const (
		report = `{"userId":%q,"endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION",` +
			`"changed":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`
		doorbell = `{"userId":%q,"event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},` +
			`"endpoint":{"endpointId":"bell-1"},` +
			`"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}},"context":{}}`
	)
	read, none := map[string]int{"BatchGetDocuments": 1}, map[string]int{}
	steps := []struct {
		name    string
		forward time.Duration
		age     time.Duration // since the event was published
		userID  string
		event   string
		want    map[string]int
	}{
		{"first", 0, 0, "u-1", report, read},
		{"at once", 0, 0, "u-1", report, none},
		{"another customer", 0, 0, "u-2", report, read},
		{"59 seconds later", 59 * time.Second, 0, "u-1", report, none},
		{"a minute later", time.Second, 0, "u-1", report, read},
		{"a doorbell", 0, 0, "u-1", doorbell, map[string]int{"BatchGetDocuments": 1, "Commit": 2}},
		{"no customer", 0, 0, "u-3", report, read},
		{"no customer at publishing", 2 * time.Second, 4 * time.Second, "u-3", report, none},
		{"no customer, published since", 0, 0, "u-3", report, read},
		{"no customer after a while", 3 * time.Second, 0, "u-3", report, read},
		{"use, noted", 0, 0, "u-2", report, map[string]int{"BatchGetDocuments": 1, "Commit": 1}},
		{"use, noted before, and read again", 0, 0, "u-2", report, read},
	}
	counted.take()
	for i, step := range steps {
		w.Forward(step.forward)
		if strings.HasPrefix(step.name, "use") {
			d.IdleAfter = 168 * time.Hour
		}
		results := d.Deliver(t.Context(), push.Message{
			ID: fmt.Sprint("m-", i), Data: fmt.Appendf(nil, step.event, step.userID), PublishTime: w.Now().Add(-step.age), Attempt: 1,
		})
		if step.userID != "u-3" && (len(results) != 1 || results[0].Name != delivery.Accepted) {
			t.Errorf("%s: results = %+v, want one accepted", step.name, results)
		}
		expect.Equal(t, step.name+": calls", step.want, counted.take())
	}
}
