package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/seal"
)

// errNoRecord is the error of a command that needs a record.
var errNoRecord = errors.New("the customer has no record: never linked, erased, or in another -project, -database or -skill")

// read reads the record of the customer that the command line names.
func read(ctx context.Context, store grant.Store, key grant.Key) (grant.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	record, err := store.Read(ctx, key)
	if errors.Is(err, grant.ErrNotFound) {
		return grant.Record{}, errNoRecord
	}
	return record, err
}

// show implements the command show.
func show(ctx context.Context, _ *program, store grant.Admin, o options) (result, error) {
	record, err := read(ctx, store, o.key)
	if err != nil {
		return nil, err
	}
	return newView(record), nil
}

// view has the fields of a record that may be shown.
type view struct {
	UserID   string         `json:"userId"`
	Customer string         `json:"customer"` // hash, as in logs
	Record   string         `json:"record"`   // id of the document
	Skill    string         `json:"skill"`
	Region   alexa.Region   `json:"region"`
	Version  int            `json:"v"`
	Bucket   int            `json:"bucket"`
	UsedAt   time.Time      `json:"usedAt,omitzero"`
	Due      time.Time      `json:"refreshDue,omitzero"`
	Announce []announcement `json:"announce"`
	Grants   []grantView    `json:"grants"` // the oldest first
}

type announcement struct {
	Type         grant.AnnouncementType `json:"type"`
	GrantID      string                 `json:"grantId"`
	Region       alexa.Region           `json:"region"`
	Reason       string                 `json:"reason,omitempty"`
	EndpointIDs  []string               `json:"endpointIds,omitempty"`
	Discovery    bool                   `json:"discovery,omitempty"`
	ActiveGrants int                    `json:"activeGrants"`
	At           time.Time              `json:"at"`
}

type grantView struct {
	ID           string       `json:"grantId"`
	State        grant.State  `json:"state"`
	Reason       string       `json:"reason,omitempty"`
	Since        time.Time    `json:"since,omitzero"`
	Region       alexa.Region `json:"region"`
	ClientID     string       `json:"clientId"`
	AmazonUser   bool         `json:"amazonUserKnown"`
	AccessToken  *sealedView  `json:"accessToken,omitempty"`
	ExpiresAt    time.Time    `json:"expiresAt,omitzero"`
	RefreshToken *sealedView  `json:"refreshToken,omitempty"`
	TokenVersion int64        `json:"tokenVersion"`
	Due          time.Time    `json:"refreshDue,omitzero"`
	Failures     int          `json:"failures"`
	LeaseOwner   string       `json:"leaseOwner,omitempty"`
	LeaseUntil   time.Time    `json:"leaseUntil,omitzero"`
	NextTry      time.Time    `json:"nextTry,omitzero"`
	RefusedAt    time.Time    `json:"refusedAt,omitzero"`
	WitnessBy    string       `json:"witnessBy,omitempty"`
	WitnessAt    time.Time    `json:"witnessAt,omitzero"`
	Unproven     time.Time    `json:"unprovenSince,omitzero"`
	Told         time.Time    `json:"told,omitzero"`
	Behind       *behindView  `json:"behind,omitempty"`
	LastForced   time.Time    `json:"lastForcedRefresh,omitzero"`
	CreatedAt    time.Time    `json:"createdAt,omitzero"`
	EraseAt      time.Time    `json:"eraseAt,omitzero"`
}

// behindView has the events that the gateway of a grant missed.
type behindView struct {
	Since     time.Time `json:"since"`
	Due       time.Time `json:"due"`
	Endpoints []string  `json:"endpoints,omitempty"` // absent: all, or none but discovery events
	All       bool      `json:"all,omitempty"`
	Discovery bool      `json:"discovery,omitempty"`
}

// sealedView has the fields of a sealed token that may be shown.
type sealedView struct {
	Key   uint32 `json:"key,omitempty"` // 0 if no keyset sealed it
	Bytes int    `json:"bytes"`
}

func newView(r grant.Record) *view {
	v := &view{
		UserID: r.UserID, Customer: grant.CustomerHash(r.UserID), Record: r.Key().ID(), Skill: r.Skill, Region: r.Region,
		Version: r.Version, Bucket: r.Bucket, UsedAt: r.UsedAt, Due: r.RefreshDue,
		Announce: []announcement{}, Grants: []grantView{},
	}
	for _, a := range r.Announce {
		v.Announce = append(v.Announce, announcement(a))
	}
	for _, id := range byAge(r) {
		v.Grants = append(v.Grants, newGrantView(id, r.Grants[id]))
	}
	return v
}

// byAge returns the ids of the grants of a record, the oldest first.
func byAge(r grant.Record) []string {
	return slices.SortedFunc(maps.Keys(r.Grants), func(a, b string) int {
		return cmp.Or(r.Grants[a].CreatedAt.Compare(r.Grants[b].CreatedAt), cmp.Compare(a, b))
	})
}

func newGrantView(id string, g grant.Grant) grantView {
	return grantView{
		ID: id, State: g.State, Reason: g.Reason, Since: g.Since, Region: g.Region, ClientID: g.ClientID, AmazonUser: g.AmazonUser != "",
		AccessToken: newSealedView(g.AccessToken), ExpiresAt: g.ExpiresAt, RefreshToken: newSealedView(g.RefreshToken),
		TokenVersion: g.TokenVersion, Due: g.RefreshDue, Failures: g.Failures, LeaseOwner: g.Lease.Owner, LeaseUntil: g.Lease.Until,
		NextTry: g.NextTry, RefusedAt: g.RefusedAt, WitnessBy: g.Witness.By, WitnessAt: g.Witness.At, Unproven: g.UnprovenSince, Told: g.ToldAt,
		Behind: newBehindView(g.Behind), LastForced: g.LastForcedRefresh, CreatedAt: g.CreatedAt, EraseAt: g.EraseAt,
	}
}

func newBehindView(b grant.Behind) *behindView {
	if b.Empty() {
		return nil
	}
	return &behindView{Since: b.Since, Due: b.Due, Endpoints: b.Endpoints, All: b.All, Discovery: b.Discovery}
}

// String returns the view in words.
func (b *behindView) String() string {
	if b == nil {
		return "no"
	}
	return fmt.Sprintf("since %s in %s, due %s", moment(b.Since), missed(b.Endpoints, b.All, b.Discovery), moment(b.Due))
}

// missed names the events that a gateway missed.
func missed(endpoints []string, all, discovery bool) string {
	what := strings.Join(endpoints, ", ")
	if all {
		what = "all endpoints"
	}
	switch {
	case !discovery:
		return what
	case what == "":
		return "discovery"
	}
	return what + " and discovery"
}

func newSealedView(sealed []byte) *sealedView {
	if len(sealed) == 0 {
		return nil
	}
	key, _ := seal.KeyID(sealed)
	return &sealedView{Key: key, Bytes: len(sealed)}
}

// String returns the view in words.
func (s *sealedView) String() string {
	switch {
	case s == nil:
		return "none"
	case s.Key == 0:
		return fmt.Sprintf("sealed by no key of any keyset, %d bytes", s.Bytes)
	}
	return fmt.Sprintf("sealed by key %d, %d bytes", s.Key, s.Bytes)
}

// write implements result.
func (v *view) write(w io.Writer) {
	row(w, "customer", "%s", v.UserID)
	row(w, "in logs", "%s", v.Customer)
	row(w, "record", "%s", v.Record)
	row(w, "skill", "%s", v.Skill)
	row(w, "newest region", "%s", v.Region)
	row(w, "schema version", "%d", v.Version)
	row(w, "bucket", "%d", v.Bucket)
	row(w, "last use noted", "%s", moment(v.UsedAt))
	row(w, "due in the sweep", "%s", moment(v.Due))
	for _, a := range v.Announce {
		about := a.Reason
		if a.Type == grant.Stale {
			about = missed(a.EndpointIDs, len(a.EndpointIDs) == 0, a.Discovery)
		}
		row(w, "to be announced", "%s of grant %s, %s %s, %d left, at %s",
			a.Type, a.GrantID, a.Region, cmp.Or(about, "-"), a.ActiveGrants, moment(a.At))
	}
	for _, g := range v.Grants {
		g.write(w)
	}
}

func (g grantView) write(w io.Writer) {
	fmt.Fprintln(w)
	row(w, "grant", "%s", g.ID)
	row(w, "state", "%s since %s", g.stateInWords(), moment(g.Since))
	row(w, "region", "%s", g.Region)
	row(w, "client id", "%s", g.ClientID)
	row(w, "Amazon account", "%s", map[bool]string{true: "known", false: "not known"}[g.AmazonUser])
	row(w, "access token", "%s", g.AccessToken)
	row(w, "expires", "%s", moment(g.ExpiresAt))
	row(w, "refresh token", "%s", g.RefreshToken)
	row(w, "token version", "%d", g.TokenVersion)
	row(w, "refresh due", "%s", moment(g.Due))
	row(w, "failures in a row", "%d", g.Failures)
	if g.LeaseOwner == "" {
		row(w, "lease", "none")
	} else {
		row(w, "lease", "held by %s until %s", g.LeaseOwner, moment(g.LeaseUntil))
	}
	row(w, "next try", "%s", moment(g.NextTry))
	row(w, "refused at", "%s", moment(g.RefusedAt))
	if g.WitnessBy == "" {
		row(w, "witness", "none")
	} else {
		row(w, "witness", "%s at %s", g.WitnessBy, moment(g.WitnessAt))
	}
	row(w, "unproven since", "%s", moment(g.Unproven))
	row(w, "maker told at", "%s", moment(g.Told))
	row(w, "behind", "%s", g.Behind)
	row(w, "last forced refresh", "%s", moment(g.LastForced))
	row(w, "created", "%s", moment(g.CreatedAt))
	row(w, "erase at", "%s", moment(g.EraseAt))
}

func (g grantView) stateInWords() string {
	if g.Reason == "" {
		return string(g.State)
	}
	return fmt.Sprintf("%s (%s)", g.State, g.Reason)
}
