package local

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// program is a local run in this process.
type program struct {
	*run
	t         *testing.T
	interrupt context.CancelFunc
	lines     chan string // of standard output, closed at its end
	ended     chan error
	shown     strings.Builder
	stderr    strings.Builder
}

// launch begins a run on free ports. It knows no emulators but those of env.
func launch(t *testing.T, c Command, env map[string]string) *program {
	t.Helper()
	if c.Project == "" {
		c.Project = "gatepost-local"
	}
	p := &program{t: t, lines: make(chan string, 1000), ended: make(chan error, 1)}
	output, stdout := io.Pipe()
	p.run = c.newRun(&cli.Env{Stdout: stdout, Stderr: &p.stderr, Now: time.Now}, func(name string) string { return env[name] })
	ctx, interrupt := context.WithCancel(context.WithoutCancel(t.Context()))
	p.interrupt = interrupt
	go func() {
		err := p.run.run(ctx)
		_ = stdout.Close()
		p.ended <- err
	}()
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		interrupt()
		for range p.lines { // until the end
		}
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", &p.shown, &p.stderr)
		}
	})
	return p
}

// until reads on until a line has all parts, and returns that line.
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
			p.t.Fatalf("there is no line with %q", parts)
		}
	}
}

// ready waits until the demonstration is over.
func (p *program) ready() {
	p.t.Helper()
	p.until("ends it. What happens:")
}

// ends waits for the end of a run, whose error must be want, and returns all of
// standard output.
func (p *program) ends(want error) string {
	p.t.Helper()
	for line := range p.lines {
		p.shown.WriteString(line + "\n")
	}
	if err := <-p.ended; !errors.Is(err, want) {
		p.t.Errorf("run() = %v, want %v", err, want)
	}
	for _, secret := range []string{"Atza|", "Atzr|", simulator.DefaultClient().Secret.Reveal()} {
		if strings.Contains(p.shown.String()+p.stderr.String(), secret) {
			p.t.Errorf("the output contains a secret, %s", secret[:4])
		}
	}
	return p.shown.String()
}

// publish publishes a report of an endpoint of u-1, and returns its message id.
func (p *program) publish(endpointID string) string {
	p.t.Helper()
	id, err := p.gatepost.Publish(testkit.Context(p.t), []byte(report(endpointID)), nil, "u-1/"+endpointID)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

// report is a device event of u-1.
func report(endpointID string) string {
	return `{"userId":"u-1","endpointId":"` + endpointID + `","cause":"APP_INTERACTION","changed":[` +
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`
}
