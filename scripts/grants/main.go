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

// program is the command and what it runs in.
type program struct {
	stdout, stderr io.Writer
	now            func() time.Time
	open           func(ctx context.Context, project, database string) (store grant.Admin, closeStore func() error, err error)
	page           int // records read at once by commands that walk all of them

	mu sync.Mutex // of both writers: a walk visits several customers at once
}

// result is what a command has to tell: as JSON by its fields, or in words.
type result interface{ write(w io.Writer) }

// run carries out the command line and returns the exit status.
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
	told, err := commands[o.command].run(ctx, p, store, o)
	p.show(told, o.json)
	if err != nil {
		p.say("%v", err)
		return exitFailed
	}
	return exitOK
}

// show writes a result, if there is one.
func (p *program) show(told result, asJSON bool) {
	switch {
	case told == nil:
	case asJSON:
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(told) // whoever closed the output does not want it
	default:
		told.write(p.stdout)
	}
}

// say writes one line about the run itself.
func (p *program) say(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.stderr, "grants: "+format+"\n", a...)
}

// line lists one thing that was done, or would be, its fields separated by
// tabs.
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

// done is what was done, as a line says it.
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

// clean makes text that may hold anything fit for a line of a terminal.
func clean(s string) string {
	return cmp.Or(strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return unicode.ReplacementChar
		}
		return c
	}, s), "-")
}

// moment shows a time, in the form in which flags take it.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return alexa.FormatTime(t)
}
