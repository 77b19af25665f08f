package alexa_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// read decodes a file of testdata.
func read[T any](t *testing.T, name string) T {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestPublicReports: testdata/public.json has, in our own words, events of public
// bug reports about senders like this one, and what must become of them.
func TestPublicReports(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	for _, test := range read[[]struct {
		Kind, Must string
		Event      json.RawMessage
	}](t, "public.json") {
		_, _, err := alexa.DecodeEvent(test.Event, published, alexa.CheckStrict)
		said := schema.Validate(instance(t, test.Event))
		if refused := test.Must == "refused"; (err != nil) != refused || (said != nil) != refused {
			t.Errorf("%s: must be %s; DecodeEvent: %v, the JSON Schema: %v", test.Kind, test.Must, err, said)
		}
	}
}

// TestPublicBodies: testdata/bodies.json has, in our own words, what others send,
// one body or more for each interface: the answers that openHAB's skill expects
// of itself (openhab/openhab-alexa, lambda/test/alexa/cases), the reports that
// Home Assistant's tests expect (home-assistant/core, tests/components/alexa), and
// what node-red-contrib-alexa-virtual-smarthome builds of the newer pages. All of
// it goes through, and nothing of it draws a warning about a value or a name.
func TestPublicBodies(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	bodies := read[[]json.RawMessage](t, "bodies.json")
	if len(bodies) < 40 {
		t.Errorf("%d bodies", len(bodies))
	}
	for _, body := range bodies {
		e, warnings, err := alexa.DecodeEvent(body, published, alexa.CheckStrict)
		if err != nil {
			t.Errorf("%v: %s", err, body)
			continue
		}
		for _, w := range warnings {
			if strings.Contains(w.Path, "value") || strings.Contains(w.Path, "payload") || strings.Contains(w.Problem, "did you mean") {
				t.Errorf("%v: %s", w, body)
			}
		}
		if err := schema.Validate(instance(t, body)); err != nil {
			t.Errorf("the JSON Schema: %v: %s", err, body)
		}
		if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
			t.Errorf("sent as %s", sent)
		}
	}
}

// TestReadmeShortForm: the first event that a reader sees is sent without a word.
func TestReadmeShortForm(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "has a short form:\n\n```json\n")
	event, _, found := strings.Cut(after, "```")
	_, warnings, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckStrict)
	if !found || err != nil || len(warnings) > 0 {
		t.Errorf("error %v, warnings %v: %s", err, warnings, event)
	}
}
