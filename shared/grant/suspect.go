package grant

import "time"

// Reasons for a state other than active.
const (
	// ReasonInvalidGrant: Login with Amazon answered invalid_grant to a refresh,
	// and there was a second witness. Only revoked grants have it.
	ReasonInvalidGrant = "invalid_grant"
	// ReasonRefreshRefused: Login with Amazon answered invalid_grant.
	ReasonRefreshRefused = "refresh_refused"
	// ReasonRefreshUnknown: Login with Amazon answered invalid_grant, but an
	// earlier refresh of the same token has no known end and may have used it up.
	ReasonRefreshUnknown = "refresh_outcome_unknown"
	// ReasonRestored: an operator has undone the revocation, and no refresh has
	// proved the grant since.
	ReasonRestored = "restored"
	// ReasonOtherClient: the grant was given to an LWA client that is not
	// configured, and its access token has ended.
	ReasonOtherClient = "other_client"
	// ReasonUnreadable: a token of the grant does not open with the keyset.
	ReasonUnreadable = "unreadable"

	// ReasonUnauthorized: the gateway refuses a token that was just refreshed.
	ReasonUnauthorized = "unauthorized"
	// ReasonSkillDisabled: the gateway says that the skill is disabled, and
	// Login with Amazon says that it is not. A wrong region or stage?
	ReasonSkillDisabled = "skill_disabled"
	// ReasonSkillNeverEnabled: as ReasonSkillDisabled, in other words.
	ReasonSkillNeverEnabled = "skill_never_enabled"
	// ReasonInsufficientPermission: the skill may not send events.
	ReasonInsufficientPermission = "insufficient_permission"
	// ReasonSkillNotFound: no skill for this token. Another stage?
	ReasonSkillNotFound = "skill_not_found"

	// reasonMassInvalidGrant is what an earlier version of the code wrote for
	// ReasonRefreshRefused.
	reasonMassInvalidGrant = "mass_invalid_grant"
)

// ExpiryMargin is how long before its end an access token counts as ended: it
// has to arrive at the gateway while it is valid.
const ExpiryMargin = time.Minute

// TokenEnded reports whether the access token is of no use any more.
func (g Grant) TokenEnded(now time.Time) bool {
	return !now.Before(g.ExpiresAt.Add(-ExpiryMargin)) || g.Reason == ReasonUnreadable
}

// Doubted reports whether the grant is suspect because its tokens cannot be
// refreshed or read, and not because the gateway refuses it. Its events go out
// for as long as the access token lasts, and a refresh ends the doubt.
func (g Grant) Doubted() bool {
	if g.State != Suspect {
		return false
	}
	switch g.Reason {
	case ReasonRefreshRefused, ReasonRefreshUnknown, ReasonRestored, ReasonOtherClient, ReasonUnreadable, reasonMassInvalidGrant:
		return true
	}
	return false
}

// Waits reports whether it is too early to refresh a doubted grant again: an
// answer now would prove no more than the last.
func (g Grant) Waits(now time.Time) bool {
	// The sweep may put the one off, and a probe the other.
	return g.Doubted() && now.Before(g.RefreshDue) && now.Before(g.NextTry)
}

// Confirms reports whether a refusal by Login with Amazon now means that the
// grant is gone: the first was an hour ago, or somebody else has said so.
func (g Grant) Confirms(now time.Time) bool {
	return g.Witness != (Witness{}) || !g.RefusedAt.IsZero() && !now.Before(g.RefusedAt.Add(confirmAfter))
}

const (
	// confirmAfter is how long after the first refusal of a refresh another one
	// revokes the grant.
	confirmAfter = time.Hour
	// A refresh that was refused is tried again after firstDoubt, then twice as
	// long each time: at most lastDoubt, or eventDoubt if an event needs it.
	firstDoubt = 5 * time.Minute
	eventDoubt = time.Hour
	lastDoubt  = 24 * time.Hour
	// A grant that cannot be refreshed because of the configuration is tried
	// again after firstProbe, then twice as long each time, at most lastMend.
	lastMend = 15 * time.Minute

	firstProbe = time.Minute // from a gateway's refusal to the first probe
	lastProbe  = 6 * time.Hour
	// lastOwnProbe is the longest pause between probes when the skill is at fault,
	// and not the customer: somebody mends it.
	lastOwnProbe = 15 * time.Minute
	// suspectRefresh is how often a grant that the gateway refuses is refreshed,
	// so that one that is gone is found out.
	suspectRefresh = 24 * time.Hour
)

// RefreshRefused makes a grant suspect because Login with Amazon answered
// invalid_grant, and sets when it is refreshed again: after a growing pause, and
// in any case when a refusal confirms this one. A grant that the gateway refuses
// keeps that reason. The maker is told once the access token has ended.
func (r *Record) RefreshRefused(id, reason string, now time.Time) {
	g := r.Grants[id]
	if g.RefusedAt.IsZero() {
		g.RefusedAt = now
	}
	g.Lease = Lease{}
	if g.State == Suspect && !g.Doubted() {
		g.RefreshDue = earlier(now.Add(suspectRefresh), g.RefusedAt.Add(confirmAfter), now)
		r.Grants[id] = g
		r.settle(now)
		return
	}
	g = doubted(g, reason, now)
	pause := firstDoubt << min(g.Failures, 16)
	g.Failures++
	g.RefreshDue = earlier(now.Add(min(pause, lastDoubt)), g.RefusedAt.Add(confirmAfter), now)
	g.NextTry = earlier(now.Add(min(pause, eventDoubt)), g.RefusedAt.Add(confirmAfter), now)
	r.Grants[id] = g
	r.tellIfEnded(id, now)
}

// EndAccess notes that the gateway refuses the access token, however long it
// might have lasted.
func (r *Record) EndAccess(id string, now time.Time) {
	g := r.Grants[id]
	if now.Before(g.ExpiresAt) {
		g.ExpiresAt = now
	}
	r.Grants[id] = g
}

// earlier returns the earlier of two times, of which the second counts only if it
// is still to come.
func earlier(first, second, now time.Time) time.Time {
	if second.After(now) && second.Before(first) {
		return second
	}
	return first
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// CannotRefresh makes a grant suspect because of the configuration: it is of
// another LWA client, or sealed with another keyset. It must not hold up the
// customer's other grants.
func (r *Record) CannotRefresh(id, reason string, now time.Time) {
	g := doubted(r.Grants[id], reason, now)
	pause := firstProbe << min(g.Failures, 16)
	g.Failures++
	g.RefreshDue, g.NextTry = now.Add(min(pause, lastRefreshPause)), now.Add(min(pause, lastMend))
	r.Grants[id] = g
	r.tellIfEnded(id, now)
}

// doubted returns g as suspect for a reason.
func doubted(g Grant, reason string, now time.Time) Grant {
	if g.State != Suspect || !g.Doubted() {
		g.Since, g.Failures = now, 0
	}
	g.State, g.Reason = Suspect, reason
	return g
}

// tellIfEnded announces that a doubted grant is suspect once its events are
// held back.
func (r *Record) tellIfEnded(id string, now time.Time) {
	if r.Grants[id].TokenEnded(now) {
		r.Tell(id, now)
	}
	r.settle(now)
}

// Tell announces that a suspect grant is suspect, unless that was done.
func (r *Record) Tell(id string, now time.Time) {
	g := r.Grants[id]
	if g.State != Suspect || !g.ToldAt.IsZero() {
		return
	}
	g.ToldAt = now
	r.Grants[id] = g
	r.announce(BecameSuspect, id, g.Region, g.Reason, now)
	r.settle(now)
}

// Suspect makes a grant suspect because the gateway refuses it. It gets no
// events but a probe now and then: the first after a minute, each next after
// twice the time, at most six hours, or a quarter of an hour if the skill is at
// fault. It is refreshed once a day.
func (r *Record) Suspect(id, reason string, now time.Time) {
	g := r.Grants[id]
	if g.State != Suspect || g.Doubted() {
		g.Since, g.Failures = now, 0
	}
	g.State, g.Reason = Suspect, reason
	due := now.Add(spread(id, suspectRefresh))
	// A grant that may be gone is refreshed as soon as it was to be.
	mayBeGone := g.Witness != (Witness{}) || !g.RefusedAt.IsZero()
	if !mayBeGone || g.RefreshDue.IsZero() || due.Before(g.RefreshDue) {
		g.RefreshDue = due
	}
	r.Grants[id] = g
	r.Tell(id, now)
	r.Probe(id, now)
}

// Probe claims the probe that is due of a suspect grant: it moves the time of
// the next. Whoever saves that change may send the probe.
func (r *Record) Probe(id string, now time.Time) {
	g := r.Grants[id]
	last := lastProbe
	if g.Reason == ReasonInsufficientPermission || g.Reason == ReasonSkillNotFound {
		last = lastOwnProbe
	}
	g.NextTry = now.Add(min(firstProbe<<min(g.Failures, 16), last))
	r.Grants[id] = g
	r.settle(now)
}

// ProbeFailed notes that the gateway refused the probe: the time to the next
// one doubles. A probe that came to nothing otherwise leaves it as it is.
func (r *Record) ProbeFailed(id, reason string, now time.Time) {
	g := r.Grants[id]
	g.Reason = reason
	g.Failures++
	r.Grants[id] = g
	r.Probe(id, now)
}

// Recover notes that the gateway took an event of a suspect grant. The grant is
// active again, and refreshed at the time due; unless Login with Amazon has
// refused it, of which the gateway knows nothing.
func (r *Record) Recover(id string, now, due time.Time) {
	g := r.Grants[id]
	switch {
	case g.State != Suspect, g.Doubted() && !g.RefusedAt.IsZero():
		return
	case !g.RefusedAt.IsZero():
		g = doubted(g, ReasonRefreshRefused, now)
		g.RefreshDue = earlier(g.RefreshDue, g.RefusedAt.Add(confirmAfter), now)
		g.NextTry = earlier(now.Add(eventDoubt), g.RefreshDue, now)
	default:
		g.State, g.Reason, g.Since = Active, "", now
		g.Failures, g.NextTry = 0, time.Time{}
		// A sweep does not look far back; and a witness wants it refreshed now.
		if due = later(due, now); g.Witness == (Witness{}) || g.RefreshDue.IsZero() || due.Before(g.RefreshDue) {
			g.RefreshDue = due
		}
	}
	r.recovered(id, g, now)
}

// recovered saves g, and announces that it works again if the maker was told
// that it does not.
func (r *Record) recovered(id string, g Grant, now time.Time) {
	told := !g.ToldAt.IsZero()
	g.ToldAt = time.Time{}
	if !g.Behind.Empty() && g.State == Active && r.Grants[id].State != Active {
		g.Behind.Due = now // the link works again, so that the maker may report
	}
	r.Grants[id] = g
	if told {
		r.announce(Recovered, id, g.Region, "", now)
	}
	r.settle(now)
}
