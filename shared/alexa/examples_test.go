package alexa_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// examples returns the files of the folder examples by name, less the ending.
func examples(tb testing.TB) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob("examples/*.json")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no examples (%v)", err)
	}
	files := make(map[string][]byte)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = data
	}
	return files
}

// example returns one of them, without the space between its parts.
func example(tb testing.TB, name string) string {
	tb.Helper()
	data, ok := examples(tb)[name]
	if !ok {
		tb.Fatalf("no example %s", name)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return compact.String()
}

// sendable are the kinds that go to the gateway.
func sendable() []alexa.Kind {
	return slices.DeleteFunc(alexa.Kinds(), func(k alexa.Kind) bool { return k.Synchronous != "" })
}

func TestEveryKindHasAnExample(t *testing.T) {
	t.Parallel()
	want := []string{"Alexa.ChangeReport.short"}
	for _, kind := range sendable() {
		want = append(want, kind.Namespace+"."+kind.Name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(examples(t)))); diff != "" {
		t.Errorf("the examples differ from the kinds that can be sent (-want +got):\n%s", diff)
	}
}

// TestExamples: a maker who copies an example is not told to do better.
func TestExamples(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	for name, data := range examples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, warnings, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
			if err != nil {
				t.Fatal(err)
			}
			kind := e.Kind()
			if got := strings.TrimSuffix(name, ".short"); got != kind.Namespace+"."+kind.Name {
				t.Errorf("is a %s.%s", kind.Namespace, kind.Name)
			}
			var want []string
			if kind.Retired != "" {
				want = []string{"event.header.namespace: retired since " + kind.Retired}
			}
			if diff := cmp.Diff(want, problems(warnings)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if sent := e.Append(nil, "m-1", sensitive.New("Atza|fake")); !json.Valid(sent) {
				t.Errorf("sent as %s", sent)
			}
			if err := schema.Validate(instance(t, data)); err != nil {
				t.Errorf("the JSON Schema refuses it: %v", err)
			}
		})
	}
}

func problems(faults []*alexa.FieldError) []string {
	var list []string
	for _, f := range faults {
		list = append(list, strings.TrimPrefix(f.Path+": "+f.Problem, ": "))
	}
	return list
}

func TestExamplesAreListed(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, link := range regexp.MustCompile(`\| \[(\S+)\.json\]\((\S+)\.json\) \|`).FindAllStringSubmatch(string(page), -1) {
		if link[1] != link[2] {
			t.Errorf("%s.json links to %s.json", link[1], link[2])
		}
		listed = append(listed, link[1])
	}
	slices.Sort(listed)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(examples(t))), listed); diff != "" {
		t.Errorf("examples/README.md lists others than there are (-want +got):\n%s", diff)
	}
}

// TestBothForms: the two forms of a ChangeReport are equal in every way.
func TestBothForms(t *testing.T) {
	t.Parallel()
	long, short := encode(t, example(t, "Alexa.ChangeReport")), encode(t, example(t, "Alexa.ChangeReport.short"))
	if diff := cmp.Diff(long, short); diff != "" {
		t.Errorf("(-long +short):\n%s", diff)
	}
}

// TestOfficialSamples takes Amazon's sample messages through the package: as a
// maker would publish them, and as they are sent then.
func TestOfficialSamples(t *testing.T) {
	t.Parallel()
	root := filepath.Join(officialDir(t), "sample_messages")
	taken := 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sample := decodeAny(t, data).(map[string]any)
		header := child(sample, "event", "header")
		if header == nil { // a directive
			return nil
		}
		namespace, name := header["namespace"].(string), header["name"].(string)
		if alexa.KindOf(namespace, name).Synchronous == "" {
			taken++
			t.Run(filepath.Base(path), func(t *testing.T) { survives(t, sample) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if taken < 15 {
		t.Errorf("%d samples were taken, which are too few", taken)
	}
}

// survives takes a sample to a device event and back.
func survives(t *testing.T, sample map[string]any) {
	t.Helper()
	event := clone(sample).(map[string]any)
	event["userId"] = "u-1"
	delete(child(event, "event", "header"), "messageId")
	delete(child(event, "event", "endpoint"), "scope")
	delete(child(event, "event", "payload"), "scope")
	data, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	e, warnings, err := alexa.DecodeEvent(data, published, alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	messageID := child(sample, "event", "header")["messageId"].(string)
	sent := e.Append(nil, messageID, sensitive.New("access-token-from-Amazon"))
	want, err := json.Marshal(sample)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decodeAny(t, sameInstants(want)), decodeAny(t, sameInstants(sent))); diff != "" {
		t.Errorf("sent differs from the sample (-want +got):\n%s", diff)
	}
}

// sameInstants writes the samples' times, which have two digits of fraction, as
// they are sent.
func sameInstants(data []byte) []byte {
	return bytes.ReplaceAll(data, []byte(`:30.45Z"`), []byte(`:30.450Z"`))
}
