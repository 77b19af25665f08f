package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// everywhere is the region of trouble at Login with Amazon, which is one for all.
const everywhere = "all"

// kind is a kind of trouble that can be switched on.
type kind struct {
	Name   string `json:"name"`
	Label  string `json:"label"`
	Effect string `json:"effect"` // what Gatepost does about it
	Login  bool   `json:"login"`  // at Login with Amazon, and not at a gateway
	fault  simulator.Fault
}

// hang is longer than any request waits.
const hang = time.Minute

var kinds = []kind{
	{"throttled", "Throttled", "429: retried after Retry-After. If half of the grants get it, the circuit breaker of the region opens.", false,
		simulator.Fault{Code: simulator.Throttling, RetryAfter: time.Second}},
	{"unavailable", "Unavailable", "503: retried up to three times, then redelivered; the circuit breaker of the region opens.", false,
		simulator.Fault{Code: simulator.ServiceUnavailable}},
	{"hangs", "Hangs", "No answer: redelivered after 5 s. A doorbell is not repeated: unconfirmed.", false, simulator.Fault{Delay: hang}},
	{"cut", "Answers cut", "Taken, but the answer is lost: redelivered with the same messageId.", false, simulator.Fault{AnswerLost: true}},
	{"unauthorized", "Tokens refused", "401: the token is refreshed and the event resent. If half of the grants get it, events wait.", false,
		simulator.Fault{Code: simulator.InvalidAccessToken}},
	{"wrong-region", "Wrong region", "403 SKILL_DISABLED: a refresh proves the grant, which becomes suspect.", false,
		simulator.Fault{Code: simulator.SkillDisabled}},
	{"malformed", "Events refused", "400: a dead letter.", false, simulator.Fault{Code: simulator.InvalidRequest}},
	{"login-down", "Login with Amazon down", "503: a valid token is used until it expires; then events wait.", true,
		simulator.Fault{Status: 503}},
	{"client-refused", "Our client refused", "401 invalid_client: our fault, no grant is touched; an error line says so.", true,
		simulator.Fault{Code: simulator.LWAInvalidClient}},
}

// chattyFor is how long the chatty customer chats.
const chattyFor = 10 * time.Second

// preset is trouble with a name.
type preset struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	kind  string
	ends  time.Duration
}

var presets = []preset{
	{"outage", "One hour's outage", "unavailable", time.Hour},
	{"everybody-401", "Everybody gets 401", "unauthorized", 0},
	{"chatty", "A chatty customer", "throttled", chattyFor},
}

func findKind(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.Name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// active is trouble that is on.
type active struct {
	Kind   string    `json:"kind"`
	Region string    `json:"region"`
	Share  int       `json:"share"` // percent of the requests
	Until  time.Time `json:"until,omitzero"`
	User   string    `json:"amazonUser,omitempty"` // it is for this one only
}

// faultName names the faults of a kind of trouble in a region.
func faultName(kind, region string) string { return kind + " in " + region }

// trouble returns what can be switched on, what is on, and what Gatepost does about it.
func (c *Console) trouble(r *http.Request) (any, error) {
	on, other := []active{}, 0
	for target, faults := range c.amazon.Faults() {
		for _, f := range faults {
			a, ok := named(target, f)
			switch {
			case !ok:
				other++
			case !slices.ContainsFunc(on, func(b active) bool { return a.Kind == b.Kind && a.Region == b.Region }):
				on = append(on, a)
			}
		}
	}
	slices.SortFunc(on, func(a, b active) int { return cmp.Compare(faultName(a.Kind, a.Region), faultName(b.Kind, b.Region)) })
	var brake grant.Brake
	control, err := c.grants.ReadControl(r.Context(), grant.BrakeName)
	if err == nil {
		brake, err = grant.ParseBrake(control.Document)
	}
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return nil, err
	}
	return map[string]any{
		"kinds": kinds, "presets": presets, "on": on, "other": other, "breakers": c.feed.states(), "braked": brake.Latched(),
	}, nil
}

// named returns the trouble that a fault is of.
func named(target simulator.Target, f simulator.Fault) (active, bool) {
	for _, k := range kinds {
		for _, region := range append([]string{everywhere}, regions()...) {
			if f.Name == faultName(k.Name, region) {
				return active{k.Name, region, cmp.Or(f.Share, 100), f.Until, f.User}, true
			}
		}
	}
	return active{}, false
}

func regions() []string {
	var all []string
	for _, region := range alexa.Regions() {
		all = append(all, string(region))
	}
	return all
}

// wantedTrouble is trouble to switch on or off.
type wantedTrouble struct {
	Kind   string `json:"kind"`
	Preset string `json:"preset"` // instead of Kind
	Region string `json:"region"`
	Share  int    `json:"share"` // percent; 0 is all
	For    string `json:"for"`   // for time.ParseDuration; until it is switched off if empty
	Off    bool   `json:"off"`
}

func (c *Console) makeTrouble(r *http.Request) (any, error) {
	var wanted wantedTrouble
	if err := readBody(r, &wanted); err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(presets, func(p preset) bool { return p.Name == wanted.Preset }); i >= 0 {
		wanted.Kind = presets[i].kind
		if presets[i].ends > 0 {
			wanted.For = presets[i].ends.String()
		}
	}
	k, ok := findKind(wanted.Kind)
	if !ok {
		return nil, fmt.Errorf("no kind of trouble is named %q", wanted.Kind)
	}
	if k.Login {
		wanted.Region = everywhere
	} else if _, err := alexa.ParseRegion(wanted.Region); err != nil {
		return nil, fmt.Errorf(`"region": %w`, err)
	}
	if wanted.Share < 0 || wanted.Share > 100 {
		return nil, errors.New(`"share": want 1 to 100`)
	}
	fault := k.fault
	fault.Name, fault.Share = faultName(k.Name, wanted.Region), wanted.Share
	if wanted.For != "" {
		d, err := time.ParseDuration(wanted.For)
		if err != nil || d <= 0 {
			return nil, errors.New(`"for": want a duration like 10s`)
		}
		fault.Until = c.now().Add(d)
	}
	chatty := ""
	if wanted.Preset == "chatty" {
		var err error
		if chatty, fault.User, err = c.chatter(r, alexa.Region(wanted.Region)); err != nil {
			return nil, err
		}
	}
	c.amazon.Remove(fault.Name)
	if wanted.Off {
		return nil, nil
	}
	for _, target := range targets(k, wanted.Region) {
		c.amazon.Always(target, fault)
	}
	if chatty != "" {
		c.work.Go(func() { c.chat(chatty, alexa.Region(wanted.Region)) })
	}
	return nil, nil
}

func targets(k kind, region string) []simulator.Target {
	if k.Login {
		return []simulator.Target{simulator.Exchange, simulator.Refresh}
	}
	return []simulator.Target{simulator.Gateway(alexa.Region(region))}
}

// chatInterval is the time between two events of the chatty customer.
const chatInterval = 50 * time.Millisecond

// chatter returns a customer of a region, and the Amazon user.
func (c *Console) chatter(r *http.Request, region alexa.Region) (userID, amazonUser string, err error) {
	page, err := c.grants.List(r.Context(), "", maxCustomers)
	if err != nil {
		return "", "", err
	}
	for _, record := range page.Records {
		for _, who := range c.accounts(&record) {
			if who.Region == region {
				return record.UserID, who.User, nil
			}
		}
	}
	return "", "", fmt.Errorf("no customer has linked in %s", region)
}

// chat publishes many events of a customer, until the trouble is over.
func (c *Console) chat(userID string, region alexa.Region) {
	engine, err := c.running()
	if err != nil {
		return
	}
	name := faultName(presets[len(presets)-1].kind, string(region))
	ticker := time.NewTicker(chatInterval)
	defer ticker.Stop()
	for n := range int(chattyFor / chatInterval) {
		select {
		case <-ticker.C:
		case <-c.ctx.Done():
			return
		}
		on := func(f simulator.Fault) bool { return f.Name == name }
		if !slices.ContainsFunc(c.amazon.Faults()[simulator.Gateway(region)], on) {
			return
		}
		event := fmt.Sprintf(`{"userId":%q,"endpointId":"dimmer-%d","cause":"PHYSICAL_INTERACTION","changed":[`+
			`{"namespace":"Alexa.BrightnessController","name":"brightness","value":%d}]}`, userID, n%4, n%101)
		attributes := map[string]string{"region": string(region)}
		if _, err := engine.Publish(c.ctx, []byte(event), attributes, fmt.Sprintf("%s/dimmer-%d", userID, n%4)); err != nil {
			return // the run ends
		}
	}
}
