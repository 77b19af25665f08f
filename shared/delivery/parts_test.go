package delivery

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// discovery returns a report by a name about n endpoints.
func discovery(t *testing.T, name string, n int) *alexa.Event {
	t.Helper()
	endpoints := make([]string, n)
	for i := range endpoints {
		endpoints[i] = fmt.Sprintf(`{"endpointId":"e-%d"}`, i)
	}
	data := fmt.Sprintf(`{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":%q},"payload":{"endpoints":[%s]}}}`,
		name, strings.Join(endpoints, ","))
	e, _, err := alexa.DecodeEvent([]byte(data), time.Unix(0, 0), alexa.CheckOff)
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

// TestPartSizes: a report that is known to be too large is split before it is sent.
// The names of the parts are fixed, because message ids are made of them.
func TestPartSizes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		report string
		n      int
		want   []string // name:endpoints of each part
	}{
		{"AddOrUpdateReport", 0, []string{":0"}},
		{"AddOrUpdateReport", 300, []string{":300"}},
		{"AddOrUpdateReport", 301, []string{"0:300", "300:1"}},
		{"AddOrUpdateReport", 750, []string{"0:300", "300:300", "600:150"}},
		{"DeleteReport", 30, []string{":30"}},
		{"DeleteReport", 61, []string{"0:30", "30:30", "60:1"}},
		{"OtherReport", 1000, []string{":1000"}},
	} {
		e := discovery(t, test.report, test.n)
		var got []string
		next := 0
		for _, p := range parts(e) {
			event := p.event()
			got = append(got, fmt.Sprintf("%s:%d", p.name, strings.Count(string(event.Payload), "endpointId")))
			for range p.endpoints.Len() {
				if !strings.Contains(string(event.Payload), fmt.Sprintf(`"e-%d"`, next)) {
					t.Fatalf("%s of %d: endpoint %d missing in part %s", test.report, test.n, next, p.name)
				}
				next++
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || next != test.n {
			t.Errorf("%s of %d: %d endpoints in all, parts differ (-want +got):\n%s", test.report, test.n, next, diff)
		}
	}
}

// TestPartsAreCheap: splitting a megabyte, and encoding the parts, allocates a few
// megabytes for any number of parts.
func TestPartsAreCheap(t *testing.T) {
	e := discovery(t, "DeleteReport", 45_000)
	token := sensitive.New("Atza|fake")
	buffer := make([]byte, 0, 64<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sent := 0
	for _, p := range parts(e) {
		event := p.event()
		buffer = event.Append(buffer[:0], "m-1", token)
		sent++
	}
	runtime.ReadMemStats(&after)
	if cost := (after.TotalAlloc - before.TotalAlloc) >> 20; cost > 10 || sent != 1500 {
		t.Errorf("allocated %d MB for %d KB in %d parts", cost, len(e.Payload)>>10, sent)
	}
}
