package binary

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
	"time"
)

// ErrEnded is returned by methods that need a running process.
var ErrEnded = errors.New("the process has ended")

// Process is a started program. Its methods may be called from many
// goroutines. Call Kill when done with it.
type Process struct {
	address string
	pid     int       // the program's, not the supervisor's
	life    io.Closer // the program runs while this end of a pipe is open
	output  output
	ended   chan struct{} // closed when it is gone and status is set
	status  int
}

// Start starts the program with env for an environment, and PORT added.
func Start(program string, env map[string]string) (*Process, error) {
	address, err := reservePort()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	variables := []string{"PORT=" + port}
	for name, value := range env {
		variables = append(variables, name+"="+value)
	}
	p := &Process{address: address, ended: make(chan struct{})}
	if err := p.start(program, variables); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return p, nil
}

// supervise runs a program until standard input ends, and exits with the
// program's status. When this process ends, be it by a panic, os.Exit or
// SIGKILL, the system closes its end of that pipe and the shell kills the
// program: there is no handler that could be missed. The shell ignores what a
// terminal sends to the whole group, for it has to outlive us by a moment, and
// tells the program's id on descriptor 3. It closes its own output, so that the
// end of the program's output is the end of the program.
const supervise = `
"$0" 3>&- &
trap '' HUP INT QUIT TERM
echo $! >&3
exec >/dev/null 2>&1 3>&-
read -r _
kill -9 $!
wait $!`

// start runs the program under the supervisor.
func (p *Process) start(program string, env []string) error {
	cmd := exec.Command("/bin/sh", "-c", supervise, program)
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

// follow keeps what the program writes until it ends, and then its status.
func (p *Process) follow(cmd *exec.Cmd, written io.Reader) {
	_, _ = io.Copy(&p.output, written) // ends with the program
	_ = p.life.Close()
	_ = cmd.Wait() // the status tells all there is to know
	p.status = cmd.ProcessState.ExitCode()
	close(p.ended)
	p.output.end()
}

// URL is where the program listens, without a trailing slash.
func (p *Process) URL() string { return "http://" + p.address }

// Output is what the program has written so far, to standard output and
// standard error.
func (p *Process) Output() string { return p.output.String() }

// Ready returns when the program accepts connections, or with an error when it
// ends or ctx does. It asks again and again, because nothing tells when
// another program listens.
func (p *Process) Ready(ctx context.Context) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", p.address)
		// Where nobody listens yet, a connection may be given the port that it
		// goes to, and then meets itself.
		if err == nil && conn.LocalAddr().String() != conn.RemoteAddr().String() {
			return conn.Close()
		}
		if err == nil {
			_ = conn.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("waiting for the program to listen: %w; it wrote: %.2000s", ErrEnded, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the program to listen: %w; it wrote: %.2000s", context.Cause(ctx), p.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// WaitOutput returns when the program has written text n times, or with an
// error when it ends without having done so, or ctx does.
func (p *Process) WaitOutput(ctx context.Context, text string, n int) error {
	for {
		more, over := p.output.grows()
		found := strings.Count(p.Output(), text)
		switch {
		case found >= n:
			return nil
		case over:
			return fmt.Errorf("waiting for the program to write %q, %d of %d times so far: %w", text, found, n, ErrEnded)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the program to write %q, %d of %d times so far: %w", text, found, n, context.Cause(ctx))
		}
	}
}

// Terminate sends SIGTERM, with which Cloud Run announces the end.
func (p *Process) Terminate() error {
	select {
	case <-p.ended:
		return ErrEnded
	default:
		return syscall.Kill(p.pid, syscall.SIGTERM)
	}
}

// Wait returns the exit status when the program has ended, 128 and the
// signal's number for one that a signal ended. It fails only when ctx ends
// first.
func (p *Process) Wait(ctx context.Context) (status int, err error) {
	select {
	case <-p.ended:
		return p.status, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the program to end: %w", context.Cause(ctx))
	}
}

// Kill ends the program if it still runs, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.life.Close()
	<-p.ended
}

// output keeps what a program writes.
type output struct {
	mu   sync.Mutex
	text strings.Builder
	over bool
	more chan struct{} // closed at the next write or the end, nil when nobody waits
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

// grows returns a channel that is closed when there is more to see, and
// whether there never will be.
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
