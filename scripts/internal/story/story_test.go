package story

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

var update = flag.Bool("update", false, "write the stories into testdata/stories.txt")

// log is what a local run of Gatepost wrote while its simulator was told to fail, and
// its customers to make mistakes.
func log(t *testing.T) []Entry {
	t.Helper()
	file, err := os.Open("testdata/log.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	entries, unread, err := ReadEntries(file)
	if err != nil || len(entries) < 30 || unread > 0 {
		t.Fatalf("ReadEntries() = %d entries, %d, %v", len(entries), unread, err)
	}
	return entries
}

// clock is a time of the log.
func clock(text string) time.Time {
	at, err := time.Parse(time.RFC3339, "2026-11-28T"+text+"Z")
	if err != nil {
		panic(err)
	}
	return at
}

// linkedIn is the record of a customer with one active grant.
func linkedIn(region alexa.Region, user, grantID string) *grant.Record {
	return &grant.Record{UserID: user, Grants: map[string]grant.Grant{grantID: {State: grant.Active, Region: region}}}
}

// TestTimeline tells the story of an event whose calls are known.
func TestTimeline(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time { return clock("15:00:00").Add(time.Duration(ms) * time.Millisecond) }
	entry := Entry{
		Function: "SendEvent", EventID: "m1", Attempt: 1, Status: 503, Time: at(1530), TookMS: 1500, Published: at(0), AgeMS: 30,
		Result: Result{Outcome: "retry", Decision: "retry", Code: "THROTTLING_EXCEPTION", Tries: 2},
	}
	second := entry
	second.Attempt, second.Status, second.Time, second.TookMS = 2, 200, at(2600), 70
	second.Outcome, second.Decision, second.Region = "accepted", "ack", "EU"
	calls := map[int][]Call{
		1: {
			{Store, at(30), time.Millisecond, 0, "", 0}, {Login, at(32), 40 * time.Millisecond, 200, "", 0},
			{Gateway, at(80), 20 * time.Millisecond, 429, "THROTTLING_EXCEPTION", time.Second},
			{Gateway, at(1200), 300 * time.Millisecond, 0, "", 0},
		},
		2: {{Gateway, at(2540), 50 * time.Millisecond, 202, "", 0}},
	}
	s := Tell(Question{Event: "m1"}, Evidence{
		Now: at(3000), Entries: []Entry{entry, second}, Calls: func(e Entry) []Call { return calls[e.Attempt] },
	})[0]
	var got []string
	for _, l := range s.Links {
		got = append(got, fmt.Sprintf("%d+%v %s: %s; %s", l.At.Sub(at(0)).Milliseconds(), l.TookMS, l.Step, l.Value, l.Fault))
	}
	want := []string{
		"0+0 published: ; ", "0+30 subscription: waited 30ms; ", "30+1500 attempt 1: 503, retry; THROTTLING_EXCEPTION",
		"30+1 customer: record read; ", "32+40 token: refreshed; ",
		"80+20 gateway: 429, Retry-After 1s; THROTTLING_EXCEPTION", "100+1100 wait: before the next try; ", "1200+300 gateway: ; no answer",
		"1530+1000 redelivery: waited in Pub/Sub; ", "2530+70 attempt 2: 200, accepted; ",
		"2530+0 customer: remembered; ", "2540+0 token: cached; ", "2540+50 gateway: 202; ",
	}
	if diff := gocmp.Diff(want, got); diff != "" || s.Name != "accepted" {
		t.Errorf("%s; the links differ (-want +got):\n%s", s.Name, diff)
	}
}

// TestStories tells a story of each kind. go test -update writes them.
func TestStories(t *testing.T) {
	t.Parallel()
	user := func(id, endpoint string) Question {
		return Question{Customer: grant.CustomerHash(id), Endpoint: endpoint}
	}
	first := linkedIn(alexa.EU, "u-1", "becaa185b8029a08e0b82d43a754a3b5")
	var told strings.Builder
	for _, test := range []struct {
		name     string
		question Question
		more     Evidence
		want     string // verdict
	}{
		{"accepted", Question{Event: "m17"}, Evidence{Records: map[string]*grant.Record{"gatepost-eu": first, "gatepost-na": nil}}, "accepted"},
		{"by the id that Amazon knows", Question{Event: "86638a16-87d0-8a9d-8ac4-81602774f929"}, Evidence{}, "accepted"},
		{"throttled and late", user("u-1", "lamp-4"), Evidence{}, "accepted_late"},
		{"wrong region", user("u-1", "lamp-2"), Evidence{Records: map[string]*grant.Record{"gatepost-eu": first}}, "wrong_region"},
		{"not linked", user("u-9", ""), Evidence{Records: map[string]*grant.Record{"gatepost-eu": nil}}, "not_linked"},
		{"wrong user", Question{Customer: grant.CustomerHash("u-10"), Endpoint: "lamp-1", From: clock("15:25:15.7"), To: clock("15:25:16")},
			Evidence{}, "wrong_user"},
		{"token refused", user("u-8", ""), Evidence{Now: clock("15:26:30")}, "token_not_refreshed"},
		{"token refused, later", user("u-8", ""), Evidence{}, "accepted_late"},
		{"our client secret wrong", user("u-6", ""), Evidence{Now: clock("15:25:54")}, "client_refused"},
		{"suspect", Question{Event: "m29"}, Evidence{}, "suspended"},
		{"revoked by the customer", Question{Event: "m32"}, Evidence{}, "revoked"},
		{"dead letter", Question{Event: "m72"}, Evidence{}, "dead_letter"},
		{"dead letter of Pub/Sub's", user("u-2", "lamp-1"), Evidence{Letters: []Letter{{
			EventID: "m99", Customer: grant.CustomerHash("u-2"), Endpoint: "lamp-1", Kind: "Alexa.ChangeReport", Reason: "undelivered",
			Description: "not acknowledged in 100 deliveries", Published: clock("15:25:00"),
		}}}, "dead_letter"},
		{"held back", Question{Customer: grant.CustomerHash("u-4"), Endpoint: "lamp", From: clock("15:25:30"), To: clock("15:25:31")},
			Evidence{Now: clock("15:25:35")}, "held_back"},
		{"waits", user("u-2", "lamp-7"), Evidence{Backlog: []Backlog{{"gatepost-eu-device-events", 7, 3 * time.Minute}}}, "waiting"},
		{"older than the log", Question{Customer: grant.CustomerHash("u-1"), To: clock("14:00:00")},
			Evidence{LogBegan: clock("15:00:00")}, "log_too_old"},
		{"never published", user("u-1", "lamp-5"), Evidence{}, "not_published"},
	} {
		known := test.more
		known.Now = cmp.Or(known.Now, clock("16:00:00"))
		known.Entries = slices.DeleteFunc(log(t), func(e Entry) bool { return e.Time.After(known.Now) })
		stories := Tell(test.question, known)
		last := stories[len(stories)-1]
		if last.Name != test.want {
			t.Errorf("%s: %s, want %s", test.name, last.Name, test.want)
		}
		told.WriteString("## " + test.name + "\n\n" + last.Text() + "\n")
	}
	const golden = "testdata/stories.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(told.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), told.String()); diff != "" {
		t.Errorf("the stories differ; go test -update writes them (-want +got):\n%s", diff)
	}
}

// TestLinks: the sections that verdicts link to are there.
func TestLinks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../functions/TROUBLESHOOTING.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := regexp.MustCompile("(?m)^#+ (.+)$").FindAllStringSubmatch(string(page), -1)
	want := []string{"no-line", clientRefused.Page}
	for outcome := range verdicts {
		want = append(want, outcome)
	}
	for _, v := range retries {
		want = append(want, cmp.Or(v.Page, "retry"))
	}
	for _, section := range want {
		if !slices.ContainsFunc(headings, func(found []string) bool {
			return strings.ReplaceAll(strings.ToLower(strings.Trim(found[1], "`")), " ", "-") == section
		}) {
			t.Errorf("the page has no section %s", section)
		}
	}
}

// TestVerdicts judges what the log of the local run does not have: several grants and
// stacks, incomplete evidence, and what was sampled out.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	at := func(seconds int) time.Time { return clock("15:00:00").Add(time.Duration(seconds) * time.Second) }
	line := func(seconds int, service, outcome string, change ...func(*Entry)) Entry {
		e := Entry{
			Function: "SendEvent", EventID: "e", Customer: "c", Endpoint: "lamp", Time: at(seconds), Published: at(0), Service: service, Attempt: 1,
			Result: Result{Outcome: outcome, Decision: "ack", GrantID: "g", Region: "EU"},
		}
		if outcome == "retry" {
			e.Decision = "retry"
		}
		for _, f := range change {
			f(&e)
		}
		return e
	}
	with := func(outcomes ...string) func(*Entry) {
		return func(e *Entry) {
			for _, outcome := range outcomes {
				e.Deliveries = append(e.Deliveries, Result{Outcome: outcome, GrantID: outcome, Region: "EU"})
			}
		}
	}
	failed := func(text string) func(*Entry) { return func(e *Entry) { e.Error, e.Code = text, "INTERNAL" } }
	noGrant := func(region, reason string) func(*Entry) {
		return func(e *Entry) { e.Reason, e.Region, e.GrantID = "no grant: "+reason, region, "" }
	}
	of := func(customer, changed string) func(*Entry) {
		return func(e *Entry) { e.Customer, e.Changed = customer, changed }
	}
	record := func(state grant.State, created time.Time) map[string]*grant.Record {
		return map[string]*grant.Record{"gatepost-eu": {Grants: map[string]grant.Grant{"g": {State: state, Region: "EU", CreatedAt: created}}}}
	}
	log := func(entries ...Entry) Evidence { return Evidence{Entries: entries} }
	const unknown, none = "no customer with this userId has linked the skill", "the customer has none in EU"
	for _, test := range []struct {
		name    string
		known   Evidence
		want    string
		arrived bool
		says    string
	}{
		{"one of two grants",
			log(line(1, "eu", "suspended", with("suspended", "accepted"))), "accepted", true, "another grant, in EU: suspended"},
		{"one is a dead letter", log(line(1, "eu", "accepted", with("accepted", "dead_letter"))), "accepted", true, "dead_letter"},
		{"one is retried", log(line(1, "eu", "retry", with("accepted", "retry"))), "accepted", true, "another grant, in EU: retry"},
		{"an old grant", log(line(1, "eu", "revoked", with("revoked", "accepted"))), "accepted", true, ""},
		{"two stacks", log(line(1, "eu", "dead_letter"), line(2, "na", "accepted")), "accepted", true, ""},
		{"two stacks accept, one late", log(line(1, "eu", "accepted"), line(12, "na", "accepted")), "accepted", true, "1s after"},
		{"newest first", log(line(9, "eu", "accepted"), line(1, "eu", "retry", failed("x"))), "accepted", true, ""},
		{"late after a failure", log(line(1, "eu", "retry", failed("down")), line(20, "eu", "accepted")),
			"accepted_late", true, "attempt 1 failed with down"},
		{"redelivered once accepted", log(line(1, "eu", "accepted"), line(5, "eu", "duplicate")), "accepted", true, "1s after"},
		{"two events of one id", log(line(1, "eu", "accepted", of("c", "a")), line(5, "eu", "duplicate", of("c", "b"))),
			"duplicate_id", false, ""},
		{"expired after our fault", log(
			line(1, "eu", "retry", failed("login with amazon: refresh: client refused")), line(400, "eu", "expired")),
			"expired", false, "refuses our client"},
		{"given up by Pub/Sub", Evidence{Entries: []Entry{line(1, "eu", "retry", failed("x"))},
			Letters: []Letter{{EventID: "e", Customer: "c", Reason: "undelivered", Description: "100 deliveries"}}},
			"dead_letter", false, "100 deliveries"},
		{"no line after a failure",
			Evidence{Now: at(900), Entries: []Entry{line(1, "eu", "retry", failed("x"))}}, "retry", false, "its line excluded"},
		{"linked later",
			Evidence{Entries: []Entry{line(1, "eu", "no_grant", noGrant("EU", unknown))}, Records: record(grant.Active, at(60))},
			"linked_later", false, ""},
		{"unlinked",
			Evidence{Entries: []Entry{line(1, "eu", "no_grant", noGrant("EU", none))}, Records: record(grant.Revoked, at(-60))},
			"unlinked", false, ""},
		{"another stack's line is missing",
			Evidence{Entries: []Entry{line(1, "na", "no_grant", noGrant("", unknown))}, Records: record(grant.Active, at(-60))},
			"line_missing", false, "excluded"},
		{"databases that were not read",
			Evidence{Entries: []Entry{line(1, "eu", "no_grant", noGrant("", unknown))}, Records: map[string]*grant.Record{},
				Incomplete: true}, "no_grant", false, ""},
		{"a replay for a grant that is gone",
			Evidence{Entries: []Entry{line(1, "eu", "no_grant", noGrant("EU", "the one that the replay is for is gone"))},
				Records: record(grant.Active, at(-60))}, "no_grant", false, "replay"},
		{"a stranger with the same endpoint", log(
			line(1, "na", "no_grant", of("other", ""), noGrant("", unknown)), line(1, "eu", "accepted", of("other", ""))),
			"not_published", false, ""},
	} {
		got := Tell(Question{Customer: "c", Endpoint: "lamp"}, test.known)
		if s := got[0]; len(got) != 1 || s.Name != test.want || s.Arrived != test.arrived || !strings.Contains(s.Text(), test.says) {
			t.Errorf("%s: %d stories, %s, arrived %v, want %s, %v and %q\n%s",
				test.name, len(got), s.Name, s.Arrived, test.want, test.arrived, test.says, s.Text())
		}
	}
}

// TestForms reads a line in the forms that exports have.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"time":"2026-11-28T15:00:00Z","function":"SendEvent","status":200,"attempt":2,"event_age_ms":12}`,
		`{"time":"2026-11-28T15:00:00Z","function":"SendEvent","status":200.0,"attempt":2e0,"event_age_ms":12.0}`,
		`{"timestamp":"2026-11-28T15:00:00Z","resource":{"labels":{"service_name":"eu"}},` +
			`"jsonPayload":{"function":"SendEvent","status":"200","attempt":"2","event_age_ms":"12"}}`,
	} {
		e, err := ParseEntry([]byte(text))
		if err != nil || e.Status != 200 || e.Attempt != 2 || e.AgeMS != 12 || !e.Time.Equal(clock("15:00:00")) {
			t.Errorf("ParseEntry(%s) = %+v, %v", text, e, err)
		}
	}
	if all, unread, err := ReadEntries(strings.NewReader("starting\n{\"function\":7}\n")); err != nil || len(all) != 0 || unread != 1 {
		t.Errorf("ReadEntries() = %d, %d, %v, want one unread line", len(all), unread, err)
	}
}
