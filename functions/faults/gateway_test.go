package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

const proxyPage = "<html><body>Access to this page is denied</body></html>"

func ago(d time.Duration) time.Time { return time.Now().Add(-d).UTC() }

// times returns n copies of a fault.
func times(n int, f simulator.Fault) []simulator.Fault {
	f.Times = n
	return []simulator.Fault{f}
}

// coded returns n faults with an error code of Amazon's.
func coded(n int, code string) []simulator.Fault { return times(n, simulator.Fault{Code: code}) }

// bare returns n faults with a status and no code.
func bare(n, status int) []simulator.Fault { return times(n, simulator.Fault{Status: status}) }

// page returns n faults with a status and the page of a proxy.
func page(n, status int) []simulator.Fault {
	return times(n, simulator.Fault{Status: status, Body: proxyPage})
}

// TestRefusedTokens: the gateway refuses an access token. A forced refresh proves
// the grant, and only that can end it.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	after := func(statuses ...int) trace { return accepted(statuses...).refreshed(200) }
	// doubted is the trace of a grant whose fresh token is refused too, and refused
	// again at the redelivery.
	doubted := func(code, again string, status int) trace {
		return suspected("unauthorized", code, again).at(status, status, status, status).refreshed(200)
	}
	forcedAgo := func(d time.Duration) func(*grant.Grant) {
		return func(g *grant.Grant) { g.LastForcedRefresh = ago(d) }
	}
	const invalid = simulator.InvalidAccessToken
	refused := simulator.Fault{Code: invalid}
	w.runApart(t, []row{
		{name: "accepted", want: trace{Answers: []string{"200 accepted", "200 duplicate"}, Gateway: []int{202}, State: "active"}},
		{name: "expired", expired: true, want: after(401, 202), after: func(g grant.Grant) error {
			if g.TokenVersion != 2 || g.LastForcedRefresh.IsZero() {
				return fmt.Errorf("version %d, forced %v", g.TokenVersion, g.LastForcedRefresh)
			}
			return nil
		}},
		{name: "401", gateway: coded(1, invalid), want: after(401, 202)},
		{name: "401, bare", gateway: bare(1, 401), want: after(401, 202)},
		{name: "403, bare", gateway: bare(1, 403), want: after(403, 202)},
		{name: "403, a proxy's page", gateway: page(1, 403), want: after(403, 202)},
		{name: "403, unknown code", gateway: times(1, simulator.Fault{Status: 403, Code: "NEW_EXCEPTION"}), want: after(403, 202)},
		{name: "401, fresh token too", gateway: coded(9, invalid), want: doubted(invalid, invalid, 401), backOff: refusedAgain},
		{name: "403 bare, fresh token too", gateway: bare(9, 403), want: doubted("INTERNAL", "SUSPECT", 403), backOff: refusedAgain},
		{name: "page, fresh token too", gateway: page(9, 403), want: doubted("INTERNAL", "SUSPECT", 403), backOff: refusedAgain},
		// Resent without a refresh, because one stray refusal is no reason to doubt
		// a proven grant.
		{
			name: "401, forced 9 min ago", gateway: coded(9, invalid), before: forcedAgo(9 * time.Minute), backOff: refusedAgain,
			want: doubted(invalid, invalid, 401).refreshed(),
		},
		{name: "401, forced 11 min ago", gateway: coded(1, invalid), before: forcedAgo(11 * time.Minute), want: after(401, 202)},
		{name: "401, then a server's fault", gateway: []simulator.Fault{refused, {Status: 500}}, want: after(401, 500, 202)},
		{name: "401, no refresh to be had", gateway: coded(1, invalid), refresh: bare(1, 503), want: retried("INTERNAL", 401).refreshed(503)},
		{name: "401, skill disabled", disabled: true, gateway: coded(1, invalid), want: revoked(401)},
	})
}

// TestRefusedGrants: the gateway says that the customer or the skill does not
// exist, which alone does not end a grant.
func TestRefusedGrants(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	old := func(g *grant.Grant) { g.CreatedAt = ago(11 * time.Minute) }
	suspectUntil := func(next time.Duration) func(*grant.Grant) {
		return func(g *grant.Grant) {
			g.State, g.Reason, g.Failures, g.NextTry = grant.Suspect, grant.ReasonSkillNotFound, 2, time.Now().Add(next).UTC()
			g.ToldAt = ago(time.Minute)
		}
	}
	const (
		internal, disabled, never = simulator.InternalService, simulator.SkillDisabled, simulator.SkillNeverEnabled
		notFound, permission      = simulator.SkillNotFound, simulator.InsufficientPermission
	)
	noEnablement := simulator.Fault{Code: internal, Description: "Could not retrieve enablement for SkillIdentifier amzn1.ask.skill.fake"}
	rows := []row{
		{name: "disabled", disabled: true, want: revoked(403)},
		{
			name: "disabled, no refresh to be had", gateway: coded(1, disabled), refresh: bare(1, 500),
			want: retried("INTERNAL", 403).refreshed(500),
		},
		{name: "never enabled, just linked", gateway: coded(1, never), want: retried(never, 403)},
		{name: "suspect", before: suspectUntil(time.Minute), want: suspended("200 suspended", "lamp-1")},
		{
			name: "suspect, discovery", before: suspectUntil(time.Minute),
			event: func(c customer) string { return discovery(c, "DeleteReport", 1) },
			want: trace{
				Answers: []string{"200 dead_letter SUSPENDED"}, State: "suspect skill_not_found", Dead: []string{"SUSPENDED"}, Behind: "discovery",
			},
		},
		{
			name: "suspect, a press", before: suspectUntil(time.Minute),
			event: doorbell, want: suspended("200 suspended", ""),
		},
		{
			name: "suspect, a repetition that was asked for", before: suspectUntil(time.Minute),
			event: func(c customer) string { return reportAt(c, "lamp-1", 1, time.Now(), "PERIODIC_POLL") },
			want:  suspended("200 suspended", "lamp-1"),
		},
		{
			name: "probe", before: suspectUntil(-time.Second),
			want: trace{Answers: []string{"200 accepted"}, Gateway: []int{202}, State: "active", Told: []string{"recovered"}},
		},
		{
			name: "probe refused", before: suspectUntil(-time.Second), gateway: coded(1, notFound),
			want: trace{
				Answers: []string{"200 suspended " + notFound, "200 suspended"}, Gateway: []int{404},
				State: "suspect skill_not_found", Behind: "lamp-1",
			},
			after: func(g grant.Grant) error {
				if wait := time.Until(g.NextTry); g.Failures != 3 || wait < 7*time.Minute || wait > 8*time.Minute {
					return fmt.Errorf("%d failures, the next probe in %v, want 3 and 8 min", g.Failures, wait)
				}
				return nil
			},
		},
		{
			name: "linked to probe", gateway: coded(2, notFound), backOff: refusedAgain,
			between: func(g *grant.Grant) { g.NextTry = ago(time.Second) },
			want: trace{
				Answers: []string{"503 retry " + notFound, "503 retry " + notFound, "200 accepted"}, Gateway: []int{404, 404, 202},
				State: "active", Told: []string{"recovered", "suspect skill_not_found"},
			},
		},
	}
	for _, r := range []struct {
		name      string
		fault     simulator.Fault
		reason    string
		status    int
		refreshes []int
		before    func(*grant.Grant)
	}{
		{"disabled, says the gateway only", simulator.Fault{Code: disabled}, "skill_disabled", 403, []int{200}, nil},
		{"500 that means disabled", noEnablement, "skill_disabled", 500, []int{200}, nil},
		{"never enabled", simulator.Fault{Code: never}, "skill_never_enabled", 403, nil, old},
		{"no permission", simulator.Fault{Code: permission}, "insufficient_permission", 403, nil, nil},
		{"no skill", simulator.Fault{Code: notFound}, "skill_not_found", 404, nil, nil},
	} {
		want := suspected(r.reason, r.fault.Code, r.fault.Code).at(r.status, r.status).refreshed(r.refreshes...)
		rows = append(rows, row{name: r.name, gateway: times(9, r.fault), before: r.before, backOff: refusedAgain, want: want})
	}
	w.runApart(t, rows)
}

// TestRefusedEvents: the gateway refuses an event for its content.
func TestRefusedEvents(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	ghost := func(c customer) string { return reportAt(c, "lamp-1", 1, time.Now(), "GHOST") }
	discovery := func(name string, n int) func(c customer) string {
		return func(c customer) string { return discovery(c, name, n) }
	}
	const invalid = simulator.InvalidRequest
	w.runApart(t, []row{
		{name: "account not found", gateway: coded(9, simulator.AccountNotFound), want: dead(simulator.AccountNotFound, 404)},
		{name: "400", gateway: coded(9, invalid), want: dead(invalid, 400)},
		{name: "400, bare", gateway: bare(9, 400), want: dead(invalid, 400)},
		{name: "400, cut", gateway: times(9, simulator.Fault{Code: invalid, CutBody: true}), want: dead(invalid, 400)},
		{name: "413, one endpoint", gateway: coded(9, simulator.TooLarge), want: dead(simulator.TooLarge, 413)},
		{name: "malformed", event: ghost, want: dead("INVALID_EVENT")},
		{
			name: "413, halved", gateway: coded(1, simulator.TooLarge), parts: true,
			event: discovery("AddOrUpdateReport", 4), want: accepted(413, 202, 202),
		},
		{
			name: "413, halved twice", gateway: bare(2, 413), parts: true,
			event: discovery("DeleteReport", 8), want: accepted(413, 413, 202, 202, 202),
		},
		{name: "large DeleteReport", parts: true, event: discovery("DeleteReport", 134), want: accepted(202, 202, 202, 202, 202)},
	})
}

// discovery is a discovery report of n endpoints.
func discovery(c customer, name string, n int) string {
	endpoints := make([]string, n)
	for i := range endpoints {
		endpoints[i] = fmt.Sprintf(`{"endpointId":"lamp-%d"}`, i)
		if name == "AddOrUpdateReport" {
			endpoints[i] = fmt.Sprintf(`{"endpointId":"lamp-%d","manufacturerName":"m","friendlyName":"f","description":"d",
				"displayCategories":["LIGHT"],"capabilities":[{"type":"AlexaInterface","interface":"Alexa","version":"3"}]}`, i)
		}
	}
	return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa.Discovery","name":%q},"payload":{"endpoints":[%s]}}}`,
		c.UserID, name, strings.Join(endpoints, ","))
}

// TestUnhealthyGateway: the gateway fails. The event is resent three times at most,
// and then redelivered. Without an answer the gateway may have accepted it: a
// report is redelivered, a press is not repeated.
func TestUnhealthyGateway(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	const throttling, internal = simulator.Throttling, simulator.InternalService
	unanswered := trace{Answers: []string{"200 unconfirmed", "200 duplicate"}, State: "active"}
	wait := func(n int, after time.Duration) []simulator.Fault {
		return times(n, simulator.Fault{Code: throttling, RetryAfter: after})
	}
	rows := []row{
		{name: "429", gateway: coded(2, throttling), want: accepted(429, 429, 202)},
		{name: "429, bare", gateway: bare(1, 429), want: accepted(429, 202)},
		{name: "429, always", gateway: coded(4, throttling), want: retried(throttling, 429, 429, 429, 429)},
		{name: "429, wants two seconds", gateway: wait(1, 2*time.Second), want: accepted(429, 202), pause: 2 * time.Second},
		{name: "429, wants a minute", gateway: wait(9, time.Minute), want: trace{
			Answers: []string{"503 retry " + throttling, "503 retry HANDED_BACK"}, Gateway: []int{429}, State: "active",
		}},
		{name: "throttling as 500", gateway: times(1, simulator.Fault{Status: 500, Code: throttling}), want: accepted(500, 202)},
		{name: "503", gateway: coded(1, simulator.ServiceUnavailable), want: accepted(503, 202)},
		{name: "503, a page", gateway: page(4, 503), want: retried("INTERNAL", 503, 503, 503, 503)},
		{name: "500", gateway: coded(3, internal), want: accepted(500, 500, 500, 202)},
		{name: "500, bare", gateway: bare(1, 500), want: accepted(500, 202)},
		{name: "500, always", gateway: coded(4, internal), want: retried(internal, 500, 500, 500, 500)},
		{name: "500, cut", gateway: times(1, simulator.Fault{Code: internal, CutBody: true}), want: accepted(500, 202)},
		{name: "502, a page", gateway: page(1, 502), want: accepted(502, 202)},
		{name: "404, no code", gateway: bare(1, 404), want: accepted(404, 202)},
		{name: "302", gateway: bare(1, 302), want: accepted(302, 202)},
		{name: "connection closed", gateway: times(1, simulator.Fault{Reset: true}), want: retried("INTERNAL", 0)},
		{name: "answer lost", gateway: times(1, simulator.Fault{AnswerLost: true}), want: retried("INTERNAL", 0)},
		{name: "hangs", gateway: times(1, simulator.Fault{Delay: 20 * time.Second}), want: retried("INTERNAL", 0)},
		{name: "504, a page", gateway: page(1, 504), want: retried("INTERNAL", 504)},
		{name: "a press, answer lost", gateway: times(1, simulator.Fault{AnswerLost: true}), event: doorbell, want: unanswered.at(0)},
		{name: "a press, 504", gateway: bare(1, 504), event: doorbell, want: unanswered.at(504)},
		{name: "a press, 503", gateway: bare(1, 503), event: doorbell, want: accepted(503, 202)},
		{name: "202, cut", gateway: times(1, simulator.Fault{CutBody: true}), want: accepted(202)},
	}
	for i := range rows {
		rows[i].pause = max(rows[i].pause, time.Second)
		rows[i].pause -= 20 * time.Millisecond // the first request's travel time
	}
	w.runApart(t, rows)
}
