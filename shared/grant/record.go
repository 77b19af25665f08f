package grant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// SchemaVersion is the version of the document layout that this code writes.
const SchemaVersion = 1

// MaxGrants is the largest number of grants in a record. A ninth replaces the least
// useful one: see [Record.Link].
const MaxGrants = 8

// Buckets is the number of buckets that records are spread over. It must never
// change: each record stores its bucket, and a sweep queries by bucket.
const Buckets = 256

// Key identifies a record: one customer of one skill.
type Key struct {
	Skill  string // the configured name of the skill
	UserID string // the maker's own id of the customer
}

// ID returns the document id of the record: the SHA-256 of skill and userId in hex.
// It reveals no userId to readers of logs or of the database's keys.
func (k Key) ID() string {
	sum := digest(k.Skill, k.UserID)
	return hex.EncodeToString(sum[:])
}

// Bucket returns the record's bucket, 0 to 255: the hash that is its id, modulo
// 256.
func (k Key) Bucket() int {
	sum := digest(k.Skill, k.UserID)
	return int(sum[len(sum)-1])
}

// CustomerHash returns the hash that names a customer in logs: the first 16 hex
// digits of the SHA-256 of the userId alone, so that a maker can compute it too.
func CustomerHash(userID string) string {
	sum := sha256.Sum256([]byte(userID))
	return hex.EncodeToString(sum[:8])
}

// ID returns the id of the grant that an authorization code stands for: a hash of
// region, skill and code. The same code always gives the same id, so that a
// repeated AcceptGrant is recognized. The code cannot be recovered from the id. For an
// imported grant, its first refresh token stands for the code.
func ID(region alexa.Region, skill, code string) string {
	return shortHex(digest(string(region), skill, code))
}

// shortHex returns the first 128 bits of a digest in hex: enough to rule out
// collisions, and short enough to read in a log.
func shortHex(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:16]) }

// AmazonUserHash returns the hash that stands for an Amazon account in a record.
func AmazonUserHash(account string) string { return shortHex(digest("amazon account", account)) }

// digest hashes the parts with their lengths, so that different lists of parts have
// different hashes.
func digest(parts ...string) [sha256.Size]byte {
	joined := make([]byte, 0, 256) // on the stack, unless it grows
	for _, part := range parts {
		joined = binary.AppendUvarint(joined, uint64(len(part)))
		joined = append(joined, part...)
	}
	return sha256.Sum256(joined)
}

// State is a grant's state.
type State string

const (
	// Active grants receive events and are refreshed by the sweep.
	Active State = "active"
	// Suspect grants are in doubt. If the gateway refuses a grant although Login
	// with Amazon honours it, it receives only a probe now and then. If its tokens
	// cannot be refreshed, it receives events until the access token expires: see
	// [Grant.Doubted].
	Suspect State = "suspect"
	// Revoked grants are gone: Login with Amazon answered invalid_grant to a
	// refresh, and there was a second witness. The remains are kept until EraseAt,
	// so that an operator can undo a mistake.
	Revoked State = "revoked"
)

// Record is the stored state of one customer of one skill.
type Record struct {
	Version    int            // layout of the document, SchemaVersion when written by this code
	UserID     string         // the maker's id of the customer
	Skill      string         // with UserID the record's key
	Region     alexa.Region   // of the newest grant; each grant has its own
	Bucket     int            // Key.Bucket, stored for the sweep's query
	RefreshDue time.Time      // when the sweep reads the record next, zero when nothing is due
	Announce   []Announcement // grant events not published yet, oldest first
	// UsedAt is when an event was last delivered, updated at most once in a token's
	// lifetime. It is zero unless idle customers leave the sweep.
	UsedAt time.Time
	Grants map[string]Grant

	// Revision is the stored state that this value was read from, zero for a record
	// that is not stored. Only a Store sets it.
	Revision Revision
}

// Grant is the stored state of one AcceptGrant, or of one imported refresh token.
// Tokens are sealed: neither this package nor a store sees them in the clear.
type Grant struct {
	Region       alexa.Region // the gateway of this region accepts the grant's events
	State        State
	Reason       string    // why the state is not active
	Since        time.Time // when the state was entered
	ClientID     string    // the LWA client the grant was given to
	AmazonUser   string    // hash of the Amazon account, empty when unknown
	AccessToken  []byte    // sealed
	RefreshToken []byte    // sealed
	ExpiresAt    time.Time // when the access token expires
	TokenVersion int64     // grows by one with every saved refresh; 1 after a link, 0 after an import
	Lease        Lease     // of the process that is refreshing now
	RefreshDue   time.Time // when the sweep refreshes it, zero when it is not in the sweep
	Failures     int       // failed refreshes or probes in a row
	NextTry      time.Time // no refresh and no probe before this time

	RefusedAt     time.Time // first invalid_grant of Login with Amazon since a refresh succeeded
	Witness       Witness   // another hint that the grant may be gone; makes the next refusal final
	UnprovenSince time.Time // when the customer linked again; until a refresh succeeds, this grant may be the same link
	ToldAt        time.Time // when it was announced that the grant is suspect, zero otherwise

	Behind Behind // reports that Alexa missed, zero for none

	LastForcedRefresh time.Time // when a refresh forced by a gateway's refusal last succeeded
	CreatedAt         time.Time
	EraseAt           time.Time // when a revoked grant's remains are erased, zero otherwise
}

// Witness is a hint that a grant is gone, from a source other than Login with
// Amazon.
type Witness struct {
	By string
	At time.Time
}

// The witnesses.
const (
	BySkillEvent = "skill_event" // Alexa said that the skill was disabled, or unlinked
	ByRelink     = "relink"      // the customer linked again, perhaps the same Amazon account
)

// Lease names the process that is refreshing a grant. It prevents concurrent
// refreshes: the slower one would lose a rotated refresh token. An expired lease
// belongs to a process that died between its call to Login with Amazon and the
// save.
type Lease struct {
	Owner string
	Until time.Time
}

// Held reports whether an owner other than this one holds the lease at the time
// now.
func (l Lease) Held(owner string, now time.Time) bool {
	return l.Owner != "" && l.Owner != owner && now.Before(l.Until)
}

// Proven reports whether the grant is active and Login with Amazon has issued tokens
// for it to Gatepost. An imported grant is not proven before its first refresh.
func (g Grant) Proven() bool { return g.State == Active && g.TokenVersion > 0 }

// Key returns the record's key.
func (r Record) Key() Key { return Key{Skill: r.Skill, UserID: r.UserID} }

// Stored reports whether the value was read from a store.
func (r Record) Stored() bool { return r.Revision != 0 }

// New returns the empty record of a customer that is not stored yet.
func New(key Key) Record {
	return Record{Version: SchemaVersion, UserID: key.UserID, Skill: key.Skill, Bucket: key.Bucket()}
}

// Clone returns a copy that shares nothing with r but sealed tokens and lists of
// endpoints, which are never changed in place.
func (r Record) Clone() Record {
	c := r
	c.Announce = append([]Announcement(nil), r.Announce...)
	if r.Grants != nil {
		c.Grants = make(map[string]Grant, len(r.Grants))
		for id, g := range r.Grants {
			c.Grants[id] = g
		}
	}
	return c
}

// AnnouncementType is the type of a grant event.
type AnnouncementType string

// The grant events of the grant-events topic.
const (
	Linked        AnnouncementType = "linked"    // the customer's first grant in this region
	Relinked      AnnouncementType = "relinked"  // another grant in a region that has one, revoked or not
	BecameSuspect AnnouncementType = "suspect"   // the gateway refuses a grant that LWA honours
	Recovered     AnnouncementType = "recovered" // a suspect grant works again
	WasRevoked    AnnouncementType = "revoked"   // a grant is gone
	Stale         AnnouncementType = "stale"     // Alexa may lack the latest state of endpoints: the maker should report them again
)

// Announcement is a grant event that is waiting to be published. It is saved in the
// same write as the change that it announces, and removed after it has been
// published, so that it is published at least once.
type Announcement struct {
	Type         AnnouncementType
	GrantID      string
	Region       alexa.Region
	Reason       string
	EndpointIDs  []string // only for Stale; empty for all endpoints
	Discovery    bool     // only for Stale: discovery events were missed too
	ActiveGrants int      // active grants that the customer still has in this region; the maker stops publishing only at 0
	At           time.Time
}

// same reports whether a and b are one announcement. Two of one type for a grant
// differ in their times.
func (a Announcement) same(b Announcement) bool {
	return a.Type == b.Type && a.GrantID == b.GrantID && a.Reason == b.Reason && a.At.Equal(b.At)
}
