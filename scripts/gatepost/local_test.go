package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/local"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// localRun is a local run in this process, and a user who operates it.
type localRun struct {
	*testing.T
	ctx                         context.Context
	lines                       chan string // of its screen
	seen                        []string    // of the lines
	functions, maker, simulator string      // URLs
}

// startLocal starts a local run on free ports, and waits for the demonstration.
func startLocal(t *testing.T) *localRun {
	t.Helper()
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
	r := &localRun{T: t, ctx: ctx, lines: make(chan string, 1000)} // which do not wait for the test
	go func() {
		defer close(r.lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			r.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		interrupt()
		for range r.lines { // until the end
		}
		if status := <-ended; status != cli.StatusDone {
			t.Errorf("the status is %d after an interrupt, want %d", status, cli.StatusDone)
		}
	})
	r.functions, r.maker, r.simulator = r.until(`functions +(\S+)`)[1], r.until(`maker's cloud +(\S+)`)[1], r.until(`simulator +(\S+)`)[1]
	r.until("What happens:")
	return r
}

// until waits for a line of the screen, which may have been shown before, and returns what
// the pattern finds.
func (r *localRun) until(pattern string) []string {
	r.Helper()
	wanted := regexp.MustCompile(pattern)
	for i := 0; ; i++ {
		if i == len(r.seen) {
			select {
			case line := <-r.lines:
				r.seen = append(r.seen, line)
			case <-r.ctx.Done():
				r.Fatalf("no line like %s in\n%s", pattern, strings.Join(r.seen, "\n"))
			}
		}
		if found := wanted.FindStringSubmatch(r.seen[i]); found != nil {
			return found
		}
	}
}

// call runs a command as another process would, and returns its output.
func (r *localRun) call(want int, args string, env cli.Env) string {
	r.Helper()
	var stdout, stderr bytes.Buffer
	env.Stdout, env.Stderr, env.Now = &stdout, &stderr, time.Now
	if status := cli.Run(r.ctx, &env, new(commands), strings.Fields(args)); status != want {
		r.Errorf("gatepost %s: status %d, want %d: %s%s", args, status, want, &stdout, &stderr)
	}
	return stdout.String()
}

// post posts to a server of the local run.
func (r *localRun) post(url, format string, a ...any) int {
	r.Helper()
	return post(r.T, url, fmt.Sprintf(format, a...))
}

// event is a device event.
func event(user, endpoint string) string {
	return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":"APP_INTERACTION","changed":[
		{"namespace":"Alexa.PowerController","name":"powerState","value":"OFF"}]}`, user, endpoint)
}

// TestLocalRun does with a local run what its screen suggests: it looks at a
// customer's grants and events, checks the run, and replays a dead letter.
func TestLocalRun(t *testing.T) {
	t.Parallel()
	r := startLocal(t)
	grants := r.until(`^(?:go run ./scripts/)?gatepost (grants .*)`)[1]
	explain := r.until(`^(?:go run ./scripts/)?gatepost (explain .*)`)[1]
	replay := r.until(`^PUBSUB_EMULATOR_HOST=(\S+) (?:go run ./scripts/)?gatepost (replay .*)`)

	if got := r.call(cli.StatusDone, grants, cli.Env{}); !strings.Contains(got, "u-1") || !strings.Contains(got, "active") {
		t.Errorf("gatepost %s shows %s", grants, got)
	}
	if got := r.call(cli.StatusDone, explain, cli.Env{}); !strings.Contains(got, "Alexa accepted it in EU, ") {
		t.Errorf("gatepost %s says %s", explain, got)
	}
	if got := r.call(cli.StatusDone, "doctor --local="+r.maker, cli.Env{}); !strings.HasSuffix(got, "\n6 √, 0 ‼, 0 ×, 0 not checked\n") {
		t.Errorf("doctor finds %s", got)
	}
	r.post(r.simulator+"/faults", `{"target":"gateway/FE","code":"SERVICE_UNAVAILABLE_EXCEPTION","status":503}`)
	if got := r.call(cli.StatusFailed, "doctor --local="+r.maker, cli.Env{}); !strings.Contains(got, "× event gateway (FE): ") {
		t.Errorf("with a broken gateway doctor finds %s", got)
	}
	r.post(r.simulator+"/faults", `{"target":"gateway/EU","code":"INVALID_REQUEST_EXCEPTION"}`)
	r.post(r.maker+"/publish?region=EU&eventId=e-1", "%s", event("u-1", "lamp-1"))
	r.until("event e-1 is a dead letter: INVALID_REQUEST_EXCEPTION: ")
	r.call(cli.StatusDone, replay[2], cli.Env{Google: oneprocess.Emulator(replay[1])})
	r.until(`event +\d+ ms  m\d+ \(e-1, replayed\), attempt 1: accepted`)
}

// TestStories makes what can become of an event happen in a local run, and has each
// explained.
func TestStories(t *testing.T) {
	t.Parallel()
	r := startLocal(t)
	customers := strings.TrimSuffix(r.simulator, "simulator") + "api/customers"
	for user, region := range map[string]string{"suspect": "FE", "refused": "NA", "client": "EU", "left": "NA", "late": "EU"} {
		r.post(customers, `{"do":"link","userId":%q,"region":%q}`, user, region)
	}
	fault := func(fault string) { t.Helper(); r.post(r.simulator+"/faults", "%s", fault) }
	publish := func(query, user, endpoint, outcome string) {
		t.Helper()
		r.post(r.maker+"/publish?eventId="+query, "%s", event(user, endpoint))
		id, _, _ := strings.Cut(query, "&")
		r.until(`\(` + id + `\).*, attempt 1: ` + outcome)
	}
	// It takes two refusals, seconds apart, for a suspect: the others are told meanwhile.
	fault(`{"target":"gateway/FE","always":true,"code":"SKILL_DISABLED_EXCEPTION"}`)
	publish("e-1", "suspect", "lamp", "retry")

	variable := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\b[\d.m]+m?s\b|request "[^"]+"|\b[0-9a-f]{16}\b`)
	for _, test := range []struct {
		name     string
		make     func()
		question string
		status   int
		want     string // what happened, what to do, and the section
	}{
		{"accepted", func() {}, "--user=u-1 --endpoint=lamp-1", cli.StatusDone, `
Alexa accepted it in EU, * after it was published.
If the app does not show it, check whether discovery declares the property.
functions/TROUBLESHOOTING.md#accepted`},
		{"never published", func() {}, "--user=u-1 --endpoint=lamp-2", cli.StatusFailed, `
The log begins at *, and has nothing of it since: it was published before, or not at all, or to another project or topic.
Look for the message id in the publisher's log.
functions/TROUBLESHOOTING.md#no-line`},
		{"wrong user", func() { publish("e-2", "stranger", "lamp-3", "no_grant") }, "--user=u-1 --endpoint=lamp-3", cli.StatusFailed, `
Perhaps with another userId: an event of such an endpoint came for the customer with the hash *, who has not linked.
Publish with the userId that your identity provider names when the customer links.
functions/TROUBLESHOOTING.md#no-line`},
		{"wrong region", func() { publish("e-3&region=NA", "u-1", "lamp-4", "no_grant") }, "--user=u-1 --endpoint=lamp-4", cli.StatusFailed, `
Its attribute region is wrong: the customer has linked in EU (the local run).
Publish without the attribute region, or with that of the event linked.
functions/TROUBLESHOOTING.md#no_grant`},
		{"dead letter", func() {
			fault(`{"target":"gateway/EU","endpointId":"lamp-5","code":"INVALID_REQUEST_EXCEPTION"}`)
			publish("e-4", "u-1", "lamp-5", "dead_letter")
		}, "--user=u-1 --endpoint=lamp-5", cli.StatusFailed, `
It can never be delivered as it is: INVALID_REQUEST_EXCEPTION, gateway EU: invalid request (status 400, ` +
			`code "INVALID_REQUEST_EXCEPTION", *).
Correct the cause, then replay it with gatepost replay.
functions/TROUBLESHOOTING.md#dead_letter`},
		{"token refused", func() {
			fault(`{"target":"lwa/refresh","always":true,"user":"amzn-refused","status":503}`)
			r.post(customers, `{"do":"expire","userId":"refused","region":"NA"}`)
			publish("e-5", "refused", "lamp", "retry")
		}, "--user=refused", cli.StatusFailed, `
The access token is no longer valid, and Login with Amazon did not refresh it: ` +
			`access: login with amazon: refresh: unavailable (status 503, error "").
Nothing, unless it lasts.
functions/TROUBLESHOOTING.md#retry`},
		{"our client secret wrong", func() {
			fault(`{"target":"lwa/refresh","always":true,"user":"amzn-client","code":"invalid_client"}`)
			r.post(customers, `{"do":"expire","userId":"client","region":"EU"}`)
			publish("e-6", "client", "lamp", "retry")
		}, "--user=client", cli.StatusFailed, `
Login with Amazon refuses our client id or secret, so no token can be refreshed.
Add the right secret as the newest version of LWA_CREDENTIALS. No link is lost.
functions/TROUBLESHOOTING.md#our-client-is-refused`},
		{"revoked by the customer", func() {
			r.post(r.simulator+"/disable", `{"region":"NA","user":"amzn-left"}`)
			publish("e-7", "left", "lamp", "revoked")
		}, "--user=left", cli.StatusFailed, `
The customer has unlinked, since * (invalid_grant).
Stop publishing if no grant is left. The customer can link again.
functions/TROUBLESHOOTING.md#revoked`},
		{"throttled and late", func() {
			fault(`{"target":"gateway/EU","endpointId":"lamp-6","code":"THROTTLING_EXCEPTION","times":4}`)
			for attempt, want := range []int{http.StatusServiceUnavailable, http.StatusOK} { // as if Pub/Sub had kept it for 11 s
				body, err := push.Encode(push.Message{
					ID: "e-8", Data: []byte(event("late", "lamp-6")), PublishTime: time.Now().Add(-11 * time.Second), Attempt: attempt + 1,
				})
				if status := r.post(r.functions+"/SendEvent", "%s", body); status != want || err != nil {
					t.Errorf("attempt %d: status %d, %v, want %d", attempt+1, status, err, want)
				}
			}
		}, "--user=late", cli.StatusDone, `
Alexa accepted it in EU, * after it was published: attempt 1 failed with THROTTLING_EXCEPTION.
Nothing: Alexa has the state. A routine may not have run.
functions/TROUBLESHOOTING.md#accepted`},
		{"suspect", func() {
			r.until(`grant +suspect suspect in FE`)
			publish("e-9", "suspect", "lamp-2", "suspended")
		}, "--user=suspect --endpoint=lamp-2", cli.StatusFailed, `
It was too early to try the grant again: it is suspect, since * (skill_disabled).
Wait for recovered or revoked, or fix what the grant's reason names, and run gatepost grants probe.
functions/TROUBLESHOOTING.md#suspended`},
	} {
		test.make()
		text := r.call(test.status, "explain "+test.question+" --local="+r.maker, cli.Env{})
		if !strings.HasSuffix(variable.ReplaceAllString(text, "*"), "\n"+test.want+"\n") {
			t.Errorf("%s: want %s:\n%s", test.name, test.want, text)
		}
	}
}
