package grant

import "time"

// This file is what the sweep and operators do to a record, other than
// refreshing its tokens.

const (
	firstRefreshPause = time.Minute
	lastRefreshPause  = time.Hour
)

// ReasonRestored: an operator has undone the revocation, and no refresh has
// proved the grant since.
const ReasonRestored = "restored"

// RefreshFailed notes that a grant could not be refreshed, for a reason that is
// its own and not the same for everybody: the sweep leaves it alone for a
// minute, then for twice the time, at most an hour, so that it stands in nobody
// else's way. Up to a quarter comes on top, by the grant's id, so that those
// that failed together do not come back together.
//
// A grant that the gateway refuses leaves the sweep instead. It has its probes,
// and their times are not the refreshes'.
func (r *Record) RefreshFailed(id string, now time.Time) {
	g := r.Grants[id]
	if g.State == Suspect && !g.refreshClears() {
		r.Rest(id, now)
		return
	}
	pause := min(firstRefreshPause<<min(g.Failures, 16), lastRefreshPause)
	sum := digest("refresh failed", id)
	g.RefreshDue = now.Add(pause + pause/4*time.Duration(sum[0])/256)
	g.Failures++
	r.Grants[id] = g
	r.settle(now)
}

// Rest takes a grant out of the sweep. It is refreshed when an event needs it,
// and is in the sweep again from then on.
func (r *Record) Rest(id string, now time.Time) {
	g := r.Grants[id]
	g.RefreshDue = time.Time{}
	r.Grants[id] = g
	r.settle(now)
}

// Prove makes every grant of a customer due for a refresh, which alone proves
// whether it is still alive. It reports whether there was one to prove. A grant
// that Login with Amazon has put in doubt keeps its time, which is near: an
// answer before it would prove no more than the last.
func (r *Record) Prove(now time.Time) bool {
	found := false
	for id, g := range r.Grants {
		if g.State == Revoked {
			continue
		}
		found = true
		if !g.Doubted(now) && (g.RefreshDue.IsZero() || g.RefreshDue.After(now)) {
			g.RefreshDue = now
			r.Grants[id] = g
		}
	}
	if found && !r.UsedAt.IsZero() {
		r.Used(now) // or the sweep would put an idle customer's grants to rest again
	}
	r.settle(now)
	return found
}

// Used notes that an event was delivered to the customer.
func (r *Record) Used(now time.Time) { r.UsedAt = now }

// Remove removes what is left of a grant, without a word to anybody.
func (r *Record) Remove(id string, now time.Time) {
	delete(r.Grants, id)
	r.settle(now)
}

// Restore undoes the revocation of a grant whose refresh token is still there,
// and reports whether it could. The grant is suspect until a refresh, which is
// due now, has shown what it is worth; no event is held back meanwhile.
func (r *Record) Restore(id string, now time.Time) bool {
	g, ok := r.Grants[id]
	if !ok || g.State != Revoked || len(g.RefreshToken) == 0 {
		return false
	}
	g.EraseAt, g.ExpiresAt = time.Time{}, time.Time{} // its access token is gone
	r.Grants[id] = g
	r.Doubt(id, ReasonRestored, now, now)
	return true
}

// Idle reports whether no event was delivered to the customer for longer than
// after. It is always more than after, since use is not noted each time: see
// [Record.NoteUse]. A record that does not say when it was used is not idle.
func (r Record) Idle(after time.Duration, now time.Time) bool {
	return !r.UsedAt.IsZero() && now.Sub(r.UsedAt) > after+useNoted(after)
}

// NoteUse reports whether it is time to note again that the customer is used,
// if those are idle who were not for longer than after.
func (r Record) NoteUse(after time.Duration, now time.Time) bool {
	return now.Sub(r.UsedAt) > useNoted(after)
}

// useNoted is how seldom use is noted: a tenth of the time after which it
// matters, and never twice in the lifetime of a token.
func useNoted(after time.Duration) time.Duration { return max(after/10, time.Hour) }
