package grant

import "time"

// Reasons for a state other than active.
const (
	// ReasonInvalidGrant: Login with Amazon answered invalid_grant to a refresh,
	// and there was a second witness. Only revoked grants have it.
	ReasonInvalidGrant = "invalid_grant"
	// ReasonRefreshRefused: Login with Amazon answered invalid_grant.
	ReasonRefreshRefused = "refresh_refused"
	// ReasonRefreshUnknown: Login with Amazon answered invalid_grant, but the
	// outcome of an earlier refresh with the same token is unknown, and it may have
	// used the token up.
	ReasonRefreshUnknown = "refresh_outcome_unknown"
	// ReasonRestored: an operator has undone the revocation, and no refresh has
	// succeeded since.
	ReasonRestored = "restored"
	// ReasonOtherClient: the grant belongs to an LWA client that is not configured,
	// and its access token has expired.
	ReasonOtherClient = "other_client"
	// ReasonUnreadable: a token of the grant does not open with the keyset.
	ReasonUnreadable = "unreadable"

	// ReasonUnauthorized: the gateway refuses a token that was just refreshed.
	ReasonUnauthorized = "unauthorized"
	// ReasonSkillDisabled: the gateway says that the skill is disabled, Login with
	// Amazon that it is not. The region or stage may be wrong.
	ReasonSkillDisabled = "skill_disabled"
	// ReasonSkillNeverEnabled: like ReasonSkillDisabled, with another code.
	ReasonSkillNeverEnabled = "skill_never_enabled"
	// ReasonInsufficientPermission: the skill may not send events.
	ReasonInsufficientPermission = "insufficient_permission"
	// ReasonSkillNotFound: the gateway knows no skill for this token. The stage may
	// be wrong.
	ReasonSkillNotFound = "skill_not_found"

	// reasonMassInvalidGrant is an earlier version's name for ReasonRefreshRefused.
	reasonMassInvalidGrant = "mass_invalid_grant"
)

// ExpiryMargin is how long before it expires an access token counts as expired: it
// must still be valid when it reaches the gateway.
const ExpiryMargin = time.Minute

// TokenEnded reports whether the access token has expired, is about to expire, or
// cannot be opened.
func (g Grant) TokenEnded(now time.Time) bool {
	return !now.Before(g.ExpiresAt.Add(-ExpiryMargin)) || g.Reason == ReasonUnreadable
}

// Doubted reports whether the grant is suspect because its tokens cannot be
// refreshed or read, and not because the gateway refuses it. Its events are sent
// until the access token expires, and a refresh makes it active again.
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

// Waits reports whether it is too early to retry the refresh of a doubted grant: an
// answer now would prove no more than the last.
func (g Grant) Waits(now time.Time) bool {
	// The sweep may postpone RefreshDue alone, and a probe NextTry.
	return g.Doubted() && now.Before(g.RefreshDue) && now.Before(g.NextTry)
}

// Confirms reports whether a refusal by Login with Amazon now means that the grant
// is gone: the first refusal was an hour ago, or there is another witness.
func (g Grant) Confirms(now time.Time) bool {
	return g.Witness != (Witness{}) || !g.RefusedAt.IsZero() && !now.Before(g.RefusedAt.Add(confirmAfter))
}

const (
	// confirmAfter is how long after the first refusal of a refresh another one
	// revokes the grant.
	confirmAfter = time.Hour
	// A refused refresh is retried after firstDoubt, then with exponential backoff:
	// up to lastDoubt, or up to eventDoubt if an event needs it.
	firstDoubt = 5 * time.Minute
	eventDoubt = time.Hour
	lastDoubt  = 24 * time.Hour
	// A refresh that failed because of the configuration is retried after
	// firstProbe, then with exponential backoff: up to lastRefreshPause, or up to
	// lastConfigPause if an event needs it.
	lastConfigPause = 15 * time.Minute

	firstProbe = time.Minute // from a gateway's refusal to the first probe
	lastProbe  = 6 * time.Hour
	// lastSkillProbe is the longest pause between probes when the skill is at
	// fault, not the customer: the maker will fix it.
	lastSkillProbe = 15 * time.Minute
	// suspectRefresh is how often a grant that the gateway refuses is refreshed, to
	// detect that it is gone.
	suspectRefresh = 24 * time.Hour
)

// RefreshRefused makes a grant suspect because Login with Amazon answered
// invalid_grant, and sets its next refresh: after a growing pause, but no later than
// the time from which another refusal confirms this one. A grant that the gateway
// refuses keeps that reason. Any other is announced as suspect once its access token
// has expired.
func (r *Record) RefreshRefused(id, reason string, now time.Time) {
	g := r.Grants[id]
	if g.RefusedAt.IsZero() {
		g.RefusedAt = now
	}
	g.Lease = Lease{}
	if g.State == Suspect && !g.Doubted() {
		g.RefreshDue = earlier(now.Add(suspectRefresh), g.RefusedAt.Add(confirmAfter), now)
		r.Grants[id] = g
		r.schedule(now)
		return
	}
	g = doubted(g, reason, now)
	pause := firstDoubt << min(g.Failures, 16)
	g.Failures++
	g.RefreshDue = earlier(now.Add(min(pause, lastDoubt)), g.RefusedAt.Add(confirmAfter), now)
	g.NextTry = earlier(now.Add(min(pause, eventDoubt)), g.RefusedAt.Add(confirmAfter), now)
	r.Grants[id] = g
	r.announceIfExpired(id, now)
}

// EndAccess marks the access token as expired, because the gateway refuses it.
func (r *Record) EndAccess(id string, now time.Time) {
	g := r.Grants[id]
	if now.Before(g.ExpiresAt) {
		g.ExpiresAt = now
	}
	r.Grants[id] = g
}

// earlier returns the earlier of two times. The second counts only if it is in the
// future.
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

// CannotRefresh makes a grant suspect because of the configuration: it belongs to
// another LWA client, or is sealed with another keyset. It must not hold up the
// customer's other grants.
func (r *Record) CannotRefresh(id, reason string, now time.Time) {
	g := doubted(r.Grants[id], reason, now)
	pause := firstProbe << min(g.Failures, 16)
	g.Failures++
	g.RefreshDue, g.NextTry = now.Add(min(pause, lastRefreshPause)), now.Add(min(pause, lastConfigPause))
	r.Grants[id] = g
	r.announceIfExpired(id, now)
}

// doubted returns g as suspect for a reason of [Grant.Doubted].
func doubted(g Grant, reason string, now time.Time) Grant {
	if g.State != Suspect || !g.Doubted() {
		g.Since, g.Failures = now, 0
	}
	g.State, g.Reason = Suspect, reason
	return g
}

// announceIfExpired announces that a doubted grant is suspect if its access token has
// expired, because its events are then held back.
func (r *Record) announceIfExpired(id string, now time.Time) {
	if r.Grants[id].TokenEnded(now) {
		r.AnnounceSuspect(id, now)
	}
	r.schedule(now)
}

// AnnounceSuspect announces that a grant is suspect, unless that was announced before.
func (r *Record) AnnounceSuspect(id string, now time.Time) {
	g := r.Grants[id]
	if g.State != Suspect || !g.ToldAt.IsZero() {
		return
	}
	g.ToldAt = now
	r.Grants[id] = g
	r.announce(BecameSuspect, id, g.Region, g.Reason, now)
	r.schedule(now)
}

// Suspect makes a grant suspect because the gateway refuses it. It receives only
// probes: the first after a minute, then with exponential backoff up to six hours,
// or up to a quarter of an hour if the skill is at fault. It is refreshed once a
// day.
func (r *Record) Suspect(id, reason string, now time.Time) {
	g := r.Grants[id]
	if g.State != Suspect || g.Doubted() {
		g.Since, g.Failures = now, 0
	}
	g.State, g.Reason = Suspect, reason
	due := now.Add(spread(id, suspectRefresh))
	// A grant that may be gone keeps an earlier due time.
	mayBeGone := g.Witness != (Witness{}) || !g.RefusedAt.IsZero()
	if !mayBeGone || g.RefreshDue.IsZero() || due.Before(g.RefreshDue) {
		g.RefreshDue = due
	}
	r.Grants[id] = g
	r.AnnounceSuspect(id, now)
	r.Probe(id, now)
}

// Probe claims the probe of a suspect grant by moving the time of the next one. The
// process that saves this change may send the probe.
func (r *Record) Probe(id string, now time.Time) {
	g := r.Grants[id]
	last := lastProbe
	if g.Reason == ReasonInsufficientPermission || g.Reason == ReasonSkillNotFound {
		last = lastSkillProbe
	}
	g.NextTry = now.Add(min(firstProbe<<min(g.Failures, 16), last))
	r.Grants[id] = g
	r.schedule(now)
}

// ProbeFailed notes that the gateway refused the probe: the pause before the next
// one doubles. A probe that failed in another way does not change it.
func (r *Record) ProbeFailed(id, reason string, now time.Time) {
	g := r.Grants[id]
	g.Reason = reason
	g.Failures++
	r.Grants[id] = g
	r.Probe(id, now)
}

// Recover notes that the gateway accepted an event of a suspect grant. The grant
// becomes active again, with the given due time, unless Login with Amazon refuses it,
// since the gateway's answer says nothing about that.
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
		// A sweep misses a due time in the past. A witness keeps an earlier one.
		if due = later(due, now); g.Witness == (Witness{}) || g.RefreshDue.IsZero() || due.Before(g.RefreshDue) {
			g.RefreshDue = due
		}
	}
	r.storeRecovered(id, g, now)
}

// storeRecovered puts g into the record, and announces that it works again if it was
// announced as suspect.
func (r *Record) storeRecovered(id string, g Grant, now time.Time) {
	told := !g.ToldAt.IsZero()
	g.ToldAt = time.Time{}
	if !g.Behind.Empty() && g.State == Active && r.Grants[id].State != Active {
		g.Behind.Due = now // the gateway accepts reports again
	}
	r.Grants[id] = g
	if told {
		r.announce(Recovered, id, g.Region, "", now)
	}
	r.schedule(now)
}
