package alexa_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// TestTimesInAlexasForm: a payload's timestamp is brought into the form of its
// kind, never to another instant, and what is in that form is not touched.
func TestTimesInAlexasForm(t *testing.T) {
	t.Parallel()
	const bell, scene, button = "Alexa.DoorbellEventSource.DoorbellPress", "Alexa.SceneController.ActivationStarted",
		"Alexa.SimpleEventSource.Event"
	tests := []struct{ name, example, given, want string }{
		{"press, as it should be", bell, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
		{"press with a fraction", bell, "2026-01-02T03:04:05.999Z", "2026-01-02T03:04:05Z"},
		{"press in another zone", bell, "2026-01-02T04:34:05+01:30", "2026-01-02T03:04:05Z"},
		{"press with an escape", bell, `2026-01-02T03:04:05\u005A`, `2026-01-02T03:04:05\u005A`},
		{"scene, as it should be", scene, "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"},
		{"scene in whole seconds", scene, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
		{"scene in tenths", scene, "2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.6Z"},
		{"scene in nanoseconds", scene, "2026-01-02T03:04:05.678999999Z", "2026-01-02T03:04:05.678Z"},
		{"scene in another zone", scene, "2026-01-01T23:04:05-04:00", "2026-01-02T03:04:05.000Z"},
		{"scene at +00:00", scene, "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.000Z"},
		{"press in small letters", bell, "2026-01-02t03:04:05z", "2026-01-02T03:04:05Z"},
		{"scene in small letters", scene, "2026-01-02t03:04:05.5z", "2026-01-02T03:04:05.500Z"},
		{"scene in a leap second", scene, "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
		{"press in a leap second of Paris", bell, "2017-01-01T00:59:60.25+01:00", "2017-01-01T00:00:00Z"},
		{"button in microseconds", button, "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678Z"},
		{"button, as it should be", button, "2026-01-02T03:04:05.67Z", "2026-01-02T03:04:05.67Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := example(t, test.example)
			old := decodeAny(t, []byte(event)).(map[string]any)["event"].(map[string]any)["payload"].(map[string]any)["timestamp"].(string)
			payload := string(decode(t, event).Payload)
			// Space between the parts shows whether they are touched.
			given := strings.Replace(strings.Replace(event, `"`+old+`"`, ` "`+test.given+`" `, 1), `"payload":{`, `"payload":{  `, 1)
			e := decode(t, given)
			want := strings.Replace(strings.Replace(payload, `"`+old+`"`, ` "`+test.want+`" `, 1), `{`, `{  `, 1)
			if got := string(e.Payload); got != want {
				t.Errorf("the payload is\n%s, want\n%s", got, want)
			}
			if test.given == test.want {
				return
			}
			for _, checks := range []alexa.Checks{alexa.CheckWarn, alexa.CheckOff} {
				e, _, err := alexa.DecodeEvent([]byte(given), published, checks)
				if err != nil || string(e.Payload) != want {
					t.Errorf("checks %d: %v, the payload is\n%s, want\n%s", checks, err, e.Payload, want)
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

func TestParseTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-01-02t03:04:05z":        "2026-01-02T03:04:05.000Z",
		"2026-01-02t05:04:05.5+02:00": "2026-01-02T03:04:05.500Z",
		"2016-12-31T23:59:60Z":        "2017-01-01T00:00:00.000Z",
		"2016-12-31T23:59:60.5Z":      "2017-01-01T00:00:00.500Z",
		"2016-12-31T15:59:60-08:00":   "2017-01-01T00:00:00.000Z",
		"2016-12-31T23:58:60Z":        "", // no leap second is there
		"2017-01-01T00:29:60Z":        "",
		"2016-12-31T23:59:61Z":        "",
		"2016-12-31T23:59:60":         "",
		"2016-12-31X23:59:05Z":        "",
		":60":                         "",
	} {
		read, err := alexa.ParseTime(text)
		if want == "" && err == nil || want != "" && (err != nil || alexa.FormatTime(read) != want) {
			t.Errorf("%s is read as %s (error %v), want %q", text, alexa.FormatTime(read), err, want)
		}
	}
}

func TestFieldError(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]alexa.FieldError{
		"not JSON":            {Problem: "not JSON"},
		"userId: missing":     {Path: "userId", Problem: "missing"},
		"a.b: empty (a page)": {Path: "a.b", Problem: "empty", Rule: "a page"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
