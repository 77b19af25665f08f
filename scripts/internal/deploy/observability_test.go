package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// observability is what Terraform's metrics.tf.json says about the log.
type observability struct {
	Metrics map[string]struct {
		Where  []string          `json:"where"`
		Value  string            `json:"value"`
		Labels map[string]string `json:"labels"`
	} `json:"metrics"`
	CanaryReport map[string]any `json:"canary_report"`
}

// TestMetrics runs the program, with faults, and compares each log-based metric with
// the lines that it wrote: one matches the filter, and each extractor finds its field.
func TestMetrics(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../infra/modules/observability/metrics.tf.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Locals observability }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	lines := troubledRun(t, file.Locals.CanaryReport)
	for name, metric := range file.Locals.Metrics {
		found := slices.DeleteFunc(slices.Clone(lines), func(line map[string]any) bool {
			return slices.ContainsFunc(metric.Where, func(term string) bool { return !matches(t, term, line) })
		})
		if len(found) == 0 {
			t.Errorf("%s: no line has %s", name, strings.Join(metric.Where, " AND "))
		}
		for _, extractor := range slices.Concat([]string{metric.Value}, slices.Collect(maps.Values(metric.Labels))) {
			field := extracted(extractor)
			known := slices.ContainsFunc(found, func(line map[string]any) bool { return line[field] != nil })
			if extractor != "" && !known {
				t.Errorf("%s: %s finds nothing", name, extractor)
			}
		}
		for _, line := range found {
			if _, number := line[extracted(metric.Value)].(float64); metric.Value != "" && !number {
				t.Errorf("%s: %s is no number in %v", name, metric.Value, line)
			}
		}
	}
}

// extracted returns the field of an extractor, EXTRACT(jsonPayload.FIELD).
func extracted(extractor string) string {
	return strings.TrimSuffix(strings.TrimPrefix(extractor, "EXTRACT(jsonPayload."), ")")
}

// comparison is one of a filter of Cloud Logging: a field has the value, or any.
var comparison = regexp.MustCompile(`^(?:jsonPayload\.)?(\w+)(?:(:\*)|="?([^"]*)"?)$`)

// matches reports whether a line has what a term of a filter says: a comparison, or
// several in parentheses of which one suffices.
func matches(t *testing.T, term string, line map[string]any) bool {
	t.Helper()
	return slices.ContainsFunc(strings.Split(strings.Trim(term, "()"), " OR "), func(one string) bool {
		parts := comparison.FindStringSubmatch(one)
		if parts == nil {
			t.Fatalf("%s: not a comparison that this test knows", one)
		}
		value, given := line[parts[1]]
		return given && (parts[2] != "" || fmt.Sprint(value) == parts[3])
	})
}

// troubledRun returns the lines of a run in which everything that a metric counts
// happens at least once.
func troubledRun(t *testing.T, canary map[string]any) []map[string]any {
	t.Helper()
	var mu sync.Mutex
	var lines []map[string]any
	amazon, store := simulator.New(simulator.Options{}), grantmem.New()
	g, err := oneprocess.Start(t.Context(), oneprocess.Options{
		Project: "p", Amazon: amazon, Store: store, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		Env: map[string]string{"ALEXA_REGIONS": "EU", "REFRESH_SHARDS": "1", "GRANT_EVENTS_TOPIC": "missing"},
		OnLine: func(l oneprocess.Line) {
			var line map[string]any
			if err := json.Unmarshal(l.JSON(), &line); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		},
		OnFailure: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { g.Stop() })
	defer stop()
	ctx := testkit.Context(t)
	link := func(user string) {
		t.Helper()
		if err := g.Link(ctx, alexa.EU, "amzn-"+user, user); err != nil {
			t.Fatal(err)
		}
	}
	report := func(user, outcome string, attributes map[string]string) {
		t.Helper()
		id, err := g.Publish(ctx, event(t, canary, user), attributes, "")
		if err != nil {
			t.Fatal(err)
		}
		if line, err := g.Delivered(ctx, id); err != nil || line.Text("outcome") != outcome {
			t.Errorf("outcome for %s = %s, %v, want %s", user, line.Text("outcome"), err, outcome)
		}
	}

	link("u-1")
	report("u-1", "accepted", nil)
	amazon.ExpireAccessTokens(alexa.EU, "amzn-u-1")
	report("u-1", "accepted", nil) // with a token that is refreshed for it
	amazon.Script(simulator.Exchange, simulator.Fault{Code: simulator.LWAInvalidClient})
	if err := g.Link(ctx, alexa.EU, "amzn-u-2", "u-2"); err == nil {
		t.Error("a link was accepted although Login with Amazon refuses the client")
	}
	report("u-1", "expired", map[string]string{"gatepost-published": time.Now().Add(-time.Hour).Format(time.RFC3339)})

	post := func(function, body string) {
		t.Helper()
		if _, err := g.Post(ctx, function, nil, []byte(body)); err != nil {
			t.Error(err)
		}
	}
	post("SkillEvent", `{"version":"1.0","context":{"System":{"application":{"applicationId":"amzn1.ask.skill.fake"},
		"user":{"userId":"amzn1.ask.account.fake"}}},"request":{"type":"AlexaSkillEvent.SkillDisabled","requestId":"r-1",
		"timestamp":"2026-01-02T03:04:07Z"}}`)
	if err := access.NewBrake(store, time.Now).On(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.Sweep(ctx); err != nil {
		t.Error(err)
	}
	late, err := push.Encode(push.Message{ID: "late", Data: []byte(`{"shard":0,"shards":1}`), PublishTime: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	post("RefreshShard", string(late))

	const many = 10 // which open the circuit breaker
	amazon.Always(simulator.Gateway(alexa.EU), simulator.Fault{Status: 503})
	for i := range many {
		user := fmt.Sprint("u-many-", i)
		link(user)
		if _, err := g.Publish(ctx, event(t, canary, user), nil, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.Lines.Wait(ctx, func(l oneprocess.Line) bool { return l.Message == "circuit breaker" }); err != nil {
		t.Error(err)
	}
	stop()
	mu.Lock()
	defer mu.Unlock()
	return lines
}

// event returns the canary's report of a customer, as Cloud Scheduler publishes it.
func event(t *testing.T, canary map[string]any, user string) []byte {
	t.Helper()
	e := maps.Clone(canary)
	e["userId"], e["endpointId"] = user, "lamp-1"
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPlaybooks: each alert names a page, and each page is named and has all headings.
func TestPlaybooks(t *testing.T) {
	t.Parallel()
	headings := []string{"What it means", "What Gatepost does by itself", "What you must not do", "What to do", "The query"}
	pages, err := filepath.Glob("../../../infra/playbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, page := range pages {
		have = append(have, strings.TrimSuffix(filepath.Base(page), ".md"))
		var got []string
		for _, found := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(textOf(t, page), -1) {
			got = append(got, found[1])
		}
		if diff := cmp.Diff(headings, got); diff != "" {
			t.Errorf("%s: headings differ (-want +got):\n%s", page, diff)
		}
	}
	modules, err := filepath.Glob("../../../infra/modules/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, file := range modules {
		names := regexp.MustCompile(`playbook += "([^"]+)"|infra/playbooks/([a-z-]+)\.md`)
		for _, found := range names.FindAllStringSubmatch(textOf(t, file), -1) {
			named = append(named, found[1]+found[2])
		}
	}
	slices.Sort(named)
	if diff := cmp.Diff(have, slices.Compact(named)); diff != "" {
		t.Errorf("pages and those that alerts name differ (-pages +alerts):\n%s", diff)
	}
}

func textOf(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
