package local

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/gatepostdev/gatepost/functions"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// serveFunctions serves all functions with the Functions Framework, and returns their
// base URL. It calls fail if serving ends.
func serveFunctions(
	ctx context.Context, c Command, env map[string]string, log *slog.Logger, fail func(error),
) (string, *handler.Group, error) {
	if err := os.Unsetenv("FUNCTION_TARGET"); err != nil { // it would select a single function
		return "", nil, err
	}
	h, err := functions.Register(env, log)
	if err != nil {
		return "", nil, err
	}
	if err := redirectStdout(c); err != nil {
		return "", nil, err
	}
	port, err := freePort(c.Port)
	if err != nil {
		return "", nil, err
	}
	address := net.JoinHostPort(loopback, port)
	ended := make(chan error, 1)
	go func() {
		err := fmt.Errorf("serving the functions on %s: %w", address, functions.Serve(loopback, port))
		ended <- err
		fail(err)
	}()
	return "http://" + address, h, await(ctx, address, ended)
}

// logger returns the functions' logger.
func logger(c Command, screen *screen, stderr io.Writer) *slog.Logger {
	if c.Logs {
		return slog.New(noGrantRows{logging.New(stderr).Handler(), screen})
	}
	return slog.New(noGrantRows{slog.DiscardHandler, screen})
}

// noGrantRows shows on the screen why an event had no grant to go to. Only the log
// line says so: SendEvent's answer lists outcomes by grant.
type noGrantRows struct {
	slog.Handler
	screen *screen
}

// Enabled implements [slog.Handler]. It is true even if no logs are shown: the screen
// needs every record.
func (n noGrantRows) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (n noGrantRows) Handle(ctx context.Context, r slog.Record) error {
	fields := make(map[string]string)
	r.Attrs(func(a slog.Attr) bool {
		fields[a.Key] = a.Value.String()
		return true
	})
	switch name := delivery.OutcomeName(fields[logging.Outcome]); name {
	case delivery.NoGrant, delivery.Elsewhere:
		n.screen.row("event", 0, "%s: %s, %s", fields[logging.EventID], name, fields[logging.Reason])
	}
	return n.Handler.Handle(ctx, r) // which discards it, or shows all
}

// redirectStdout keeps the framework, which writes a line for each function, from
// standard output. The screen has the original file.
func redirectStdout(c Command) error {
	if c.Logs {
		os.Stdout = os.Stderr
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	os.Stdout = null
	return nil
}
