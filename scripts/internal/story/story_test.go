package story

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// clock is a time.
func clock(text string) time.Time {
	at, err := time.Parse(time.RFC3339, "2026-11-28T"+text+"Z")
	if err != nil {
		panic(err)
	}
	return at
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

// TestVerdicts judges what a local run does not have: several grants and stacks, incomplete
// evidence, and what was sampled out. The stories of a local run are in scripts/gatepost.
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
	const unknown, none = "no customer with this userId has linked the skill in this stack", "the customer has none in EU"
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
		{"a customer who has not linked",
			Evidence{Entries: []Entry{line(1, "eu", "no_grant", noGrant("", unknown))}, Records: map[string]*grant.Record{"gatepost-eu": nil}},
			"not_linked", false, "no stack has a record"},
		{"a dead letter without a line",
			Evidence{Letters: []Letter{{EventID: "e", Customer: "c", Endpoint: "lamp", Published: at(0), Reason: "undelivered",
				Description: "100 deliveries"}}}, "dead_letter", false, "100 deliveries"},
		{"an event that waits", Evidence{Now: at(900), Backlog: []Backlog{{"eu-device-events", 7, 3 * time.Minute}}},
			"waiting", false, "7 messages wait"},
		{"an event that is older than the log", Evidence{LogBegan: at(7200)}, "log_too_old", false, "the log begins at"},
		{"an event behind another one", log(line(4000, "eu", "retry", func(e *Entry) { e.Published = at(4000) })),
			"held_back", false, "Ask about event e."},
		{"an event that does not decode", log(line(1, "eu", "dead_letter", of("", ""), failed("changed: missing"))),
			"undecoded", false, "e (changed: missing)"},
		{"a later event that does not decode",
			log(line(4000, "eu", "dead_letter", of("", ""), func(e *Entry) { e.Published = at(4000) })), "not_published", false, ""},
		{"a question about a time before the log", Evidence{LogBegan: at(60)}, "not_in_log", false, "The log begins at 2026-11-28 15:01:00"},
		{"a log of unknown retention", Evidence{}, "not_published", false, "may be older than the log"},
		{"a log without exclusions", Evidence{LogBegan: at(-86400), Exclusions: []string{}}, "not_published", false, "publisher's log.\n"},
		{"a log whose exclusions are unknown", Evidence{}, "not_published", false, "it may be one of those"},
		{"a log with exclusions", Evidence{Exclusions: []string{"routine (severity<WARNING)"}},
			"not_logged", false, "excluded from the log, by routine (severity<WARNING)"},
	} {
		got := Tell(Question{Customer: "c", Endpoint: "lamp", From: at(-600), To: at(3600)}, test.known)
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
