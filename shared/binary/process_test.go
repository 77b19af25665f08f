package binary_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/binary"
)

// play starts the test binary in a role.
func play(t *testing.T, role string) *binary.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := binary.Start(self, map[string]string{roleEnv: role})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// patience bounds what takes milliseconds on an idle machine.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestStatus(t *testing.T) {
	t.Parallel()
	byItself := func(*testing.T, *binary.Process) {}
	tests := []struct {
		name, role string
		end        func(*testing.T, *binary.Process)
		want       int
	}{
		{"fails", "exits", byItself, 3},
		{"succeeds", "writes", byItself, 0},
		{"is killed", "hangs", func(_ *testing.T, p *binary.Process) { p.Kill() }, 128 + 9},
		{"is terminated", "listens", func(t *testing.T, p *binary.Process) {
			if err := p.Ready(patience(t)); err != nil {
				t.Error(err)
			}
			if err := p.Terminate(); err != nil {
				t.Error(err)
			}
		}, 128 + 15},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := play(t, test.role)
			test.end(t, p)
			if status, err := p.Wait(patience(t)); status != test.want || err != nil {
				t.Errorf("Wait() = %d, %v, want %d; it wrote: %s", status, err, test.want, p.Output())
			}
			if err := p.Terminate(); !errors.Is(err, binary.ErrEnded) {
				t.Errorf("Terminate() = %v afterwards, want ErrEnded", err)
			}
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := play(t, "hangs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait() = %v", err)
	}
	if err := p.WaitOutput(ctx, "one", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitOutput() = %v", err)
	}
	if err := p.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ready() = %v", err)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	p := play(t, "writes")
	for text, times := range map[string]int{"one\n": 1, "two\n": 1, "o": 2, "three": 0} {
		if err := p.WaitOutput(patience(t), text, times); err != nil {
			t.Error(err)
		}
		if err := p.WaitOutput(patience(t), text, times+1); !errors.Is(err, binary.ErrEnded) {
			t.Errorf("WaitOutput() = %v for what is written %d times and no more, want ErrEnded", err, times)
		}
	}
	if got, want := p.Output(), "one\ntwo\n"; got != want {
		t.Errorf("Output() = %q, want %q", got, want)
	}
}

func TestReadyOfOneThatEnds(t *testing.T) {
	t.Parallel()
	err := play(t, "writes").Ready(patience(t))
	if !errors.Is(err, binary.ErrEnded) || !strings.Contains(err.Error(), "one\ntwo\n") {
		t.Errorf("Ready() = %v, want ErrEnded and what it wrote", err)
	}
}

// TestEnvironment must not run beside others: it changes this process's.
func TestEnvironment(t *testing.T) {
	t.Setenv("ALEXA_REGIONS", "inherited")
	p := play(t, "tells its environment")
	if _, err := p.Wait(patience(t)); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(p.URL(), "http://"), ":")
	for _, want := range []string{"PORT=" + port, roleEnv + "=tells its environment"} {
		if !strings.Contains(p.Output(), want+"\n") {
			t.Errorf("%s is not in the environment", want)
		}
	}
	for line := range strings.Lines(p.Output()) {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "PORT", roleEnv:
		case "PWD", "OLDPWD", "SHLVL", "_": // the shell's
		default:
			t.Errorf("%s is in the environment", name)
		}
	}
}

// TestEndsWithItsStarter kills a process that has started another one.
func TestEndsWithItsStarter(t *testing.T) {
	t.Parallel()
	starter := play(t, "starts another")
	if err := starter.WaitOutput(patience(t), "\n", 1); err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(strings.TrimSpace(starter.Output()), "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	starter.Kill()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the other process lives on (%v)", err)
	}
}
