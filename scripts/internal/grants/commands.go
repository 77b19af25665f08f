package grants

import (
	"context"
	"errors"
	"io"
	"regexp"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/secret"
)

// Commands are the subcommands, and their common flags.
type Commands struct {
	cli.Stack
	cli.JSON
	Local cli.LocalRun `placeholder:"ADDR" help:"Use the local run at ${local} or --local=ADDR instead of a database."`

	Show    showCommand    `cmd:"" help:"Show what is stored of a customer: the grants, their states, and when their tokens expire."`
	Restore restoreCommand `cmd:"" help:"Undo the revocation of a customer's grants, or of all grants revoked in a period."`
	Probe   probeCommand   `cmd:"" help:"Retry the suspect grants of a customer now, or those of all customers."`
	Brake   brakeCommand   `cmd:"" help:"Show the brake, which stops mass revocations, or latch or release it."`
	Erase   eraseCommand   `cmd:"" help:"Remove every trace of a customer."`
	Reseal  resealCommand  `cmd:"" secretive:"" nolocal:"" help:"Seal all tokens with the newest key, so that an old key can be removed."`

	pageSize int // for tests
}

// recordID is the id of a customer's record.
type recordID string

var recordIDs = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate implements kong's check.
func (id recordID) Validate() error {
	if !recordIDs.MatchString(string(id)) {
		return errors.New("want the record id that the interrupted run showed, 64 hex digits")
	}
	return nil
}

// Flags that several commands have.
type (
	skillFlag struct {
		Skill string `placeholder:"S" default:"default" help:"Skill of the customers, as SKILL names it to the functions (${default})."`
	}
	forRealFlag struct {
		ForReal bool `help:"Apply the change. Without it this is a dry run."`
	}
	afterFlag struct {
		After recordID `placeholder:"ID" help:"Continue an interrupted run after the customer with this record id."`
	}
	customerArg struct {
		User cli.Name `arg:"" help:"Your id of the customer. Put -- before one that begins with a dash."`
		skillFlag
	}
)

func (c customerArg) key() grant.Key { return grant.Key{Skill: c.Skill, UserID: string(c.User)} }

type (
	showCommand    struct{ customerArg }
	restoreCommand struct {
		User  cli.Name `arg:"" optional:"" help:"Your id of the customer, whose grants are restored at once."`
		Grant cli.Name `arg:"" optional:"" help:"The grant to restore (default: all of the customer)."`
		skillFlag
		RevokedSince time.Time `placeholder:"T" help:"Instead of USER, restore all grants revoked since then: RFC 3339, 18:03, or 2h ago."`
		RevokedUntil time.Time `placeholder:"T" help:"With --revoked-since, only those revoked before this time."`
		afterFlag
		forRealFlag
	}
	probeCommand struct {
		User cli.Name `arg:"" optional:"" help:"Your id of the customer, whose grants are probed at once (default: all customers)."`
		skillFlag
		afterFlag
		forRealFlag
	}
	eraseCommand struct {
		customerArg
		forRealFlag
	}
	brakeCommand struct {
		Change lever `arg:"" optional:"" name:"on|off" help:"Latch it until further notice, or release it for a day (default: only show it)."`
	}
	resealCommand struct {
		// Without skillFlag: a keyset is for all skills of a database, and a key must not
		// be removed while tokens of another skill are sealed with it.
		Keyset secret.Ref `required:"" placeholder:"REF" help:"The keyset, as TOKEN_KEYSET has it: projects/P/secrets/S, file:PATH or env:NAME."`
		afterFlag
		forRealFlag
	}
)

// Validate implements kong's check.
func (c restoreCommand) Validate() error {
	all := !c.RevokedSince.IsZero()
	switch {
	case all && c.User != "":
		return errors.New("give USER or --revoked-since, not both")
	case !all && !c.RevokedUntil.IsZero():
		return errors.New("--revoked-until needs --revoked-since")
	case !all && c.After != "":
		return errors.New("--after needs --revoked-since")
	case !all && c.User == "":
		return errors.New("give USER, your id of the customer, or --revoked-since")
	case !c.RevokedUntil.IsZero() && !c.RevokedSince.Before(c.RevokedUntil):
		return errors.New("--revoked-since is not before --revoked-until")
	}
	return nil
}

// Validate implements kong's check.
func (c probeCommand) Validate() error {
	if c.User != "" && c.After != "" {
		return errors.New("give USER or --after, not both")
	}
	return nil
}

// lever is what to do with the brake.
type lever string

// Validate implements kong's check.
func (l lever) Validate() error {
	if l != "on" && l != "off" {
		return errors.New("want on, off, or no argument to show the brake")
	}
	return nil
}

// Example returns an example for the help.
func (showCommand) Example() string {
	return "gatepost grants show --project maker-prod --database gatepost-eu u-1"
}

// Example returns an example for the help.
func (restoreCommand) Example() string {
	return "gatepost grants restore --project maker-prod --database gatepost-eu --revoked-since 2026-01-03T11:30:00Z --revoked-until 30m"
}

// Example returns an example for the help.
func (probeCommand) Example() string {
	return "gatepost grants probe --project maker-prod --database gatepost-eu --for-real"
}

// Example returns an example for the help.
func (eraseCommand) Example() string {
	return "gatepost grants erase --project maker-prod --database gatepost-eu --for-real u-1"
}

// Example returns an example for the help.
func (brakeCommand) Example() string {
	return "gatepost grants brake --project maker-prod --database gatepost-eu off"
}

// Example returns an example for the help.
func (resealCommand) Example() string {
	return "gatepost grants reseal --project maker-prod --database gatepost-eu " +
		"--keyset projects/maker-prod/secrets/gatepost-token-keyset-eu --for-real"
}

// session is a command with its store.
type session struct {
	*cli.Env
	store    grant.Admin
	json     bool
	pageSize int
}

// result is the result of a command. Its fields are the JSON output; write writes it
// for people.
type result interface{ write(w io.Writer) }

// run runs a command, and shows its result if there is one.
func (c *Commands) run(ctx context.Context, env *cli.Env, do func(*session) (result, error)) error {
	return c.Use(ctx, env, func(store grant.Admin) error {
		r, err := do(&session{env, store, c.JSON.JSON, c.pageSize})
		switch {
		case r == nil:
		case c.JSON.JSON:
			env.WriteJSON(r)
		default:
			r.write(env.Stdout)
		}
		return err
	})
}

// line lists one change that was made, or would be, its fields separated by tabs.
func (s *session) line(fields ...string) {
	if !s.json {
		s.Line(fields...)
	}
}
