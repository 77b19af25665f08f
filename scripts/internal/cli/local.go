package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// DefaultLocalRun is the address of the maker's cloud of gatepost local, unless the port
// is taken.
const DefaultLocalRun = "127.0.0.1:8089"

// LocalRun is the flag --local[=ADDRESS] of a group of commands. It has the local run at
// the address run the command in its process.
type LocalRun string

// IsBool implements kong's BoolMapperValue: the address is optional.
func (LocalRun) IsBool() bool { return true }

// Decode implements kong's MapperValue.
func (f *LocalRun) Decode(ctx *kong.DecodeContext) error {
	*f = DefaultLocalRun
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*f = LocalRun(ctx.Scan.Pop().String())
	}
	return nil
}

// AfterApply implements kong's hook: it runs the command, and ends.
func (f LocalRun) AfterApply(ctx context.Context, parsed *kong.Context, env *Env) error {
	args := slices.DeleteFunc(slices.Clone(parsed.Args[1:]), IsLocal) // without the name of the group
	answered, err := f.ask(ctx, args)
	if err != nil {
		env.Say("%v", err)
		parsed.Exit(StatusFailed)
	}
	_, _ = io.WriteString(env.Stdout, answered.Stdout)
	_, _ = io.WriteString(env.Stderr, answered.Stderr)
	parsed.Exit(answered.Status)
	return nil
}

// IsLocal reports whether an argument is the flag of a [LocalRun].
func IsLocal(arg string) bool { return arg == "--local" || strings.HasPrefix(arg, "--local=") }

// Asked is a request to a local run to run a command, and Answered its result.
type (
	Asked struct {
		Args []string `json:"args"`
	}
	Answered struct {
		Stdout string `json:"stdout"`
		Stderr string `json:"stderr"`
		Status int    `json:"status"`
	}
)

// ask has the local run at the address run a command.
func (f LocalRun) ask(ctx context.Context, args []string) (a Answered, err error) {
	body, err := json.Marshal(Asked{args})
	if err != nil {
		return a, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(f)+"/grants", bytes.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("--local: want an address like %s", DefaultLocalRun)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return a, fmt.Errorf("no local run at %s (gatepost local starts one): %w", string(f), err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the local run answered %d: %s", response.StatusCode, bytes.TrimSpace(answer))
	}
	if err == nil {
		err = json.Unmarshal(answer, &a)
	}
	return a, err
}
