package process_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/process"
)

// The test binary acts as the commands that the tests start, and in
// TestEndsWithItsStarter as a starter too. The command holds a connection to the
// test while it lives.
const (
	roleEnv = "PROCESS_TEST_ROLE"
	dialEnv = "PROCESS_TEST_DIAL"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case "fails":
		os.Exit(3)
	case "writes":
		fmt.Fprintln(os.Stdout, "one")
		fmt.Fprintln(os.Stderr, "two")
	case "hangs":
		select {}
	case "connects":
		connect()
	default:
		startAnother(role)
	}
}

// connect connects to the test and ends with it.
func connect() {
	test, err := net.Dial("tcp", os.Getenv(dialEnv))
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, test)
}

// startAnother starts a command and ends, in the way of its role, when its standard
// input ends.
func startAnother(role string) {
	p, err := process.Start([]string{roleEnv + "=connects", dialEnv + "=" + os.Getenv(dialEnv)}, os.Args[0])
	if err != nil {
		panic(err)
	}
	_, _ = io.ReadAll(os.Stdin)
	switch role {
	case "kills":
		p.Kill()
	case "panics":
		panic("on purpose")
	}
}

// play starts the test binary in a role.
func play(t *testing.T, role string) *process.Process {
	t.Helper()
	p, err := process.Start([]string{roleEnv + "=" + role}, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestStatus(t *testing.T) {
	t.Parallel()
	byItself := func(*testing.T, *process.Process) {}
	tests := []struct {
		name, role string
		end        func(*testing.T, *process.Process)
		want       int
	}{
		{"fails", "fails", byItself, 3},
		{"succeeds", "writes", byItself, 0},
		{"is killed", "hangs", func(_ *testing.T, p *process.Process) { p.Kill() }, 128 + 9},
		{"is terminated", "hangs", func(t *testing.T, p *process.Process) {
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
			if status, err := p.Wait(testkit.Context(t)); status != test.want || err != nil {
				t.Errorf("Wait() = %d, %v, want %d; output: %s", status, err, test.want, p.Output())
			}
			if err := p.Terminate(); !errors.Is(err, process.ErrEnded) {
				t.Errorf("Terminate() = %v after the end, want ErrEnded", err)
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
		t.Errorf("Wait() = %v, want the context's error", err)
	}
	if err := p.WaitOutput(ctx, "one", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitOutput() = %v, want the context's error", err)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	p := play(t, "writes")
	for text, times := range map[string]int{"one\n": 1, "two\n": 1, "o": 2, "three": 0} {
		if err := p.WaitOutput(testkit.Context(t), text, times); err != nil {
			t.Error(err)
		}
		if err := p.WaitOutput(testkit.Context(t), text, times+1); !errors.Is(err, process.ErrEnded) {
			t.Errorf("WaitOutput() = %v for text that is written only %d times, want ErrEnded", err, times)
		}
	}
	if got, want := p.Output(), "one\ntwo\n"; got != want {
		t.Errorf("Output() = %q, want %q", got, want)
	}
}

func TestEndsWithItsStarter(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"kills", "panics", "exits", "is killed"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			deadline := time.Now().Add(20 * time.Second)
			_ = listener.SetDeadline(deadline)
			starter := exec.Command(os.Args[0])
			starter.Env = append(os.Environ(), roleEnv+"="+role, dialEnv+"="+listener.Addr().String())
			stdin, err := starter.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := starter.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = starter.Process.Kill()
				_ = starter.Wait()
			}()
			command, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer command.Close()
			if role == "is killed" {
				err = starter.Process.Kill()
			} else {
				err = stdin.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = command.SetReadDeadline(deadline)
			if _, err := command.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
				t.Errorf("the command outlived its starter (%v)", err)
			}
		})
	}
}

// TestReservedPort listens on many free ports while some are reserved.
func TestReservedPort(t *testing.T) {
	t.Parallel()
	reserved := map[string]bool{}
	for range 20 {
		address, err := process.ReservePort()
		if err != nil {
			t.Fatal(err)
		}
		if reserved[address] {
			t.Errorf("%s was given twice", address)
		}
		reserved[address] = true
	}
	for range 30_000 { // about all ports of a system
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if reserved[listener.Addr().String()] {
			t.Errorf("reserved address %s was assigned", listener.Addr())
		}
		_ = listener.Close()
	}
	for address := range reserved {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("listen on the reserved address %s: %v", address, err)
			continue
		}
		_ = listener.Close()
	}
}
