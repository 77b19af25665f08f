package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/secret"
)

// options are the values of the command line.
type options struct {
	command           string
	project, database string
	key               grant.Key // of USER; without one, only its skill is set
	grantID           string

	revokedSince, revokedUntil time.Time
	keyset                     secret.Ref
	keysetFault                error
	after                      string
	brake                      string // on, off, or empty to show it
	forReal, json              bool
}

// command is a subcommand of the program.
type command struct {
	arguments string
	summary   string
	flags     []string
	fault     func(o options) error // returns an error for contradictory options
	run       func(ctx context.Context, p *program, store grant.Admin, o options) (result, error)
}

// commonFlags are the flags of every command.
var commonFlags = []string{"project", "database", "json"}

var commands = map[string]command{
	"show": {
		arguments: "USER", summary: "show a customer's record", run: show,
		flags: []string{"skill"}, fault: func(options) error { return nil },
	},
	"restore": {
		arguments: "USER [GRANT]", summary: "undo the revocation of a customer's grants, or of all customers' with -revoked-since", run: restore,
		flags: []string{"skill", "revoked-since", "revoked-until", "after", "for-real"}, fault: options.restoreFault,
	},
	"probe": {
		arguments: "[USER]", summary: "make a customer's suspect grants due now, or those of all customers of the skill", run: probe,
		flags: []string{"skill", "after", "for-real"}, fault: options.probeFault,
	},
	"erase": {
		arguments: "USER", summary: "remove every trace of a customer", run: erase,
		flags: []string{"skill", "for-real"}, fault: func(options) error { return nil },
	},
	// Without -skill: the brake is the stack's.
	"brake": {
		arguments: "[on|off]", summary: "show the brake of the stack, latch it by hand, or release it for a day", run: brake,
		fault: options.brakeFault,
	},
	// Without -skill: a keyset is for all skills of a database, and a key must not be
	// removed while tokens of another skill are sealed with it.
	"reseal": {
		summary: "seal the tokens of all customers with the keyset's primary key", run: reseal,
		flags: []string{"keyset", "after", "for-real"}, fault: options.resealFault,
	},
}

// parse parses the command line. Times are relative to now. For -h it writes the help
// and returns flag.ErrHelp.
func parse(args []string, help io.Writer, now time.Time) (options, error) {
	var o options
	if len(args) == 0 {
		return o, errors.New("the command is missing: want " + names())
	}
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		for _, name := range slices.Sorted(maps.Keys(commands)) {
			writeHelp(help, name, o.flagSet(name, now))
		}
		return o, flag.ErrHelp
	}
	c, ok := commands[args[0]]
	if !ok {
		return o, fmt.Errorf("unknown command %q: want %s", args[0], names())
	}
	o.command = args[0]
	flags := o.flagSet(o.command, now)
	if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		writeHelp(help, o.command, flags)
		return o, err
	} else if err != nil {
		return o, err
	}
	if err := o.arguments(flags.Args(), strings.Fields(c.arguments)); err != nil {
		return o, err
	}
	return o, c.fault(o)
}

func names() string { return strings.Join(slices.Sorted(maps.Keys(commands)), ", ") }

func writeHelp(w io.Writer, name string, flags *flag.FlagSet) {
	c := commands[name]
	fmt.Fprintf(w, "%s\n  %s\n", strings.TrimSpace("grants "+name+" [flags] "+c.arguments), c.summary)
	flags.SetOutput(w)
	flags.PrintDefaults()
}

// flagSet returns the flags of a command, which set the options.
func (o *options) flagSet(name string, now time.Time) *flag.FlagSet {
	all := flag.NewFlagSet("", flag.ContinueOnError)
	all.StringVar(&o.project, "project", "", "`project` of Google Cloud (default: that of the credentials)")
	all.StringVar(&o.database, "database", "(default)", "Firestore `database` of the stack")
	all.StringVar(&o.key.Skill, "skill", "default", "`skill` whose customers these are, as SKILL names it to the functions")
	all.BoolVar(&o.json, "json", false, "write the result as JSON, and no list")
	all.Func("revoked-since", "instead of USER: all grants revoked at this `time` or later: RFC 3339, or as long ago as 2h",
		timeInto(&o.revokedSince, now))
	all.Func("revoked-until", "with -revoked-since: only those revoked before this `time`", timeInto(&o.revokedUntil, now))
	all.Func("keyset", "secret `reference` of the keyset, as TOKEN_KEYSET has it", func(text string) error {
		// Not returned: package flag would show the text beside the error, and the
		// user may have pasted the keyset itself.
		o.keyset, o.keysetFault = secret.ParseRef(text)
		return nil
	})
	all.Func("after", "continue after the customer with this record `id`, which an interrupted run has shown", func(text string) error {
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(text) {
			return errors.New("want 64 hex digits")
		}
		o.after = text
		return nil
	})
	all.BoolVar(&o.forReal, "for-real", false, "apply the change; the default is a dry run (restore USER and probe USER always apply)")
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error has the text
	all.VisitAll(func(f *flag.Flag) {
		if slices.Contains(commonFlags, f.Name) || slices.Contains(commands[name].flags, f.Name) {
			flags.Var(f.Value, f.Name, f.Usage)
		}
	})
	return flags
}

// arguments sets the options of the arguments after the flags. The command's fault
// checks the optional ones.
func (o *options) arguments(given, known []string) error {
	into := map[string]*string{"USER": &o.key.UserID, "GRANT": &o.grantID, "on|off": &o.brake}
	for i, text := range given {
		if i >= len(known) {
			if strings.HasPrefix(text, "-") {
				return fmt.Errorf("unexpected argument %q: flags go before the arguments", text)
			}
			return fmt.Errorf("unexpected argument %q", text)
		}
		name := strings.Trim(known[i], "[]")
		if text == "" {
			return fmt.Errorf("%s is empty", name)
		}
		*into[name] = text
	}
	if slices.Contains(known, "USER") && o.key.UserID == "" && o.revokedSince.IsZero() {
		return errors.New("USER, the maker's id of the customer, is missing")
	}
	return nil
}

func (o options) restoreFault() error {
	all := !o.revokedSince.IsZero()
	switch {
	case all && o.key.UserID != "":
		return errors.New("give USER or -revoked-since, not both")
	case !all && !o.revokedUntil.IsZero():
		return errors.New("-revoked-until needs -revoked-since")
	case !all && o.after != "":
		return errors.New("-after needs -revoked-since")
	case !o.revokedUntil.IsZero() && !o.revokedSince.Before(o.revokedUntil):
		return errors.New("-revoked-since is not before -revoked-until")
	case strings.HasPrefix(o.grantID, "-"):
		return fmt.Errorf("%q is no grant: flags go before the arguments", o.grantID)
	}
	return nil
}

func (o options) brakeFault() error {
	switch {
	case strings.HasPrefix(o.brake, "-"):
		return fmt.Errorf("unexpected argument %q: flags go before the arguments", o.brake)
	case o.brake != "" && o.brake != "on" && o.brake != "off":
		return fmt.Errorf("%q: want on, off, or no argument to show the brake", o.brake)
	}
	return nil
}

func (o options) probeFault() error {
	if o.key.UserID != "" && o.after != "" {
		return errors.New("give USER or -after, not both")
	}
	return nil
}

func (o options) resealFault() error {
	switch {
	case o.keysetFault != nil:
		return fmt.Errorf("-keyset: %w", o.keysetFault)
	case o.keyset == (secret.Ref{}):
		return errors.New("-keyset is missing")
	}
	return nil
}

// timeInto returns a flag's parser of a time or a duration before now.
func timeInto(t *time.Time, now time.Time) func(string) error {
	return func(text string) (err error) {
		if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
			*t = now.Add(-ago)
			return nil
		}
		if *t, err = alexa.ParseTime(text); err != nil {
			return errors.New("want a time like 2026-01-02T15:04:05Z, or a duration like 2h")
		}
		return nil
	}
}
