package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	p := &program{stdout: os.Stdout, stderr: os.Stderr, now: time.Now, open: openFirestore, page: pageSize}
	status := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// openFirestore opens a stack's database.
func openFirestore(ctx context.Context, project, database string) (grant.Admin, func() error, error) {
	// The connection has to outlive an interrupt.
	store, err := grantfire.Open(context.WithoutCancel(ctx), project, database)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

// program is the command and its environment.
type program struct {
	stdout, stderr io.Writer
	now            func() time.Time
	open           func(ctx context.Context, project, database string) (store grant.Admin, closeStore func() error, err error)
	page           int // size of a page of records, for commands that walk all of them

	mu sync.Mutex // of both writers: a walk visits customers in parallel
}

// result is the result of a command. Its fields are the JSON output; write writes it
// for people.
type result interface{ write(w io.Writer) }

// run runs the command line and returns the exit status.
func (p *program) run(ctx context.Context, args []string) int {
	o, err := parse(args, p.stdout, p.now())
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		p.say("%v (grants %s lists the flags)", err, cmp.Or(o.command, "COMMAND")+" -h")
		return exitUsage
	}
	store, closeStore, err := p.open(ctx, o.project, o.database)
	if err != nil {
		p.say("%v", err)
		return exitFailed
	}
	defer func() { _ = closeStore() }() // everything was written before
	r, err := commands[o.command].run(ctx, p, store, o)
	p.show(r, o.json)
	if err != nil {
		p.say("%v", err)
		return exitFailed
	}
	return exitOK
}

// show writes a result, if there is one.
func (p *program) show(r result, asJSON bool) {
	switch {
	case r == nil:
	case asJSON:
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(r) // fails only if the output is closed
	default:
		r.write(p.stdout)
	}
}

// say writes one line about the run itself.
func (p *program) say(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.stderr, "grants: "+format+"\n", a...)
}

// line lists one change that was made, or would be, its fields separated by tabs.
func (p *program) line(o options, fields ...string) {
	if o.json {
		return
	}
	for i, field := range fields {
		fields[i] = clean(field)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.stdout, strings.Join(fields, "\t"))
}

// done returns the verb of a line: past, or "would verb" in a dry run.
func (o options) done(verb, past string) string {
	if o.forReal {
		return past
	}
	return "would " + verb
}

// row writes one line of a table.
func row(w io.Writer, name, format string, a ...any) {
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-20s %s", name, clean(fmt.Sprintf(format, a...))), " "))
}

// clean makes untrusted text fit for a line of a terminal.
func clean(s string) string {
	return cmp.Or(strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return unicode.ReplacementChar
		}
		return c
	}, s), "-")
}

// moment formats a time as flags accept it.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return alexa.FormatTime(t)
}
