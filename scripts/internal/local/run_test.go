package local

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// TestOnce is what CI runs: everything, from nothing.
func TestOnce(t *testing.T) {
	t.Parallel()
	p := launch(t, "program", nil, "--once")
	output := p.ends(0)
	for _, want := range []string{
		`(?m)^  link +\d+ ms  AcceptGrant answered AcceptGrant\.Response$`,
		`(?m)^  grant +u-1 linked in EU, 1 active grant$`,
		`(?m)^  refresh +\d+ ms  16 shards swept, 1 new token from Login with Amazon$`,
		`(?m)^  event +\d+ ms  m\d+ of u-1/lamp-1, attempt 1: status 200, accepted$`,
		`(?m)^  report +\d+ ms  ChangeReport m\d+ was accepted by the gateway of EU, with the new token$`,
		`(?m)^  in all +\d+ ms  and \d+ ms since the program started$`,
		`(?m)^Stopped with no event in flight\.$`,
	} {
		if !regexp.MustCompile(want).MatchString(output) {
			t.Errorf("no line like %s", want)
		}
	}
	if strings.Contains(output, "Serving function") {
		t.Error("the framework writes on the screen")
	}
	if p.stderr.Len() > 0 {
		t.Errorf("standard error: %s", &p.stderr)
	}
}

func TestOnceRefused(t *testing.T) {
	t.Parallel()
	output := launch(t, "program", nil, "--once", "--refuse").ends(1)
	want := `(?m)^  report +\d+ ms  FAILED: message m\d+: no gateway accepted it; the gateway of EU answered 400 INVALID_REQUEST_EXCEPTION$`
	if !regexp.MustCompile(want).MatchString(output) {
		t.Errorf("no line like %s", want)
	}
}

func TestEmulatorThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{pubsubHost, firestoreHost} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			p := launch(t, "program", []string{variable + "=" + loopback + ":1"}) // where nobody listens
			p.ends(1)
			if want := "gatepost local: " + variable + ": no emulator: "; !strings.HasPrefix(p.stderr.String(), want) {
				t.Errorf("standard error %q, want it to begin with %q", &p.stderr, want)
			}
		})
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	p := launch(t, "program", nil, "--once", "--logs")
	p.ends(0)
	for _, function := range []string{"AcceptGrant", "RefreshTokens", "RefreshShard", "SendEvent"} {
		if want := `"function":"` + function + `"`; !strings.Contains(p.stderr.String(), want) {
			t.Errorf("no log line with %s", want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	var parsed grammar
	parser, err := kong.New(&parsed)
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]Command{
		"local": {Project: "gatepost-local", Port: 8080, MakerPort: 8089, SimulatorPort: 8090},
		"local --once --refuse --logs --project=p --port=1 --maker-port=2 --simulator-port=3": {
			Once: true, Refuse: true, Logs: true, Project: "p", Port: 1, MakerPort: 2, SimulatorPort: 3},
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
	} {
		env := &cli.Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}
		if got := cli.Run(t.Context(), env, new(grammar), []string{"local", args}); got != want {
			t.Errorf("local %s: status %d, want %d", args, got, want)
		}
	}
}

// answers says how each command is answered, by a part of its title.
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
	"Remove all faults":            `^$`,
}

// TestCommands pastes every command that is suggested into a shell.
func TestCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("the suggested commands cannot be tried: %v", err)
	}
	p := launch(t, "program", nil)
	p.until("Commands to try in another terminal")
	p.until("ends it. What happens:")
	_, text, _ := strings.Cut(p.shown.String(), "another terminal:\n\n")
	blocks := strings.Split(strings.TrimSpace(text), "\n\n")
	blocks = blocks[:len(blocks)-1] // how to end it
	if len(blocks) != len(answers) {
		t.Errorf("%d commands, want %d", len(blocks), len(answers))
	}
	var published string
	for _, block := range blocks {
		answer, err := exec.Command("sh", "-c", block).CombinedOutput()
		got := strings.TrimSpace(string(answer))
		want := answerTo(block)
		if err != nil || want == "" || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s\nis answered %q, %v; want a match of %s", block, got, err, want)
		}
		if strings.HasPrefix(block, "# Publish") {
			published = regexp.MustCompile(`m\d+`).FindString(got)
		}
	}
	p.until(published+" of u-1/lamp-1, attempt 1: ", "accepted")
	p.terminate()
	p.ends(0)
}

func answerTo(block string) string {
	for title, answer := range answers {
		if strings.HasPrefix(block, "# "+title) {
			return answer
		}
	}
	return ""
}

// TestEmulators runs the program twice with Google's emulators: the second run
// gets the event that the first one handed back, and finds its records.
func TestEmulators(t *testing.T) {
	t.Parallel()
	env := []string{
		pubsubHost + "=" + emulator.PubSub(t), firestoreHost + "=" + emulator.Firestore(t),
		"XDG_CACHE_HOME=" + t.TempDir(), "HOME=" + t.TempDir(), // where the keyset is kept
	}
	project := "--project=" + emulator.Project()
	first := launch(t, "program", env, project)
	first.until("u-1 linked in EU, 1 active grant")
	first.until("was accepted by the gateway of EU, with the new token")
	first.ready()
	first.refuseAlways("lamp-9")
	id := first.publish("lamp-9")
	first.until(id+" of u-1/lamp-9, attempt 1: status 503", "redelivered in 1s")
	first.terminate()
	first.until("in flight: 0 acknowledged, 1 returned to Pub/Sub.")
	first.ends(0)

	second := launch(t, "program", env, project)
	second.until(id + " of u-1/lamp-9, attempt ")
	second.until("was accepted by the gateway of EU, with the new token")
	second.ready()
	second.terminate()
	second.ends(0)
}

// report is a device event of u-1.
func report(endpointID string) string {
	return `{"userId":"u-1","endpointId":"` + endpointID + `","cause":"APP_INTERACTION","changed":[` +
		`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`
}

// find returns what the last group of a pattern matches in what was shown.
func (p *program) find(pattern string) string {
	p.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(p.shown.String())
	if found == nil {
		p.t.Fatalf("nothing like %s is shown", pattern)
	}
	return found[len(found)-1]
}

// post sends a body to a part of the program, by the name it is shown under,
// and returns the answer.
func (p *program) post(part, path, body string) string {
	p.t.Helper()
	target := p.find(`(?m)^  `+part+` +(http://\S+)$`) + path
	response, err := http.Post(target, "application/json", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		p.t.Fatalf("%s: %s %s, %v", path, response.Status, answer, err)
	}
	return string(answer)
}

// publish publishes a device event of u-1 and returns its message id.
func (p *program) publish(endpointID string) string {
	p.t.Helper()
	answer := p.post("maker's cloud", "/publish?key="+url.QueryEscape("u-1/"+endpointID), report(endpointID))
	return regexp.MustCompile(`"messageId":"(\w+)"`).FindStringSubmatch(answer)[1]
}

// refuseAlways makes Europe's gateway refuse the events of an endpoint, so
// that they have to be delivered again.
func (p *program) refuseAlways(endpointID string) {
	p.t.Helper()
	fault := `{"target":"gateway/EU","endpointId":"` + endpointID + `","code":"SERVICE_UNAVAILABLE_EXCEPTION","always":true}`
	p.post("simulator", "/faults", fault)
}

// ready waits until the program can be talked to.
func (p *program) ready() {
	p.t.Helper()
	p.until("ends it. What happens:")
}

func TestTermFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	p := launch(t, "holding", nil)
	p.ready()
	id := p.publish("held")
	p.until("HELD")
	p.terminate()
	p.until(id+" of u-1/held, attempt 1: ", "accepted")
	p.until("Stopped with 1 event in flight: 1 acknowledged, 0 returned to Pub/Sub.")
	p.ends(0)
}

func TestTermHandsBackWhatFails(t *testing.T) {
	t.Parallel()
	p := launch(t, "program", nil)
	p.ready()
	p.refuseAlways("lamp-9")
	id := p.publish("lamp-9")
	p.until(id+" of u-1/lamp-9, attempt 1: status 503", "redelivered in 1s")
	p.terminate()
	p.until("Stopped with 1 event in flight: 0 acknowledged, 1 returned to Pub/Sub (which ends with this process).")
	p.ends(0)
}
