package grant

import "time"

// This file has the changes that the sweep and operators make to a record, other than
// new tokens.

const (
	firstRefreshPause = time.Minute
	lastRefreshPause  = time.Hour
)

// RefreshFailed notes that a grant could not be refreshed, for a reason of its own
// that does not affect other grants. The sweep retries it after a minute, then with
// exponential backoff up to an hour, so that it does not hold up others.
//
// A grant that the gateway refuses waits an hour, since its failure count belongs to
// its probes.
func (r *Record) RefreshFailed(id string, now time.Time) {
	g := r.Grants[id]
	if g.State == Suspect && !g.Doubted() {
		g.RefreshDue = now.Add(spread(id, lastRefreshPause))
	} else {
		g.RefreshDue = now.Add(spread(id, min(firstRefreshPause<<min(g.Failures, 16), lastRefreshPause)))
		g.Failures++
	}
	r.Grants[id] = g
	r.schedule(now)
}

// spread returns pause and up to a quarter more, by the grant's id, so that grants
// that failed together are not retried together.
func spread(id string, pause time.Duration) time.Duration {
	sum := digest("refresh failed", id)
	return pause + pause/4*time.Duration(sum[0])/256
}

// Rest takes a grant out of the sweep, until it is refreshed for an event.
func (r *Record) Rest(id string, now time.Time) {
	g := r.Grants[id]
	g.RefreshDue = time.Time{}
	r.Grants[id] = g
	r.schedule(now)
}

// Prove makes every grant of a customer due for a refresh, and notes a witness
// against it: the next refusal by Login with Amazon revokes the grant. It reports
// whether there was a grant to prove.
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
		r.Used(now) // or the sweep would take an idle customer's grants out again
	}
	r.schedule(now)
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

// ProbeNow makes the suspect grants of a customer due for a refresh, and makes the
// next event for each its probe. It returns their number.
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
	r.schedule(now)
	return suspects
}

// Used notes that an event was delivered to the customer.
func (r *Record) Used(now time.Time) { r.UsedAt = now }

// Remove removes the remains of a grant, without an announcement.
func (r *Record) Remove(id string, now time.Time) {
	delete(r.Grants, id)
	r.schedule(now)
}

// Restore undoes the revocation of a grant whose refresh token is still stored, and
// reports whether it could. The grant is suspect until a refresh, which is due now,
// succeeds.
func (r *Record) Restore(id string, now time.Time) bool {
	g, ok := r.Grants[id]
	if !ok || g.State != Revoked || len(g.RefreshToken) == 0 {
		return false
	}
	g = doubted(g, ReasonRestored, now)
	g.EraseAt, g.ExpiresAt = time.Time{}, time.Time{} // its access token is gone
	g.RefusedAt, g.Witness = time.Time{}, Witness{}   // they led to the revocation
	g.RefreshDue, g.NextTry = now, now
	r.Grants[id] = g
	r.announceIfExpired(id, now)
	return true
}

// Idle reports whether no event was delivered to the customer for longer than
// after, plus the time between two notes of use: see [Record.NoteUse]. A record
// without UsedAt is not idle, nor is one whose missed reports are due.
func (r Record) Idle(after time.Duration, now time.Time) bool {
	for _, g := range r.Grants {
		if g.BehindDue(now) {
			return false
		}
	}
	return !r.UsedAt.IsZero() && now.Sub(r.UsedAt) > after+useInterval(after)
}

// NoteUse reports whether it is time to note again that the customer gets events.
// after is the time until a customer without events is idle.
func (r Record) NoteUse(after time.Duration, now time.Time) bool {
	return now.Sub(r.UsedAt) > useInterval(after)
}

// useInterval returns the least time between two notes of use: a tenth of the time
// after which a customer is idle, and at least the lifetime of a token.
func useInterval(after time.Duration) time.Duration { return max(after/10, time.Hour) }
