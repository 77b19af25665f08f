package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"google.golang.org/api/option"

	"github.com/gatepostdev/gatepost/shared/secret"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: go run ./scripts/keyset COMMAND
  create REF         create a keyset with one key, if there is none
  rotate REF         add a key, and seal new values with it
  show   REF         list the keys
  remove REF KEYID   remove a key; values still sealed with it are lost
REF is file:PATH or projects/P/secrets/S.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := program{stdout: os.Stdout, stderr: os.Stderr}
	status := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// program is the command and its environment.
type program struct {
	stdout, stderr io.Writer
	client         []option.ClientOption // added by tests
}

// run runs the command line and returns the exit status.
func (p program) run(ctx context.Context, args []string) int {
	if slices.ContainsFunc(args, func(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }) {
		_, _ = io.WriteString(p.stdout, usage)
		return exitOK
	}
	c, err := parse(args)
	if err == nil {
		err = p.runCommand(ctx, c)
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage) || errors.Is(err, secret.ErrReadOnly):
		_, _ = fmt.Fprintf(p.stderr, "keyset: %v (-h shows the usage)\n", err)
		return exitUsage
	}
	_, _ = fmt.Fprintf(p.stderr, "keyset: %v\n", err)
	return exitFailed
}

// command is a parsed command line.
type command struct {
	name string
	ref  secret.Ref
	id   uint32 // of the key to remove
}

// errUsage: the command line can never succeed.
var errUsage = errors.New("wrong command line")

// commands are the arguments of each command.
var commands = map[string]string{"create": "REF", "rotate": "REF", "show": "REF", "remove": "REF KEYID"}

// parse parses the command line. Its errors do not show the arguments, because the user
// may have pasted a secret.
func parse(args []string) (command, error) {
	if len(args) == 0 || commands[args[0]] == "" {
		return command{}, fmt.Errorf("%w: want create, rotate, show or remove", errUsage)
	}
	c := command{name: args[0]}
	if want := commands[c.name]; len(args[1:]) != len(strings.Fields(want)) {
		return command{}, fmt.Errorf("%w: want %s %s", errUsage, c.name, want)
	}
	var err error
	if c.ref, err = secret.ParseRef(args[1]); err != nil {
		return command{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	if c.name == "remove" {
		id, err := strconv.ParseUint(args[2], 10, 32)
		if err != nil {
			return command{}, fmt.Errorf("%w: KEYID must be a number that show lists", errUsage)
		}
		c.id = uint32(id)
	}
	return c, nil
}
