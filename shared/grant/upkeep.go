package grant

import "time"

// This file is what the sweep and operators do to a record, other than
// refreshing its tokens.

const (
	firstRefreshPause = time.Minute
	lastRefreshPause  = time.Hour
)

// RefreshFailed notes that a grant could not be refreshed, for a reason that is
// its own and not the same for everybody: the sweep leaves it alone for a
// minute, then for twice the time, at most an hour, so that it does not hold up
// others. Up to a quarter comes on top, by the grant's id, so that those that
// failed together do not come back together.
//
// A grant that the gateway refuses waits an hour: its failures are its probes'.
func (r *Record) RefreshFailed(id string, now time.Time) {
	g := r.Grants[id]
	if g.State == Suspect && !g.Doubted() {
		g.RefreshDue = now.Add(spread(id, lastRefreshPause))
	} else {
		g.RefreshDue = now.Add(spread(id, min(firstRefreshPause<<min(g.Failures, 16), lastRefreshPause)))
		g.Failures++
	}
	r.Grants[id] = g
	r.settle(now)
}

// spread is pause and up to a quarter more, by the grant's id.
func spread(id string, pause time.Duration) time.Duration {
	sum := digest("refresh failed", id)
	return pause + pause/4*time.Duration(sum[0])/256
}

// Rest takes a grant out of the sweep. It is refreshed when an event needs it,
// and is in the sweep again from then on.
func (r *Record) Rest(id string, now time.Time) {
	g := r.Grants[id]
	g.RefreshDue = time.Time{}
	r.Grants[id] = g
	r.settle(now)
}

// Prove makes every grant of a customer due for a refresh, and notes who says
// that the grants may be gone: the next refusal by Login with Amazon revokes. It
// reports whether there was one to prove.
func (r *Record) Prove(by string, now time.Time) bool {
	found := false
	for id, g := range r.Grants {
		if g.State == Revoked {
			continue
		}
		found = true
		r.witness(id, by, now)
	}
	if found && !r.UsedAt.IsZero() {
		r.Used(now) // or the sweep would put an idle customer's grants to rest again
	}
	r.settle(now)
	return found
}

// witness notes a witness on a grant, and makes it due now.
func (r *Record) witness(id, by string, now time.Time) {
	g := r.Grants[id]
	g.Witness = Witness{By: by, At: now}
	if g.RefreshDue.IsZero() || g.RefreshDue.After(now) {
		g.RefreshDue = now
	}
	r.Grants[id] = g
}

// ProbeNow makes the suspect grants of a customer due for a refresh, and the next
// event their probe. It returns how many there are.
func (r *Record) ProbeNow(now time.Time) (suspects int) {
	for id, g := range r.Grants {
		if g.State != Suspect {
			continue
		}
		suspects++
		g.NextTry = now
		if g.RefreshDue.IsZero() || g.RefreshDue.After(now) {
			g.RefreshDue = now
		}
		r.Grants[id] = g
	}
	r.settle(now)
	return suspects
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
// due now, has shown what it is worth. The refusals that led to the revocation
// are forgotten.
func (r *Record) Restore(id string, now time.Time) bool {
	g, ok := r.Grants[id]
	if !ok || g.State != Revoked || len(g.RefreshToken) == 0 {
		return false
	}
	g = doubted(g, ReasonRestored, now)
	g.EraseAt, g.ExpiresAt = time.Time{}, time.Time{} // its access token is gone
	g.RefusedAt, g.Witness = time.Time{}, Witness{}   // they led to the mistake
	g.RefreshDue, g.NextTry = now, now
	r.Grants[id] = g
	r.tellIfEnded(id, now)
	return true
}

// Idle reports whether no event was delivered to the customer for longer than
// after. It is always more than after, since use is not noted each time: see
// [Record.NoteUse]. A record that does not say when it was used is not idle.
func (r Record) Idle(after time.Duration, now time.Time) bool {
	for _, g := range r.Grants {
		if g.BehindDue(now) {
			return false
		}
	}
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
