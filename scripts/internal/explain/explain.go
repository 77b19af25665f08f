// Package explain is the command gatepost explain: it says why an event did or did not
// arrive at Alexa. It collects what is known, and package story judges it.
package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"golang.org/x/oauth2/google"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/story"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// Command is the command line.
type Command struct {
	User     string    `placeholder:"ID" help:"Customer, by your user id."`
	Customer string    `placeholder:"HASH" help:"Customer, by the hash in log lines, instead of --user."`
	Endpoint string    `placeholder:"ID" help:"Endpoint."`
	Event    string    `placeholder:"ID" help:"Event, by your eventId or Pub/Sub's message id."`
	Message  string    `placeholder:"ID" help:"Event, by the messageId in Amazon's debugger."`
	Around   time.Time `placeholder:"T" help:"Events published within ten minutes of this time: RFC 3339, 18:03, or 2h ago."`
	Since    time.Time `placeholder:"T" help:"Events published since this time. Default: an hour ago, or 30 days with --event."`

	Local       cli.LocalRun `placeholder:"ADDR" help:"Ask the local run at ${local} or --local=ADDR."`
	Log         []string     `placeholder:"FILE" nolocal:"" help:"Read only this log of JSON lines; - is standard input."`
	Project     string       `placeholder:"P" nolocal:"" env:"GOOGLE_CLOUD_PROJECT" help:"Google Cloud project. Default: the credentials'."`
	Databases   []string     `nolocal:"" default:"gatepost-na,gatepost-eu,gatepost-fe" help:"Databases of all stacks (default: ${default})."`
	DeadLetters string       `placeholder:"S" nolocal:"" default:"dead-letters" help:"Subscription of the dead letters (default: ${default})."`
	Skill       string       `placeholder:"S" default:"default" help:"Skill, as SKILL names it to the functions (default: ${default})."`
	cli.JSON

	idle time.Duration // instead of letterIdle, for tests
}

// Help implements [kong.HelpProvider].
func (Command) Help() string {
	return `It shows the chain from publisher to gateway, the first broken link, what happened, and what to do.
It changes nothing. The exit status is 1 if an event did not arrive.`
}

// Example returns an example for the help.
func (Command) Example() string {
	return "gatepost explain --project maker-prod --user u-1 --endpoint lamp-1 --around 18:03"
}

var customerHash = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Validate implements kong's check.
func (c Command) Validate() error {
	switch {
	case c.User != "" && c.Customer != "":
		return errors.New("give --user or --customer, not both")
	case c.Event != "" && c.Message != "":
		return errors.New("give --event or --message, not both")
	case c.User+c.Customer+c.Event+c.Message == "":
		return errors.New("give --user, --customer, --event or --message")
	case c.Customer != "" && !customerHash.MatchString(c.Customer):
		return errors.New("--customer is not 16 hex digits; --user takes your user id")
	case !c.Around.IsZero() && !c.Since.IsZero():
		return errors.New("give --around or --since, not both")
	}
	return nil
}

const (
	nearby = 10 * time.Minute
	// settled is how long after its publish an event may still be retried.
	settled = 30 * time.Minute
)

// question returns what is asked.
func (c Command) question(now time.Time) story.Question {
	q := story.Question{Customer: c.Customer, Endpoint: c.Endpoint, Event: cmp.Or(c.Event, c.Message), From: c.Since}
	if c.User != "" {
		q.Customer = grant.CustomerHash(c.User)
	}
	switch {
	case !c.Around.IsZero():
		q.From, q.To = c.Around.Add(-nearby), c.Around.Add(nearby)
	case !c.Since.IsZero() || len(c.Log) > 0:
	case q.Event != "":
		q.From = now.AddDate(0, 0, -30)
	default:
		q.From = now.Add(-time.Hour)
	}
	return q
}

// Run tells the stories.
func (c Command) Run(ctx context.Context, env *cli.Env) error {
	now := env.Now()
	q := c.question(now)
	var known story.Evidence
	var err error
	switch {
	case len(c.Log) > 0:
		known, err = readFiles(c.Log, env)
	case c.Local != "":
		known, err = c.look(ctx, env, q)
	default:
		if c.Project = cmp.Or(c.Project, ownProject(ctx)); c.Project == "" {
			return cli.Usage(errors.New("give --project, or --log to read a file: the credentials name no project"))
		}
		known, err = c.collect(ctx, env, q, now)
	}
	if err != nil {
		return err
	}
	known.Now = now
	for _, source := range known.Unread {
		env.Say("not read: %s", source)
	}
	stories := story.Tell(q, known)
	if c.JSON.JSON {
		env.WriteJSON(map[string]any{"stories": stories, "notRead": known.Unread})
	}
	arrived := true
	for i, s := range stories {
		arrived = arrived && s.Arrived
		if c.JSON.JSON {
			continue
		}
		if i > 0 {
			fmt.Fprintln(env.Stdout)
		}
		fmt.Fprint(env.Stdout, s.Text())
	}
	if !arrived {
		return cli.ErrReported
	}
	return nil
}

// ownProject returns the project of the credentials, if they have one.
func ownProject(ctx context.Context) string {
	found, err := google.FindDefaultCredentials(ctx)
	if err != nil {
		return "" // then --project is missing
	}
	return found.ProjectID
}

// readFiles reads logs. A log has no beginning of its own: its first line counts.
func readFiles(names []string, env *cli.Env) (known story.Evidence, err error) {
	for _, name := range names {
		entries, unread, err := readFile(name, env.Stdin)
		if err != nil {
			return known, cli.Usage(err)
		}
		if unread > 0 {
			known.Unread = append(known.Unread, fmt.Sprintf("%d lines of %s", unread, name))
		}
		known.Entries = append(known.Entries, entries...)
	}
	if len(known.Entries) == 0 {
		return known, cli.Usage(errors.New("the log has no line of Gatepost's"))
	}
	known.LogBegan = began(known.Entries)
	return known, nil
}

// began returns the time of the earliest entry.
func began(entries []story.Entry) time.Time {
	return slices.MinFunc(entries, func(a, b story.Entry) int { return a.Time.Compare(b.Time) }).Time
}

func readFile(name string, stdin io.Reader) ([]story.Entry, int, error) {
	if name == "-" {
		return story.ReadEntries(stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }()
	return story.ReadEntries(file)
}
