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
