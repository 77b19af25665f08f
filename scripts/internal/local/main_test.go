package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// mode is the variable that makes this test program the program under test.
// It has to be a process of its own: the Functions Framework has one registry,
// the client libraries read one environment, and signals go to a process.
const mode = "GATEPOST_LOCAL_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(mode) {
	case "program":
		cli.Main("test", new(grammar))
	case "holding":
		holding()
	}
	testkit.Main(m)
}

// holding is main with a gateway that takes a second over the events of the
// endpoint "held", and says when it has got one.
func holding() {
	stdout := os.Stdout
	sim := simulator.New(simulator.Options{TokenLifetime: tokenLifetime})
	sim.Always(simulator.Gateway(home), simulator.Fault{EndpointID: "held", Delay: time.Second, Match: func(simulator.Request) bool {
		fmt.Fprintln(stdout, "HELD")
		return true
	}})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := (Command{Project: "holding"}).run(ctx, sim, stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// grammar is the command line.
type grammar struct {
	Local Command `cmd:""`
}

// program is the program under test, running.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string // of standard output, closed at its end
	shown  strings.Builder
	stderr strings.Builder
}

// launch starts the program in a mode, with free ports and variables of the
// form NAME=value.
func launch(t *testing.T, as string, env []string, args ...string) *program {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, lines: make(chan string, 1000)}
	p.cmd = exec.Command(executable, append([]string{"local", "--port=0", "--maker-port=0", "--simulator-port=0"}, args...)...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, pubsubHost) && !strings.HasPrefix(variable, firestoreHost) {
			p.cmd.Env = append(p.cmd.Env, variable)
		}
	}
	// FUNCTION_TARGET is what somebody's shell may have left over.
	p.cmd.Env = append(append(p.cmd.Env, mode+"="+as, "FUNCTION_TARGET=SendEvent"), env...)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test failed
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", &p.shown, &p.stderr)
		}
	})
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	return p
}

// until reads on until a line holds all parts, and returns that line.
func (p *program) until(parts ...string) string {
	p.t.Helper()
	timeout := time.After(testkit.Patience)
	for {
		select {
		case line, ok := <-p.lines:
			p.shown.WriteString(line + "\n")
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return line
			}
			if !ok {
				p.t.Fatalf("the program ended without a line with %q", parts)
			}
		case <-timeout:
			p.t.Fatalf("waited in vain for a line with %q", parts)
		}
	}
}

// terminate sends the signal that platforms send.
func (p *program) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end, which has to have a status, and returns all of
// standard output.
func (p *program) ends(status int) string {
	p.t.Helper()
	timeout := time.AfterFunc(testkit.Patience, func() { _ = p.cmd.Process.Kill() })
	defer timeout.Stop()
	for line := range p.lines {
		p.shown.WriteString(line + "\n")
	}
	_ = p.cmd.Wait() // the status tells
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("%v, want status %d", p.cmd.ProcessState, status)
	}
	for _, secret := range []string{"Atza|", "Atzr|", simulator.DefaultClient().Secret.Reveal()} {
		if strings.Contains(p.shown.String()+p.stderr.String(), secret) {
			p.t.Errorf("the output holds a secret, %s", secret[:4])
		}
	}
	return p.shown.String()
}
