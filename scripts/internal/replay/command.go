package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/story"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

// Command is the command line.
type Command struct {
	Project      string   `placeholder:"P" help:"Google Cloud project. Default: the one in the credentials."`
	Subscription cli.Name `required:"" placeholder:"S" help:"Subscription of the dead-letter topic, by id or full name."`
	Topic        cli.Name `required:"" placeholder:"T" help:"Topic of device events, by id or full name."`

	filter
	Max  int           `placeholder:"N" help:"Replay at most N messages (default: all)."`
	Idle time.Duration `placeholder:"D" default:"5s" help:"End when no new message has arrived for this time (${default})."`

	ForReal bool `help:"Replay. Without it this is a dry run: it lists the messages, and changes nothing."`
	revival
	cli.JSON
}

// filter selects dead letters. The zero filter selects all.
type filter struct {
	Reason   reason       `placeholder:"R" help:"Only with this reason: dead_letter, or undelivered for messages that Pub/Sub moved itself."`
	Code     cli.Name     `placeholder:"C" help:"Only with this code, for example INVALID_REQUEST_EXCEPTION."`
	Region   alexa.Region `placeholder:"R" help:"Only those refused in this region, or else addressed to it: NA, EU or FE."`
	Customer customer     `placeholder:"HASH" help:"Only for this customer, by the hash in log lines."`
	User     cli.Name     `placeholder:"ID" help:"Only for this customer, by your user id."`
	Since    time.Time    `placeholder:"T" help:"Only events first published at this time or later: RFC 3339, 18:03, or 2h ago."`
	Until    time.Time    `placeholder:"T" help:"Only events first published before this time: RFC 3339, 18:03, or 2h ago."`

	id string // only the letter with this id of its message
}

// revival has the options for turning dead letters back into device events.
type revival struct {
	Force     bool         `help:"Also replay DeleteReports older than an hour: they remove endpoints that were added again since."`
	AsNew     bool         `help:"Deliver old events as if they had happened now: Alexa announces and shows old states, and routines run."`
	SetRegion alexa.Region `placeholder:"R" help:"Replay messages with an invalid region attribute to this region."`
}

// Example returns an example for the help.
func (Command) Example() string {
	return "gatepost replay --project maker-prod --subscription dead-letters --topic device-events --code INVALID_REQUEST_EXCEPTION"
}

// reason is why messages became dead letters.
type reason string

// Validate implements kong's check.
func (r reason) Validate() error {
	if r != refused && r != undelivered {
		return fmt.Errorf("%q is not a reason: want %s (SendEvent refused the event; --code selects by its code) "+
			"or %s (Pub/Sub moved the message after the last attempt)", string(r), refused, undelivered)
	}
	return nil
}

// customer is the hash of a customer.
type customer string

var hashes = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Validate implements kong's check.
func (c customer) Validate() error {
	if !hashes.MatchString(string(c)) {
		return errors.New("want 16 hex digits; --user takes your id of the customer")
	}
	return nil
}

// Validate implements kong's check.
func (c Command) Validate() error {
	switch user := hashOf(string(c.User)); {
	case !isName(string(c.Subscription), "subscriptions"):
		return errors.New("--subscription: want an id or projects/P/subscriptions/S")
	case !isName(string(c.Topic), "topics"):
		return errors.New("--topic: want an id or projects/P/topics/T")
	case c.Max < 0:
		return errors.New("--max is negative")
	case c.Idle <= 0:
		return errors.New("--idle is not positive")
	case !c.Until.IsZero() && !c.Since.Before(c.Until):
		return errors.New("--since is not before --until")
	case c.User != "" && c.Customer != "" && string(c.Customer) != user:
		return fmt.Errorf("--user and --customer name two customers: the user's hash is %s", user)
	}
	return nil
}

// isName reports whether text is an id, or a full name of the kind.
func isName(text, kind string) bool {
	found := fullNames.FindStringSubmatch(text)
	return !strings.Contains(text, "/") || found != nil && found[2] == kind
}

// hashOf returns the hash of a user, or nothing for none.
func hashOf(user string) string {
	if user == "" {
		return ""
	}
	return grant.CustomerHash(user)
}

func (f filter) selects(l letter) bool {
	only := cmp.Or(string(f.Customer), hashOf(string(f.User)))
	return (f.id == "" || f.id == l.ID) &&
		(f.Reason == "" || string(f.Reason) == l.reason) &&
		(f.Code == "" || string(f.Code) == l.code) &&
		(only == "" || only == l.customer) &&
		(f.Region == "" || string(f.Region) == l.region) &&
		(f.Since.IsZero() || !l.published.Before(f.Since)) &&
		(f.Until.IsZero() || l.published.Before(f.Until))
}

// List returns the dead letters of a customer, by the hash in logs, and leaves them in the
// subscription. It ends when no new message has arrived for the idle time.
func List(ctx context.Context, env *cli.Env, project, name, hash string, idle time.Duration) (found []story.Letter, err error) {
	c := &Command{Idle: idle, filter: filter{Customer: customer(hash)}}
	err = c.walk(ctx, env, project, name, nil, func(l letter, _ fate, _ error) {
		found = append(found, Letter(l.Message))
	})
	return found, err
}

// Letter returns the dead letter that a message is.
func Letter(m push.Message) story.Letter {
	l := open(m)
	return story.Letter{
		EventID: cmp.Or(l.Attributes[attrIdentity], l.Attributes[attrEventID]), Customer: l.customer, Endpoint: l.endpoint,
		Kind: l.kind, Reason: l.reason, Code: l.code, Description: l.description, Published: l.published,
	}
}

// ErrNoLetter means that no dead letter with the id could be pulled.
var ErrNoLetter = errors.New("the dead letter is not there: it was replayed before, or another program is reading the subscription")

// One replays the dead letter with the id of its message, as the command does with --as-new:
// it has the event published, acknowledges the letter, and leaves all others in the
// subscription. publish returns when the topic has the event. Without such a letter One
// returns [ErrNoLetter], and if ctx ends before the letter is published, its error. Other
// errors say why the letter is refused, or what failed.
func One(ctx context.Context, env *cli.Env, project, name, id string, publish func(push.Message) error) error {
	parent := ctx
	ctx, done := context.WithCancel(parent)
	defer done()
	outcome := ErrNoLetter
	c := &Command{Idle: oneIdle, ForReal: true, filter: filter{id: id}, revival: revival{AsNew: true}}
	err := c.walk(ctx, env, project, name, publisher(publish), func(_ letter, f fate, reason error) {
		if f == untried {
			return // parent has ended
		}
		outcome = reason
		done() // the others are not needed
	})
	if err != nil && err != errInterrupted { // joined with another error it is not the same
		return err
	}
	if errors.Is(outcome, ErrNoLetter) && parent.Err() != nil {
		return parent.Err()
	}
	return outcome
}

// publisher is a sink.
type publisher func(push.Message) error

func (p publisher) publish(m push.Message) func() error {
	err := p(m)
	return func() error { return err }
}

// oneIdle is how long One waits for a message: a pull of Pub/Sub's may be empty although
// there are some.
const oneIdle = 2 * time.Second

// walk runs the command for another program, and calls shown for each selected letter
// instead of listing it.
func (c *Command) walk(
	ctx context.Context, env *cli.Env, project, name string, events sink, shown func(letter, fate, error),
) error {
	client, err := connect(context.WithoutCancel(ctx), project, env.Google...)
	if err != nil {
		return err
	}
	defer client.Close()
	letters := subscription{client.SubscriptionAdminClient, fullName(client.Project(), "subscriptions", name)}
	_, err = (&replayer{Command: c, Env: env, letters: letters, events: events, shown: shown}).run(ctx)
	return err
}

// Run runs the command.
func (c *Command) Run(ctx context.Context, env *cli.Env) error {
	// The connection has to outlive an interrupt.
	client, err := connect(context.WithoutCancel(ctx), c.Project, env.Google...)
	if err != nil {
		return err
	}
	defer client.Close()
	letters := subscription{client.SubscriptionAdminClient, fullName(client.Project(), "subscriptions", string(c.Subscription))}
	name := fullName(client.Project(), "topics", string(c.Topic))
	if err := checkTopic(ctx, client.TopicAdminClient, name); err != nil {
		return err
	}
	warning, err := letters.check(ctx, name)
	if err != nil {
		return err
	}
	if warning != "" {
		env.Say("%s", warning)
	}
	events := newTopic(client, name)
	defer events.publisher.Stop()
	r := replayer{Command: c, Env: env, letters: letters, events: events}
	result, err := r.run(ctx)
	if c.JSON.JSON {
		env.WriteJSON(result)
	} else {
		result.write(env.Stdout)
	}
	if err == nil && result.Failed > 0 {
		return cli.ErrReported
	}
	return err
}
