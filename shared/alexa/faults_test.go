package alexa_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

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

// TestFaultsHoldNoValue: whatever is wrong with a value, it may be a secret, and
// what is said names the field only.
func TestFaultsHoldNoValue(t *testing.T) {
	t.Parallel()
	const canary = "canary.of/value"
	for name, data := range examples(t) {
		doc := decodeAny(t, data)
		for _, set := range leaves(doc) {
			old := set(canary)
			event, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = alexa.DecodeEvent(event, published, alexa.CheckStrict)
			_, warnings, _ := alexa.DecodeEvent(event, published, alexa.CheckWarn)
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: %v", name, err)
			}
			if said := strings.Join(problems(warnings), "\n"); strings.Contains(said, canary) {
				t.Errorf("%s: %s", name, said)
			}
			set(old)
		}
	}
}

// leaves returns, for each value in a document that is no object or list, a
// function that replaces it and returns what was there.
func leaves(v any) []func(any) any {
	var list []func(any) any
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if below := leaves(value); below != nil {
				list = append(list, below...)
				continue
			}
			list = append(list, func(to any) (old any) { old, v[name] = v[name], to; return old })
		}
	case []any:
		for i, value := range v {
			if below := leaves(value); below != nil {
				list = append(list, below...)
				continue
			}
			list = append(list, func(to any) (old any) { old, v[i] = v[i], to; return old })
		}
	}
	return list
}

// TestFaultsAreCounted: what is not listed is counted, and a refusal is not
// hidden by warnings.
func TestFaultsAreCounted(t *testing.T) {
	t.Parallel()
	report := func(properties string) []byte {
		return []byte(`{"userId":"u-1","endpointId":"e-1","cause":"PERIODIC_POLL","changed":[` + strings.TrimSuffix(properties, ",") + `]}`)
	}
	const odd = `{"namespace":"Alexa.EndpointHealth","name":"connectivity","instance":"#","value":{"value":"ODD"},` +
		`"timeOfSample":"2026-01-02T03:04:05Z"},`
	tests := []struct {
		name       string
		properties string
		listed     int
		last       string
		isWarning  bool
	}{
		{"80 warnings", distinct(odd, 80), 80, "changed[79].value.value: unknown, one of OK, UNREACHABLE", true},
		{"200 warnings", distinct(odd, 200), 81, "and 120 faults more", true},
		{"a refusal behind them", distinct(odd, 200) + "{},", 82, "and 120 faults more", true},
		{"200 refusals", strings.Repeat("{},", 200), 101, "and 100 faults more", false},
	}
	for _, test := range tests {
		_, warnings, err := alexa.DecodeEvent(report(test.properties), published, alexa.CheckWarn)
		if err != nil || len(warnings) != test.listed {
			t.Errorf("%s: error %v, %d listed, want %d", test.name, err, len(warnings), test.listed)
			continue
		}
		if last := warnings[len(warnings)-1]; problems(warnings)[len(warnings)-1] != test.last || last.Warning != test.isWarning {
			t.Errorf("%s: the last is %v (warnings: %v), want %s", test.name, last, last.Warning, test.last)
		}
	}
	for _, checks := range []alexa.Checks{alexa.CheckWarn, alexa.CheckOff} {
		if _, _, err := alexa.DecodeEvent(report(strings.Repeat("{},", 1000)), published, checks); err != nil {
			t.Errorf("checks %d: 1000 that cannot be read: %v", checks, err)
		}
		if _, _, err := alexa.DecodeEvent(report(strings.Repeat("{},", 1001)), published, checks); err == nil {
			t.Errorf("checks %d: 1001 that cannot be read are carried", checks)
		}
	}
}

// distinct is a list of n times a property, each of another instance.
func distinct(property string, n int) string {
	var list strings.Builder
	for i := range n {
		list.WriteString(strings.Replace(property, "#", strings.Repeat("i", i+1), 1))
	}
	return list.String()
}

const megabyte = 1 << 20

// hostile are events of a megabyte that are wrong at every turn.
func hostile() map[string]string {
	discovery := func(name, payload string) string {
		return `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"` + name + `"},"payload":` + payload + `}}`
	}
	property := func(namespace, name, value string) string {
		return `{"userId":"u-1","endpointId":"e-1","cause":"PERIODIC_POLL","changed":[{"namespace":"` + namespace + `","name":"` + name +
			`","value":` + value + `}]}`
	}
	of := func(list ...string) string { return "[" + strings.Join(list, ",") + "]" }
	members := func(template string) string {
		var b strings.Builder
		for b.Len() < megabyte {
			b.WriteString(strings.ReplaceAll(template, "#", strings.Repeat("x", b.Len()%97)))
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	fill := func(item string) []string {
		return strings.Split(strings.Repeat(item+"\n", megabyte/(len(item)+1)-1)+item, "\n")
	}
	const endpoint = `{"endpointId":"e-1","manufacturerName":"m","friendlyName":"f","description":"d","displayCategories":["LIGHT"],` +
		`"capabilities":`
	const answer = `"event":{"header":{"namespace":"Alexa","name":"ErrorResponse","correlationToken":"c"},` +
		`"endpoint":{"endpointId":"e-1"},"payload":{"type":"INTERNAL_ERROR","message":"m",`
	return map[string]string{
		"endpoints":         discovery("AddOrUpdateReport", `{"endpoints":`+of(fill("{}")...)+`}`),
		"endpoints' ids":    discovery("AddOrUpdateReport", `{"endpoints":[`+members(`{"endpointId":"#"},`)+`]}`),
		"endpoints removed": discovery("DeleteReport", `{"endpoints":`+of(fill("{}")...)+`}`),
		"capabilities":      discovery("AddOrUpdateReport", `{"endpoints":[`+endpoint+of(fill("{}")...)+`}]}`),
		"categories":        discovery("AddOrUpdateReport", `{"endpoints":[`+strings.Replace(endpoint, `"LIGHT"`, members(`"#",`), 1)+`[]}]}`),
		"cookies":           discovery("AddOrUpdateReport", `{"endpoints":[`+endpoint+`[],"cookie":{`+members(`"#":1,`)+`}}]}`),
		"bands":             property("Alexa.EqualizerController", "bands", of(fill("{}")...)),
		"levels":            property("Alexa.EqualizerController", "bands", "["+members(`{"name":"#","level":1},`)+"]"),
		"channel":           property("Alexa.ChannelController", "channel", "{"+members(`"#":1,`)+"}"),
		"media": `{"userId":"u-1","event":{"header":{"namespace":"Alexa.MediaMetadata","name":"MediaDeleted"},` +
			`"payload":{"mediaIds":` + of(fill("1")...) + `}}}`,
		"members":    `{"userId":"u-1",` + answer + members(`"#":1,`) + `}}}`,
		"one member": `{"userId":"u-1",` + answer + strings.TrimSuffix(strings.Repeat(`"x":1,`, megabyte/6), ",") + `}}}`,
		"properties": `{"userId":"u-1","endpointId":"e-1","cause":"PERIODIC_POLL","changed":` + of(fill("{}")...) + `}`,
		"context": `{"userId":"u-1","endpointId":"e-1","cause":"PERIODIC_POLL","changed":[` + property1 + `],"unchanged":` +
			of(fill(property1)...) + `}`,
	}
}

const property1 = `{"namespace":"A","name":"b","value":1}`

// TestHostileEventsAreCheap: SendEvent takes many events of a megabyte at once,
// and none may cost many times its size.
func TestHostileEventsAreCheap(t *testing.T) {
	for name, event := range hostile() {
		data := []byte(event)
		for _, checks := range []alexa.Checks{alexa.CheckStrict, alexa.CheckWarn, alexa.CheckOff} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, warnings, err := alexa.DecodeEvent(data, published, checks)
			runtime.ReadMemStats(&after)
			if cost := (after.TotalAlloc - before.TotalAlloc) / megabyte; cost > 20 {
				t.Errorf("%s, checks %d: %d MB allocated for %d KB (error %v)", name, checks, cost, len(data)>>10, err)
			} else if testing.Verbose() {
				t.Logf("%s, checks %d: %d MB, %d faults, %v", name, checks, cost, len(warnings), err)
			}
			if len(warnings) > 101 {
				t.Errorf("%s, checks %d: %d faults are listed", name, checks, len(warnings))
			}
		}
	}
}
