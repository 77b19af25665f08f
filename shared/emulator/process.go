package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// startTime is how long an emulator may take until it answers. It takes two
// seconds where nothing else happens.
const startTime = time.Minute

// flags make Java start fast and stay small.
var flags = []string{
	"-Duser.language=en", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
	"-XX:-UsePerfData", // leaves no file behind when it is killed
}

// errPortTaken: between the look for a free port and the emulator's own, another
// process was given it. Java stays up then, and answers nobody.
var errPortTaken = errors.New("its port was taken")

// portTries is how often another port is tried.
const portTries = 5

// launch starts the emulator in a jar and returns when it is ready.
func (p product) launch(java, jar string) (started instance, err error) {
	for range portTries {
		if started, err = p.launchOnce(java, jar); !errors.Is(err, errPortTaken) {
			break
		}
	}
	return started, err
}

func (p product) launchOnce(java, jar string) (instance, error) {
	host, port, err := freeAddress()
	if err != nil {
		return instance{}, err
	}
	started := instance{address: net.JoinHostPort(host, port)}
	args := slices.Concat(flags, p.args(jar, host, port))
	if started.process, err = start(java, args...); err != nil {
		return instance{}, err
	}
	if err := started.waitReady(p.warm); err != nil {
		started.process.kill()
		return instance{}, fmt.Errorf("%w; it wrote: %.500q", err, started.process.output.String())
	}
	return started, nil
}

// freeAddress returns a loopback port that was free a moment ago.
func freeAddress() (host, port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return net.SplitHostPort(l.Addr().String())
}

// waitReady returns when the emulator has answered its first call. It asks
// again and again, because nothing tells when another program listens.
func (i instance) waitReady(warm call) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	front := call{method: http.MethodGet, path: "/"}
	for !front.succeeds(ctx, i.address) || !warm.succeeds(ctx, i.address) {
		if i.process.output.contains("java.net.BindException") || i.process.output.contains("Address already in use") {
			return errPortTaken
		}
		select {
		case <-i.process.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer for %v", startTime)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// call is an HTTP request.
type call struct{ method, path, body string }

// client talks to the loopback interface, which no proxy reaches.
var client = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}

func (c call) succeeds(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, c.method, "http://"+address+c.path, strings.NewReader(c.body))
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// process is a running command that cannot outlive this process.
type process struct {
	life   io.Closer     // the command runs while this end of a pipe is open
	ended  chan struct{} // closed when the command is gone
	output output        // what it wrote first
}

// output keeps the beginning of what a process writes, and drops the rest: a
// full pipe would stop the process.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p[:min(len(p), max(0, 64<<10-o.text.Len()))])
	return len(p), nil
}

func (o *output) contains(text string) bool { return strings.Contains(o.String(), text) }

// String returns what is kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// supervise runs a command until standard input ends. When this process ends,
// be it by a panic, os.Exit or SIGKILL, the system closes its end of that pipe
// and the shell kills the command: there is no handler that could be missed.
// The shell ignores what a terminal sends to the whole group, for it has to
// outlive us by a moment. It closes its own output, so that the end of the
// command's output is the end of the command.
const supervise = `
trap '' HUP INT QUIT TERM
"$@" &
exec >/dev/null 2>&1
read -r _
kill -9 $!
wait`

func start(command string, args ...string) (*process, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", supervise, "sh", command}, args...)...)
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("supervise %s: %w", command, err)
	}
	written, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("supervise %s: %w", command, err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("supervise %s: %w", command, err)
	}
	p := &process{life: life, ended: make(chan struct{})}
	go func() {
		_, _ = io.Copy(&p.output, written)
		close(p.ended)
		_ = cmd.Wait()
	}()
	return p, nil
}

// kill ends the command and waits until it is gone.
func (p *process) kill() {
	_ = p.life.Close()
	<-p.ended
}
