package grant

import "time"

// Reasons for a state other than active.
const (
	// ReasonInvalidGrant: Login with Amazon answered invalid_grant to a refresh.
	ReasonInvalidGrant = "invalid_grant"
	// ReasonRefreshUnknown: Login with Amazon answered invalid_grant, but an
	// earlier refresh of the same token has no known end and may have used it up.
	ReasonRefreshUnknown = "refresh_outcome_unknown"
	// ReasonMassInvalidGrant: Login with Amazon answered invalid_grant, as it
	// did to too many at once for it to be the customers' doing.
	ReasonMassInvalidGrant = "mass_invalid_grant"
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
)

// refreshClears reports whether a grant is suspect only because of what Login
// with Amazon said.
func (g Grant) refreshClears() bool {
	return g.Reason == ReasonRefreshUnknown || g.Reason == ReasonMassInvalidGrant || g.Reason == ReasonRestored
}

// Doubted reports whether Login with Amazon has put the grant in doubt, and it
// is too early to ask again: an answer now would prove no more than the last.
func (g Grant) Doubted(now time.Time) bool {
	// The sweep may put the one off, and a probe the other.
	return g.State == Suspect && g.refreshClears() && now.Before(g.RefreshDue) && now.Before(g.NextTry)
}

// Doubt makes a grant suspect because of what Login with Amazon said, and has
// it refreshed again at the time next.
func (r *Record) Doubt(id, reason string, now, next time.Time) {
	r.suspect(id, reason, now)
	g := r.Grants[id]
	g.Lease, g.RefreshDue, g.NextTry = Lease{}, next, next
	r.Grants[id] = g
	r.settle(now)
}

const (
	firstProbe = time.Minute // from a refusal to the first probe
	lastProbe  = 6 * time.Hour
)

// Suspect makes a grant suspect because the gateway refuses it. It leaves the
// sweep and gets no events but a probe now and then: the first after a minute,
// each next after twice the time, at most six hours.
func (r *Record) Suspect(id, reason string, now time.Time) {
	r.suspect(id, reason, now)
	g := r.Grants[id]
	g.RefreshDue = time.Time{}
	r.Grants[id] = g
	r.Probe(id, now)
}

// Probe claims the probe that is due of a suspect grant: it moves the time of
// the next. Whoever saves that change may send the probe.
func (r *Record) Probe(id string, now time.Time) {
	g := r.Grants[id]
	g.NextTry = now.Add(min(firstProbe<<min(g.Failures, 16), lastProbe))
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

// Recover makes a suspect grant active again: the gateway took an event. It
// is refreshed at the time due.
func (r *Record) Recover(id string, now, due time.Time) {
	g := r.Grants[id]
	if g.State != Suspect {
		return
	}
	g.State, g.Reason, g.Since = Active, "", now
	g.Failures, g.NextTry, g.RefreshDue = 0, time.Time{}, due
	r.Grants[id] = g
	r.announce(Recovered, id, g.Region, "", now)
	r.settle(now)
}

// suspect changes the state, and announces it unless it was suspect before.
func (r *Record) suspect(id, reason string, now time.Time) {
	g := r.Grants[id]
	was := g.State
	g.State, g.Reason = Suspect, reason
	if was != Suspect {
		g.Since, g.Failures = now, 0
	}
	r.Grants[id] = g
	if was != Suspect {
		r.announce(BecameSuspect, id, g.Region, reason, now)
	}
}
