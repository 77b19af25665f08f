package grant

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// KeepRevoked is how long the remains of a revoked grant are kept, so that an
// operator can undo a mistaken revocation.
const KeepRevoked = 7 * 24 * time.Hour

// maxAnnouncements bounds the grant events that wait in one record. They wait
// only while their topic is unavailable; the oldest are dropped first.
const maxAnnouncements = 64

// Tokens is the result of a refresh or a code exchange, sealed.
type Tokens struct {
	AccessToken  []byte
	RefreshToken []byte
	ExpiresAt    time.Time
	ClientID     string
	RefreshDue   time.Time
}

const (
	// refreshLead is the least time between a token's due time and its expiry. With a
	// sweep every minute, the token is still valid after an outage of Login with Amazon
	// of ten minutes that begins before the sweep: see the command carry of
	// scripts/bench.
	refreshLead = 13 * time.Minute
	// RefreshCycle is the time between two refreshes of a grant: the hour for which
	// Amazon's tokens are valid, less the lead, and less half a minute, because a
	// token may be valid for a few seconds less than an hour.
	RefreshCycle = time.Hour - refreshLead - 30*time.Second
)

// RefreshDue returns when the sweep should refresh a grant's tokens, which it got at
// now and which expire at expiresAt.
//
// A grant's id determines its place in the cycle. So customers who linked in the same
// minute, or were refreshed late after the same outage, are spread over the whole
// cycle. A grant far from its place reaches it in two or three refreshes, none of them
// before half of the usual time has passed. From then on every refresh is as late as
// the lead allows. A random spread would make every refresh earlier, and each one costs
// money. Tokens that expire sooner have a shorter cycle.
func RefreshDue(id string, now, expiresAt time.Time) time.Time {
	sum := digest("refresh due", id)
	last := expiresAt.Add(-refreshLead)
	cycle := RefreshCycle
	if left := last.Sub(now); left < cycle {
		cycle = (left - 30*time.Second).Truncate(time.Minute)
	}
	if cycle <= 0 {
		return last
	}
	place := time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(cycle))
	early := last.Sub(last.Add(-place).Truncate(cycle).Add(place))
	if half := max(0, last.Sub(now)/2); early > half {
		early = min(early/2, half)
	}
	return last.Add(-early)
}

// Link adds a new active grant with its tokens, and announces it. It does nothing
// if the record has a grant with this id.
//
// amazonUser is the hash of the grant's Amazon account, empty if unknown, since
// Alexa does not say. An older grant of the same account and region is replaced; a
// grant of another account stays. If either account is unknown, the older grant may
// be the same link. Only a refresh can show that, since Login with Amazon revokes a
// link's old tokens. So the older grant is due now, is not used until it has been
// refreshed, and is revoked at the first refusal.
func (r *Record) Link(id string, region alexa.Region, amazonUser string, tokens Tokens, now time.Time) {
	if _, ok := r.Grants[id]; ok {
		return
	}
	kind := Linked
	for other, g := range r.Grants {
		if g.Region == region {
			kind = Relinked
		}
		known := amazonUser != "" && g.AmazonUser != ""
		switch {
		case known && g.AmazonUser == amazonUser && g.Region == region:
			delete(r.Grants, other)
		case !known && g.Region == region && g.State != Revoked:
			r.witness(other, ByRelink, now)
			g = r.Grants[other]
			g.UnprovenSince = now
			r.Grants[other] = g
		}
	}
	dropped, gone := r.makeRoom()
	r.Region = region
	r.add(id, Grant{Region: region, AmazonUser: amazonUser, TokenVersion: 1}, tokens, now)
	// Announced after the new grant is in: at a count of 0 the maker would stop
	// publishing.
	if dropped != "" && gone.State != Revoked {
		r.announce(WasRevoked, dropped, gone.Region, "too_many_grants", now)
	}
	r.announce(kind, id, region, "", now)
	r.schedule(now)
}

// Import adds an active grant that another sender used until now, in addition to those
// that the record has. It announces nothing: the maker knows whom it imports. Without
// an access token in tokens, the sweep or the customer's first event refreshes the
// grant.
func (r *Record) Import(id string, region alexa.Region, tokens Tokens, now time.Time) {
	r.Region = cmp.Or(r.Region, region)
	r.add(id, Grant{Region: region}, tokens, now)
	r.schedule(now)
}

// add adds g as a new active grant with its tokens.
func (r *Record) add(id string, g Grant, tokens Tokens, now time.Time) {
	if r.Grants == nil {
		r.Grants = make(map[string]Grant)
	}
	if !r.UsedAt.IsZero() { // idle customers leave the sweep
		r.UsedAt = now
	}
	g.State, g.Since, g.CreatedAt, g.ClientID = Active, now, now, tokens.ClientID
	g.AccessToken, g.RefreshToken = tokens.AccessToken, tokens.RefreshToken
	g.ExpiresAt, g.RefreshDue = tokens.ExpiresAt, tokens.RefreshDue
	r.Grants[id] = g
}

// makeRoom removes and returns the least useful grant of a full record: revoked
// before suspect before active, then the oldest.
func (r *Record) makeRoom() (id string, gone Grant) {
	if len(r.Grants) < MaxGrants {
		return "", Grant{}
	}
	worth := map[State]int{Revoked: 0, Suspect: 1, Active: 2}
	var least string
	for id, g := range r.Grants {
		l := r.Grants[least]
		if least == "" || cmp.Or(cmp.Compare(worth[g.State], worth[l.State]), g.CreatedAt.Compare(l.CreatedAt), cmp.Compare(id, least)) < 0 {
			least = id
		}
	}
	gone = r.Grants[least]
	delete(r.Grants, least)
	return least, gone
}

// Refreshed saves the result of a refresh: the tokens replace the old ones, the
// lease ends, and failures are reset. A refusal or a revocation that was based on
// the same tokens in the meantime is undone, since Login with Amazon has just proved
// it wrong.
//
// before is the grant as it was before the call to Login with Amazon. The notes of a
// skill event or a relink since then are newer than the answer, and stay.
func (r *Record) Refreshed(id string, before Grant, tokens Tokens, now time.Time) {
	g := r.Grants[id]
	due := later(tokens.RefreshDue, now)                 // if saved late: a sweep misses a due time in the past
	gatewayRefuses := g.State == Suspect && !g.Doubted() // a refresh does not change that
	if gatewayRefuses {
		due = now.Add(spread(id, suspectRefresh))
	}
	g.RefreshDue = keepEarlierDue(due, before, g)
	g.AccessToken, g.RefreshToken, g.ExpiresAt = tokens.AccessToken, tokens.RefreshToken, tokens.ExpiresAt
	g.ClientID = tokens.ClientID
	g.TokenVersion++
	g.Lease, g.EraseAt, g.RefusedAt = Lease{}, time.Time{}, time.Time{}
	if g.Witness == before.Witness {
		g.Witness = Witness{}
	}
	if g.UnprovenSince.Equal(before.UnprovenSince) {
		g.UnprovenSince = time.Time{}
	}
	switch {
	case gatewayRefuses:
		r.Grants[id] = g
		r.schedule(now)
		return
	case g.State == Revoked:
		g.ToldAt = g.Since // the revocation was announced
	}
	if g.State != Active {
		g.Reason, g.Since = "", now
	}
	g.State, g.Failures, g.NextTry = Active, 0, time.Time{}
	r.storeRecovered(id, g, now)
}

// keepEarlierDue keeps an earlier due time that was set while the refresh ran, or
// that belongs to a new witness. The due time of a failure or a doubt is not kept:
// the refresh has just ended these.
func keepEarlierDue(due time.Time, before, stored Grant) time.Time {
	current := stored.RefreshDue
	broughtForward := stored.State == before.State && stored.Failures == before.Failures && !current.Equal(before.RefreshDue)
	if (broughtForward || stored.Witness != before.Witness) && !current.IsZero() && current.Before(due) {
		return current
	}
	return due
}

// Forced notes that the refresh that was just saved was forced by a refusal of the
// gateway.
func (r *Record) Forced(id string, now time.Time) {
	g := r.Grants[id]
	g.LastForcedRefresh = now
	r.Grants[id] = g
}

// Revoke ends a grant. The sealed refresh token stays for KeepRevoked; the access
// token is removed now.
func (r *Record) Revoke(id, reason string, now time.Time) {
	g := r.Grants[id]
	g.State, g.Reason, g.Since = Revoked, reason, now
	g.AccessToken, g.Lease, g.RefreshDue, g.NextTry = nil, Lease{}, time.Time{}, time.Time{}
	g.UnprovenSince, g.ToldAt, g.Behind = time.Time{}, time.Time{}, Behind{}
	g.EraseAt = now.Add(KeepRevoked)
	r.Grants[id] = g
	r.announce(WasRevoked, id, g.Region, reason, now)
	r.schedule(now)
}

// Take puts owner's lease on a grant.
func (r *Record) Take(id, owner string, until time.Time) {
	g := r.Grants[id]
	g.Lease = Lease{Owner: owner, Until: until}
	r.Grants[id] = g
}

// Announced removes the grant events that have been published.
func (r *Record) Announced(published []Announcement, now time.Time) {
	r.Announce = slices.DeleteFunc(r.Announce, func(a Announcement) bool { return slices.ContainsFunc(published, a.same) })
	if len(r.Announce) == 0 {
		r.Announce = nil
	}
	r.schedule(now)
}

// Left returns how many of a customer's grants in a region may still receive events.
// A suspect grant counts, since it recovers only if the maker keeps publishing.
func (r *Record) Left(region alexa.Region) int {
	n := 0
	for _, g := range r.Grants {
		if g.Region == region && g.State != Revoked {
			n++
		}
	}
	return n
}

func (r *Record) announce(kind AnnouncementType, id string, region alexa.Region, reason string, now time.Time) {
	r.addAnnouncement(Announcement{Type: kind, GrantID: id, Region: region, Reason: reason}, now)
}

func (r *Record) addAnnouncement(a Announcement, now time.Time) {
	a.ActiveGrants, a.At = r.Left(a.Region), now.UTC().Truncate(time.Microsecond)
	r.Announce = append(r.Announce, a)
	if extra := len(r.Announce) - maxAnnouncements; extra > 0 {
		r.Announce = slices.Delete(r.Announce, 0, extra)
	}
}

// schedule sets when the sweep next reads the record: at the earliest due time of
// its grants, when a revoked grant's remains are to be erased, when the maker is to
// be asked for an active grant's missed reports, or now if a message waits to be
// published. It is never before now: a sweep looks no further back than the one
// before did, and would miss a record that is written with an earlier time, such as
// one with a token that lasts a few minutes.
func (r *Record) schedule(now time.Time) {
	r.RefreshDue = time.Time{}
	if len(r.Announce) > 0 {
		r.RefreshDue = now
	}
	for _, g := range r.Grants {
		dues := [2]time.Time{g.RefreshDue}
		switch {
		case g.State == Revoked:
			dues[0] = g.EraseAt
		case g.State == Active:
			dues[1] = g.Behind.Due
		}
		for _, due := range dues {
			if !due.IsZero() && (r.RefreshDue.IsZero() || due.Before(r.RefreshDue)) {
				r.RefreshDue = due
			}
		}
	}
	if !r.RefreshDue.IsZero() && r.RefreshDue.Before(now) {
		r.RefreshDue = now
	}
}
