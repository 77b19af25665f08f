package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// account is an Amazon user in a region.
type account struct {
	Region alexa.Region
	User   string
}

// accounts returns the accounts of a record's grants, as far as they are known: a record
// has only hashes of them.
func (c *Console) accounts(record *grant.Record) []account {
	var all []account
	if record != nil {
		for _, id := range slices.Sorted(maps.Keys(record.Grants)) {
			if a := c.account(record.Grants[id]); a.User != "" && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}

func (c *Console) account(g grant.Grant) account {
	for _, user := range c.amazon.Users(g.Region) {
		if grant.AmazonUserHash(user) == g.AmazonUser {
			return account{g.Region, user}
		}
	}
	return account{Region: g.Region}
}

// customer is a customer's record.
type customer struct {
	UserID     string    `json:"userId"`
	Hash       string    `json:"hash"` // in logs
	Region     string    `json:"region"`
	RefreshDue time.Time `json:"refreshDue,omitzero"`
	Announce   int       `json:"announce"` // grant events to publish
	Grants     []link    `json:"grants"`   // the newest first
}

// link is a grant.
type link struct {
	ID         string                          `json:"id"`
	Region     alexa.Region                    `json:"region"`
	AmazonUser string                          `json:"amazonUser,omitempty"` // empty if it is not known
	State      grant.State                     `json:"state"`
	Reason     string                          `json:"reason,omitempty"`
	Since      time.Time                       `json:"since,omitzero"`
	CreatedAt  time.Time                       `json:"createdAt,omitzero"`
	ExpiresAt  time.Time                       `json:"expiresAt,omitzero"`
	RefreshDue time.Time                       `json:"refreshDue,omitzero"`
	NextTry    time.Time                       `json:"nextTry,omitzero"`
	EraseAt    time.Time                       `json:"eraseAt,omitzero"`
	Failures   int                             `json:"failures"`
	Refreshes  int64                           `json:"refreshes"`
	Behind     *behind                         `json:"behind,omitempty"`
	Alexa      map[string][]simulator.Property `json:"alexa"` // what Alexa believes, by endpoint
}

type behind struct {
	Since     time.Time `json:"since"`
	Due       time.Time `json:"due"`
	Endpoints []string  `json:"endpoints"`
	All       bool      `json:"all"`
	Discovery bool      `json:"discovery"`
}

// maxCustomers is how many customers are listed.
const maxCustomers = 200

func (c *Console) customers(r *http.Request) (any, error) {
	page, err := c.grants.List(r.Context(), "", maxCustomers)
	if err != nil {
		return nil, err
	}
	all := []customer{}
	for _, record := range page.Records {
		all = append(all, c.customer(record))
	}
	slices.SortFunc(all, func(a, b customer) int { return strings.Compare(a.UserID, b.UserID) })
	return map[string]any{"customers": all, "more": page.Next != ""}, nil
}

func (c *Console) customer(record grant.Record) customer {
	shown := customer{
		UserID: record.UserID, Hash: grant.CustomerHash(record.UserID), Region: string(record.Region), RefreshDue: record.RefreshDue,
		Announce: len(record.Announce), Grants: []link{},
	}
	for id, g := range record.Grants {
		who := c.account(g)
		l := link{
			ID: id, Region: g.Region, AmazonUser: who.User, State: g.State, Reason: g.Reason, Since: g.Since, CreatedAt: g.CreatedAt,
			ExpiresAt: g.ExpiresAt, RefreshDue: g.RefreshDue, NextTry: g.NextTry, EraseAt: g.EraseAt, Failures: g.Failures,
			Refreshes: g.TokenVersion, Alexa: c.amazon.State(g.Region, who.User),
		}
		if b := g.Behind; !b.Empty() {
			l.Behind = &behind{b.Since, b.Due, append([]string{}, b.Endpoints...), b.All, b.Discovery}
		}
		shown.Grants = append(shown.Grants, l)
	}
	slices.SortFunc(shown.Grants, func(a, b link) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return shown
}

// action is what a customer does, or what befalls a customer.
type action struct {
	Do         string `json:"do"`
	UserID     string `json:"userId"`
	Region     string `json:"region"`     // of the grant; for link and move, the new one
	AmazonUser string `json:"amazonUser"` // of the grant; for link, "amzn-" and the userId if empty
}

func (c *Console) act(r *http.Request) (any, error) {
	engine, err := c.running()
	if err != nil {
		return nil, err
	}
	var a action
	if err := readBody(r, &a); err != nil {
		return nil, err
	}
	if a.UserID == "" {
		return nil, errors.New(`"userId" is missing`)
	}
	if a.Do == "erase" {
		erased, err := c.grants.Erase(r.Context(), grant.Key{Skill: skill, UserID: a.UserID})
		return map[string]int{"records": erased.Records, "deliveries": erased.Deliveries, "accounts": erased.Accounts}, err
	}
	region, err := alexa.ParseRegion(a.Region)
	if err != nil {
		return nil, fmt.Errorf(`"region": %w`, err)
	}
	if a.AmazonUser == "" {
		a.AmazonUser = "amzn-" + a.UserID
	}
	who := account{region, a.AmazonUser}
	do, ok := map[string]func() error{
		"link":    func() error { return c.link(r, engine, who, a.UserID) },
		"relink":  func() error { return c.link(r, engine, who, a.UserID) },
		"account": func() error { return c.link(r, engine, account{region, c.unused(who)}, a.UserID) },
		"move":    func() error { return c.move(r, engine, who, a.UserID) },
		"disable": func() error { return c.disable(r, engine, who) },
		"expire": func() error {
			if !c.amazon.ExpireAccessTokens(who.Region, who.User) {
				return fmt.Errorf("%s has never enabled the skill in %s", who.User, who.Region)
			}
			return nil
		},
	}[a.Do]
	if !ok {
		return nil, fmt.Errorf(`"do" is %q: want link, relink, account, move, disable, expire or erase`, a.Do)
	}
	return nil, do()
}

// link links a customer, and sends the skill event by which Alexa tells of the link.
func (c *Console) link(r *http.Request, engine *oneprocess.Gatepost, who account, userID string) error {
	if err := engine.Link(r.Context(), who.Region, who.User, userID); err != nil {
		return err
	}
	return skillEvent(r, engine, who, alexa.SkillAccountLinked, map[string]string{"accessToken": "grantee-" + userID})
}

// disable disables the skill, and sends the skill event.
func (c *Console) disable(r *http.Request, engine *oneprocess.Gatepost, who account) error {
	if !c.amazon.Disable(who.Region, who.User) {
		return fmt.Errorf("%s has never enabled the skill in %s", who.User, who.Region)
	}
	return skillEvent(r, engine, who, alexa.SkillDisabled, nil)
}

// move disables the skill in every other region, and links in the new one.
func (c *Console) move(r *http.Request, engine *oneprocess.Gatepost, who account, userID string) error {
	for _, old := range c.accounts(c.record(r, userID)) {
		if old.Region != who.Region {
			if err := c.disable(r, engine, old); err != nil {
				return err
			}
		}
	}
	return c.link(r, engine, who, userID)
}

// unused returns another Amazon user than those of a region.
func (c *Console) unused(who account) string {
	users := c.amazon.Users(who.Region)
	base, _, _ := strings.Cut(who.User, "~")
	for n := 2; ; n++ {
		if user := fmt.Sprintf("%s~%d", base, n); !slices.Contains(users, user) {
			return user
		}
	}
}

// skillEvent sends a skill event, as Alexa does. Amazon names the user of a skill by an
// id that it makes for that.
func skillEvent(r *http.Request, engine *oneprocess.Gatepost, who account, kind string, body map[string]string) error {
	type object map[string]any
	now := time.Now().UTC().Format(time.RFC3339)
	user := object{"userId": "amzn1.ask.account." + string(who.Region) + "." + who.User}
	event, err := json.Marshal(object{
		"version": "1.0", "context": object{"System": object{"user": user}},
		"request": object{"type": kind, "requestId": "console-" + now, "timestamp": now, "eventCreationTime": now, "body": body},
	})
	if err != nil {
		return err
	}
	_, err = engine.Post(r.Context(), "SkillEvent", nil, event)
	return err
}
