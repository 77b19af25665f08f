// Package process starts commands that cannot outlive the process that started
// them, for tests.
//
// When the starter ends, even by a panic, os.Exit or SIGKILL, the system closes its
// end of a pipe, and a shell between the two kills the command: no cleanup has to
// run. The output of a command is kept. A command gets the given environment, and
// nothing of the starter's. The package needs a POSIX shell.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// ErrEnded is returned by methods that need a running process.
var ErrEnded = errors.New("the process has ended")

// Process is a started command. Its methods are safe for concurrent use.
// Call Kill when done with it.
type Process struct {
	pid    int       // the command's, not the supervisor's
	life   io.Closer // the command runs while this end of a pipe is open
	output output
	ended  chan struct{} // closed when it has ended and status is set
	status int
}

// supervise runs a command until standard input ends, and exits with the command's
// status. The shell ignores a terminal's signals to the group, because it must
// outlive us by a moment, and writes the command's id to descriptor 3. It closes
// its own output, so that the command's output ends with the command.
const supervise = `
"$0" "$@" 3>&- &
trap '' HUP INT QUIT TERM
echo $! >&3
exec >/dev/null 2>&1 3>&-
read -r _
kill -9 $!
wait $!`

// Start starts a command with env as its whole environment.
func Start(env []string, command string, args ...string) (*Process, error) {
	p := &Process{ended: make(chan struct{})}
	if err := p.start(env, append([]string{"-c", supervise, command}, args...)); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command, err)
	}
	return p, nil
}

func (p *Process) start(env, args []string) error {
	cmd := exec.Command("/bin/sh", args...)
	cmd.Env = env
	life, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	written, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = told.Close() }()
	cmd.ExtraFiles = []*os.File{tell}
	err = cmd.Start()
	_ = tell.Close()
	if err != nil {
		return err
	}
	p.life = life
	go p.follow(cmd, written)
	line, err := bufio.NewReader(told).ReadString('\n')
	if err == nil {
		p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		p.Kill()
		return fmt.Errorf("learning its id: %w", err)
	}
	return nil
}

// follow collects the command's output until it ends, and then its status.
func (p *Process) follow(cmd *exec.Cmd, written io.Reader) {
	_, _ = io.Copy(&p.output, written) // ends with the command
	_ = p.life.Close()
	_ = cmd.Wait() // the status says it all
	p.status = cmd.ProcessState.ExitCode()
	close(p.ended)
	p.output.end()
}

// Ended returns a channel that is closed when the command has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output returns the command's output so far, standard output and standard error.
func (p *Process) Output() string { return p.output.String() }

// WaitOutput returns when the output contains text n times, or with an error when
// the command or ctx ends before.
func (p *Process) WaitOutput(ctx context.Context, text string, n int) error {
	for {
		more, over := p.output.grows()
		found := strings.Count(p.Output(), text)
		switch {
		case found >= n:
			return nil
		case over:
			return fmt.Errorf("waiting for the command to write %q, %d of %d times so far: %w", text, found, n, ErrEnded)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the command to write %q, %d of %d times so far: %w", text, found, n, context.Cause(ctx))
		}
	}
}

// Terminate sends SIGTERM, as Cloud Run does before it stops an instance.
func (p *Process) Terminate() error {
	select {
	case <-p.ended:
		return ErrEnded
	default:
		return syscall.Kill(p.pid, syscall.SIGTERM)
	}
}

// Wait waits for the command to end and returns its exit status, or 128 plus the
// number of the signal that ended it. It fails only when ctx ends first.
func (p *Process) Wait(ctx context.Context) (status int, err error) {
	select {
	case <-p.ended:
		return p.status, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the command to end: %w", context.Cause(ctx))
	}
}

// Kill kills the command, if it runs, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.life.Close()
	<-p.ended
}

// ReservePort returns a loopback address that only a process which asks for this
// port can get. A port that was merely free may be taken by the time it is used,
// when tests start many processes. So a connection to the port is opened and closed
// from its own side, which leaves it in TCP's state TIME_WAIT for a minute: the
// system does not assign it then, while a server that asks for it with
// SO_REUSEADDR, as those of Go and Java do, gets it.
func ReservePort() (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	defer func() { _ = client.Close() }()
	server, err := listener.Accept()
	if err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	// Close this end before the client's, which is closed when the function
	// returns: the end that closes first keeps the port.
	if err := server.Close(); err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	return listener.Addr().String(), nil
}

// output collects a command's output.
type output struct {
	mu   sync.Mutex
	text strings.Builder
	over bool
	more chan struct{} // closed at the next write or the end; nil without a waiter
}

// Write implements [io.Writer].
func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake()
	return o.text.Write(text)
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	o.wake()
}

func (o *output) wake() {
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
}

// grows returns a channel that is closed at the next output, and whether the output
// is complete.
func (o *output) grows() (more <-chan struct{}, over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.more, o.over
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
