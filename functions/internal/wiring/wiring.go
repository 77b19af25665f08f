// Package wiring builds what the functions of one process share: the store, the
// clients of Login with Amazon and of the gateways, the topics.
//
// It works in two steps, so that one message can name everything that is wrong with
// a configuration. First each function reads its Config; faults go to the
// [config.Source]. Then each builds its handler from the parts of the [Process]. A
// part is built once, and only if a function asks for it. Parts with a valid
// configuration are built even if others are not, so that the message can also name
// a secret that cannot be read.
package wiring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"time"

	"github.com/google/uuid"
	"google.golang.org/api/option"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Config is what a function has read from the environment.
type Config interface {
	// Build builds the function. Parts that cannot be built are nil: the process
	// then has the fault and does not use the handler. ctx bounds the work, not the
	// life of the parts.
	Build(ctx context.Context, p *Process) (handler.Func, handler.Limits)
}

// Concurrency is how many requests a process handles at a time; the deployment sets
// the same number. It is also the size of connection pools.
const Concurrency = 80

// Process holds the parts that the functions of a process share. It is not safe
// for concurrent use: a process is wired before it serves.
type Process struct {
	Log     *slog.Logger
	Now     func() time.Time
	Draw    func() float64 // returns a random number from 0 to 1
	Owner   string         // names this process in leases
	Skill   string         // SKILL
	Project string         // GOOGLE_CLOUD_PROJECT; if empty, the one that the credentials belong to

	// Remember puts a cache of customers in front of the store, for all functions
	// of the process: a cache has to see what the process writes. Set it before
	// anything is built.
	Remember bool

	// Parts are used instead of what the configuration describes. Set it before
	// anything is built.
	Parts Parts

	secrets *secret.Reader
	facts   []any
	faults  []error

	store    part[grant.Store]
	recent   *grantcache.Store
	tokens   part[Tokens]
	grantees part[grantee.Resolver]
	pubsub   part[*pubsubClient]
	topics   map[string]*Publisher
}

// Parts are parts that a program hands in. Zero fields are built.
type Parts struct {
	Store  grant.Store           // of grants
	PubSub []option.ClientOption // of the connection to Pub/Sub
}

// part is built at the first call of get.
type part[T any] struct {
	built bool
	value T
}

func (t *part[T]) get(p *Process, build func() (T, error)) T {
	if !t.built {
		var err error
		t.built = true
		if t.value, err = build(); err != nil {
			p.faults = append(p.faults, err)
		}
	}
	return t.value
}

// skillName allows the skill's own id, amzn1.ask.skill.…
var skillName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

var gogc = regexp.MustCompile(`^(off|[0-9]+)$`)

// New begins the wiring of a process. source must read env.
func New(source *config.Source, env config.Env, log *slog.Logger) *Process {
	// The runtime ignores a GOGC that it cannot parse.
	source.Matching("GOGC", "", gogc, "off or a whole number")
	return &Process{
		Log: log, Now: time.Now, Draw: rand.Float64, Owner: owner(),
		Skill:   source.Matching("SKILL", "default", skillName, "1 to 128 letters, digits, dots, hyphens and underscores"),
		Project: source.Text("GOOGLE_CLOUD_PROJECT", ""),
		secrets: secret.NewReader(env.Lookup), topics: make(map[string]*Publisher),
	}
}

// owner returns a name that is unique among processes. It starts with the host's
// name, for people who look at an abandoned lease.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + uuid.NewString()
}

// Err returns the errors of parts that could not be built, or nil.
func (p *Process) Err() error { return errors.Join(p.faults...) }

// Close stops the publishers and closes the connection to Pub/Sub, if there is one.
func (p *Process) Close() error {
	for _, topic := range p.topics {
		topic.publisher.Stop()
	}
	if p.pubsub.value == nil {
		return nil
	}
	return p.pubsub.value.Close()
}

// Note adds a field to the line that the process logs when it is ready.
func (p *Process) Note(name string, value any) { p.facts = append(p.facts, name, value) }

// Facts returns what was noted, names and values in turn.
func (p *Process) Facts() []any { return p.facts }

// secret reads the secret that a variable refers to. Errors name the variable and
// what is wrong, not its value.
func (p *Process) secret(ctx context.Context, name string, ref secret.Ref) (sensitive.String, error) {
	text, err := p.secrets.Read(ctx, ref)
	if err != nil {
		return sensitive.String{}, fmt.Errorf("%s: the secret cannot be read: %w", name, errors.Unwrap(err))
	}
	return text, nil
}
