package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// trace is all that can be seen of an event, or of one that is delivered again
// and again.
type trace struct {
	Answers []string // of SendEvent, one for each delivery
	Gateway []int    // statuses of the requests at the gateway; 0 is no answer
	Refresh []int    // statuses of the refreshes at Login with Amazon
	State   string   // of the grant afterwards, and the reason
	Told    []string // to the maker: type and reason, sorted
	Dead    []string // codes of dead letters
	Behind  string   // what the grant's record says that its gateway missed
}

// accepted is the trace of an event that the gateway takes in the end.
func accepted(gateway ...int) trace {
	return trace{Answers: []string{"200 accepted"}, Gateway: gateway, State: "active"}
}

// retried is the trace of an event that is handed back once, and taken then.
func retried(code string, gateway ...int) trace {
	return trace{Answers: []string{world.Words("503 retry", code), "200 accepted"}, Gateway: append(gateway, 202), State: "active"}
}

// dead is the trace of an event that is put aside.
func dead(code string, gateway ...int) trace {
	return trace{Answers: []string{world.Words("200 dead_letter", code)}, Gateway: gateway, State: "active", Dead: []string{code}}
}

// revoked is the trace of a grant that Login with Amazon says is gone.
func revoked(gateway ...int) trace {
	const why = "revoked invalid_grant"
	return trace{Answers: []string{"200 revoked", "200 revoked"}, Gateway: gateway, Refresh: []int{400}, State: why, Told: []string{why}}
}

// suspected is the trace of a grant that becomes suspect after events were handed
// back with these codes.
func suspected(reason string, codes ...string) trace {
	tr := trace{State: "suspect " + reason, Told: []string{"suspect " + reason}, Behind: "lamp-1"}
	for _, code := range codes {
		tr.Answers = append(tr.Answers, world.Words("503 retry", code))
	}
	tr.Answers = append(tr.Answers, "200 suspended")
	return tr
}

// suspended is the trace of an event for a grant that is suspect already.
func suspended(answer, behind string) trace {
	return trace{Answers: []string{answer}, State: "suspect skill_not_found", Behind: behind}
}

// at returns the trace with requests at the gateway.
func (tr trace) at(gateway ...int) trace { tr.Gateway = gateway; return tr }

// refreshed returns the trace with refreshes.
func (tr trace) refreshed(statuses ...int) trace { tr.Refresh = statuses; return tr }

// row is one row of a table: what goes wrong, and what follows.
type row struct {
	name    string
	gateway []simulator.Fault // of the gateway, for this customer
	refresh []simulator.Fault // of Login with Amazon, for this customer
	// before changes the grant before the first delivery, between before the
	// last.
	before, between func(*grant.Grant)
	disabled        bool // the customer has disabled the skill
	expired         bool // Alexa no longer takes the access token
	event           func(c customer) string
	want            trace
	backOff         time.Duration // before a redelivery; 0 is a little over a second
	pause           time.Duration // between two requests at the gateway, at least
	parts           bool          // the event goes in parts, each with an id of its own
	after           func(grant.Grant) error
}

// unwellGrants is how many of its grants a process sees refused, or failed, before
// it blames the gateway for all.
const unwellGrants = 10

// runApart is runRows with so few rows for each process that it does not blame
// the gateway for all of them.
func (w *suite) runApart(t *testing.T, rows []row) {
	t.Helper()
	for few := range slices.Chunk(rows, unwellGrants-1) {
		w.runRows(t, w.Launch(t, "SendEvent"), few)
	}
}

// runRows runs each row with a customer of its own, all at once.
func (w *suite) runRows(t *testing.T, p *binary.Process, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			w.runRow(t, p, r)
		})
	}
}

func (w *suite) runRow(t *testing.T, p *binary.Process, r row) {
	c := w.prepare(t, r)
	event := report(c, "lamp-1", 1)
	if r.event != nil {
		event = r.event(c)
	}
	var got trace
	var first []int // requests that are the first of their delivery
	for attempt := range r.want.Answers {
		if attempt > 0 && attempt == len(r.want.Answers)-1 && r.between != nil {
			w.change(t, c, r.between)
		}
		if attempt > 0 && strings.HasPrefix(got.Answers[attempt-1], "503") {
			backOff(t, max(r.backOff, 1100*time.Millisecond))
		}
		m := message(c, event, c.UserID, attempt+1)
		got.Answers = append(got.Answers, deliver(t, p, m))
		first = append(first, len(w.eventsOf(c)))
	}
	g := w.grant(t, c)
	got.State, got.Behind = world.Words(string(g.State), g.Reason), missed(g.Behind)
	requests := recorded(t, len(r.want.Gateway), func() []simulator.Request { return w.eventsOf(c) })
	got.Gateway = statuses(requests)
	got.Refresh = statuses(recorded(t, len(r.want.Refresh), func() []simulator.Request { return w.requestsOf(c, simulator.Refresh) }))
	got.Told = said(t, w.GrantEvents, len(r.want.Told), told(c))
	got.Dead = said(t, w.DeadLetters, len(r.want.Dead), buried(c))
	if diff := cmp.Diff(r.want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what happened differs (-want +got):\n%s", diff)
	}
	checkRequests(t, requests, first, r)
	if r.after != nil {
		if err := r.after(g); err != nil {
			t.Error(err)
		}
	}
}

// refusedAgain is how long after a first refusal by the gateway another one makes
// a grant suspect.
const refusedAgain = 5100 * time.Millisecond

// backOff waits as Pub/Sub does before it delivers again, though less long: a
// refresh that failed may not be repeated within a second.
func backOff(t *testing.T, wait time.Duration) {
	t.Helper()
	select {
	case <-time.After(wait):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// missed is what a grant's record says that its gateway missed.
func missed(b grant.Behind) string {
	text := strings.Join(b.Endpoints, " ")
	if b.All {
		text = "all"
	}
	if b.Discovery {
		text = world.Words(text, "discovery")
	}
	return text
}

// prepare links the row's customer and sets the scene.
func (w *suite) prepare(t *testing.T, r row) customer {
	t.Helper()
	c := w.link(t, t.Name()[len("Test"):], alexa.EU)
	if r.before != nil {
		w.change(t, c, r.before)
	}
	if r.disabled {
		w.Disable(c.Region, c.AmazonUser)
	}
	if r.expired {
		w.ExpireAccessTokens(c.Region, c.AmazonUser)
	}
	for _, f := range r.gateway {
		f.User = c.AmazonUser
		w.Script(simulator.Gateway(c.Region), f)
	}
	for _, f := range r.refresh {
		f.User = c.AmazonUser
		w.Script(simulator.Refresh, f)
	}
	return c
}

// checkRequests checks what holds for every request: a repetition has the id
// of the first, and comes after a pause unless it is of another delivery.
func checkRequests(t *testing.T, requests []simulator.Request, first []int, r row) {
	t.Helper()
	for i := 1; i < len(requests); i++ {
		was, now := requests[i-1], requests[i]
		if same := was.MessageID == now.MessageID; same == r.parts {
			t.Errorf("request %d has message id %s, the one before %s", i, now.MessageID, was.MessageID)
		}
		if pause := now.Time.Sub(was.Time); pause < r.pause && !slices.Contains(first, i) {
			t.Errorf("request %d came %v after the one before, want %v or later", i, pause, r.pause)
		}
	}
}

// eventsOf returns the requests at the gateway of a customer's region.
func (w *suite) eventsOf(c customer) []simulator.Request {
	return w.requestsOf(c, simulator.Gateway(c.Region))
}

// requestsOf returns a customer's requests, in the order in which they arrived.
func (w *suite) requestsOf(c customer, target simulator.Target) []simulator.Request {
	all := slices.DeleteFunc(w.Requests(), func(r simulator.Request) bool { return r.Target != target || r.User != c.AmazonUser })
	slices.SortStableFunc(all, func(a, b simulator.Request) int { return a.Time.Compare(b.Time) })
	return all
}

// recorded returns requests as soon as n of them are recorded, or what there
// is after a while. The simulator records a request that its client gave up
// when it notices, and tells nobody; so this asks again.
func recorded(t *testing.T, n int, list func() []simulator.Request) []simulator.Request {
	t.Helper()
	ctx, tick := testkit.Within(t, 15*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		requests := list()
		if len(requests) >= n {
			return requests
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return requests
		}
	}
}

func statuses(requests []simulator.Request) []int {
	var list []int
	for _, r := range requests {
		list = append(list, r.Status)
	}
	return list
}

// report is a ChangeReport of a customer's lamp, whose brightness tells which
// report it is.
func report(c customer, lamp string, brightness int) string {
	return reportAt(c, lamp, brightness, time.Now(), "PHYSICAL_INTERACTION")
}

func reportAt(c customer, lamp string, brightness int, sampled time.Time, cause string) string {
	return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":%q,"changed":[
		{"namespace":"Alexa.BrightnessController","name":"brightness","value":%d,"timeOfSample":%q,"uncertaintyInMilliseconds":0}]}`,
		c.UserID, lamp, cause, brightness, sampled.UTC().Format(time.RFC3339Nano))
}
