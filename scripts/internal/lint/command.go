package lint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Command is the command line.
type Command struct {
	Files     []string `arg:"" optional:"" name:"file" help:"Events and discoveries to check; - is standard input, the default."`
	Discovery string   `placeholder:"FILE" help:"The customer's Discover.Response: events must report only what it declares."`
	Strict    bool     `help:"Fail on warnings too."`
	Schema    bool     `help:"Write only the JSON Schema of device events, for publishers in other languages."`
	JSON      bool     `name:"json" help:"Write one JSON object for each finding."`
}

// Help implements [kong.HelpProvider].
func (Command) Help() string {
	return "The exit status is 1 if something would be refused, and 2 if a file cannot be read or is empty."
}

// Example returns an example for the help.
func (Command) Example() string { return "gatepost lint --discovery discovery.json events.json" }

// Validate implements kong's check.
func (c Command) Validate() error {
	if c.Schema && (len(c.Files) > 0 || c.Discovery != "" || c.Strict || c.JSON) {
		return errors.New("--schema takes no files and no other flags")
	}
	times := 0
	for _, name := range append([]string{c.Discovery}, c.files()...) {
		if name == standardInput {
			times++
		}
	}
	if times > 1 {
		return errors.New("standard input can be read only once")
	}
	return nil
}

// files are the names of the files to check.
func (c Command) files() []string {
	if len(c.Files) == 0 {
		return []string{standardInput}
	}
	return c.Files
}

// Run writes the findings.
func (c Command) Run(_ context.Context, env *cli.Env) error {
	if c.Schema {
		_, err := env.Stdout.Write(alexa.Schema())
		return err
	}
	refused, err := c.lint(env.Stdin, env.Stdout)
	if err != nil {
		return err
	}
	if refused {
		return cli.ErrReported
	}
	return nil
}

// lint writes the findings of every file, and reports whether one of them is a failure.
// It continues after a file that cannot be read.
func (c Command) lint(stdin io.Reader, out io.Writer) (refused bool, err error) {
	var known declarations
	if c.Discovery != "" {
		if known, err = readDeclarations(c.Discovery, stdin); err != nil {
			return false, cli.Usage(err)
		}
	}
	report := report{out: out, json: c.JSON, strict: c.Strict}
	var unread []error
	for _, name := range c.files() {
		text, err := readFile(name, stdin)
		if err != nil {
			unread = append(unread, cli.Usage(err))
			continue
		}
		report.write(judge(shown(name), text, known))
	}
	return report.refused, errors.Join(append(unread, report.err)...)
}

// readFile reads a file, and refuses an empty one: a check that passes would hide that
// nothing was checked.
func readFile(name string, stdin io.Reader) ([]byte, error) {
	var text []byte
	var err error
	if name == standardInput {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	if skipSpace(text, 0) == len(text) {
		return nil, fmt.Errorf("%s is empty", shown(name))
	}
	return text, nil
}

// standardInput is the file name for standard input.
const standardInput = "-"

func shown(name string) string {
	if name == standardInput {
		return "<stdin>"
	}
	return name
}
