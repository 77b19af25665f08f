package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// forms are the patterns by which settings are refused.
var forms = []form{
	projectForm, skillIDForm, accountForm, skillForm, locationForm, databaseForm, roleForm, urlForm, cronForm, memoryForm, cpuForm, resolverForm,
	jwksForm, ageForm, idleForm, channelForm, proxyForm,
}

// otherwise is where infra/ has a pattern, and this program another way.
var otherwise = map[string]string{
	`^(none|google)$`: "one of two texts",
	`^jwt:.*\?`:       "a prefix and a character",
	`[1-9]`:           "a character among others",
	`^[0-9]{1,4}$`:    "a number, and its bounds",
}

// TestForms holds the patterns against those of infra/: what passes here is what
// passes there.
func TestForms(t *testing.T) {
	t.Parallel()
	ours := map[string]bool{}
	for _, f := range forms {
		ours[f.pattern.String()] = true
	}
	theirs := map[string]bool{}
	for _, file := range []string{"variables.tf", "settings.tf", "modules/skill-proxy/variables.tf"} {
		data, err := os.ReadFile("../../../infra/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`regex\("((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(string(data), -1) {
			pattern := strings.ReplaceAll(found[1], `\\`, `\`)
			theirs[pattern] = true
			// What the module asks of its other arguments is no setting's.
			if !ours[pattern] && otherwise[pattern] == "" && !strings.HasPrefix(pattern, "^[^@") {
				t.Errorf("%s refuses what does not match %s, and nothing here does", file, pattern)
			}
		}
	}
	for pattern := range ours {
		if !theirs[pattern] {
			t.Errorf("this program refuses what does not match %s, and infra/ does not", pattern)
		}
	}
	for pattern := range otherwise {
		if !theirs[pattern] {
			t.Errorf("infra/ no longer has %s", pattern)
		}
	}
}
