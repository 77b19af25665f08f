package alexa_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

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
