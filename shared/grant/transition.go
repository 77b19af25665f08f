package grant

import (
	"cmp"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// KeepRevoked is how long the remains of a revoked grant are kept, so that an
// operator can undo a revocation that was a mistake.
const KeepRevoked = 7 * 24 * time.Hour

// maxAnnouncements bounds the lifecycle messages that wait in one record. They
// wait only while their topic is out of order; the oldest go first.
const maxAnnouncements = 64

// Tokens is what a refresh or an exchange brought, sealed.
type Tokens struct {
	AccessToken  []byte
	RefreshToken []byte
	ExpiresAt    time.Time
	ClientID     string
	RefreshDue   time.Time
}

// RefreshDue returns when the sweep should refresh a token that expires at
// expiresAt: ten minutes earlier, and up to twenty more by draw, which is from
// 0 to 1 and drawn anew each time. The draw spreads customers who were linked
// in the same minute, or served late in the same outage.
func RefreshDue(expiresAt time.Time, draw float64) time.Time {
	return expiresAt.Add(-10*time.Minute - time.Duration(draw*float64(20*time.Minute)))
}

// Link adds a new grant with its tokens, active from now on, and announces it.
// A grant whose id the record has already is left as it is.
//
// amazonUser is the hash of the Amazon account that the grant is for, empty if
// it is unknown, since Alexa does not say. The same account's older grant of
// that region is replaced, another account's stays. Where one of the two is
// unknown, the older grant may be the same link. Only a refresh can tell, since
// Login with Amazon ends a link's old tokens: the older grant is due now, not
// used before, and revoked by the first refusal.
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
	if r.Grants == nil {
		r.Grants = make(map[string]Grant)
	}
	r.Region = region
	if !r.UsedAt.IsZero() { // use is noted
		r.UsedAt = now
	}
	r.Grants[id] = Grant{
		Region: region, State: Active, Since: now, ClientID: tokens.ClientID, AmazonUser: amazonUser,
		AccessToken: tokens.AccessToken, RefreshToken: tokens.RefreshToken,
		ExpiresAt: tokens.ExpiresAt, TokenVersion: 1, RefreshDue: tokens.RefreshDue, CreatedAt: now,
	}
	// After the new grant is there: for a moment of none the maker would stop
	// publishing.
	if dropped != "" && gone.State != Revoked {
		r.announce(WasRevoked, dropped, gone.Region, "too_many_grants", now)
	}
	r.announce(kind, id, region, "", now)
	r.settle(now)
}

// makeRoom removes and returns the least useful grant of a full record: a
// revoked one before a suspect one before an active one, and among equals the
// oldest.
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

// Refreshed saves what a refresh brought: the tokens replace the old ones, the
// lease ends, failures are forgotten, and a refusal or a revocation decided
// meanwhile from the same tokens is undone, since Login with Amazon has just
// proved it wrong.
//
// asked is the grant as it was when Login with Amazon was asked. What was noted
// of it since, by a skill event or a relink, is newer than the answer and stays.
func (r *Record) Refreshed(id string, asked Grant, tokens Tokens, now time.Time) {
	g := r.Grants[id]
	due := later(tokens.RefreshDue, now)                 // of tokens that were saved late: a sweep does not look far back
	gatewayRefuses := g.State == Suspect && !g.Doubted() // which no refresh mends
	if gatewayRefuses {
		due = now.Add(spread(id, suspectRefresh))
	}
	g.RefreshDue = keepEarlierDue(due, asked, g)
	g.AccessToken, g.RefreshToken, g.ExpiresAt = tokens.AccessToken, tokens.RefreshToken, tokens.ExpiresAt
	g.ClientID = tokens.ClientID
	g.TokenVersion++
	g.Lease, g.EraseAt, g.RefusedAt = Lease{}, time.Time{}, time.Time{}
	if g.Witness == asked.Witness {
		g.Witness = Witness{}
	}
	if g.UnprovenSince.Equal(asked.UnprovenSince) {
		g.UnprovenSince = time.Time{}
	}
	switch {
	case gatewayRefuses:
		r.Grants[id] = g
		r.settle(now)
		return
	case g.State == Revoked:
		g.ToldAt = g.Since // of the revocation
	}
	if g.State != Active {
		g.Reason, g.Since = "", now
	}
	g.State, g.Failures, g.NextTry = Active, 0, time.Time{}
	r.recovered(id, g, now)
}

// keepEarlierDue keeps a due time that was brought forward while the refresh
// ran, and that of a witness who came meanwhile. A due time that belongs to a
// failure or a doubt is not kept: the refresh has just ended these.
func keepEarlierDue(due time.Time, asked, stored Grant) time.Time {
	stays := stored.RefreshDue
	brought := stored.State == asked.State && stored.Failures == asked.Failures && !stays.Equal(asked.RefreshDue)
	if (brought || stored.Witness != asked.Witness) && !stays.IsZero() && stays.Before(due) {
		return stays
	}
	return due
}

// Forced notes that the refresh that was just saved was forced by a refusal of
// the gateway.
func (r *Record) Forced(id string, now time.Time) {
	g := r.Grants[id]
	g.LastForcedRefresh = now
	r.Grants[id] = g
}

// Revoke ends a grant. Its sealed refresh token stays for KeepRevoked; the
// access token, which nobody may use any more, goes now.
func (r *Record) Revoke(id, reason string, now time.Time) {
	g := r.Grants[id]
	g.State, g.Reason, g.Since = Revoked, reason, now
	g.AccessToken, g.Lease, g.RefreshDue, g.NextTry = nil, Lease{}, time.Time{}, time.Time{}
	g.UnprovenSince, g.ToldAt, g.Behind = time.Time{}, time.Time{}, Behind{}
	g.EraseAt = now.Add(KeepRevoked)
	r.Grants[id] = g
	r.announce(WasRevoked, id, g.Region, reason, now)
	r.settle(now)
}

// Take puts owner's lease on a grant.
func (r *Record) Take(id, owner string, until time.Time) {
	g := r.Grants[id]
	g.Lease = Lease{Owner: owner, Until: until}
	r.Grants[id] = g
}

// Announced removes lifecycle messages that have been published.
func (r *Record) Announced(published []Announcement, now time.Time) {
	r.Announce = slices.DeleteFunc(r.Announce, func(a Announcement) bool { return slices.ContainsFunc(published, a.same) })
	if len(r.Announce) == 0 {
		r.Announce = nil
	}
	r.settle(now)
}

// Left counts the grants that a customer has in a region and that may still
// receive events: a suspect grant counts, since it recovers only if the maker
// goes on publishing.
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

// settle sets when the sweep has to look at the record: at the earliest due
// time of its grants, when the remains of a revoked one are to go, when the maker
// is to be asked for what an active one missed, or now when a message waits to be
// published. It is never before now: a sweep looks no further back than its
// predecessor did, and would miss a record that is written with an earlier time,
// as a token that lasts a few minutes would have it.
func (r *Record) settle(now time.Time) {
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
