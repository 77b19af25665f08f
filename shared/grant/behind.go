package grant

import (
	"slices"
	"time"
)

// Behind notes which endpoints Alexa may not have the latest state of, because
// reports to a grant were not delivered. However many there were, the maker is
// asked once to report those endpoints again.
type Behind struct {
	Since     time.Time
	Due       time.Time // when the sweep asks for them; it waits for a suspect grant to recover
	Endpoints []string  // not changed in place
	All       bool      // too many to name
	Discovery bool      // discovery events were missed too
}

// maxBehind is how many endpoints a note names.
const maxBehind = 20

// Empty reports whether nothing was missed.
func (b Behind) Empty() bool { return b.Since.IsZero() }

// Has reports whether the note says already that an endpoint, or a discovery
// event, was missed.
func (b Behind) Has(endpoint string, discovery bool) bool {
	return !b.Empty() && (b.Discovery || !discovery) && (b.All || endpoint == "" || slices.Contains(b.Endpoints, endpoint))
}

// NoteBehind notes that a grant missed a report of an endpoint, or a discovery
// event, for which endpoint is empty. The first note sets when the maker is
// asked: at the time due.
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
	case b.All || endpoint == "" || slices.Contains(b.Endpoints, endpoint): // only the discovery is news
	case len(b.Endpoints) == maxBehind:
		b.Endpoints, b.All = nil, true
	default:
		b.Endpoints = append(slices.Clone(b.Endpoints), endpoint)
	}
	r.Grants[id] = g
	r.settle(now)
}

// BehindPause is how long the maker is not asked for what a grant missed: 5 to 15
// minutes, or 15 to 60 while the region is unwell, by the grant's id, so that
// those that missed something together are not asked for together.
func BehindPause(unwell bool, id string) time.Duration {
	sum := digest("behind", id)
	least, most := 5*time.Minute, 15*time.Minute
	if unwell {
		least, most = 15*time.Minute, time.Hour
	}
	return least + (most-least)/256*time.Duration(sum[0])
}

// BehindDue reports whether the maker is to be asked for what a grant missed:
// its note is due, and the grant is active. What a suspect grant missed waits
// until it has recovered.
func (g Grant) BehindDue(now time.Time) bool {
	return !g.Behind.Empty() && g.State == Active && !g.Behind.Due.After(now)
}

// PutOffBehind puts off the due notes of a record's grants: their region cannot
// take what the maker would report.
func (r *Record) PutOffBehind(ids []string, now, due time.Time) {
	for _, id := range ids {
		if g, ok := r.Grants[id]; ok && g.BehindDue(now) {
			g.Behind.Due = due
			r.Grants[id] = g
		}
	}
	r.settle(now)
}

// AskAgain turns the due notes of some grants, all of one region, into one
// announcement that asks the maker to report again. Who missed nothing but
// discovery events is asked for all endpoints: it is not known which they were.
func (r *Record) AskAgain(ids []string, now time.Time) {
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
	r.settle(now)
}

// RegionName is the name of the [RegionMark] of an Alexa region.
func RegionName(region string) string { return "region-" + region }

// RegionMark says that a region's gateway was not well a short time ago.
type RegionMark struct {
	UnwellAt time.Time
}

// regionMarkTime is how long a mark means something.
const regionMarkTime = 3 * time.Minute

// Unwell reports whether the region cannot take more than it gets.
func (m RegionMark) Unwell(now time.Time) bool { return now.Sub(m.UnwellAt) < regionMarkTime }

// Document returns the mark as the document of a [Control].
func (m RegionMark) Document() map[string]any { return encode(regionMarkFields, &m) }

// ParseRegionMark is the inverse of [RegionMark.Document], on the terms of
// [ParseRecord].
func ParseRegionMark(doc map[string]any) (RegionMark, error) {
	var m RegionMark
	err := decode("", regionMarkFields, doc, &m)
	return m, err
}

var regionMarkFields = []field[RegionMark]{
	moment(func(m *RegionMark) *time.Time { return &m.UnwellAt }, "unwellAt"),
}
