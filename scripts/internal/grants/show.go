package grants

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

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/seal"
)

// errNoRecord is the error of a command that needs a record.
var errNoRecord = errors.New("the customer has no record: never linked, erased, or in another --project, --database or --skill")

// read reads the record of the customer that the command line names.
func (s *session) read(ctx context.Context, key grant.Key) (grant.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	record, err := s.store.Read(ctx, key)
	if errors.Is(err, grant.ErrNotFound) {
		return grant.Record{}, errNoRecord
	}
	return record, err
}

// Run runs the command.
func (c showCommand) Run(ctx context.Context, env *cli.Env, in *Commands) error {
	return in.run(ctx, env, func(s *session) (result, error) {
		record, err := s.read(ctx, c.key())
		if err != nil {
			return nil, err
		}
		return newView(record), nil
	})
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
	return fmt.Sprintf("since %s in %s, due %s", cli.Moment(b.Since), missed(b.Endpoints, b.All, b.Discovery), cli.Moment(b.Due))
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
	cli.Row(w, "customer", "%s", v.UserID)
	cli.Row(w, "in logs", "%s", v.Customer)
	cli.Row(w, "record", "%s", v.Record)
	cli.Row(w, "skill", "%s", v.Skill)
	cli.Row(w, "newest region", "%s", v.Region)
	cli.Row(w, "schema version", "%d", v.Version)
	cli.Row(w, "bucket", "%d", v.Bucket)
	cli.Row(w, "last use noted", "%s", cli.Moment(v.UsedAt))
	cli.Row(w, "due in the sweep", "%s", cli.Moment(v.Due))
	for _, a := range v.Announce {
		about := a.Reason
		if a.Type == grant.Stale {
			about = missed(a.EndpointIDs, len(a.EndpointIDs) == 0, a.Discovery)
		}
		cli.Row(w, "to be announced", "%s of grant %s, %s %s, %d left, at %s",
			a.Type, a.GrantID, a.Region, cmp.Or(about, "-"), a.ActiveGrants, cli.Moment(a.At))
	}
	for _, g := range v.Grants {
		g.write(w)
	}
}

func (g grantView) write(w io.Writer) {
	fmt.Fprintln(w)
	cli.Row(w, "grant", "%s", g.ID)
	cli.Row(w, "state", "%s since %s", g.stateInWords(), cli.Moment(g.Since))
	cli.Row(w, "region", "%s", g.Region)
	cli.Row(w, "client id", "%s", g.ClientID)
	cli.Row(w, "Amazon account", "%s", map[bool]string{true: "known", false: "not known"}[g.AmazonUser])
	cli.Row(w, "access token", "%s", g.AccessToken)
	cli.Row(w, "expires", "%s", cli.Moment(g.ExpiresAt))
	cli.Row(w, "refresh token", "%s", g.RefreshToken)
	cli.Row(w, "token version", "%d", g.TokenVersion)
	cli.Row(w, "refresh due", "%s", cli.Moment(g.Due))
	cli.Row(w, "failures in a row", "%d", g.Failures)
	if g.LeaseOwner == "" {
		cli.Row(w, "lease", "none")
	} else {
		cli.Row(w, "lease", "held by %s until %s", g.LeaseOwner, cli.Moment(g.LeaseUntil))
	}
	cli.Row(w, "next try", "%s", cli.Moment(g.NextTry))
	cli.Row(w, "refused at", "%s", cli.Moment(g.RefusedAt))
	if g.WitnessBy == "" {
		cli.Row(w, "witness", "none")
	} else {
		cli.Row(w, "witness", "%s at %s", g.WitnessBy, cli.Moment(g.WitnessAt))
	}
	cli.Row(w, "unproven since", "%s", cli.Moment(g.Unproven))
	cli.Row(w, "maker told at", "%s", cli.Moment(g.Told))
	cli.Row(w, "behind", "%s", g.Behind)
	cli.Row(w, "last forced refresh", "%s", cli.Moment(g.LastForced))
	cli.Row(w, "created", "%s", cli.Moment(g.CreatedAt))
	cli.Row(w, "erase at", "%s", cli.Moment(g.EraseAt))
}

func (g grantView) stateInWords() string {
	if g.Reason == "" {
		return string(g.State)
	}
	return fmt.Sprintf("%s (%s)", g.State, g.Reason)
}
