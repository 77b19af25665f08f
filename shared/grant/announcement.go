package grant

import (
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

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
