package alexa_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// rule is a way to break one rule: an example in which old becomes new, and
// what is said about it.
type rule struct {
	name, example, old, new string
	path, problem           string
}

const (
	report     = "Alexa.ChangeReport"
	schemaRule = "Amazon's message schema of 2021"
	pagesRule  = "developer.amazon.com/docs/"
	useRule    = "seen in use"
	errorTypes = "ALREADY_IN_OPERATION, BRIDGE_UNREACHABLE, CLOUD_CONTROL_DISABLED, ENDPOINT_BUSY, ENDPOINT_LOW_POWER, " +
		"ENDPOINT_UNREACHABLE, EXPIRED_AUTHORIZATION_CREDENTIAL, FIRMWARE_OUT_OF_DATE, HARDWARE_MALFUNCTION, INSUFFICIENT_PERMISSIONS, " +
		"INTERNAL_ERROR, INVALID_AUTHORIZATION_CREDENTIAL, INVALID_DIRECTIVE, INVALID_VALUE, NO_SUCH_ENDPOINT, NOT_CALIBRATED, " +
		"NOT_IN_OPERATION, NOT_SUPPORTED_IN_CURRENT_MODE, POWER_LEVEL_NOT_SUPPORTED, RATE_LIMIT_EXCEEDED, TEMPERATURE_VALUE_OUT_OF_RANGE, " +
		"TOO_MANY_FAILED_ATTEMPTS, VALUE_OUT_OF_RANGE"
)

var (
	// ruleForm is how testdata has a rule.
	ruleForm = regexp.MustCompile(`(?m)^# (.+)\n(.+)\n- (.+)\n\+ (.*)\n(\S+): (.+)\n`)
	// repeated stands for a text that is repeated.
	repeated = regexp.MustCompile(`⟨(\d+)×(.+?)⟩`)
)

// rulesIn reads the rules of a file in testdata.
func rulesIn(t *testing.T, file string) []rule {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("⟨error types⟩", errorTypes, "⟨causes⟩", theCauses[len("one of "):], "⟨property⟩", other)
	text := names.Replace(string(data))
	text = repeated.ReplaceAllStringFunc(text, func(short string) string {
		parts := repeated.FindStringSubmatch(short)
		n, _ := strconv.Atoi(parts[1])
		return strings.Repeat(parts[2], n)
	})
	var rules []rule
	for _, m := range ruleForm.FindAllStringSubmatch(text, -1) {
		rules = append(rules, rule{name: m[1], example: m[2], old: m[3], new: m[4], path: m[5], problem: m[6]})
	}
	if want := strings.Count(text, "\n\n"); len(rules) != want || want == 0 {
		t.Fatalf("%s: %d rules are read, and there are %d", file, len(rules), want)
	}
	return rules
}

// ofTheFormat are the problems that are Gatepost's own format's: it reads times
// that Amazon's schema does not know, and wants to know every field.
var ofTheFormat = []string{"appears twice", "must be an RFC 3339 time"}

// broken is the example of a rule with the rule broken.
func (r rule) broken(t *testing.T) []byte {
	t.Helper()
	whole := example(t, r.example)
	event := strings.Replace(whole, r.old, r.new, 1)
	if event == whole {
		t.Fatalf("the case changes nothing: %q is not in the example", r.old)
	}
	return []byte(event)
}

// held reports whether a fault is the one that breaking the rule makes.
func (r rule) held(f *alexa.FieldError) bool { return f.Path == r.path && f.Problem == r.problem }

// TestRefused: what Amazon would refuse is an error when checks are strict, and is
// carried otherwise.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range rulesIn(t, "refused.txt") {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := test.broken(t)
			_, _, err := alexa.DecodeEvent(event, published, alexa.CheckStrict)
			var field *alexa.FieldError
			if !errors.As(err, &field) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if !test.held(field) {
				t.Errorf("got  %s: %s\nwant %s: %s", field.Path, field.Problem, test.path, test.problem)
			}
			if field.Warning {
				t.Error("the error is marked as a warning")
			}
			if field.Rule == "" && !slices.Contains(ofTheFormat, field.Problem) {
				t.Errorf("does not say whose rule it is: %s", field)
			}
			isCarried(t, event, test)
		})
	}
}

// isCarried wants an event that is wrong to be sent as it is when checks are
// not strict, with what is wrong said only if they warn.
func isCarried(t *testing.T, event []byte, broken rule) {
	t.Helper()
	e, warnings, err := alexa.DecodeEvent(event, published, alexa.CheckWarn)
	if err != nil {
		t.Fatalf("CheckWarn: %v", err)
	}
	if !slices.ContainsFunc(warnings, broken.held) {
		t.Errorf("CheckWarn: got %q, want among it\n%s: %s", problems(warnings), broken.path, broken.problem)
	}
	if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
		t.Errorf("CheckWarn: sent as %s", sent)
	}
	e, warnings, err = alexa.DecodeEvent(event, published, alexa.CheckOff)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("CheckOff: error %v, warnings %q", err, problems(warnings))
	}
	if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
		t.Errorf("CheckOff: sent as %s", sent)
	}
}

// TestWarned: what Amazon takes, or might take by now, is carried, with a warning.
func TestWarned(t *testing.T) {
	t.Parallel()
	for _, test := range rulesIn(t, "warned.txt") {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := test.broken(t)
			_, warnings, err := alexa.DecodeEvent(event, published, alexa.CheckStrict)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.path + ": " + test.problem}, problems(warnings)); diff != "" {
				t.Fatalf("warnings (-want +got):\n%s", diff)
			}
			if !warnings[0].Warning {
				t.Error("not marked as a warning")
			}
			if warnings[0].Rule != schemaRule && warnings[0].Rule != useRule && !strings.HasPrefix(warnings[0].Rule, pagesRule) {
				t.Errorf("the rule is %q, and not one of Amazon's", warnings[0].Rule)
			}
			isCarried(t, event, test)
		})
	}
}

// TestRulesHaveTheirPage: a fault names the page that proves it, or the schema.
func TestRulesHaveTheirPage(t *testing.T) {
	t.Parallel()
	const pages = "developer.amazon.com/docs/device-apis/"
	for name, want := range map[string]string{
		"Alexa.SimpleEventSource.Event":           pages + "alexa-simpleeventsource.html",
		"Alexa.Discovery.DeleteReport":            pages + "alexa-discovery.html",
		"Alexa.DataController.ErrorResponse":      pages + "alexa-datacontroller-errorresponse.html",
		"Alexa.DoorbellEventSource.DoorbellPress": pages + "alexa-doorbelleventsource.html",
		"Alexa.SceneController.ActivationStarted": schemaRule,
	} {
		before, _, _ := strings.Cut(example(t, name), `"payload":`)
		_, faults, err := alexa.DecodeEvent([]byte(before+`"payload":{"timestamp":1}}}`), published, alexa.CheckWarn)
		if err != nil || len(faults) == 0 || faults[0].Rule != want {
			t.Errorf("%s of a wrong payload: error %v, faults %v, want the rule %s", name, err, faults, want)
		}
	}
}

// TestWarnings has what is carried and draws warnings, and is in no table of rules.
func TestWarnings(t *testing.T) {
	t.Parallel()
	without, _, _ := strings.Cut(example(t, "Alexa.StateReport"), `,"context":`)
	event := func(namespace, name, more string) string {
		return fmt.Sprintf(`{"userId":"u-1","event":{"header":{"namespace":%q,"name":%q},%s}}`, namespace, name, more)
	}
	const endpoint = `"endpoint":{"endpointId":"e-1"}`
	for name, test := range map[string]struct {
		event string
		want  []string
	}{
		"state of nothing": {without + "}", []string{"context: missing: the state of the endpoint's properties"}},
		// An error says which directive failed, in interfaces that are not in the table too.
		"error of any interface": {event("Alexa.Safety", "Close.ErrorResponse", endpoint), []string{
			"event.header.correlationToken: missing: it says which directive this answers"}},
		// Whether a retired kind still arrives is for Amazon to say.
		"retired interface": {event("Alexa.Networking", "Anything", endpoint), []string{"event.header.namespace: retired since 1 April 2024"}},
		"retired kind": {event("Alexa.MediaMetadata", "MediaDeleted", `"payload":{"mediaIds":[]}`), []string{
			"event.header.namespace: retired since 15 March 2023", "event.payload.mediaIds: empty"}},
		// A word is the same word however JSON writes it.
		"escapes": {strings.NewReplacer(`"HEAT"`, `"H\u0045AT"`, `"CELSIUS"`, `"\u0043ELSIUS"`, `"APP_INTERACTION"`,
			`"APP\u005fINTERACTION"`).Replace(example(t, report)), nil},
		// The number of endpoints is for the delivery to mend or for Amazon to judge.
		"no endpoints":    {additions(t), []string{"event.payload.endpoints: empty"}},
		"300 endpoints":   {additions(t, numbered(300)...), nil},
		"301 endpoints":   {additions(t, numbered(301)...), []string{"event.payload.endpoints: more than 300: they are sent in parts"}},
		"endpoints twice": {additions(t, "a", "b", "c", "b"), []string{"event.payload.endpoints[3].endpointId: the same as item 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, warnings, err := alexa.DecodeEvent([]byte(test.event), published, alexa.CheckStrict)
			if diff := cmp.Diff(test.want, problems(warnings)); diff != "" || err != nil {
				t.Errorf("error %v, warnings (-want +got):\n%s", err, diff)
			}
			if err := compiledSchema(t).Validate(instance(t, []byte(test.event))); err != nil {
				t.Errorf("the JSON Schema refuses it: %v", err)
			}
		})
	}
}

// additions is a report of endpoints by these ids.
func additions(t *testing.T, ids ...string) string {
	t.Helper()
	event := example(t, "Alexa.Discovery.AddOrUpdateReport")
	start := strings.Index(event, `{"endpointId"`)
	end := strings.LastIndex(event, `]}}}`)
	var list []string
	for _, id := range ids {
		list = append(list, strings.Replace(event[start:end], "lamp-1", id, 1))
	}
	return event[:start] + strings.Join(list, ",") + event[end:]
}

func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint("e-", i)
	}
	return ids
}

func TestEveryEndpointIsChecked(t *testing.T) {
	t.Parallel()
	late := strings.Replace(additions(t, numbered(302)...), `"e-301"`, `"e/301"`, 1)
	if _, _, err := alexa.DecodeEvent([]byte(late), published, alexa.CheckStrict); err == nil ||
		!strings.Contains(err.Error(), "endpoints[301].endpointId") {
		t.Errorf("the endpoint behind the 300th is not looked at: %v", err)
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	event := strings.NewReplacer(`"ON"`, `null`, `{"value":"OK"}`, `null`, `PHYSICAL_INTERACTION`, `WHIM`, `lamp-1`, `a/b`).Replace(longForm)
	e, warnings, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckWarn)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range warnings {
		got = append(got, a.Path+": "+a.Problem)
	}
	want := []string{
		"event.endpoint.endpointId: has a character other than letters, digits, spaces and _ - = # ; : ? @ &",
		"event.payload.change.cause.type: " + allCauses,
		"event.payload.change.properties[0].value: null, which counts as missing",
		"context.properties[0].value: null, which counts as missing",
	} // and nothing of the connectivity, which may be the property that cannot be read
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if sent := e.Append(nil, "m", sensitive.New("t")); bytes.Count(sent, []byte(`"value":null`)) != 2 || !json.Valid(sent) {
		t.Errorf("the event is not carried as it came: %s", sent)
	}

	extra := strings.NewReplacer(property, `{"namespace":"A","name":"b","value":1,"extra":2}`, other,
		`{"namespace":"A","name":"c","value":1,"extra":2}`, `"type":"PHYSICAL_INTERACTION"`,
		`"type":"PHYSICAL_INTERACTION","why":"x"`).Replace(longForm)
	e, warnings, err = alexa.DecodeEvent([]byte(extra), published, alexa.CheckWarn)
	if err != nil || len(warnings) != 4 {
		t.Fatalf("%v, warnings %v", err, warnings)
	}
	const filled = `,"value":1,"timeOfSample":"2026-01-02T03:04:06.789Z","uncertaintyInMilliseconds":0,"extra":2}`
	if sent := e.Append(nil, "m", sensitive.New("t")); bytes.Count(sent, []byte(filled)) != 2 ||
		!bytes.Contains(sent, []byte(`{"type":"PHYSICAL_INTERACTION","why":"x"}`)) || !json.Valid(sent) {
		t.Errorf("not carried with the defaults: %s", sent)
	}

	for old, as := range map[string]string{`"change"`: `"other"`, `"cause"`: `"because"`, `{"type"`: `{ "type":"RULE_TRIGGER","type"`} {
		given := strings.Replace(longForm, old, as, 1)
		for checks, faults := range map[alexa.Checks]int{alexa.CheckWarn: 1, alexa.CheckOff: 0} {
			e, warnings, err := alexa.DecodeEvent([]byte(given), published, checks)
			if err != nil || len(warnings) != faults {
				t.Fatalf("checks %d: error %v, warnings %v", checks, err, warnings)
			}
			_, payload, _ := strings.Cut(given, `"payload":`)
			payload, _, _ = strings.Cut(payload, `,"context"`)
			if sent := e.Append(nil, "m", sensitive.New("t")); !json.Valid(sent) || !strings.Contains(string(sent), payload) {
				t.Errorf("checks %d: the payload %s is not carried as it came: %s", checks, payload, sent)
			}
		}
	}
	if _, _, err := alexa.DecodeEvent([]byte(strings.Replace(longForm, "userId", "userid", 1)), published, alexa.CheckOff); err == nil {
		t.Error("checks off: a broken envelope passes")
	}
}

// TestFirstFault: of two faults strict checks name the first, also if the second is of
// the envelope and ends the decoding. Other checks name that one, which they refuse.
func TestFirstFault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event           *strings.Replacer
		form            string
		first, envelope string
	}{
		"header, endpoint": {strings.NewReplacer(`"ChangeReport"`, `"ChangeReport","payloadVersion":"2"`,
			`"endpointId"`, `"scope":1,"endpointId"`), longForm, `event.header.payloadVersion: must be "3"`, "event.endpoint.scope: leave it out"},
		"endpoint, payload": {strings.NewReplacer("lamp-1", "a/b", `"payload":{`, `"payload":{"scope":{},`),
			longForm, "event.endpoint.endpointId: has a character", "event.payload.scope: leave it out"},
		"cause, context": {strings.NewReplacer("PHYSICAL_INTERACTION", "WHIM", `"context":{`, `"context":{"x":1,`),
			longForm, "event.payload.change.cause.type: unknown", "context.x: unknown field"},
		"payload, context": {strings.NewReplacer("2026-01-02T03:04:05Z", "now", `"context":{`, `"context":{"x":1`),
			doorbell, "event.payload.timestamp: must be an RFC 3339 time", "context.x: unknown field"},
		"property, context": {strings.NewReplacer(other, strings.Repeat("{},", 1000)+"{}"),
			longForm, "context.properties[0].namespace: missing", "context.properties: more than 1000 properties"},
		"endpoint, cause": {strings.NewReplacer("lamp-1", "a/b", `"PHYSICAL_INTERACTION"`, "null"),
			shortForm, "endpointId: has a character", "cause: null"},
		"changed, unchanged": {strings.NewReplacer(`"ON"`, "null", `"unchanged":[`+other+`]`, `"unchanged":1`),
			shortForm, "changed[0].value: null", "unchanged: must be an array"},
		// What is wrong of the parts together comes last.
		"repeated, unchanged": {strings.NewReplacer(`"changed":[`, `"changed":[`+property+`,`, `"unchanged":[`+other+`]`, `"unchanged":1`),
			shortForm, "unchanged: must be an array", "unchanged: must be an array"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := []byte(test.event.Replace(test.form))
			for checks, want := range []string{test.first, test.envelope, test.envelope} {
				_, _, err := alexa.DecodeEvent(event, published, alexa.Checks(checks))
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("checks %d: %v, want %s", checks, err, want)
				}
			}
		})
	}
}

// TestManyProperties: lists that are too long to compare each with each are
// compared all the same.
func TestManyProperties(t *testing.T) {
	t.Parallel()
	list := func(from, to int) []alexa.Property {
		var list []alexa.Property
		for i := from; i < to; i++ {
			p, err := alexa.NewProperty("Alexa.ToggleController", "toggleState", "ON", published)
			if err != nil {
				t.Fatal(err)
			}
			p.Instance = "Zone." + strings.Repeat("x", i)
			list = append(list, p)
		}
		return list
	}
	tests := []struct {
		name               string
		changed, unchanged []alexa.Property
		want               string // the refusal
		warning            string // if there is none
		kept               int    // properties in the context that is sent
	}{
		{"32, all different", list(0, 10), list(10, 42), "", "", 32},
		{"33, all different", list(0, 10), list(10, 43), "", "", 33},
		{"10 and 32, one in both", list(0, 10), list(9, 41), "",
			"context.properties[0]: the same property as event.payload.change.properties[9]: only that is sent", 31},
		{"10 and 33, one in both", list(0, 10), list(9, 42), "",
			"context.properties[0]: the same property as event.payload.change.properties[9]: only that is sent", 32},
		{"33 and 10, one in both", list(0, 33), list(32, 42), "",
			"context.properties[0]: the same property as event.payload.change.properties[32]: only that is sent", 9},
		{"all of the state", list(0, 1), list(0, 3), "",
			"context.properties[0]: the same property as event.payload.change.properties[0]: only that is sent", 2},
		{"nothing else", list(0, 1), list(0, 1), "",
			"context.properties[0]: the same property as event.payload.change.properties[0]: only that is sent", 0},
		{"twice among 32", append(list(0, 31), list(30, 31)...), nil,
			"event.payload.change.properties[31]: the same property as event.payload.change.properties[30]", "", 0},
		{"twice among 33", append(list(0, 32), list(0, 1)...), nil,
			"event.payload.change.properties[32]: the same property as event.payload.change.properties[0]", "", 0},
		{"twice in the context", list(0, 1), append(list(1, 40), list(1, 2)...),
			"context.properties[39]: the same property as context.properties[0]", "", 0},
		{"in both, and twice in the context", list(0, 1), append(list(0, 3), list(0, 1)...),
			"context.properties[3]: the same property as context.properties[0]", "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := alexa.NewChangeReport("u-1", "e-1", "PERIODIC_POLL", test.changed, test.unchanged)
			data, warnings, err := e.Device()
			if test.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := problems(warnings); test.warning != "" && got[0] != test.warning || test.warning == "" && len(got) > 1 {
				t.Errorf("warnings %q, want %q", got, test.warning)
			}
			for _, checks := range []alexa.Checks{alexa.CheckStrict, alexa.CheckWarn, alexa.CheckOff} {
				e, _, err := alexa.DecodeEvent(data, published, checks)
				if err != nil || len(e.Context.Properties) != test.kept || len(e.Change.Properties) != len(test.changed) {
					t.Errorf("checks %d: error %v, %d properties changed and %d in the context, want %d and %d", checks, err,
						len(e.Change.Properties), len(e.Context.Properties), len(test.changed), test.kept)
				}
			}
		})
	}
}

// TestUndecodablePropertiesAreNotCompared: what could not be read is no twin of
// anything, in lists of any length.
func TestUndecodablePropertiesAreNotCompared(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 40} {
		event := `{"userId":"u-1","endpointId":"e-1","cause":"PERIODIC_POLL","changed":[` +
			strings.TrimSuffix(strings.Repeat(`{"value":1},`, n), ",") + `]}`
		e, warnings, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckWarn)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range warnings {
			if strings.HasPrefix(f.Problem, "the same property") {
				t.Errorf("%d properties: %v", n, f)
			}
		}
		if sent, want := string(e.Append(nil, "m-1", fakeToken)),
			`{"value":1,"timeOfSample":"2026-01-02T03:04:06.789Z","uncertaintyInMilliseconds":0}`; strings.Count(sent, want) != n ||
			!json.Valid([]byte(sent)) {
			t.Errorf("%d properties are sent as %s", n, sent)
		}
	}
}
