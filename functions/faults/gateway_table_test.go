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

// times returns a list of one fault for several requests.
func times(n int, f simulator.Fault) []simulator.Fault {
	f.Times = n
	return []simulator.Fault{f}
}

// TestRefusedTokens is the gateway not taking an access token. A forced
// refresh proves the grant, and nothing else can end it.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	renewed := trace{Answers: []string{"200 accepted"}, Refresh: []int{200}, State: "active"}
	after := func(statuses ...int) trace { r := renewed; r.Gateway = statuses; return r }
	// doubted is the trace of a grant whose fresh token is refused as well, and
	// again when the event comes back.
	doubted := func(code, again string, status int) trace {
		return trace{
			Answers: []string{words("503 retry", code), words("503 retry", again), "200 suspended"}, Gateway: []int{status, status, status, status},
			Refresh: []int{200}, State: "suspect unauthorized", Told: []string{"suspect unauthorized"}, Behind: "lamp-1",
		}
	}
	forcedAgo := func(d time.Duration) func(*grant.Grant) {
		return func(g *grant.Grant) { g.LastForcedRefresh = ago(d) }
	}
	refused := simulator.Fault{Code: simulator.InvalidAccessToken}
	w.runApart(t, []row{
		{name: "accepted", want: trace{Answers: []string{"200 accepted", "200 duplicate"}, Gateway: []int{202}, State: "active"}},
		{name: "expired", expired: true, want: after(401, 202), after: func(g grant.Grant) error {
			if g.TokenVersion != 2 || g.LastForcedRefresh.IsZero() {
				return fmt.Errorf("version %d, forced %v", g.TokenVersion, g.LastForcedRefresh)
			}
			return nil
		}},
		{name: "401", gateway: times(1, refused), want: after(401, 202)},
		{name: "401, bare", gateway: times(1, simulator.Fault{Status: 401}), want: after(401, 202)},
		{name: "403, bare", gateway: times(1, simulator.Fault{Status: 403}), want: after(403, 202)},
		{name: "403, a proxy's page", gateway: times(1, simulator.Fault{Status: 403, Body: proxyPage}), want: after(403, 202)},
		{name: "403, unknown code", gateway: times(1, simulator.Fault{Status: 403, Code: "NEW_EXCEPTION"}), want: after(403, 202)},
		{name: "401, fresh token too", gateway: times(9, refused), want: doubted(simulator.InvalidAccessToken, simulator.InvalidAccessToken, 401), backOff: refusedAgain},
		{name: "403 bare, fresh token too", gateway: times(9, simulator.Fault{Status: 403}), want: doubted("INTERNAL", "SUSPECT", 403), backOff: refusedAgain},
		{name: "page, fresh token too", gateway: times(9, simulator.Fault{Status: 403, Body: proxyPage}), want: doubted("INTERNAL", "SUSPECT", 403), backOff: refusedAgain},
		{
			name: "401, forced 9 min ago", gateway: times(9, refused), before: forcedAgo(9 * time.Minute), backOff: refusedAgain,
			want: func() trace {
				// Not refreshed again; sent again, because one stray refusal is not
				// yet a reason to doubt a grant that was proven.
				w := doubted(simulator.InvalidAccessToken, simulator.InvalidAccessToken, 401)
				w.Refresh = nil
				return w
			}(),
		},
		{name: "401, forced 11 min ago", gateway: times(1, refused), before: forcedAgo(11 * time.Minute), want: after(401, 202)},
		{
			name: "401, then a server's fault", gateway: []simulator.Fault{refused, {Status: 500}}, want: after(401, 500, 202),
		},
		{
			name: "401, no refresh to be had", gateway: times(1, refused), refresh: times(1, simulator.Fault{Status: 503}),
			want: trace{Answers: []string{"503 retry INTERNAL", "200 accepted"}, Gateway: []int{401, 202}, Refresh: []int{503}, State: "active"},
		},
		{
			name: "401, skill disabled", disabled: true, gateway: times(1, refused),
			want: trace{
				Answers: []string{"200 revoked", "200 revoked"}, Gateway: []int{401}, Refresh: []int{400},
				State: "revoked invalid_grant", Told: []string{"revoked invalid_grant"},
			},
		},
	})
}

// TestRefusedGrants is the gateway saying that there is no such customer or
// skill. It is not believed.
func TestRefusedGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	suspect := func(code, reason string, refreshes []int, status int) trace {
		return trace{
			Answers: []string{words("503 retry", code), words("503 retry", code), "200 suspended"}, Gateway: []int{status, status}, Refresh: refreshes,
			State: "suspect " + reason, Told: []string{"suspect " + reason}, Behind: "lamp-1",
		}
	}
	old := func(g *grant.Grant) { g.CreatedAt = ago(11 * time.Minute) }
	suspectUntil := func(next time.Duration) func(*grant.Grant) {
		return func(g *grant.Grant) {
			g.State, g.Reason, g.Failures, g.NextTry = grant.Suspect, grant.ReasonSkillNotFound, 2, time.Now().Add(next).UTC()
			g.ToldAt = ago(time.Minute)
		}
	}
	disabled := simulator.Fault{Code: simulator.SkillDisabled}
	enablement := simulator.Fault{Code: simulator.InternalService, Description: "Could not retrieve enablement for SkillIdentifier amzn1.ask.skill.fake"}
	w.runApart(t, []row{
		{name: "disabled, says the gateway only", gateway: times(9, disabled), backOff: refusedAgain, want: suspect(simulator.SkillDisabled, "skill_disabled", []int{200}, 403)},
		{name: "500 that means disabled", gateway: times(9, enablement), backOff: refusedAgain, want: suspect(simulator.InternalService, "skill_disabled", []int{200}, 500)},
		{
			name: "disabled", disabled: true,
			want: trace{
				Answers: []string{"200 revoked", "200 revoked"}, Gateway: []int{403}, Refresh: []int{400},
				State: "revoked invalid_grant", Told: []string{"revoked invalid_grant"},
			},
		},
		{
			name: "disabled, no refresh to be had", gateway: times(1, disabled), refresh: times(1, simulator.Fault{Status: 500}),
			want: trace{Answers: []string{"503 retry INTERNAL", "200 accepted"}, Gateway: []int{403, 202}, Refresh: []int{500}, State: "active"},
		},
		{
			name: "never enabled, just linked", gateway: times(1, simulator.Fault{Code: simulator.SkillNeverEnabled}),
			want: trace{Answers: []string{words("503 retry", simulator.SkillNeverEnabled), "200 accepted"}, Gateway: []int{403, 202}, State: "active"},
		},
		{
			name: "never enabled", gateway: times(9, simulator.Fault{Code: simulator.SkillNeverEnabled}), before: old, backOff: refusedAgain,
			want: suspect(simulator.SkillNeverEnabled, "skill_never_enabled", nil, 403),
		},
		{
			name: "no permission", gateway: times(9, simulator.Fault{Code: simulator.InsufficientPermission}), backOff: refusedAgain,
			want: suspect(simulator.InsufficientPermission, "insufficient_permission", nil, 403),
		},
		{
			name: "no skill", gateway: times(9, simulator.Fault{Code: simulator.SkillNotFound}), backOff: refusedAgain,
			want: suspect(simulator.SkillNotFound, "skill_not_found", nil, 404),
		},
		{
			name: "suspect", before: suspectUntil(time.Minute),
			want: trace{Answers: []string{"200 suspended"}, State: "suspect skill_not_found", Behind: "lamp-1"},
		},
		{
			name: "suspect, discovery", before: suspectUntil(time.Minute),
			event: func(c customer) string { return discovery(c, "DeleteReport", 1) },
			want:  trace{Answers: []string{"200 dead_letter SUSPENDED"}, State: "suspect skill_not_found", Dead: []string{"SUSPENDED"}, Behind: "discovery"},
		},
		{
			name: "suspect, a press", before: suspectUntil(time.Minute),
			event: func(c customer) string { return press(c, "door-1") },
			want:  trace{Answers: []string{"200 suspended"}, State: "suspect skill_not_found"},
		},
		{
			name: "suspect, a repetition that was asked for", before: suspectUntil(time.Minute),
			event: func(c customer) string { return reportAt(c, "lamp-1", 1, time.Now(), "PERIODIC_POLL") },
			want:  trace{Answers: []string{"200 suspended"}, State: "suspect skill_not_found", Behind: "lamp-1"},
		},
		{
			name: "probe", before: suspectUntil(-time.Second),
			want: trace{Answers: []string{"200 accepted"}, Gateway: []int{202}, State: "active", Told: []string{"recovered"}},
		},
		{
			name: "probe refused", before: suspectUntil(-time.Second), gateway: times(1, simulator.Fault{Code: simulator.SkillNotFound}),
			want: trace{
				Answers: []string{"200 suspended " + simulator.SkillNotFound, "200 suspended"}, Gateway: []int{404},
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
			name: "linked to probe", gateway: times(2, simulator.Fault{Code: simulator.SkillNotFound}), backOff: refusedAgain,
			between: func(g *grant.Grant) { g.NextTry = ago(time.Second) },
			want: trace{
				Answers: []string{words("503 retry", simulator.SkillNotFound), words("503 retry", simulator.SkillNotFound), "200 accepted"}, Gateway: []int{404, 404, 202},
				State: "active", Told: []string{"recovered", "suspect skill_not_found"},
			},
		},
	})
}

// TestRefusedEvents is the gateway not taking an event because of what is in
// it.
func TestRefusedEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	dead := func(code string, statuses ...int) trace {
		return trace{Answers: []string{words("200 dead_letter", code)}, Gateway: statuses, State: "active", Dead: []string{code}}
	}
	taken := func(statuses ...int) trace {
		return trace{Answers: []string{"200 accepted"}, Gateway: statuses, State: "active"}
	}
	w.runApart(t, []row{
		{name: "account not found", gateway: times(9, simulator.Fault{Code: simulator.AccountNotFound}), want: dead(simulator.AccountNotFound, 404)},
		{name: "400", gateway: times(9, simulator.Fault{Code: simulator.InvalidRequest}), want: dead(simulator.InvalidRequest, 400)},
		{name: "400, bare", gateway: times(9, simulator.Fault{Status: 400}), want: dead(simulator.InvalidRequest, 400)},
		{name: "400, cut", gateway: times(9, simulator.Fault{Code: simulator.InvalidRequest, CutBody: true}), want: dead(simulator.InvalidRequest, 400)},
		{name: "413, one endpoint", gateway: times(9, simulator.Fault{Code: simulator.TooLarge}), want: dead(simulator.TooLarge, 413)},
		{name: "malformed", event: func(c customer) string { return report(c, "lamp 1", 1) }, want: dead("INVALID_EVENT")},
		{
			name: "413, halved", gateway: times(1, simulator.Fault{Code: simulator.TooLarge}), parts: true,
			event: func(c customer) string { return discovery(c, "AddOrUpdateReport", 4) }, want: taken(413, 202, 202),
		},
		{
			name: "413, halved twice", gateway: times(2, simulator.Fault{Status: 413}), parts: true,
			event: func(c customer) string { return discovery(c, "DeleteReport", 8) }, want: taken(413, 413, 202, 202, 202),
		},
		{name: "large DeleteReport", parts: true, event: func(c customer) string { return discovery(c, "DeleteReport", 134) }, want: taken(202, 202, 202, 202, 202)},
	})
}

// discovery is a discovery report about n endpoints.
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
		c.userID, name, strings.Join(endpoints, ","))
}
