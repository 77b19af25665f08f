package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestGuide holds infra/README.md to what it says: its settings are good ones,
// and the secrets that it has the reader fill are those of these settings.
func TestGuide(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../infra/README.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n(\\{\n  \"project_id\".*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("there are no settings")
	}
	s, err := parseSettings(example[1])
	if err != nil {
		t.Fatalf("its settings: %v", err)
	}
	secrets := []string{"gatepost-lwa-credentials"}
	for _, stack := range s.stacks {
		secrets = append(secrets, "gatepost-token-keyset-"+strings.ToLower(stack.region))
	}
	filled := regexp.MustCompile(`(?m)^    (?:gcloud secrets versions add |go run \./scripts/keyset create projects/maker-prod/secrets/)(\S+)`).FindAllSubmatch(page, -1)
	var got []string
	for _, line := range filled {
		got = append(got, string(line[1]))
	}
	slices.Sort(got)
	slices.Sort(secrets)
	if !slices.Equal(got, secrets) {
		t.Errorf("it has the reader fill %q, want %q", got, secrets)
	}
}
