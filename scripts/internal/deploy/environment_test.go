package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProxyEnvironment holds the variables of the skill proxy against those of
// Terraform's module: a plan does not show them.
func TestProxyEnvironment(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile("../../../infra/modules/skill-proxy/function.tf")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, found := range regexp.MustCompile(`(?m)^    ([A-Z_]+) += `).FindAllStringSubmatch(string(module), -1) {
		// The audiences of our own functions are their URLs, which is the default.
		if name := found[1]; name != "ACCEPT_GRANT_AUDIENCE" && name != "SKILL_EVENT_AUDIENCE" {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	s := with(t, object{"directive": object{"url": "https://maker.example/", "auth": "google", "audience": "a"}})
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(s.proxyEnvironment(s.stacks[0])))); diff != "" {
		t.Errorf("variables differ (-infra +deploy):\n%s", diff)
	}
}

// TestSweepEnvironment has RefreshShard, and it alone, know how often the
// scheduler begins a sweep, and how much it may ask of Login with Amazon.
func TestSweepEnvironment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		schedule     string
		rate         int
		period, most string // in the environment
	}{
		{"*/5 * * * *", 0, "", ""}, {"*/4 * * * *", 1, "4m", "1"}, {"*/1 * * * *", 0, "1m", ""}, {"* * * * *", 100_000, "1m", "100000"},
	} {
		s := with(t, object{"refresh_schedule": test.schedule, "lwa_max_rate": test.rate})
		for _, f := range functions {
			want := map[string]string{}
			if f.entryPoint == "RefreshShard" {
				want = map[string]string{"REFRESH_PERIOD": test.period, "LWA_MAX_RATE": test.most}
			}
			env := s.environment(s.stacks[0], f)
			for _, name := range []string{"REFRESH_PERIOD", "LWA_MAX_RATE"} {
				if got, given := env[name]; got != want[name] || given != (want[name] != "") {
					t.Errorf("%s, %s, %d: %s is %q, given %t, want %q", f.entryPoint, test.schedule, test.rate, name, got, given, want[name])
				}
			}
		}
	}
}
