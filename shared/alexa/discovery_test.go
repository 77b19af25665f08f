package alexa_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

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

// TestDiscoveryAsAWhole: the number of endpoints is for the delivery to mend or
// for Amazon to judge.
func TestDiscoveryAsAWhole(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	tests := []struct {
		name, event string
		want        []string
	}{
		{"none", additions(t), []string{"event.payload.endpoints: empty"}},
		{"300", additions(t, numbered(300)...), nil},
		{"301", additions(t, numbered(301)...), []string{"event.payload.endpoints: more than 300: they are sent in parts"}},
		{"one twice", additions(t, "a", "b", "c", "b"), []string{"event.payload.endpoints[3].endpointId: the same as item 1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, warnings, err := alexa.DecodeEvent([]byte(test.event), published, alexa.CheckStrict)
			if diff := cmp.Diff(test.want, problems(warnings)); diff != "" || err != nil {
				t.Errorf("error %v, warnings (-want +got):\n%s", err, diff)
			}
			if err := schema.Validate(instance(t, []byte(test.event))); err != nil {
				t.Errorf("the JSON Schema refuses it: %v", err)
			}
		})
	}
	late := strings.Replace(additions(t, numbered(302)...), `"e-301"`, `"e/301"`, 1)
	if _, _, err := alexa.DecodeEvent([]byte(late), published, alexa.CheckStrict); err == nil ||
		!strings.Contains(err.Error(), "endpoints[301].endpointId") {
		t.Errorf("the endpoint behind the 300th is not looked at: %v", err)
	}
}

// TestEmptyContext: a publisher who always writes a context loses no event by
// it, and an event that has none is sent without.
func TestEmptyContext(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Alexa.ErrorResponse", "Alexa.Cooking.ErrorResponse", "Alexa.SimpleEventSource.Event",
		"Alexa.Discovery.DeleteReport", "Alexa.Discovery.AddOrUpdateReport"} {
		without := example(t, name)
		for _, context := range []string{`{}`, `{"properties":[]}`} {
			with := strings.Replace(without, `{"userId":"u-1"`, `{"context":`+context+`,"userId":"u-1"`, 1)
			for _, checks := range []alexa.Checks{alexa.CheckStrict, alexa.CheckWarn, alexa.CheckOff} {
				e, warnings, err := alexa.DecodeEvent([]byte(with), published, checks)
				if err != nil || len(warnings) > 0 {
					t.Errorf("%s with %s, checks %d: error %v, warnings %q", name, context, checks, err, problems(warnings))
					continue
				}
				if diff := cmp.Diff(encode(t, without), string(e.Append(nil, "m-1", fakeToken))); diff != "" {
					t.Errorf("%s with %s, checks %d (-without +with):\n%s", name, context, checks, diff)
				}
			}
		}
	}
	if sent := encode(t, doorbell); !strings.HasSuffix(sent, `"context":{}}`) {
		t.Errorf("a press, which has a context, is sent as %s", sent)
	}
}

// TestRulesHaveTheirPage: a refusal names the page that proves it.
func TestRulesHaveTheirPage(t *testing.T) {
	t.Parallel()
	const pages = "developer.amazon.com/docs/device-apis/"
	for name, want := range map[string]string{
		"Alexa.SimpleEventSource.Event":           pages + "alexa-simpleeventsource.html",
		"Alexa.Discovery.DeleteReport":            pages + "alexa-discovery.html",
		"Alexa.DataController.ErrorResponse":      pages + "alexa-datacontroller-errorresponse.html",
		"Alexa.DoorbellEventSource.DoorbellPress": pages + "alexa-doorbelleventsource.html",
	} {
		before, _, _ := strings.Cut(example(t, name), `"payload":`)
		_, _, err := alexa.DecodeEvent([]byte(before+`"payload":{}}}`), published, alexa.CheckStrict)
		if field, ok := err.(*alexa.FieldError); !ok || field.Rule != want {
			t.Errorf("%s without payload: %v, want the rule %s", name, err, want)
		}
	}
}
