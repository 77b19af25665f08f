package granttest

import (
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// Values that differ for each n, and are zero for 0.

func textOf(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint("text-", n)
}

func timeOf(n int) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Date(2026, 1, 2, 3, 4, n, 123456000, time.UTC)
}

func sealedOf(n int) []byte {
	if n == 0 {
		return nil
	}
	return fmt.Appendf(nil, "sealed-%d\x00\xff", n)
}

func wordsOf(n int) []string {
	var words []string
	for i := range n {
		words = append(words, textOf(i+1))
	}
	return words
}

func announcementsOf(n int) []grant.Announcement {
	var list []grant.Announcement
	for i := range n {
		list = append(list, grant.Announcement{
			Type: grant.Stale, GrantID: textOf(n), Region: alexa.EU, Reason: textOf(i), EndpointIDs: []string{"lamp/1", textOf(n)}, Discovery: true,
			ActiveGrants: i, At: timeOf(n),
		})
	}
	return list
}

// recordEdits sets each field of a record that is not part of its key.
var recordEdits = map[string]func(r *grant.Record, n int){
	"v":          func(r *grant.Record, n int) { r.Version = n },
	"region":     func(r *grant.Record, n int) { r.Region = alexa.Region(textOf(n)) },
	"bucket":     func(r *grant.Record, n int) { r.Bucket = n },
	"refreshDue": func(r *grant.Record, n int) { r.RefreshDue = timeOf(n) },
	"announce":   func(r *grant.Record, n int) { r.Announce = announcementsOf(n) },
	"usedAt":     func(r *grant.Record, n int) { r.UsedAt = timeOf(n) },
}

// grantEdits sets each field of a grant.
var grantEdits = map[string]func(g *grant.Grant, n int){
	"region":            func(g *grant.Grant, n int) { g.Region = alexa.Region(textOf(n)) },
	"state":             func(g *grant.Grant, n int) { g.State = grant.State(textOf(n)) },
	"reason":            func(g *grant.Grant, n int) { g.Reason = textOf(n) },
	"since":             func(g *grant.Grant, n int) { g.Since = timeOf(n) },
	"clientId":          func(g *grant.Grant, n int) { g.ClientID = textOf(n) },
	"amazonUser":        func(g *grant.Grant, n int) { g.AmazonUser = textOf(n) },
	"accessToken":       func(g *grant.Grant, n int) { g.AccessToken = sealedOf(n) },
	"refreshToken":      func(g *grant.Grant, n int) { g.RefreshToken = sealedOf(n) },
	"expiresAt":         func(g *grant.Grant, n int) { g.ExpiresAt = timeOf(n) },
	"tokenVersion":      func(g *grant.Grant, n int) { g.TokenVersion = int64(n) },
	"lease.owner":       func(g *grant.Grant, n int) { g.Lease.Owner = textOf(n) },
	"lease.until":       func(g *grant.Grant, n int) { g.Lease.Until = timeOf(n) },
	"refreshDue":        func(g *grant.Grant, n int) { g.RefreshDue = timeOf(n) },
	"failures":          func(g *grant.Grant, n int) { g.Failures = n },
	"nextTry":           func(g *grant.Grant, n int) { g.NextTry = timeOf(n) },
	"refusedAt":         func(g *grant.Grant, n int) { g.RefusedAt = timeOf(n) },
	"witness.by":        func(g *grant.Grant, n int) { g.Witness.By = textOf(n) },
	"witness.at":        func(g *grant.Grant, n int) { g.Witness.At = timeOf(n) },
	"unprovenSince":     func(g *grant.Grant, n int) { g.UnprovenSince = timeOf(n) },
	"told":              func(g *grant.Grant, n int) { g.ToldAt = timeOf(n) },
	"behind.since":      func(g *grant.Grant, n int) { g.Behind.Since = timeOf(n) },
	"behind.due":        func(g *grant.Grant, n int) { g.Behind.Due = timeOf(n) },
	"behind.endpoints":  func(g *grant.Grant, n int) { g.Behind.Endpoints = wordsOf(n) },
	"behind.all":        func(g *grant.Grant, n int) { g.Behind.All = n != 0 },
	"behind.discovery":  func(g *grant.Grant, n int) { g.Behind.Discovery = n != 0 },
	"lastForcedRefresh": func(g *grant.Grant, n int) { g.LastForcedRefresh = timeOf(n) },
	"createdAt":         func(g *grant.Grant, n int) { g.CreatedAt = timeOf(n) },
	"eraseAt":           func(g *grant.Grant, n int) { g.EraseAt = timeOf(n) },
}

// user is a key of the skill that most checks use.
func user(id string) grant.Key { return grant.Key{Skill: "default", UserID: id} }

// fullGrant is a grant with every field set, as n tells.
func fullGrant(n int) grant.Grant {
	var g grant.Grant
	for _, set := range grantEdits {
		set(&g, n)
	}
	return g
}

// fullRecord is a record with every field set, as n tells, and the grants
// "g1" and "g2".
func fullRecord(key grant.Key, n int) grant.Record {
	r := grant.New(key)
	for _, set := range recordEdits {
		set(&r, n)
	}
	r.Grants = map[string]grant.Grant{"g1": fullGrant(n), "g2": fullGrant(n + 1)}
	return r
}

// dueRecord waits for the sweep. It is put in any bucket, whatever its key.
func dueRecord(userID string, bucket int, due time.Time) grant.Record {
	r := grant.New(user(userID))
	r.Bucket, r.RefreshDue = bucket, due
	return r
}

// fullDelivery is a delivery record with every field set, as n tells.
func fullDelivery(eventID string, n int) grant.Delivery {
	return grant.Delivery{
		Key:          grant.DeliveryKey{Customer: user("u-1").ID(), EventID: eventID},
		State:        grant.DeliveryState(textOf(n)),
		ClaimedUntil: timeOf(n),
		Accepted:     []string{textOf(n), textOf(n + 1)},
		ExpireAt:     timeOf(n + 30),
	}
}

// fullAccount is an Amazon account of a customer with every field set, as n
// tells.
func fullAccount(amazonUser string, n int) grant.Account {
	return accountOf(user("u-1"), amazonUser, n)
}

func accountOf(customer grant.Key, amazonUser string, n int) grant.Account {
	a := grant.NewAccount(grant.AccountKey{Skill: customer.Skill, AmazonUser: amazonUser}, customer, timeOf(n))
	a.ExpireAt = a.LinkedAt.Add(7 * 24 * time.Hour)
	return a
}

// fullControl is a shared document with a field of every kind, as n tells.
func fullControl(name string, n int) grant.Control {
	return grant.Control{Name: name, Document: map[string]any{
		"text": textOf(n), "number": int64(n), "true": true, "false": false, "at": timeOf(n), textOf(n): int64(-n),
	}}
}

// withGrant returns r with one grant edited.
func withGrant(r grant.Record, id string, change func(*grant.Grant)) grant.Record {
	r = r.Clone()
	g := r.Grants[id]
	change(&g)
	r.Grants[id] = g
	return r
}
