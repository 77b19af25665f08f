package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// asProgram in the environment makes the test binary the program itself, which
// a test can then send signals.
const asProgram = "REPLAY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is the program in a process of its own. As a reactor of the fake it
// gets a signal when a call of some kind comes.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	signal         syscall.Signal
	sent           sync.Once
	started, ended chan struct{}
}

func newProcess(signal syscall.Signal) *process {
	return &process{Cmd: new(exec.Cmd), signal: signal, started: make(chan struct{}), ended: make(chan struct{})}
}

// React sends the signal, and has the call fail that kills the program.
func (p *process) React(any) (handled bool, result any, err error) {
	select {
	case <-p.ended:
		return false, nil, nil
	case <-p.started:
	}
	// Once: a second one ends the program at once. It may be gone already.
	p.sent.Do(func() { _ = p.Process.Signal(p.signal) })
	if p.signal == syscall.SIGKILL {
		return true, nil, status.Error(codes.Unavailable, "broken")
	}
	return false, nil, nil
}

// run runs the program until it ends.
func (p *process) run(c *cloud, host string, args ...string) {
	c.Helper()
	p.Path, p.Args = os.Args[0], append([]string{
		"replay", "-project", c.project, "-subscription", "dead-letters", "-topic", "device-events", "-idle", "2s",
	}, args...)
	p.Env = append(os.Environ(), asProgram+"=1", "PUBSUB_EMULATOR_HOST="+host)
	if p.Stdout == nil {
		p.Stdout = &p.stdout
	}
	p.Stderr = &p.stderr
	if err := p.Start(); err != nil {
		c.Fatal(err)
	}
	close(p.started)
	_ = p.Wait() // how it ended is in ProcessState
	close(p.ended)
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := newProcess(signal)
			server := newServer(t, pstest.ServerReactorOption{FuncName: "Pull", Reactor: p})
			c := newCloud(t, server.Addr)
			c.bury(buried()...)
			p.run(c, server.Addr, "-for-real", "-json")
			if status := p.ProcessState.ExitCode(); status != exitFailed || !strings.Contains(p.stderr.String(), errInterrupted.Error()) {
				t.Fatalf("%v after %v, and it said %q", p.ProcessState, signal, p.stderr.String())
			}
			result := c.parse(p.stdout.String())
			delivered, left := names(c.delivered(result.Replayed)), c.left(result.Left)
			if !result.Interrupted || len(delivered) != result.Replayed || len(left) != result.Left {
				t.Errorf("delivered %s and left %s, but the tally is %+v", delivered, left, result)
			}
		})
	}
}

// TestReaderGone writes the list to somebody who has seen enough.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	host := newServer(t).Addr
	c := newCloud(t, host)
	c.bury(buried()...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = reader.Close()
	p := newProcess(0)
	p.Stdout = writer
	p.run(c, host)
	_ = writer.Close()
	if p.ProcessState.ExitCode() != exitFailed || !strings.Contains(p.stderr.String(), errInterrupted.Error()) {
		t.Errorf("%v, and it said %q", p.ProcessState, p.stderr.String())
	}
	if left := c.left(6); left != "ABCDEF" {
		t.Errorf("left %s, want all", left)
	}
}

// TestKilled kills the program between publish and acknowledgement. What it
// has published is published again by the next run, as the same events.
func TestKilled(t *testing.T) {
	t.Parallel()
	p := newProcess(syscall.SIGKILL)
	server := newServer(t, pstest.ServerReactorOption{FuncName: "Acknowledge", Reactor: p})
	c := newCloud(t, server.Addr)
	c.bury(buried()...)
	args := []string{"-for-real", "-force", "-set-region", "EU"}
	p.run(c, server.Addr, args...)
	if p.ProcessState.ExitCode() != -1 {
		t.Fatalf("%v, want killed", p.ProcessState)
	}
	before := identities(c.delivered(6))
	if len(before) != 6 {
		t.Errorf("delivered %v before it was killed, want all", before)
	}
	server.SetTimeNowFunc(func() time.Time { return time.Now().Add(leaseTime) })
	if left := c.left(6); left != "ABCDEF" {
		t.Errorf("left %s when the leases have run out, want all", left)
	}
	if got := c.tally(args...); got.Replayed != 6 {
		t.Errorf("the next run: %+v, want all replayed", got)
	}
	if diff := cmp.Diff(before, identities(c.delivered(6))); diff != "" {
		t.Errorf("the next run's events are others (-first +second):\n%s", diff)
	}
}

// identities returns the identities of events by their names.
func identities(messages []received) map[string]string {
	ids := make(map[string]string)
	for _, m := range messages {
		ids[m.Attributes[letterName]] = m.Attributes[attrIdentity]
	}
	return ids
}
