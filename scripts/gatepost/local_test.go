package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/local"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestLocalRun does with a local run what its screen suggests: it looks at the grants of
// a customer, and replays a dead letter.
func TestLocalRun(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(testkit.Context(t))
	output, stdout := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		args := strings.Fields("local --port=0 --maker-port=0 --simulator-port=0 --pubsub-port=0")
		env := &cli.Env{Stdout: stdout, Stderr: io.Discard, Now: time.Now}
		status := cli.Run(ctx, env, &commands{Local: local.Command{Gatepost: runLocally}}, args)
		stdout.Close()
		ended <- status
	}()
	lines := bufio.NewScanner(output)
	until := func(pattern string) []string {
		t.Helper()
		for lines.Scan() {
			if found := regexp.MustCompile(pattern).FindStringSubmatch(lines.Text()); found != nil {
				return found
			}
		}
		t.Fatalf("no line like %s", pattern)
		return nil
	}
	call := func(args string, env cli.Env) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		env.Stdout, env.Stderr, env.Now = &stdout, &stderr, time.Now
		if status := cli.Run(ctx, &env, new(commands), strings.Fields(args)); status != cli.StatusDone {
			t.Errorf("gatepost %s: status %d: %s", args, status, &stderr)
		}
		return stdout.String()
	}

	maker, simulator := until(`maker's cloud +(\S+)`)[1], until(`simulator +(\S+)`)[1]
	grants := until(`^go run ./scripts/gatepost (grants .*)`)[1]
	replay := until(`^PUBSUB_EMULATOR_HOST=(\S+) go run ./scripts/gatepost (replay .*)`)
	until("What happens:")

	if got := call(grants, cli.Env{}); !strings.Contains(got, "u-1") || !strings.Contains(got, "active") {
		t.Errorf("gatepost %s shows %s", grants, got)
	}
	post(t, simulator+"/faults", `{"target":"gateway/EU","code":"INVALID_REQUEST_EXCEPTION"}`)
	post(t, maker+"/publish?region=EU&eventId=e-1", `{"userId":"u-1","endpointId":"lamp-1","cause":"APP_INTERACTION","changed":[
		{"namespace":"Alexa.PowerController","name":"powerState","value":"OFF"}]}`)
	until("event e-1 is a dead letter: INVALID_REQUEST_EXCEPTION: ")
	call(replay[2], cli.Env{Google: oneprocess.Emulator(replay[1])})
	until(`event +\d+ ms  m\d+ \(e-1, replayed\), attempt 1: accepted`)

	interrupt()
	_, _ = io.Copy(io.Discard, output)
	if status := <-ended; status != cli.StatusDone {
		t.Errorf("the status is %d after an interrupt, want %d", status, cli.StatusDone)
	}
}
