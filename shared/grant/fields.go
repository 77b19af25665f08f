package grant

import (
	"maps"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// This file and codec.go alone define how values are stored as documents, so that
// every store keeps the same fields under the same names. A document consists of
// string, int64, bool, time.Time, []byte, []any and map[string]any. Times are
// truncated to microseconds, as in Firestore.

// Field is one field of a record's document and its new value.
type Field struct {
	// Path leads to the field, for example {"grants", grantID, "state"}.
	Path []string
	// Value is nil for a field to remove, with all fields below it.
	Value any
}

// Document returns the document to create for the record. Zero values are absent
// from it, and it shares nothing with the record.
func (r Record) Document() map[string]any {
	doc := encode(recordFields, &r)
	if len(r.Grants) > 0 {
		grants := make(map[string]any, len(r.Grants))
		for id, g := range r.Grants {
			grants[id] = encode(grantFields, &g)
		}
		doc["grants"] = grants
	}
	return doc
}

// ParseRecord is the inverse of [Record.Document]. It ignores unknown fields: they
// belong to another version of the code. A field of a wrong type is an error that
// names the field and never shows its value. The record shares nothing with the
// document, and has no Revision.
func ParseRecord(doc map[string]any) (Record, error) {
	var r Record
	if err := decode("", recordFields, doc, &r); err != nil {
		return Record{}, err
	}
	grants, ok := submap(doc, "grants")
	if !ok {
		return Record{}, wrongType("grants", doc["grants"])
	}
	if len(grants) > 0 {
		r.Grants = make(map[string]Grant, len(grants))
	}
	for id := range grants {
		fields, ok := submap(grants, id)
		if !ok {
			return Record{}, wrongType("grants."+id, grants[id])
		}
		var g Grant
		if err := decode("grants."+id+".", grantFields, fields, &g); err != nil {
			return Record{}, err
		}
		r.Grants[id] = g
	}
	return r, nil
}

// Diff returns the fields in which now differs from was: all that a store may write
// to a document that holds was. No path is a prefix of another.
func Diff(was, now Record) []Field {
	changes := diff(nil, recordFields, &was, &now)
	for _, id := range slices.Sorted(maps.Keys(was.Grants)) {
		if _, kept := now.Grants[id]; !kept {
			changes = append(changes, Field{Path: []string{"grants", id}})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now.Grants)) {
		path := []string{"grants", id}
		before, known := was.Grants[id]
		after := now.Grants[id]
		if known {
			changes = append(changes, diff(path, grantFields, &before, &after)...)
		} else {
			changes = append(changes, Field{Path: path, Value: encode(grantFields, &after)})
		}
	}
	return changes
}

// Document returns the delivery record as a document. It holds every field, nil for
// a zero value, so that writing them all replaces the stored document.
func (d Delivery) Document() map[string]any {
	doc := make(map[string]any, len(deliveryFields))
	for _, f := range deliveryFields {
		put(doc, f.path, f.value(&d))
	}
	return doc
}

// ParseDelivery is the inverse of [Delivery.Document], under the rules of
// [ParseRecord].
func ParseDelivery(doc map[string]any) (Delivery, error) {
	var d Delivery
	if err := decode("", deliveryFields, doc, &d); err != nil {
		return Delivery{}, err
	}
	return d, nil
}

var recordFields = []field[Record]{
	number(func(r *Record) *int { return &r.Version }, "v"),
	text(func(r *Record) *string { return &r.UserID }, "userId"),
	text(func(r *Record) *string { return &r.Skill }, "skill"),
	text(func(r *Record) *alexa.Region { return &r.Region }, "region"),
	// A query for bucket 0 finds only documents that have the field.
	number(func(r *Record) *int { return &r.Bucket }, "bucket").withZero(int64(0)),
	moment(func(r *Record) *time.Time { return &r.RefreshDue }, "refreshDue"),
	list(func(r *Record) *[]Announcement { return &r.Announce }, encodeAnnouncement, parseAnnouncement, "announce"),
	moment(func(r *Record) *time.Time { return &r.UsedAt }, "usedAt"),
}

var announcementFields = []field[Announcement]{
	text(func(a *Announcement) *AnnouncementType { return &a.Type }, "type"),
	text(func(a *Announcement) *string { return &a.GrantID }, "grantId"),
	text(func(a *Announcement) *alexa.Region { return &a.Region }, "region"),
	text(func(a *Announcement) *string { return &a.Reason }, "reason"),
	list(func(a *Announcement) *[]string { return &a.EndpointIDs }, encodeString, parseString, "endpointIds"),
	flag(func(a *Announcement) *bool { return &a.Discovery }, "discovery"),
	number(func(a *Announcement) *int { return &a.ActiveGrants }, "activeGrants"),
	moment(func(a *Announcement) *time.Time { return &a.At }, "at"),
}

var grantFields = []field[Grant]{
	text(func(g *Grant) *alexa.Region { return &g.Region }, "region"),
	text(func(g *Grant) *State { return &g.State }, "state"),
	text(func(g *Grant) *string { return &g.Reason }, "reason"),
	moment(func(g *Grant) *time.Time { return &g.Since }, "since"),
	text(func(g *Grant) *string { return &g.ClientID }, "clientId"),
	text(func(g *Grant) *string { return &g.AmazonUser }, "amazonUser"),
	sealed(func(g *Grant) *[]byte { return &g.AccessToken }, "accessToken"),
	sealed(func(g *Grant) *[]byte { return &g.RefreshToken }, "refreshToken"),
	moment(func(g *Grant) *time.Time { return &g.ExpiresAt }, "expiresAt"),
	number(func(g *Grant) *int64 { return &g.TokenVersion }, "tokenVersion"),
	text(func(g *Grant) *string { return &g.Lease.Owner }, "lease", "owner"),
	moment(func(g *Grant) *time.Time { return &g.Lease.Until }, "lease", "until"),
	moment(func(g *Grant) *time.Time { return &g.RefreshDue }, "refreshDue"),
	number(func(g *Grant) *int { return &g.Failures }, "failures"),
	moment(func(g *Grant) *time.Time { return &g.NextTry }, "nextTry"),
	moment(func(g *Grant) *time.Time { return &g.RefusedAt }, "refusedAt"),
	text(func(g *Grant) *string { return &g.Witness.By }, "witness", "by"),
	moment(func(g *Grant) *time.Time { return &g.Witness.At }, "witness", "at"),
	moment(func(g *Grant) *time.Time { return &g.UnprovenSince }, "unprovenSince"),
	moment(func(g *Grant) *time.Time { return &g.ToldAt }, "told"),
	moment(func(g *Grant) *time.Time { return &g.Behind.Since }, "behind", "since"),
	moment(func(g *Grant) *time.Time { return &g.Behind.Due }, "behind", "due"),
	list(func(g *Grant) *[]string { return &g.Behind.Endpoints }, encodeString, parseString, "behind", "endpoints"),
	flag(func(g *Grant) *bool { return &g.Behind.All }, "behind", "all"),
	flag(func(g *Grant) *bool { return &g.Behind.Discovery }, "behind", "discovery"),
	moment(func(g *Grant) *time.Time { return &g.LastForcedRefresh }, "lastForcedRefresh"),
	moment(func(g *Grant) *time.Time { return &g.CreatedAt }, "createdAt"),
	moment(func(g *Grant) *time.Time { return &g.EraseAt }, "eraseAt"),
}

var deliveryFields = []field[Delivery]{
	text(func(d *Delivery) *string { return &d.Key.Customer }, "customer"),
	text(func(d *Delivery) *string { return &d.Key.EventID }, "eventId"),
	text(func(d *Delivery) *DeliveryState { return &d.State }, "state"),
	moment(func(d *Delivery) *time.Time { return &d.ClaimedUntil }, "claimedUntil"),
	list(func(d *Delivery) *[]string { return &d.Accepted }, encodeString, parseString, "accepted"),
	moment(func(d *Delivery) *time.Time { return &d.ExpireAt }, "expireAt"),
}
