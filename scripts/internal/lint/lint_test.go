package lint

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// grammar is the part of the command line that is tested.
type grammar struct {
	Lint Command `cmd:""`
}

// lint runs the command on standard input.
func lint(input string, args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	env := &cli.Env{Stdin: strings.NewReader(input), Stdout: &out, Stderr: &err, Now: time.Now}
	status = cli.Run(context.Background(), env, new(grammar), append([]string{"lint"}, args...))
	return status, out.String(), err.String()
}

// lines is what the program writes, less what all lines begin with.
func lines(stdout string) []string {
	var list []string
	for line := range strings.Lines(stdout) {
		list = append(list, strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "<stdin>:"))
	}
	return list
}

// wantLint runs the command, which must write these findings, and fail if one is an error.
func wantLint(t *testing.T, want []string, input string, args ...string) {
	t.Helper()
	status, stdout, stderr := lint(input, args...)
	if diff := cmp.Diff(want, lines(stdout)); diff != "" || stderr != "" {
		t.Errorf("findings (-want +got):\n%s%s", diff, stderr)
	}
	wantStatus := cli.StatusDone
	if strings.Contains(stdout, ": error: ") {
		wantStatus = cli.StatusFailed
	}
	if status != wantStatus {
		t.Errorf("status %d, want %d", status, wantStatus)
	}
}

// Rules, as they end a line.
const (
	byPower     = " (developer.amazon.com/docs/device-apis/alexa-powercontroller.html)"
	byMode      = " (developer.amazon.com/docs/device-apis/alexa-modecontroller.html)"
	byObjects   = " (developer.amazon.com/docs/device-apis/alexa-discovery-objects.html)"
	byEvents    = " (developer.amazon.com/docs/smarthome/send-events.html)"
	noSuchCause = "unknown, " + theCauses
	theCauses   = "one of APP_INTERACTION, PHYSICAL_INTERACTION, PERIODIC_POLL, RULE_TRIGGER, VOICE_INTERACTION, INVALID_CREDENTIALS, " +
		"SUBSCRIPTION_EXPIRED (developer.amazon.com/docs/device-apis/alexa-changereport.html)"
	byReporting = " (" + ruleReporting + ")"
	byDiscovery = " (" + ruleDiscovery + ")"
)

const topLevel = "userId, event, context, endpointId, cause, changed, unchanged"

const (
	sound = `{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION",
 "changed":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05Z"}],
 "unchanged":[{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":"2026-01-02T03:04:05Z"}]}`
	doorbell = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},
 "endpoint":{"endpointId":"bell-1"},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}},"context":{}}`
)

func TestEvents(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) string { return strings.Replace(sound, old, new, 1) }
	for _, test := range []struct {
		name, input string
		want        []string
	}{
		{"nothing wrong", sound, nil},
		{"two documents", sound + doorbell, nil},
		{"array of none", "[]", nil},
		{"JSON lines", sound + "\n" + edit("PHYSICAL", "MENTAL") + "\n" + doorbell + "\n", []string{"4: error: cause: " + noSuchCause}},
		{"Windows line ends", strings.ReplaceAll(edit(`"ON"`, "5"), "\n", "\r\n"), []string{"2: error: changed[0].value: must be a string" +
			byPower}},
		{"array", "[\n" + sound + ",\n" + edit(`"ON"`, "5") + "\n, 7]", []string{
			"6: error: [1].changed[0].value: must be a string" + byPower,
			"8: error: [2]: must be a JSON object",
		}},
		{"everything at once", `{
  "event": {
    "header": {"namespace": "Alexa", "name": "ChangeReport",
      "messageId": "m-1", "payloadVersion": "2"},
    "endpoint": {"endpointId": "lamp/1",
      "scope": {"type": "BearerToken", "token": "Atza|fake-1"}},
    "payload": {"change": {"cause": {"type": "GHOST"}, "properties": [
      {"namespace": "Alexa.PowerController", "name": "powerState",
       "value": null},
      {"namespace": "Alexa.ModeController", "name": "mode", "value": "x"}
    ]}}
  },
  "contexts": {}
}`, []string{
			"1: error: userId: missing",
			"4: error: event.header.messageId: leave it out, Gatepost sets it",
			`4: error: event.header.payloadVersion: must be "3"` + byEvents,
			"5: error: event.endpoint.endpointId: has a character other than letters, digits, spaces and _ - = # ; : ? @ &" + byObjects,
			"6: error: event.endpoint.scope: leave it out, Gatepost sets it",
			"7: error: event.payload.change.cause.type: " + noSuchCause,
			"9: error: event.payload.change.properties[0].value: null, which counts as missing (seen at the event gateway)",
			"10: error: event.payload.change.properties[1].instance: missing: an endpoint may have several of this interface" + byMode,
			"13: error: contexts: unknown field, one of " + topLevel + ": did you mean context?",
		}},
		{"of a wrong type", edit(`"u-1"`, "1"), []string{"1: error: userId: must be a string"}},
		{"missing", edit(`"cause":"PHYSICAL_INTERACTION",`, ""), []string{"1: error: cause: missing, " + theCauses}},
		{"customer missing, of nothing", "{}", []string{"1: error: userId: missing"}},
		{"twice", edit("\n", "\n\"userId\":\"u-2\",\n"), []string{"2: error: userId: appears twice"}},
		{"a name with dots", edit("\n", "\n\"a.b[0].c\": 1,\n"), []string{"2: error: a.b[0].c: unknown field, one of " + topLevel}},
		{"a name for a terminal", edit("\n", "\n\"a\\u001b[31m\": 1,\n"), []string{"1: error: a?[31m: unknown field, one of " + topLevel}},
		{"names in escapes", strings.Replace(edit(`"ON"`, "5"), `"changed"`, `"chan\u0067ed"`, 1),
			[]string{"2: error: changed[0].value: must be a string" + byPower}},
		{"the same property twice", edit("Alexa.EndpointHealth", "Alexa.PowerController"),
			[]string{"3: warning: unchanged: without the connectivity of Alexa.EndpointHealth" + byReporting}},
		{"short form with context", edit("\n", "\n\"context\":{},\n"),
			[]string{"2: error: context: belongs to an event, which is missing (the short form has \"unchanged\")"}},
		{"doorbell", strings.Replace(doorbell, "05Z", "05+01:00", 1), nil},
		{"for the skill's Lambda", strings.Replace(doorbell, "DoorbellEventSource\",\"name\":\"DoorbellPress",
			"Authorization\",\"name\":\"AcceptGrant.Response", 1), []string{
			"1: error: event.header.name: not an asynchronous event: it is the synchronous answer of the skill's Lambda, and goes nowhere else " +
				"(developer.amazon.com/docs/smarthome/send-events.html)",
		}},
		{"byte order mark", "\ufeff" + edit("PHYSICAL", "MENTAL"), []string{
			"1: warning: begins with a byte order mark, which an event must not have", "1: error: cause: " + noSuchCause,
		}},
		{"health that is refused", edit(`{"value":"OK"}`, "null"),
			[]string{"3: error: unchanged[0].value: null, which counts as missing (seen at the event gateway)"}},
		{"context of no list", sound[:strings.Index(sound, `"unchanged"`)] + `"unchanged":7}`, []string{"3: error: unchanged: must be an array"}},
		{"early end", sound + "\n{\"userId\":\n\n", []string{"4:11: error: not JSON: it ends too early"}},
		{"syntax error behind a fault", edit(`"ON"`, "5") + "\n  {'userId'}", []string{
			"2: error: changed[0].value: must be a string" + byPower,
			"4:4: error: not JSON: invalid character '\\'' looking for beginning of object key string",
		}},
		{"a bracket too many", "\t" + doorbell + "}", []string{"2:138: error: not JSON: invalid character '}' looking for beginning of value"}},
		{"not UTF-8", "{\"userId\":\n \"é\xff\"}", []string{"2:4: error: not UTF-8"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wantLint(t, test.want, test.input)
		})
	}
}

// TestPace: what Alexa wants hourly at most, or daily at least, is held against
// the report before it in the file.
func TestPace(t *testing.T) {
	t.Parallel()
	measured := func(endpoint, end string) string {
		return `{"userId":"u-1","event":{"header":{"namespace":"Alexa.DeviceUsage.Meter","name":"MeasurementsReport"},` +
			`"endpoint":{"endpointId":"` +
			endpoint + `"},"payload":{"electricityIntervals":[{"usage":1,"start":"2026-01-02T00:00:00Z","end":"` + end + "\"}]}}}\n"
	}
	level := func(instance, at string) string {
		return strings.NewReplacer(`"Alexa.PowerController","name":"powerState","value":"ON"`,
			`"Alexa.InventoryLevelSensor","name":"level","instance":"`+instance+`","value":{"@type":"Count","value":7}`,
			`"timeOfSample":"2026-01-02T03:04:05Z"}],`, at, "\n", "").Replace(sound) + "\n"
	}
	input := measured("plug-1", "2026-01-02T01:00:00Z") + measured("plug-2", "2026-01-02T01:30:00Z") + measured("plug-1",
		"2026-01-02T02:00:00Z") +
		measured("plug-1", "2026-01-02T02:59:00Z") +
		level("Ink", `"timeOfSample":"2026-01-02T03:00:00Z"}],`) + level("Toner", `"timeOfSample":"2026-01-02T03:00:00Z"}],`) +
		level("Ink", `"timeOfSample":"2026-01-03T03:00:00Z"}],`) + level("Toner", `"timeOfSample":"2026-01-03T03:00:01Z"}],`) + level("Ink",
		`"unit":null}],`) + measured("plug-2", "2026-01-02T01:30:00Z")
	wantLint(t, []string{
		"4: warning: event.payload: less than an hour after the previous report: Alexa does not record all (" + ruleMeter + ")",
		"8: warning: changed[0]: more than a day after the previous report: Dash wants one a day (" + ruleInventory + ")",
		"10: warning: event.payload: less than an hour after the previous report: Alexa does not record all (" + ruleMeter + ")",
	}, input)
}

// TestManyFaults: of what is wrong everywhere some is shown, and that soon.
func TestManyFaults(t *testing.T) {
	t.Parallel()
	var members strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&members, "\"x%d\":1,\n", i)
	}
	for name, input := range map[string]string{
		"top":      strings.Replace(sound, "{", "{"+members.String(), 1),
		"property": strings.Replace(sound, `"value":"ON"`, members.String()+`"value":"ON"`, 1),
		"value":    strings.Replace(sound, `{"value":"OK"`, "{"+members.String()+`"value":"OK"`, 1),
		"payload": `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ErrorResponse","correlationToken":"c"},` +
			`"endpoint":{"endpointId":"e"},"payload":{` +
			members.String() + `"type":"INTERNAL_ERROR","message":"m"}}}`,
		"endpoints":    discovery(strings.TrimSuffix(strings.Repeat("{},", 30_000), ",")),
		"capabilities": discovery(endpoint("lamp-1", strings.TrimSuffix(strings.Repeat("{},\n", 30_000), ",\n"))),
		"cookie":       discovery(strings.Replace(endpoint("lamp-1"), "{", `{"cookie":{`+strings.TrimSuffix(members.String(), ",\n")+"},", 1)),
	} {
		started := time.Now()
		_, stdout, stderr := lint(input)
		if took := time.Since(started); took > 15*time.Second {
			t.Errorf("%s: %v for %d KB", name, took, len(input)>>10)
		} else if testing.Verbose() {
			t.Logf("%s: %v, %d findings", name, took, len(lines(stdout)))
		}
		if n := len(lines(stdout)); name == "top" && (n < 2 || n > 20) {
			t.Errorf("%d findings in the envelope, each of which is a decoding", n)
		}
		if stdout == "" && name != "value" || stderr != "" {
			t.Errorf("%s: %q, %q", name, stdout, stderr)
		}
	}
}

// TestStrict fails for a warning, and otherwise says the same.
func TestStrict(t *testing.T) {
	t.Parallel()
	input := strings.Replace(sound, `"ON"`, `"HALF"`, 1)
	status, stdout, _ := lint(input)
	strictStatus, strictStdout, _ := lint(input, "--strict")
	if status != cli.StatusDone || strictStatus != cli.StatusFailed || stdout != strictStdout || len(lines(stdout)) != 1 {
		t.Errorf("status %d and %d, findings %q and %q, want one", status, strictStatus, stdout, strictStdout)
	}
	if status, _, _ := lint(sound, "--strict"); status != cli.StatusDone {
		t.Errorf("status %d for an event without fault", status)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	input := strings.Replace(sound, `"userId"`, `"<é>":5,"userId"`, 1)
	_, stdout, _ := lint(input, "--json")
	var got []finding
	for _, line := range lines(stdout) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		f.at = 0
		got = append(got, f)
	}
	want := []finding{
		{File: "<stdin>", Line: 1, Severity: failure, Path: "<é>", Problem: "unknown field, one of " + topLevel},
	}
	want[0].Column = strings.Index(input, "5") // é has two bytes
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(finding{})); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if !strings.Contains(stdout, `"file":"<stdin>"`) {
		t.Errorf("escaped as for HTML: %s", stdout)
	}
}

// TestSecrets looks for values in what is written about events that hold some.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const canary = "Atza|fake-canary"
	for _, old := range []string{`"u-1"`, `"lamp-1"`, `"PHYSICAL_INTERACTION"`, `"ON"`, `"OK"`, `"2026-01-02T03:04:05Z"`,
		`"Alexa.PowerController"`} {
		input := strings.Replace(sound, old, `"`+canary+`"`, 1)
		if _, stdout, stderr := lint(input, "--json"); strings.Contains(stdout+stderr, canary) {
			t.Errorf("in place of %s it is shown: %s%s", old, stdout, stderr)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	empty := t.TempDir() + "/empty.json"
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stderr string // part of it
	}{
		{"help", []string{"-h"}, cli.StatusDone, ""},
		{"unknown flag", []string{"-x"}, cli.StatusUsage, "unknown flag -x"},
		{"schema and files", []string{"--schema", "x.json"}, cli.StatusUsage, "--schema takes no files and no other flags"},
		{"schema and flags", []string{"--schema", "--json"}, cli.StatusUsage, "--schema takes no files and no other flags"},
		{"standard input twice", []string{"--discovery", "-", "-"}, cli.StatusUsage, "only once"},
		{"standard input twice, by default", []string{"--discovery", "-"}, cli.StatusUsage, "only once"},
		{"no such file", []string{"missing.json", "-"}, cli.StatusUsage, "missing.json: no such file"},
		{"a directory", []string{"testdata"}, cli.StatusUsage, "is a directory"},
		{"empty file", []string{empty}, cli.StatusUsage, "empty.json is empty"},
		{"no such discovery", []string{"--discovery", "missing.json"}, cli.StatusUsage, "missing.json: no such file"},
		{"discovery that is none", []string{"--discovery", "testdata/events.json"}, cli.StatusUsage, "events.json has no Discover.Response"},
		{"discovery that is no JSON", []string{"--discovery", "README.md"}, cli.StatusUsage, "README.md is not JSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _, stderr := lint(sound, test.args...)
			if status != test.status || !strings.Contains(stderr, test.stderr) {
				t.Errorf("status %d, want %d; %q, want %q in it", status, test.status, stderr, test.stderr)
			}
		})
	}
	if status, stdout, stderr := lint(""); status != cli.StatusUsage || stdout != "" || !strings.Contains(stderr, "<stdin> is empty") {
		t.Errorf("status %d, %q and %q for nothing", status, stdout, stderr)
	}
	status, stdout, _ := lint(strings.Replace(sound, `"ON"`, "5", 1), "missing.json", "-")
	if status != cli.StatusUsage || len(lines(stdout)) != 1 {
		t.Errorf("status %d and %q, want the findings of the file that can be read", status, stdout)
	}
	var stderr strings.Builder
	full, writer := io.Pipe()
	full.Close()
	env := &cli.Env{Stdin: strings.NewReader("{}"), Stdout: writer, Stderr: &stderr, Now: time.Now}
	if status := cli.Run(t.Context(), env, new(grammar), []string{"lint"}); status != cli.StatusFailed {
		t.Errorf("status %d and %q for findings that cannot be written, want %d", status, &stderr, cli.StatusFailed)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	if status, stdout, _ := lint("", "--schema"); status != cli.StatusDone || stdout != string(alexa.Schema()) {
		t.Errorf("status %d, %d bytes, want those of alexa.Schema()", status, len(stdout))
	}
}

// root is the module's, from where its users run the command.
const root = "../../.."

// asProgram in the environment makes the test binary the program itself.
const asProgram = "LINT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		cli.Main("test", new(grammar))
	}
	testkit.Main(m)
}

// start runs the program in the module's root.
func start(t *testing.T, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(testkit.Context(t), path, append([]string{"lint"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = root, strings.NewReader(input), &out, &complaints
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// TestReadme runs the commands of this command's README and the module's.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	wantRun(t, "README.md", string(readme))
	top, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	wantRun(t, "the module's README.md", string(top))
}

// wantRun runs the commands that a text shows, and wants each to write what is
// shown below it, up to an ellipsis.
func wantRun(t *testing.T, name, text string) {
	t.Helper()
	blocks := strings.Split(text, "```\n$ go run ./scripts/gatepost lint")[1:]
	if len(blocks) == 0 {
		t.Errorf("%s shows no command", name)
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		args, want, _ := strings.Cut(block, "\n")
		status, got, stderr := start(t, "", strings.Fields(args)...)
		if status != 0 {
			got += fmt.Sprintf("exit status %d\n", status) // as the go command says it
		}
		got += stderr
		if beginning, cut := strings.CutSuffix(want, "…\n"); cut && strings.HasPrefix(got, beginning) {
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, lint%s (-shown +got):\n%s", name, args, diff)
		}
	}
}
