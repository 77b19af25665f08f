package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/api/option"
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
	// The reader of the list may close the pipe. That must not end the program before
	// it has released its messages.
	ctx, stop = signal.NotifyContext(ctx, syscall.SIGPIPE)
	p := program{stdout: os.Stdout, stderr: os.Stderr, now: time.Now, terminal: isTerminal(os.Stderr)}
	status := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// program is the command and its environment.
type program struct {
	stdout, stderr io.Writer
	now            func() time.Time
	terminal       bool                  // stderr is a terminal
	client         []option.ClientOption // added by tests
}

// run runs the command line and returns the exit status.
func (p program) run(ctx context.Context, args []string) int {
	o, err := parse(args, p.stdout, p.now())
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	report := &report{out: p.stdout, err: p.stderr, json: o.json, showsProgress: o.progress || p.terminal, forReal: o.forReal}
	if err != nil {
		report.say("%v (-h lists the flags)", err)
		return exitUsage
	}
	result, err := p.replay(ctx, o, report)
	if err != nil {
		report.say("%v", err)
	}
	if err != nil || result.Failed > 0 {
		return exitFailed
	}
	return exitOK
}

// replay connects, replays and shows the tally.
func (p program) replay(ctx context.Context, o options, report *report) (tally, error) {
	// The connection has to outlive an interrupt.
	client, err := connect(context.WithoutCancel(ctx), o.project, p.client...)
	if err != nil {
		return tally{}, err
	}
	defer client.Close()
	letters := subscription{client.SubscriptionAdminClient, fullName(client.Project(), "subscriptions", o.subscription)}
	name := fullName(client.Project(), "topics", o.topic)
	warning, err := letters.check(ctx, name)
	if err != nil {
		return tally{}, err
	}
	if warning != "" {
		report.say("%s", warning)
	}
	events := newTopic(client, name)
	defer events.publisher.Stop()
	r := replayer{options: o, letters: letters, events: events, report: report, now: p.now}
	result, err := r.run(ctx)
	if o.json {
		result.writeJSON(p.stdout)
	} else {
		result.write(p.stdout)
	}
	return result, err
}
