package grant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// SchemaVersion is the version of the document's layout that this code writes.
const SchemaVersion = 1

// MaxGrants is the largest number of grants a record keeps. A ninth replaces
// the least useful one: see [Record.Link].
const MaxGrants = 8

// Buckets is the number of buckets that records are spread over, for ever: the
// bucket is stored, and a sweep asks for records by bucket.
const Buckets = 256

// Key names a record: one customer of one skill.
type Key struct {
	Skill  string // the configured name of the skill
	UserID string // the maker's own id of the customer
}

// ID is the document id of the record: the SHA-256 of skill and userId in hex.
// It reveals no userId to a reader of logs or of the database's key space.
func (k Key) ID() string {
	sum := digest(k.Skill, k.UserID)
	return hex.EncodeToString(sum[:])
}

// Bucket is the record's bucket, 0 to 255: the hash that is its id, modulo 256.
func (k Key) Bucket() int {
	sum := digest(k.Skill, k.UserID)
	return int(sum[len(sum)-1])
}

// CustomerHash is how logs name a customer: the first 16 hex digits of the
// SHA-256 of the userId alone, so that a maker can compute it without knowing
// anything of Gatepost.
func CustomerHash(userID string) string {
	sum := sha256.Sum256([]byte(userID))
	return hex.EncodeToString(sum[:8])
}

// ID is the id of the grant that an authorization code stands for: a hash of
// region, skill and code. The same code always gives the same grant, so an
// AcceptGrant that arrives twice can be recognized; the code cannot be told
// from it.
func ID(region alexa.Region, skill, code string) string {
	return shortHex(digest(string(region), skill, code))
}

// shortHex is the first 128 bits of a digest in hex: enough to never meet
// twice, and short enough to read in a log.
func shortHex(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:16]) }

// AmazonUserHash is how a record names an Amazon account.
func AmazonUserHash(account string) string { return shortHex(digest("amazon account", account)) }

// digest hashes the parts with their lengths, so that no two lists of parts
// hash alike.
func digest(parts ...string) [sha256.Size]byte {
	joined := make([]byte, 0, 256) // not on the heap, unless it is longer
	for _, part := range parts {
		joined = binary.AppendUvarint(joined, uint64(len(part)))
		joined = append(joined, part...)
	}
	return sha256.Sum256(joined)
}

// State is where a grant is in its life.
type State string

const (
	// Active grants receive events and are refreshed by the sweep.
	Active State = "active"
	// Suspect grants are in doubt. The gateway refuses them although Login with
	// Amazon honours them, and they receive one probe now and then; or Login
	// with Amazon refuses to refresh them, and they receive events until the
	// access token ends: see [Grant.Doubted].
	Suspect State = "suspect"
	// Revoked grants are gone: Login with Amazon answered invalid_grant to a
	// refresh, and there was a second witness. What is left is kept until
	// EraseAt, so that an operator can undo a mistake.
	Revoked State = "revoked"
)

// Record is everything kept about one customer of one skill.
type Record struct {
	Version    int            // layout of the document, SchemaVersion when written by this code
	UserID     string         // the maker's id of the customer
	Skill      string         // with UserID the record's key
	Region     alexa.Region   // region of the newest grant; each grant has its own
	Bucket     int            // Key.Bucket, stored because the sweep's query needs it
	RefreshDue time.Time      // the earliest RefreshDue of the grants, zero when no grant waits for the sweep
	Announce   []Announcement // lifecycle messages that were not published yet, oldest first
	// UsedAt is when an event was last delivered, noted at most once in a token's
	// lifetime; zero unless idle customers leave the sweep.
	UsedAt time.Time
	Grants map[string]Grant

	// Revision is the stored state this value was read from, zero for a record
	// that is not stored. A Store sets it; nobody else may.
	Revision Revision
}

// Grant is what is kept of one AcceptGrant. Tokens are sealed: this package
// and the stores never see them in the clear.
type Grant struct {
	Region       alexa.Region // whose gateway takes this grant's events
	State        State
	Reason       string    // why the state is not active
	Since        time.Time // when the state was entered
	ClientID     string    // the LWA client the grant was given to
	AmazonUser   string    // hash of the Amazon account, empty when unknown
	AccessToken  []byte    // sealed
	RefreshToken []byte    // sealed
	ExpiresAt    time.Time // when the access token expires
	TokenVersion int64     // grows by one with every saved refresh
	Lease        Lease     // who is refreshing now
	RefreshDue   time.Time // when the sweep refreshes it, zero when the sweep leaves it alone
	Failures     int       // failed refreshes or probes in a row
	NextTry      time.Time // no refresh and no probe before this time

	RefusedAt     time.Time // when Login with Amazon first answered invalid_grant, zero since a refresh succeeded
	Witness       Witness   // who else says that the grant may be gone; makes the next refusal final
	UnprovenSince time.Time // when the customer linked anew; until a refresh has succeeded since, the grant may be the same link
	ToldAt        time.Time // when the maker was told that the grant is suspect, zero while it is not

	Behind Behind // what the grant's gateway missed, zero for nothing

	LastForcedRefresh time.Time // when a refresh forced by a gateway's refusal last succeeded
	CreatedAt         time.Time
	EraseAt           time.Time // when a revoked grant's remains go, zero otherwise
}

// Witness is a hint, from elsewhere than Login with Amazon, that a grant is
// gone.
type Witness struct {
	By string
	At time.Time
}

// The witnesses.
const (
	BySkillEvent = "skill_event" // Alexa said that the skill was disabled, or unlinked
	ByRelink     = "relink"      // the customer linked again, perhaps the same Amazon account
)

// Lease says who is refreshing a grant. It guards against two refreshes at
// once, of which the slower would burn a rotated refresh token. A lease that
// is still there after Until belongs to a holder that died between asking
// Login with Amazon and saving the answer.
type Lease struct {
	Owner string
	Until time.Time
}

// Held reports whether somebody other than owner holds the lease at the time
// now.
func (l Lease) Held(owner string, now time.Time) bool {
	return l.Owner != "" && l.Owner != owner && now.Before(l.Until)
}

// Key returns the record's key.
func (r Record) Key() Key { return Key{Skill: r.Skill, UserID: r.UserID} }

// Stored reports whether the value was read from a store.
func (r Record) Stored() bool { return r.Revision != 0 }

// New returns the empty record of a customer that is not stored yet.
func New(key Key) Record {
	return Record{Version: SchemaVersion, UserID: key.UserID, Skill: key.Skill, Bucket: key.Bucket()}
}

// Clone returns a copy that shares nothing with r but the sealed tokens, which
// nobody changes in place.
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

// AnnouncementType names what happened to a link.
type AnnouncementType string

// The lifecycle messages of the grant-events topic.
const (
	Linked        AnnouncementType = "linked"    // the customer's first grant in this region
	Relinked      AnnouncementType = "relinked"  // one more grant where there was one, alive or revoked
	BecameSuspect AnnouncementType = "suspect"   // the gateway refuses a grant that LWA honours
	Recovered     AnnouncementType = "recovered" // a suspect grant works again
	WasRevoked    AnnouncementType = "revoked"   // a grant is gone
	Stale         AnnouncementType = "stale"     // Alexa may not have the latest state of endpoints; report them again
)

// Announcement is one lifecycle message that waits to be published. It is
// saved together with the change that it announces, and removed once the
// topic has it, so that it is published at least once.
type Announcement struct {
	Type         AnnouncementType
	GrantID      string
	Region       alexa.Region
	Reason       string
	EndpointIDs  []string // only for Stale; none stands for all endpoints
	Discovery    bool     // only for Stale: discovery events were missed too
	ActiveGrants int      // what the customer has left in this region; only 0 means stop publishing
	At           time.Time
}

// same reports whether a and b are one announcement. Two of a kind for a grant
// have different times.
func (a Announcement) same(b Announcement) bool {
	return a.Type == b.Type && a.GrantID == b.GrantID && a.Reason == b.Reason && a.At.Equal(b.At)
}
