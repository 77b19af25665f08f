package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// options are what the command line says.
type options struct {
	files     []string // standardInput for standard input
	discovery string   // empty if there is none
	strict    bool
	json      bool
	schema    bool
}

// parse reads the command line. Asked for help it writes it and returns
// flag.ErrHelp.
func parse(args []string, help io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("lint", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is in the error
	flags.StringVar(&o.discovery, "discovery", "", "the customer's Discover.Response, a `file`: events must report only what it declares")
	flags.BoolVar(&o.strict, "strict", false, "fail for a warning too")
	flags.BoolVar(&o.json, "json", false, "write one JSON object a finding")
	flags.BoolVar(&o.schema, "schema", false, "write the JSON Schema of device events, and nothing else")
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
		return o, errors.New("-schema goes with nothing else")
	}
	if len(o.files) == 0 {
		o.files = []string{standardInput}
	}
	return o, o.readsOnce()
}

// readsOnce refuses to read standard input twice: there would be nothing left.
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
