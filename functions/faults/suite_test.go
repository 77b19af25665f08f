package faults_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

func TestMain(m *testing.M) {
	// The tests wait more than they work. Flags, parsed later, override this.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	testkit.Main(m)
}

// suite is the simulated cloud that the tests share.
type suite struct {
	*world.World
	office *binary.Process // serves all functions, for linking and sweeping

	refusing atomic.Bool // in the random run, refusingRegion's gateway refuses
}

type customer = world.Customer

func newSuite(t *testing.T, options simulator.Options) *suite {
	t.Helper()
	options.KeepRequests = 100_000
	w := &suite{World: world.InCloud(t, options)}
	w.office = w.Launch(t, "")
	return w
}

// link has a new customer enable the skill in a region.
func (w *suite) link(t *testing.T, name string, region alexa.Region) customer {
	t.Helper()
	return w.Link(t, w.office.URL()+"/AcceptGrant", name, region)
}

// enable has a customer enable the skill, perhaps with another account.
func (w *suite) enable(ctx context.Context, c *customer, region alexa.Region) error {
	return w.LinkIn(ctx, w.office.URL()+"/AcceptGrant", c, region)
}

// linkMany links customers in all regions, several at a time.
func (w *suite) linkMany(t *testing.T, name string, n int) []customer {
	t.Helper()
	customers := make([]customer, n)
	var all errgroup.Group
	all.SetLimit(8)
	for i := range customers {
		customers[i] = world.NewCustomer(fmt.Sprint(name, "-", i))
		regions := alexa.Regions()
		all.Go(func() error { return w.enable(testkit.Context(t), &customers[i], regions[i%len(regions)]) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	return customers
}

// accept has the office process an AcceptGrant directive with a code.
func (w *suite) accept(t *testing.T, c customer, code sensitive.String) (string, error) {
	const grantTime = 5 * time.Second // limit of AcceptGrant
	directive := world.Directive(code.Reveal(), c.GranteeToken())
	return world.Accept(testkit.Within(t, grantTime), w.office.URL()+"/AcceptGrant", alexa.EU, directive)
}

// message is the push of an event that was published just now.
func message(c customer, event, eventID string, attempt int) push.Message {
	m := world.Message(event, map[string]string{"eventId": eventID, "customer": c.UserID})
	m.ID, m.Attempt = "m-"+eventID, attempt
	return m
}

// deliver pushes an event to a process, and returns the answer.
func deliver(t *testing.T, p *binary.Process, m push.Message) string {
	t.Helper()
	answer, err := world.Deliver(testkit.Context(t), p.URL(), m)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// wantAnswer pushes an event to a process, and checks the answer.
func wantAnswer(t *testing.T, p *binary.Process, m push.Message, want string) {
	t.Helper()
	if got := deliver(t, p, m); got != want {
		t.Errorf("answer to %s = %q, want %q", m.ID, got, want)
	}
}

// change edits a customer's stored grant, as time or a dead process would.
func (w *suite) change(t *testing.T, c customer, edit func(*grant.Grant)) {
	t.Helper()
	_, err := grant.Change(testkit.Context(t), w.Store, c.Key(), func(r *grant.Record) error {
		g := r.Grants[c.GrantID]
		edit(&g)
		r.Grants[c.GrantID] = g
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// grant returns a customer's stored grant.
func (w *suite) grant(t *testing.T, c customer) grant.Grant {
	t.Helper()
	record, err := w.Store.Read(testkit.Context(t), c.Key())
	if err != nil {
		t.Fatal(err)
	}
	return record.Grants[c.GrantID]
}

// textsOf waits for n messages for which say returns a text, and for all that were
// published before. It returns the texts, sorted.
func textsOf(t *testing.T, box *cloud.Inbox, n int, say func(*pubsub.Message) string) (texts []string) {
	t.Helper()
	for _, m := range box.Wait(t, n, func(m *pubsub.Message) bool { return say(m) != "" }) {
		texts = append(texts, say(m))
	}
	slices.Sort(texts)
	return texts
}

// announced returns the type and reason of a grant event about a customer, except
// the first link's.
func announced(c customer) func(*pubsub.Message) string {
	return func(m *pubsub.Message) string {
		var message struct{ Type, UserID, Reason string }
		if json.Unmarshal(m.Data, &message) != nil || message.UserID != c.UserID || message.Type == "linked" {
			return ""
		}
		return world.Words(message.Type, message.Reason)
	}
}

// deadLetterCode returns the code of a customer's dead letter.
func deadLetterCode(c customer) func(*pubsub.Message) string {
	return func(m *pubsub.Message) string {
		if m.Attributes["eventId"] == "" || m.Attributes["customer"] != c.UserID {
			return ""
		}
		return m.Attributes["gatepost-code"]
	}
}
