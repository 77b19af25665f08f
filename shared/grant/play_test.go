package grant_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key   = grant.Key{Skill: "default", UserID: "u-1"}
)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

func tokens(n int) grant.Tokens {
	return grant.Tokens{
		AccessToken: fmt.Appendf(nil, "sealed-access-%d", n), RefreshToken: fmt.Appendf(nil, "sealed-refresh-%d", n),
		ClientID: fmt.Sprint("client-", n), ExpiresAt: start.Add(time.Hour), RefreshDue: start.Add(40 * time.Minute),
	}
}

// one is a record with one grant, whose announcement has been made.
func one() grant.Record {
	r := grant.New(key)
	r.Link("a", alexa.EU, "", tokens(1), start)
	r.Announced(r.Announce, start)
	return r
}

// played is a record after a script.
type played struct {
	grant.Record
	asked grant.Grant // the grant "a" at the call of Login with Amazon
	notes []string    // returned values
	now   time.Time   // time of the step
	done  time.Time   // when a step last changed the record
}

// play runs a script: steps such as "3*refused refresh_refused 60", which is
// RefreshRefused three times at minute 60. The grant "a" exists from the beginning,
// unless the first step links it. Steps that name no grant are about "a".
func play(script string) *played {
	p := &played{Record: one(), now: start}
	if strings.HasPrefix(script, "link a") {
		p.Record = grant.New(key)
	}
	for step := range strings.SplitSeq(script, ", ") {
		times, rest, repeated := strings.Cut(step, "*")
		if !repeated {
			times, rest = "1", step
		}
		args := strings.Fields(rest)
		n, _ := strconv.Atoi(args[len(args)-1])
		p.now = minute(n)
		before := p.Clone()
		for count, _ := strconv.Atoi(times); count > 0; count-- {
			p.step(args[0], args[1:len(args)-1])
		}
		if !cmp.Equal(before, p.Record) {
			p.done = p.now
		}
	}
	return p
}

func (p *played) step(what string, args []string) {
	r, now := &p.Record, p.now
	args = append(args, "", "", "")
	waiting := len(r.Announce)
	defer func() {
		for _, a := range r.Announce[min(waiting, len(r.Announce)):] {
			if !a.At.Equal(now) {
				p.notes = append(p.notes, "announced"+minutes(a.At))
			}
		}
	}()
	switch what {
	case "link": // id, region, Amazon account
		r.Link(args[0], alexa.Region(args[1]), args[2], tokens(1), now)
	case "import": // id, region
		r.Import(args[0], alexa.Region(args[1]), tokens(0), now)
		p.notes = append(p.notes, fmt.Sprint("proven ", r.Grants[args[0]].Proven(), ", due", minutes(r.RefreshDue)))
	case "publish":
		r.Announced(r.Announce, now)
	case "ask":
		r.Take("a", "me", now.Add(time.Minute))
		p.asked = r.Grants["a"]
	case "refreshed":
		fresh := tokens(2)
		fresh.RefreshDue, fresh.ExpiresAt = minute(50), minute(90)
		r.Refreshed("a", p.asked, fresh, now)
	case "failed":
		r.RefreshFailed("a", now)
	case "refused":
		r.RefreshRefused("a", args[0], now)
	case "cannot":
		r.CannotRefresh("a", args[0], now)
	case "suspect":
		r.Suspect("a", args[0], now)
	case "probe":
		r.Probe("a", now)
	case "probefailed":
		r.ProbeFailed("a", args[0], now)
	case "recover":
		r.Recover("a", now, now.Add(30*time.Minute))
	case "revoke":
		r.Revoke(args[0], args[1], now)
	case "restore":
		p.notes = append(p.notes, fmt.Sprint("restored ", r.Restore("a", now)))
	case "prove":
		p.notes = append(p.notes, fmt.Sprint("found ", r.Prove(args[0], now)))
	case "tell":
		r.AnnounceSuspect("a", now)
	case "rest":
		r.Rest("a", now)
	case "remove":
		r.Remove("a", now)
	case "used":
		r.Used(now)
	case "several": // "a" and "b" in the EU, "c" in the FE
		p.Record = several()
	case "missed": // grant, endpoints
		for _, endpoint := range endpoints(args[1]) {
			r.NoteBehind(args[0], endpoint, false, now, now.Add(10*time.Minute))
		}
	case "discovery": // grant
		r.NoteBehind(args[0], "", true, now, now.Add(10*time.Minute))
	case "again": // grants
		r.AnnounceStale(strings.Split(args[0], "+"), now)
	case "putoff": // grants
		r.PutOffBehind(strings.Split(args[0], "+"), now, now.Add(35*time.Minute))
	case "forget":
		edit(r, "a", func(g *grant.Grant) { g.RefreshToken = nil })
	case "ends":
		edit(r, "a", func(g *grant.Grant) { g.ExpiresAt = now })
	default:
		panic("no step " + what)
	}
}

// String describes the record: each grant's differences from [one], in minutes
// since the start, then the announcements and the notes.
func (p *played) String() string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(p.Grants)) {
		parts = append(parts, describe(id, p.Grants[id]))
	}
	if p.Region != alexa.EU {
		parts = append(parts, "region "+string(p.Region))
	}
	if !p.UsedAt.IsZero() {
		parts = append(parts, "used"+minutes(p.UsedAt))
	}
	for _, a := range p.Announce {
		text := fmt.Sprintf("%s %s %s %d %s", a.Type, a.GrantID, a.Region, a.ActiveGrants, a.Reason)
		parts = append(parts, strings.TrimSpace(text)+missed(a.EndpointIDs, false, a.Discovery))
	}
	return strings.Join(append(parts, p.notes...), "; ")
}

func describe(id string, g grant.Grant) string {
	var text strings.Builder
	say := func(differs bool, what ...any) {
		if differs {
			text.WriteString(" " + strings.TrimSpace(fmt.Sprint(what...)))
		}
	}
	text.WriteString(id + ": " + string(g.State))
	say(g.Reason != "", g.Reason)
	say(!g.Since.Equal(g.CreatedAt), "since", minutes(g.Since))
	say(!g.RefreshDue.Equal(minute(40)), "due", minutes(g.RefreshDue))
	say(!g.NextTry.IsZero(), "next", minutes(g.NextTry))
	say(!g.RefusedAt.IsZero(), "refused", minutes(g.RefusedAt))
	say(!g.UnprovenSince.IsZero(), "unproven", minutes(g.UnprovenSince))
	say(g.Witness != grant.Witness{}, "by ", g.Witness.By, minutes(g.Witness.At))
	say(!g.ToldAt.IsZero(), "told", minutes(g.ToldAt))
	say(g.Failures != 0, "failures ", g.Failures)
	say(!g.EraseAt.IsZero(), "erase", minutes(g.EraseAt))
	say(!g.ExpiresAt.Equal(minute(60)), "ends", minutes(g.ExpiresAt))
	say(g.Lease != grant.Lease{}, "leased")
	say(g.AccessToken == nil, "without access token")
	say(g.RefreshToken == nil, "without refresh token")
	b := g.Behind
	say(!b.Empty(), "behind", missed(b.Endpoints, b.All, b.Discovery), " since", minutes(b.Since), " due", minutes(b.Due))
	n := int(g.TokenVersion)
	want := tokens(n)
	say(n != 1, "tokens ", n)
	say(g.ClientID != want.ClientID || g.AccessToken != nil && !bytes.Equal(g.AccessToken, want.AccessToken) ||
		g.RefreshToken != nil && !bytes.Equal(g.RefreshToken, want.RefreshToken), "of other tokens")
	return text.String()
}

// several returns a record with the active grants "a" and "b" in the EU and "c" in
// the FE, without announcements.
func several() grant.Record {
	r := grant.New(key)
	r.Link("a", alexa.EU, "account of a", tokens(1), start)
	r.Link("b", alexa.EU, "account of b", tokens(1), start)
	r.Link("c", alexa.FE, "account of c", tokens(1), start)
	r.Announced(r.Announce, start)
	return r
}

// endpoints returns the endpoints in a script: "lamp-1+lamp-2", or "3" for the
// first three lamps.
func endpoints(names string) []string {
	n, err := strconv.Atoi(names)
	if err != nil {
		return strings.Split(names, "+")
	}
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint("lamp-", i+1))
	}
	return list
}

// missed describes missed reports; of the first three lamps and more only the
// number.
func missed(names []string, all, discovery bool) string {
	text := ""
	switch {
	case all:
		text = " all"
	case len(names) > 2 && slices.Equal(names, endpoints(fmt.Sprint(len(names)))):
		text = fmt.Sprintf(" %d lamps", len(names))
	case len(names) > 0:
		text = " " + strings.Join(names, "+")
	}
	if discovery {
		text += " discovery"
	}
	return text
}

// minutes is a time in whole minutes since the start.
func minutes(at time.Time) string {
	if at.IsZero() {
		return " never"
	}
	return fmt.Sprintf(" %.0f", at.Sub(start).Minutes())
}

// checkDue checks the record's due time: the earliest of its grants', at once if a
// message waits, and never before now.
func (p *played) checkDue(t *testing.T) {
	t.Helper()
	var want time.Time
	for _, g := range p.Grants {
		due := g.RefreshDue
		if g.State == grant.Revoked {
			due = g.EraseAt
		}
		if g.State == grant.Active && !g.Behind.Empty() && (due.IsZero() || g.Behind.Due.Before(due)) {
			due = g.Behind.Due
		}
		if !due.IsZero() && (want.IsZero() || due.Before(want)) {
			want = due
		}
	}
	if len(p.Announce) > 0 || !want.IsZero() && want.Before(p.done) {
		want = p.done
	}
	if !p.RefreshDue.Equal(want) {
		t.Errorf("record is due at minute%s, want%s", minutes(p.RefreshDue), minutes(want))
	}
}

// script is the steps and the expected description.
type script struct{ steps, want string }

func playAll(t *testing.T, scripts []script) {
	t.Helper()
	for _, s := range scripts {
		t.Run(s.steps, func(t *testing.T) {
			t.Parallel()
			p := play(s.steps)
			expect.Equal(t, "record", strings.Split(s.want, "; "), strings.Split(p.String(), "; "))
			p.checkDue(t)
			p.done = p.now
			p.step("publish", nil)
			p.checkDue(t)
		})
	}
}
