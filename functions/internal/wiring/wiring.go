// Package wiring builds what the functions of one process have in common: the
// store, the clients of Login with Amazon and of the gateways, the topics.
//
// It works in two steps. While a function reads its configuration it says what
// it will need (Need…), which reads and checks the variables of just that part.
// When every function has done so and no fault was found, the parts are built,
// each once and only if it is needed.
package wiring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// EntryPoint reads the configuration of a function, faults going to the
// process's source, and returns what builds the function once the whole
// configuration is known to be right.
type EntryPoint func(*Process) Builder

// Builder builds a function. The parts of the process are there by then.
type Builder func() (host.Handler, host.Limits)

// Concurrency is how many requests a process works on at a time; the
// deployment sets the same number. Connection pools are of this size.
const Concurrency = 80

// Process holds the settings and, once they are built, the parts of a process.
// It is not safe for concurrent use: a process is wired before it serves.
type Process struct {
	Log     *slog.Logger
	Now     func() time.Time
	Draw    func() float64 // from 0 to 1, random
	Owner   string         // names this process in leases
	Skill   string
	Project string // empty means: the one the credentials belong to

	// Source is what settings are read from. Functions read their own from it.
	Source *config.Source

	secrets *secret.Reader
	regions []alexa.Region
	checks  []func(context.Context) error // of what is not kept

	grantees granteePart
	store    storePart
	tokens   tokenPart
	gateway  map[alexa.Region]*url.URL
	topics   topicPart
}

// skillName allows the skill's own id, amzn1.ask.skill.…
var skillName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// New begins the wiring of a process. Faults go to source.
func New(source *config.Source, lookup config.Lookup, log *slog.Logger) *Process {
	p := &Process{
		Log: log, Now: time.Now, Draw: rand.Float64, Owner: owner(),
		Skill:   source.Text("SKILL", "default"),
		Project: source.Text("GOOGLE_CLOUD_PROJECT", ""),
		Source:  source, secrets: secret.NewReader(lookup),
	}
	if !skillName.MatchString(p.Skill) || len(p.Skill) > 128 {
		source.Fault("SKILL", "must be 1 to 128 letters, digits, dots, hyphens and underscores")
	}
	p.NeedRegions() // by whichever function
	return p
}

// owner is a name that no other process has. The host's name is for people
// who look at a lease that somebody left behind.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + uuid.NewString()
}

// NeedRegions reads which Alexa regions the process serves.
func (p *Process) NeedRegions() []alexa.Region {
	text := p.Source.Required("ALEXA_REGIONS", "NA, EU, FE, comma-separated")
	if text == "" || p.regions != nil {
		return p.regions
	}
	for name := range strings.SplitSeq(text, ",") {
		region, err := alexa.ParseRegion(strings.TrimSpace(name))
		if err != nil || slices.Contains(p.regions, region) {
			p.Source.Fault("ALEXA_REGIONS", "must be NA, EU, FE or several of them, each once, comma-separated")
			continue
		}
		p.regions = append(p.regions, region)
	}
	return p.regions
}

// secret reads a secret that was found to be configured. Its errors name the
// variable and what is wrong, not what the variable says.
func (p *Process) secret(ctx context.Context, name string, ref secret.Ref) (sensitive.String, error) {
	text, err := p.secrets.Read(ctx, ref)
	if err != nil {
		return sensitive.String{}, fmt.Errorf("%s: the secret cannot be read: %w", name, errors.Unwrap(err))
	}
	return text, nil
}

// needSecret reads a variable that refers to a secret.
func (p *Process) needSecret(name, why string) secret.Ref {
	text := p.Source.Required(name, why)
	if text == "" {
		return secret.Ref{}
	}
	ref, err := secret.ParseRef(text)
	if err != nil {
		p.Source.Fault(name, "%v", err)
	}
	return ref
}

// Build builds the parts that were asked for, and whose configuration is right.
// It returns every fault it finds, and may be called once. ctx bounds what it
// does, not the life of the parts.
func (p *Process) Build(ctx context.Context) error {
	faults := []error{p.buildStore(ctx), p.buildTopics(ctx), p.buildTokens(ctx)}
	for _, check := range p.checks {
		faults = append(faults, check(ctx))
	}
	return errors.Join(faults...)
}
