package delivery_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// wantTransitions compares the nth table of STATES.md with the transition of each event from
// each state.
func wantTransitions[E any](t *testing.T, n int, events map[string]E, leads func(t *testing.T, state string, event E) string) {
	t.Helper()
	page, err := os.ReadFile("STATES.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?m)(^\|.*\n)+`).FindAllString(string(page), -1)[n]
	rows := strings.Split(strings.TrimSpace(table), "\n")
	want, got := make(map[string][]string), make(map[string][]string)
	cells := func(row string) []string { return strings.Split(strings.Trim(row, "| "), " | ") }
	for _, row := range rows[2:] {
		want[cells(row)[0]] = cells(row)[1:]
	}
	for name, event := range events {
		for _, state := range cells(rows[0])[1:] {
			got[name] = append(got[name], leads(t, state, event))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("transitions differ (-STATES.md +code):\n%s", diff)
	}
}

func TestStatesOfAGrant(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tokens := grant.Tokens{
		AccessToken: []byte("a"), RefreshToken: []byte("r"), ExpiresAt: now.Add(time.Hour), RefreshDue: now.Add(40 * time.Minute),
	}
	// refuse handles invalid_grant as package access does.
	refuse := func(r *grant.Record, at time.Time) {
		switch g := r.Grants["g"]; {
		case g.State == grant.Revoked:
		case g.Confirms(at):
			r.Revoke("g", grant.ReasonInvalidGrant, at)
		default:
			r.RefreshRefused("g", grant.ReasonRefreshRefused, at)
		}
	}
	alive := func(do func(r *grant.Record)) func(r *grant.Record) {
		return func(r *grant.Record) {
			if r.Grants["g"].State != grant.Revoked {
				do(r)
			}
		}
	}
	events := map[string]func(r *grant.Record){
		"Login with Amazon refreshes it": func(r *grant.Record) { r.Refreshed("g", r.Grants["g"], tokens, now) },
		"Login with Amazon refuses it":   func(r *grant.Record) { refuse(r, now) },
		"Login with Amazon refuses it an hour after the first time": func(r *grant.Record) {
			refuse(r, now)
			refuse(r, now.Add(time.Hour))
		},
		"Login with Amazon refuses it, and there is a second witness": func(r *grant.Record) {
			r.Prove(grant.BySkillEvent, now)
			refuse(r, now)
		},
		"it belongs to another client, or is unreadable": alive(func(r *grant.Record) { r.CannotRefresh("g", grant.ReasonUnreadable, now) }),
		"the gateway refuses it twice, seconds apart":    alive(func(r *grant.Record) { r.Suspect("g", grant.ReasonUnauthorized, now) }),
		"the gateway accepts its event":                  alive(func(r *grant.Record) { r.Recover("g", now, now.Add(time.Hour)) }),
		"an operator restores it":                        func(r *grant.Record) { r.Restore("g", now) },
	}
	wantTransitions(t, 0, events, func(_ *testing.T, state string, event func(*grant.Record)) string {
		r := grant.New(grant.Key{Skill: "default", UserID: "u-1"})
		r.Link("g", alexa.EU, "", tokens, now)
		switch state {
		case "doubted":
			r.RefreshRefused("g", grant.ReasonRefreshRefused, now)
		case "refused":
			r.Suspect("g", grant.ReasonUnauthorized, now)
		case "revoked":
			r.Revoke("g", grant.ReasonInvalidGrant, now)
		}
		event(&r)
		switch g := r.Grants["g"]; {
		case g.Doubted():
			return "doubted"
		case g.State == grant.Suspect:
			return "refused"
		default:
			return string(g.State)
		}
	})
}

func TestStatesOfABreaker(t *testing.T) {
	t.Parallel()
	answer := func(b *breaker.Breaker, key string, good bool) {
		if a, err := b.Begin(context.Background(), key, breaker.Options{}); err == nil {
			b.End(a, good)
		}
	}
	fail := func(b *breaker.Breaker) {
		for i := range 10 {
			answer(b, fmt.Sprint("g-", i), false)
		}
	}
	events := map[string]func(b *breaker.Breaker){
		"at least 10 of the last 50 grants, and half or more, got a bad answer": fail,
		"5 s pass, doubled after each reopening up to 30 s":                     func(*breaker.Breaker) { time.Sleep(5 * time.Second) },
		"every trial succeeds for some seconds": func(b *breaker.Breaker) {
			if b.State() == breaker.Open {
				return
			}
			for second := range 10 {
				time.Sleep(time.Second)
				answer(b, fmt.Sprint("w-", second), true)
			}
		},
		"only one grant gets bad answers": func(b *breaker.Breaker) {
			for range 20 {
				answer(b, "alone", false)
			}
		},
	}
	wantTransitions(t, 1, events, func(t *testing.T, state string, event func(*breaker.Breaker)) (led string) {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(breaker.Config{Now: time.Now})
			if state != "closed" {
				fail(b)
			}
			if state == "half-open" {
				time.Sleep(5 * time.Second)
			}
			if got := b.State().String(); got != state {
				t.Fatalf("state = %s, want %s", got, state)
			}
			event(b)
			led = b.State().String()
		})
		return led
	})
}

func TestStatesOfTheBrake(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	events := map[string]func(b *grant.Brake){
		"first refusals or revocations exceed both five and 1% in two hours": func(b *grant.Brake) { b.Admit(0, 6, now) },
		"nine out of ten refreshes succeed for two hours":                    func(b *grant.Brake) { b.Observe(9, 1, now.Add(2*time.Hour)) },
		"`grants brake on`":  func(b *grant.Brake) { b.On(now) },
		"`grants brake off`": func(b *grant.Brake) { b.Off(now) },
	}
	wantTransitions(t, 2, events, func(_ *testing.T, state string, event func(*grant.Brake)) string {
		var b grant.Brake
		switch state {
		case "latched":
			b.Admit(6, 0, now)
		case "latched by hand":
			b.On(now)
		}
		event(&b)
		switch {
		case b.ByHand:
			return "latched by hand"
		case b.Latched():
			return "latched"
		}
		return "released"
	})
}
