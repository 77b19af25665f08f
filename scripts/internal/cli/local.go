package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gatepostdev/gatepost/shared/push"
)

// DefaultLocalRun is the address of the maker's cloud of gatepost local, unless the port
// is taken.
const DefaultLocalRun = "127.0.0.1:8089"

// LocalRun is the flag --local[=ADDRESS] of a command, or a group of commands: the local
// run at the address runs the command in its process, where [Env] has a [Local]. The tag
// nolocal is for flags that exclude it, and for commands that need the keyset.
type LocalRun string

// IsBool implements kong's BoolMapperValue: the address is optional.
func (LocalRun) IsBool() bool { return true }

// Decode implements kong's MapperValue. It accepts a URL too, as gatepost local shows it.
func (f *LocalRun) Decode(ctx *kong.DecodeContext) error {
	text := DefaultLocalRun
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		text = strings.TrimSuffix(strings.TrimPrefix(ctx.Scan.Pop().String(), "http://"), "/")
	}
	host, port, err := net.SplitHostPort(text)
	if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || host == "" {
		return fmt.Errorf("want an address like %s", DefaultLocalRun)
	}
	*f = LocalRun(text)
	return nil
}

// localRun returns the local run that is to run the command, or nothing.
func localRun(parsed *kong.Context) (LocalRun, error) {
	var run LocalRun
	var given bool
	var excluded error
	for _, step := range parsed.Path {
		switch flag := step.Flag; {
		case step.Command != nil && step.Command.Tag.Has("nolocal"):
			excluded = errors.New("--local: the keyset of a local run exists only in the memory of its functions")
		case flag != nil && flag.Tag.Has("nolocal"):
			excluded = fmt.Errorf("give --local or --%s, not both", flag.Name)
		case flag != nil:
			if address, ok := flag.Target.Interface().(LocalRun); ok {
				run, given = address, true
			}
		}
	}
	if given {
		return run, excluded
	}
	return "", nil
}

// run has the local run run the command, and returns its status.
func (f LocalRun) run(ctx context.Context, env *Env, parsed *kong.Context) (status int) {
	answered, err := f.ask(ctx, parsed.Args)
	if err != nil {
		env.Say("%v", err)
		return StatusFailed
	}
	_, _ = io.WriteString(env.Stdout, answered.Stdout)
	_, _ = io.WriteString(env.Stderr, answered.Stderr)
	return answered.Status
}

// IsLoopback reports whether an address, with or without a port, is on the loopback
// interface, which only programs on this machine can reach.
func IsLoopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")).IsLoopback()
}

// Local is what a local run has where a deployment has a project of Google Cloud.
type Local struct {
	Functions     string            // URL of the functions: append "/SendEvent"
	Amazon        map[string]string // environment that points the functions at the simulator
	PubSub        string            // host and port
	Subscriptions []string          // full names
	Log           []byte            // of the functions: JSON lines
	Letters       []push.Message    // dead letters
}

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
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(f)+"/run", bytes.NewReader(body))
	if err != nil {
		return a, err
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
