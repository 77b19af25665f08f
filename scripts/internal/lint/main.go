package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// Exit statuses.
const (
	exitClean = 0
	exitFault = 1 // something would be refused
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run runs the command line and returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitClean
	}
	if err != nil {
		fmt.Fprintf(stderr, "lint: %v (-h lists the flags)\n", err)
		return exitUsage
	}
	if o.schema {
		_, err = stdout.Write(alexa.Schema())
	} else {
		var refused bool
		if refused, err = o.lint(stdin, stdout); err == nil && refused {
			return exitFault
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "lint: %v\n", err)
		return exitUsage
	}
	return exitClean
}

// lint writes the findings of every file, and reports whether one of them is a failure.
// It continues after a file that cannot be read.
func (o options) lint(stdin io.Reader, out io.Writer) (refused bool, err error) {
	var known declarations
	if o.discovery != "" {
		if known, err = readDeclarations(o.discovery, stdin); err != nil {
			return false, err
		}
	}
	report := report{out: out, json: o.json, strict: o.strict}
	var unread []error
	for _, name := range o.files {
		text, err := readFile(name, stdin)
		if err != nil {
			unread = append(unread, err)
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

// options are the values of the command line.
type options struct {
	files     []string // standardInput for standard input
	discovery string   // empty if there is none
	strict    bool
	json      bool
	schema    bool
}

// parse parses the command line. For -h it writes the help and returns flag.ErrHelp.
func parse(args []string, help io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("lint", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error has the text
	flags.StringVar(&o.discovery, "discovery", "", "the customer's Discover.Response, a `file`: events must report only what it declares")
	flags.BoolVar(&o.strict, "strict", false, "fail for a warning too")
	flags.BoolVar(&o.json, "json", false, "write one JSON object for each finding")
	flags.BoolVar(&o.schema, "schema", false, "write only the JSON Schema of device events")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(help, "usage: lint [flags] [FILE...]")
		flags.SetOutput(help)
		flags.PrintDefaults()
		return o, err
	}
	if err != nil {
		return o, err
	}
	o.files = flags.Args()
	if o.schema && (len(o.files) > 0 || flags.NFlag() > 1) {
		return o, errors.New("-schema takes no files and no other flags")
	}
	if len(o.files) == 0 {
		o.files = []string{standardInput}
	}
	return o, o.readsOnce()
}

// readsOnce returns an error if standard input is to be read twice.
func (o options) readsOnce() error {
	times := 0
	for _, name := range append([]string{o.discovery}, o.files...) {
		if name == standardInput {
			times++
		}
	}
	if times > 1 {
		return errors.New("standard input can be read only once")
	}
	return nil
}
