package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// trace is everything observable of an event and its redeliveries.
type trace struct {
	Answers []string // of SendEvent, one for each delivery
	Gateway []int    // statuses of the requests at the gateway; 0 is no answer
	Refresh []int    // statuses of the refreshes at Login with Amazon
	State   string   // of the grant afterwards, with the reason
	Told    []string // grant events: type and reason, sorted
	Dead    []string // codes of dead letters
	Behind  string   // reports that the grant's record lists as missed
}

// accepted is the trace of an event that the gateway accepts in the end.
func accepted(gateway ...int) trace {
	return trace{Answers: []string{"200 accepted"}, Gateway: gateway, State: "active"}
}

// retried is the trace of an event that is handed back once, then accepted.
func retried(code string, gateway ...int) trace {
	return trace{Answers: []string{world.Words("503 retry", code), "200 accepted"}, Gateway: append(gateway, 202), State: "active"}
}

// dead is the trace of a dead-lettered event.
func dead(code string, gateway ...int) trace {
	return trace{Answers: []string{world.Words("200 dead_letter", code)}, Gateway: gateway, State: "active", Dead: []string{code}}
}

// revoked is the trace of a grant that Login with Amazon refuses for good.
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

// suspended is the trace of an event for a suspect grant.
func suspended(answer, behind string) trace {
	return trace{Answers: []string{answer}, State: "suspect skill_not_found", Behind: behind}
}

// at returns the trace with requests at the gateway.
func (tr trace) at(gateway ...int) trace { tr.Gateway = gateway; return tr }

// refreshed returns the trace with refreshes.
func (tr trace) refreshed(statuses ...int) trace { tr.Refresh = statuses; return tr }

// row is one case of a table.
type row struct {
	name    string
	gateway []simulator.Fault // of the gateway
	refresh []simulator.Fault // of Login with Amazon
	// before edits the grant before the first delivery, between before the last.
	before, between func(*grant.Grant)
	disabled        bool // the customer has disabled the skill
	expired         bool // the access token has expired
	event           func(c customer) string
	want            trace
	backOff         time.Duration // before a redelivery; 0 means 1.1 s
	pause           time.Duration // smallest, between two requests at the gateway
	parts           bool          // the event goes in parts, each with an id of its own
	after           func(grant.Grant) error
}

// breakerGrants is the number of refused or failed grants after which a process
// blames the gateway.
const breakerGrants = 10

// runApart runs the rows in several processes, each with too few of them to blame
// the gateway.
func (w *suite) runApart(t *testing.T, rows []row) {
	t.Helper()
	for few := range slices.Chunk(rows, breakerGrants-1) {
		w.runRows(t, w.Launch(t, "SendEvent"), few)
	}
}

// runRows runs the rows in parallel, each with its own customer.
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
	got.Told = textsOf(t, w.GrantEvents, len(r.want.Told), announced(c))
	got.Dead = textsOf(t, w.DeadLetters, len(r.want.Dead), deadLetterCode(c))
	expect.Equal(t, "what happened", r.want, got, cmpopts.EquateEmpty())
	checkRequests(t, requests, first, r)
	if r.after != nil {
		if err := r.after(g); err != nil {
			t.Error(err)
		}
	}
}

// refusedAgain is how long after the gateway's first refusal another makes a grant
// suspect.
const refusedAgain = 5100 * time.Millisecond

// backOff waits like Pub/Sub before a redelivery, though less long: a failed
// refresh is not repeated within a second.
func backOff(t *testing.T, wait time.Duration) {
	t.Helper()
	select {
	case <-time.After(wait):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// missed describes the reports that a grant's record lists as missed.
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

// prepare links the row's customer and applies the row's conditions.
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

// checkRequests checks that a repetition has the message id of the first request,
// and that requests of one delivery are r.pause apart.
func checkRequests(t *testing.T, requests []simulator.Request, first []int, r row) {
	t.Helper()
	for i := 1; i < len(requests); i++ {
		was, now := requests[i-1], requests[i]
		if same := was.MessageID == now.MessageID; same == r.parts {
			t.Errorf("message id of request %d = %s, want %s", i, now.MessageID, was.MessageID)
		}
		if pause := now.Time.Sub(was.Time); pause < r.pause && !slices.Contains(first, i) {
			t.Errorf("pause before request %d = %v, want %v or more", i, pause, r.pause)
		}
	}
}

// eventsOf returns a customer's requests at the gateway.
func (w *suite) eventsOf(c customer) []simulator.Request {
	return w.requestsOf(c, simulator.Gateway(c.Region))
}

// requestsOf returns a customer's requests in order of arrival.
func (w *suite) requestsOf(c customer, target simulator.Target) []simulator.Request {
	all := slices.DeleteFunc(w.Requests(), func(r simulator.Request) bool { return r.Target != target || r.User != c.AmazonUser })
	slices.SortStableFunc(all, func(a, b simulator.Request) int { return a.Time.Compare(b.Time) })
	return all
}

// recorded returns the requests when there are n, or after a while. The simulator
// records an abandoned request only when it notices, so this polls.
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

// report is a ChangeReport of a lamp, identified by its brightness.
func report(c customer, lamp string, brightness int) string {
	return reportAt(c, lamp, brightness, time.Now(), "PHYSICAL_INTERACTION")
}

func reportAt(c customer, lamp string, brightness int, sampled time.Time, cause string) string {
	return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":%q,"changed":[
		{"namespace":"Alexa.BrightnessController","name":"brightness","value":%d,"timeOfSample":%q,"uncertaintyInMilliseconds":0}]}`,
		c.UserID, lamp, cause, brightness, sampled.UTC().Format(time.RFC3339Nano))
}
