package grant

import (
	"slices"
	"time"
)

// Behind lists the endpoints whose latest state Alexa may lack, because reports
// to a grant were not delivered. The maker is asked once to report them again,
// however many reports were lost.
type Behind struct {
	Since     time.Time
	Due       time.Time // when the sweep asks the maker; a suspect grant must recover first
	Endpoints []string  // never changed in place
	All       bool      // too many to list
	Discovery bool      // discovery events were missed too
}

// maxBehind is the largest number of endpoints that are listed.
const maxBehind = 20

// Empty reports whether nothing was missed.
func (b Behind) Empty() bool { return b.Since.IsZero() }

// Has reports whether b covers an endpoint, or a discovery event.
func (b Behind) Has(endpoint string, discovery bool) bool {
	return !b.Empty() && (b.Discovery || !discovery) && (b.All || endpoint == "" || slices.Contains(b.Endpoints, endpoint))
}

// NoteBehind notes that a grant missed a report of an endpoint, or a discovery
// event if endpoint is empty. The first note sets due, the time when the maker
// is asked.
func (r *Record) NoteBehind(id, endpoint string, discovery bool, now, due time.Time) {
	g, ok := r.Grants[id]
	if !ok || g.State == Revoked || g.Behind.Has(endpoint, discovery) {
		return
	}
	b := &g.Behind
	if b.Empty() {
		b.Since, b.Due = now, due
	}
	b.Discovery = b.Discovery || discovery
	switch {
	case b.All || endpoint == "" || slices.Contains(b.Endpoints, endpoint): // at most Discovery changes
	case len(b.Endpoints) == maxBehind:
		b.Endpoints, b.All = nil, true
	default:
		b.Endpoints = append(slices.Clone(b.Endpoints), endpoint)
	}
	r.Grants[id] = g
	r.schedule(now)
}

// BehindPause returns how long the sweep waits before it asks the maker: 5 to 15
// minutes, or 15 to 60 while the region is unhealthy. The pause depends on the
// grant's id, so that the maker is not asked at the same time about all grants that
// missed reports at the same time.
func BehindPause(unhealthy bool, id string) time.Duration {
	sum := digest("behind", id)
	least, most := 5*time.Minute, 15*time.Minute
	if unhealthy {
		least, most = 15*time.Minute, time.Hour
	}
	return least + (most-least)/256*time.Duration(sum[0])
}

// BehindDue reports whether the maker should be asked for the missed reports: the
// note is due, and the grant is active. The note of a suspect grant waits until the
// grant has recovered.
func (g Grant) BehindDue(now time.Time) bool {
	return !g.Behind.Empty() && g.State == Active && !g.Behind.Due.After(now)
}

// PutOffBehind postpones the due notes of a record's grants, because their region
// cannot accept the maker's reports.
func (r *Record) PutOffBehind(ids []string, now, due time.Time) {
	for _, id := range ids {
		if g, ok := r.Grants[id]; ok && g.BehindDue(now) {
			g.Behind.Due = due
			r.Grants[id] = g
		}
	}
	r.schedule(now)
}

// AnnounceStale turns the due notes of some grants, all of one region, into one
// announcement that asks the maker to report again. A grant that missed only
// discovery events needs all endpoints, since the record does not say which it
// missed.
func (r *Record) AnnounceStale(ids []string, now time.Time) {
	stale, found := Announcement{Type: Stale}, false
	all := false
	for _, id := range ids {
		g, ok := r.Grants[id]
		if !ok || !g.BehindDue(now) {
			continue
		}
		if !found {
			stale.GrantID, stale.Region, found = id, g.Region, true
		}
		for _, endpoint := range g.Behind.Endpoints {
			if !slices.Contains(stale.EndpointIDs, endpoint) {
				stale.EndpointIDs = append(stale.EndpointIDs, endpoint)
			}
		}
		all = all || g.Behind.All
		stale.Discovery = stale.Discovery || g.Behind.Discovery
		g.Behind = Behind{}
		r.Grants[id] = g
	}
	if all {
		stale.EndpointIDs = nil
	}
	if found {
		r.addAnnouncement(stale, now)
	}
	r.schedule(now)
}

// RegionName returns the name of the [RegionMark] of an Alexa region.
func RegionName(region string) string { return "region-" + region }

// RegionMark records when a region's gateway was last unhealthy.
type RegionMark struct {
	UnhealthyAt time.Time
}

// regionMarkTime is how long a mark counts.
const regionMarkTime = 3 * time.Minute

// Unhealthy reports whether the region's gateway should get no extra load.
func (m RegionMark) Unhealthy(now time.Time) bool { return now.Sub(m.UnhealthyAt) < regionMarkTime }

// Document returns the mark as the document of a [Control].
func (m RegionMark) Document() map[string]any { return encode(regionMarkFields, &m) }

// ParseRegionMark is the inverse of [RegionMark.Document], under the rules of
// [ParseRecord].
func ParseRegionMark(doc map[string]any) (RegionMark, error) {
	var m RegionMark
	err := decode("", regionMarkFields, doc, &m)
	return m, err
}

var regionMarkFields = []field[RegionMark]{
	moment(func(m *RegionMark) *time.Time { return &m.UnhealthyAt }, "unwellAt"),
}
