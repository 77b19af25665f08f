package local

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// TestOnce is what CI runs: everything, from nothing.
func TestOnce(t *testing.T) {
	t.Parallel()
	p := launch(t, Command{Once: true}, nil)
	output := p.ends(nil)
	for _, want := range []string{
		`link +\d+ ms  AcceptGrant answered AcceptGrant\.Response`,
		`grant +u-1 linked in EU, 1 active grant`,
		`refresh +\d+ ms  16 shards swept, 1 new token from Login with Amazon`,
		`event +\d+ ms  m\d+ \(first-[a-z2-7]{6}\) of u-1/lamp-1, attempt 1: accepted`,
		`report +\d+ ms  ChangeReport m\d+ was accepted by the gateway of EU, with the new token`,
		`in all +\d+ ms  and \d+ ms since the program started`,
	} {
		if !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  ` + want + `$`).MatchString(output) {
			t.Errorf("no line like %s", want)
		}
	}
	if !strings.HasSuffix(output, "\nStopped with no event in flight.\n") || p.stderr.Len() > 0 {
		t.Errorf("standard error: %s", &p.stderr)
	}
}

// TestConsole reads the console at the address that is printed first, and opened.
func TestConsole(t *testing.T) {
	bin := t.TempDir()
	opened := filepath.Join(bin, "opened")
	if err := syscall.Mkfifo(opened, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(opened, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	_ = pipe.SetDeadline(time.Now().Add(testkit.Patience))
	for _, opener := range []string{"xdg-open", "open"} {
		if err := os.WriteFile(filepath.Join(bin, opener), []byte("#!/bin/sh\necho \"$1\" >"+opened+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	p := launch(t, Command{Open: true}, nil)
	address := p.until("http://")
	if address != p.consoleURL() {
		t.Errorf("the first line is %q, want %s", address, p.consoleURL())
	}
	if at, err := bufio.NewReader(pipe).ReadString('\n'); err != nil || at != address+"\n" {
		t.Errorf("%q is opened, %v, want %s", at, err, address)
	}
	p.ready()
	if _, page := testkit.Request(t, http.MethodGet, address, ""); !strings.Contains(page, "<title>Gatepost</title>") {
		t.Errorf("the page: %s", page)
	}
	for _, want := range []string{
		`"customer":"u-1","endpoint":"lamp-1","what":"powerState = ON","region":"EU","outcome":"accepted"`, `"outcome":"linked"`,
	} {
		if _, events := testkit.Request(t, http.MethodGet, address+"api/events", ""); !strings.Contains(events, want) {
			t.Errorf("no %s in %s", want, events)
		}
	}
	status, customers := testkit.Request(t, http.MethodGet, address+"api/customers", "")
	if status != http.StatusOK || !strings.Contains(customers, `"amazonUser":"amzn-1"`) {
		t.Errorf("customers: %d %s", status, customers)
	}
	if status, _ := testkit.Request(t, http.MethodGet, address+"simulator/counts", ""); status != http.StatusOK {
		t.Errorf("the simulator answered %d", status)
	}
	p.interrupt()
	p.ends(nil)
}

func TestOnceRefused(t *testing.T) {
	t.Parallel()
	output := launch(t, Command{Once: true, Refuse: true}, nil).ends(cli.ErrReported)
	for _, want := range []string{
		`report +\d+ ms  FAILED: message m\d+: no gateway accepted it; the gateway of EU answered 400 INVALID_REQUEST_EXCEPTION\n`,
		`event +\d+ ms  m\d+ \(first-[a-z2-7]{6}\) of u-1/lamp-1, attempt 1: dead_letter INVALID_REQUEST_EXCEPTION, .+\n`,
	} {
		if !regexp.MustCompile(want).MatchString(output) {
			t.Errorf("no line like %s", want)
		}
	}
}

func TestEmulatorThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{pubsubHost, firestoreHost} {
		p := launch(t, Command{}, map[string]string{variable: loopback + ":1"}) // where nothing listens
		if err := <-p.ended; err == nil || !strings.HasPrefix(err.Error(), variable+": no emulator: ") {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	p := launch(t, Command{Once: true, Logs: true}, nil)
	p.ends(nil)
	for _, function := range []string{"AcceptGrant", "RefreshTokens", "RefreshShard", "SendEvent"} {
		if want := `"function":"` + function + `"`; !strings.Contains(p.stderr.String(), want) {
			t.Errorf("no log line with %s", want)
		}
	}
}

// grammar is the command line.
type grammar struct {
	Local Command `cmd:""`
}

func TestFlags(t *testing.T) {
	t.Parallel()
	var parsed grammar
	parser, err := kong.New(&parsed)
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]Command{
		"local": {Project: "gatepost-local", Port: 8080, MakerPort: 8089, SimulatorPort: 8090, PubsubPort: 8085,
			Given: map[string]bool{}},
		"local --once --refuse --logs --project=p-test --port=1 --maker-port=2 --simulator-port=3 --pubsub-port=4": {
			Once: true, Refuse: true, Logs: true, Project: "p-test", Port: 1, MakerPort: 2, SimulatorPort: 3, PubsubPort: 4,
			Given: map[string]bool{"once": true, "refuse": true, "logs": true, "project": true,
				"port": true, "maker-port": true, "simulator-port": true, "pubsub-port": true}},
	} {
		if _, err := parser.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, parsed.Local); diff != "" {
			t.Errorf("%s: the flags differ (-want +got):\n%s", args, diff)
		}
	}
	for args, want := range map[string]int{
		"--help": cli.StatusDone, "--twice": cli.StatusUsage, "--port=http": cli.StatusUsage, "once": cli.StatusUsage,
		"--port=-1": cli.StatusUsage, "--maker-port=65536": cli.StatusUsage, "--pubsub-port=65536": cli.StatusUsage,
		"--project=": cli.StatusUsage, "--project=a-b-c": cli.StatusUsage, "--project=1-local": cli.StatusUsage,
		"--project=local-": cli.StatusUsage, "--project=Local-1": cli.StatusUsage, "--project=p/local": cli.StatusUsage,
		"--project=a-b-c1": cli.StatusDone, "--project=a" + strings.Repeat("b", 29): cli.StatusDone,
		"--project=a" + strings.Repeat("b", 30): cli.StatusUsage,
		"--simulator-port=65533":                cli.StatusUsage, "--port=65535 --simulator-port=65532": cli.StatusDone,
	} {
		env := &cli.Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now, ParseOnly: true}
		if got := cli.Run(t.Context(), env, new(grammar), strings.Fields("local "+args)); got != want {
			t.Errorf("local %s: status %d, want %d", args, got, want)
		}
	}
}

// answers are the answers of the suggested commands, by a part of their titles. Commands
// of gatepost are tried where all of them are.
var answers = map[string]string{
	"Link another customer":        `^\{"event":\{"header":\{.*"name":"AcceptGrant\.Response"`,
	"Publish a device event":       `^\{"messageId":"m\d+"\}$`,
	"Push an event":                `^\{"outcomes":\[\{"grantId":"[0-9a-f]+","outcome":"accepted"\}\]\}$`,
	"Throttle the next two events": `^$`,
	"Expire the access token":      `^$`,
	"Start a sweep":                `^\{"shards":16\}$`,
	"See the state of":             `"name":"powerState","value":"O`,
	"See what the gateways":        `"target":"gateway/EU"`,
	"See the totals":               `"accepted":[1-9]`,
	"Publish an event that":        `^\{"messageId":"m\d+"\}$`,
	"Remove all faults":            `^$`,
}

// TestCommands pastes every suggested curl command into a shell.
func TestCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("the suggested commands cannot be tried: %v", err)
	}
	p := launch(t, Command{}, nil)
	p.ready()
	_, text, _ := strings.Cut(p.shown.String(), "another terminal:\n\n")
	blocks := strings.Split(strings.TrimSpace(text), "\n\n")
	tried := 0
	var published string
	for _, block := range blocks[:len(blocks)-1] { // the last one says how to end it
		if strings.Contains(block, "gatepost ") && !strings.Contains(block, "curl") {
			continue
		}
		tried++
		answer, err := exec.Command("sh", "-c", block).CombinedOutput()
		got := strings.TrimSpace(string(answer))
		want := answerTo(block)
		if err != nil || want == "" || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s\nis answered %q, %v; want a match of %s", block, got, err, want)
		}
		if strings.HasPrefix(block, "# Publish a device") {
			published = regexp.MustCompile(`m\d+`).FindString(got)
		}
	}
	if tried != len(answers) {
		t.Errorf("%d commands, want %d", tried, len(answers))
	}
	p.until(published+" (switch-", ") of u-1/lamp-1, attempt 1: accepted")
	p.until("by-hand-", ", by hand: accepted")
	p.until("is a dead letter: INVALID_REQUEST_EXCEPTION: ")
	p.interrupt()
	p.ends(nil)
}

func answerTo(block string) string {
	for title, answer := range answers {
		if strings.HasPrefix(block, "# "+title) {
			return answer
		}
	}
	return ""
}

// TestEmulators runs the program twice at once with Google's emulators. Each run gets every
// event. The sweep of the second one leaves the customers of the first one alone, whose
// tokens its simulator does not know.
func TestEmulators(t *testing.T) {
	t.Parallel()
	env := map[string]string{pubsubHost: emulator.PubSub(t), firestoreHost: emulator.Firestore(t)}
	command := Command{Project: emulator.Project()}
	first := launch(t, command, env)
	first.until("u-1 linked in EU, 1 active grant")
	first.until("was accepted by the gateway of EU, with the new token")
	first.ready()
	before := stored(t, first, env)

	second := launch(t, command, env)
	second.until("was accepted by the gateway of EU, with the new token")
	second.ready()
	id := second.publish("lamp-9")
	for _, p := range []*program{first, second} {
		p.until(id+" of u-1/lamp-9, attempt 1: ", "accepted")
	}
	first.amazon.Always(simulator.Gateway(home), simulator.Fault{EndpointID: "lamp-8", Code: simulator.ServiceUnavailable})
	id = first.publish("lamp-8")
	first.until(id+" of u-1/lamp-8, attempt 1: retry", "redelivered in 1s")
	first.interrupt()
	first.until("in flight: 0 acknowledged, 1 returned to Pub/Sub (whose subscription ends with this process).")
	first.ends(nil)
	second.until(id+" of u-1/lamp-8, attempt 1: ", "accepted")
	second.interrupt()
	if output := second.ends(nil); !strings.Contains(output, "the Firestore emulator, database "+second.database) {
		t.Error("the screen does not show the database")
	}
	if diff := cmp.Diff(before, stored(t, first, env)); diff != "" {
		t.Errorf("the second run has changed the first one's customer (-before +after):\n%s", diff)
	}
}

// stored reads the customer of a run with emulators.
func stored(t *testing.T, p *program, env map[string]string) map[string]any {
	t.Helper()
	client, err := firestore.NewClientWithDatabase(t.Context(), p.Project, p.database, oneprocess.Emulator(env[firestoreHost])...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	key := grant.Key{Skill: "default", UserID: userID}
	document, err := client.Collection(grantfire.Customers).Doc(key.ID()).Get(testkit.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	return document.Data()
}

// interrupting is a terminal whose user interrupts the demonstration.
type interrupting struct {
	strings.Builder
	interrupt func()
}

func (i *interrupting) Write(text []byte) (int, error) {
	if strings.Contains(string(text), " links the skill in ") {
		i.interrupt()
	}
	return i.Builder.Write(text)
}

func TestInterruptDuringTheDemonstration(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	terminal := &interrupting{interrupt: interrupt}
	env := &cli.Env{Stdout: terminal, Stderr: io.Discard, Now: time.Now}
	err := Command{Project: "gatepost-local"}.newRun(env, func(string) string { return "" }).run(ctx)
	if shown := terminal.String(); err != nil || strings.Contains(shown, "Commands to try") || !strings.Contains(shown, "\nStopped with ") {
		t.Errorf("run() = %v; it showed:\n%s", err, shown)
	}
}

func TestInterruptFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	p := launch(t, Command{}, nil)
	p.ready()
	held := make(chan struct{})
	p.amazon.Always(simulator.Gateway(home), simulator.Fault{EndpointID: "held", Delay: time.Second, Match: func(simulator.Request) bool {
		close(held)
		return true
	}})
	id := p.publish("held")
	<-held
	p.interrupt()
	p.until(id+" of u-1/held, attempt 1: ", "accepted")
	p.until("Stopped with 1 event in flight: 1 acknowledged, 0 returned to Pub/Sub.")
	p.ends(nil)
}

func TestInterruptReturnsWhatFails(t *testing.T) {
	t.Parallel()
	p := launch(t, Command{}, nil)
	p.ready()
	p.amazon.Always(simulator.Gateway(home), simulator.Fault{EndpointID: "lamp-9", Code: simulator.ServiceUnavailable})
	id := p.publish("lamp-9")
	p.until(id+" of u-1/lamp-9, attempt 1: retry", "redelivered in 1s")
	p.interrupt()
	p.until("Stopped with 1 event in flight: 0 acknowledged, 1 returned to Pub/Sub (whose subscription ends with this process).")
	p.ends(nil)
}
