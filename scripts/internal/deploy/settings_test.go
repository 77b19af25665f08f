package deploy

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestSettingsRefused has one fault in each case. infra/ refuses the same ones.
func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	eu := func(name, value string) object {
		one := object{"location": "europe-west1", "firestore_location": "eur3"}
		one[name] = value
		return object{"EU": one}
	}
	sameRole := eu("own_lambda_role", "gatepost-skill-proxy-NA")
	sameRole["NA"] = object{"location": "us-east4", "firestore_location": "nam5"}
	for _, test := range []struct {
		setting string
		value   any
		want    string // in the error
	}{
		{"project_id", nil, "project_id: must be 6 to 30"},
		{"project_id", []string{"maker-prod"}, "is not a string or number"},
		{"skill_id", "amzn1.ask.skill.1", "skill_id: must be"},
		{"aws_account_id", "123", "aws_account_id: must be"},
		{"skill", "", "skill: must be"},
		{"regions", nil, "regions: must have at least one"},
		{"regions", object{"eu": object{"location": "europe-west1", "firestore_location": "eur3"}}, "regions.eu: must be NA"},
		{"regions", eu("location", "europe-west1-b"), "regions.EU.location: must be"},
		{"regions", eu("firestore_location", ""), "regions.EU.firestore_location: must be"},
		{"regions", eu("own_lambda_role", "arn:aws:iam::1:role/r"), "regions.EU.own_lambda_role: must be"},
		{"regions", eu("zone", "b"), `unknown field "zone"`},
		{"regions", sameRole, "regions.NA: must have a role of its own, not that of EU"},
		{"grantee", nil, "grantee.resolver: must be"},
		{"grantee", object{"resolver": "userinfo:https://id.maker.example@evil.example/x"}, "grantee.resolver: must be"},
		{"grantee", object{"resolver": "jwt:https://id.maker.example", "claim": "a\nb"}, "grantee.claim: must be one line"},
		{"grantee", object{"resolver": "jwt:https://id.maker.example", "jwks": "http://id.maker.example/k"}, "grantee.jwks: must be"},
		{"directive", object{"url": "https://maker.example/?q"}, "directive.url: must be"},
		{"directive", object{"url": "https://maker.example/", "auth": "basic"}, "directive.auth: must be"},
		{"device_events", "both", "device_events: must be"},
		{"refresh_shards", 1.5, "refresh_shards: must be a whole number"},
		{"refresh_idle_after", "30m", "refresh_idle_after: must be"},
		{"refresh_schedule", "*/6 * * * *", "refresh_schedule: must be"},
		{"lwa_max_rate", -1, "lwa_max_rate: must be"},
		{"max_event_age", "5", "max_event_age: must be"},
		{"event_checks", "lax", "event_checks: must be"},
		{"exclude_accepted", 90, "exclude_accepted: must be"},
		{"scaling", object{"Sender": object{}}, `unknown field "Sender"`},
		{"scaling", object{"SendEvent": object{"max_instances": "many"}}, "scaling.SendEvent.max_instances: must be"},
		{"scaling", object{"SendEvent": object{"memory": "512MB"}}, "scaling.SendEvent.memory: must be"},
		{"scaling", object{"SendEvent": object{"cpu": "0.5"}}, "scaling.SendEvent.cpu: must be"},
		{"proxy_name", "-x", "proxy_name: must be"},
		{"log_retention_days", "a month", "log_retention_days: must be"},
		{"colour", "red", `unknown field "colour"`},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			_, err := ReadSettings(settingsWith(t, settingsFile, object{test.setting: test.value}))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "must ") > 1 {
				t.Errorf("error = %v, want only %q", err, test.want)
			}
		})
	}
	_, err := ReadSettings(settingsWith(t, settingsFile, object{"skill": "a b", "event_checks": "lax", "proxy_name": "-"}))
	if err == nil || strings.Count(err.Error(), "must be") != 3 {
		t.Errorf("error = %v, want three faults", err)
	}
}

// TestSettingsRead: as in Terraform numbers are strings and null is unset, and
// packages are relative to the file.
func TestSettingsRead(t *testing.T) {
	t.Parallel()
	path := settingsWith(t, settingsFile, object{
		"refresh_shards": "32", "lwa_max_rate": 50, "skill": nil, "source_package": "a.zip", "proxy_package": "/b.zip",
		"directive": object{"url": "https://maker.example/"}, "scaling": object{"SendEvent": object{"cpu": 2}},
	})
	s, err := ReadSettings(path)
	if err != nil {
		t.Fatal(err)
	}
	got := []text{
		s.RefreshShards, s.LWAMaxRate, s.Skill, s.SourcePackage, s.ProxyPackage, s.Directive.Auth,
		s.Scaling.SendEvent.CPU, s.Scaling.SendEvent.Memory,
	}
	want := []text{"32", "50", "default", text(filepath.Join(filepath.Dir(path), "a.zip")), "/b.zip", "none", "2", "512Mi"}
	expect.Equal(t, "settings", want, got)
}

// TestSettingsNames compares the names with the variables of infra/.
func TestSettingsNames(t *testing.T) {
	t.Parallel()
	got, want := map[string]bool{}, map[string]bool{}
	for i, s := 0, reflect.TypeFor[Settings](); i < s.NumField(); i++ {
		got[s.Field(i).Tag.Get("json")] = true
	}
	for _, found := range regexp.MustCompile(`(?m)^variable "(\w+)"`).FindAllStringSubmatch(infra(t, "variables.tf"), -1) {
		want[found[1]] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings differ from the variables (-infra +deploy):\n%s", diff)
	}
}

func infra(t *testing.T, files ...string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join("../../../infra", file))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// otherwise are patterns of infra/ that are checked in another way here, and
// patterns here that infra/ checks in another way, or that are of arguments.
var otherwise = map[string]bool{
	`^jwt:.*\?`: true, `[1-9]`: true, `^[1-9][0-9]*h([0-9]+m)?([0-9]+s)?$`: true, `^[^@/?#\s]+@[^@/?#\s]+$`: true,
	`^off$|^[1-9][0-9]*h([0-9]+m)?([0-9]+s)?$`: true, `^(shared|regional)$`: true, `^(strict|advise|off)$`: true, `^(NA|EU|FE)$`: true,
	`^arn:aws:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`: true, `^[0-9]{1,3}$`: true, `^[0-9]{1,6}$`: true, `^[^\x00-\x1f]*$`: true,
}

// TestPatterns compares the patterns with those of infra/.
func TestPatterns(t *testing.T) {
	t.Parallel()
	grantee := object{"resolver": "jwt:https://x.example", "jwks": "https://x.example"}
	s, err := ReadSettings(settingsWith(t, ownFile, object{"grantee": grantee}))
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := map[string]bool{}, map[string]bool{}
	for _, r := range s.rules() {
		ours[r.pattern] = !otherwise[r.pattern]
	}
	source := infra(t, "variables.tf", "modules/google/variables.tf", "modules/google/settings.tf", "modules/skill-proxy/variables.tf")
	for _, found := range regexp.MustCompile(`regex\("((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(source, -1) {
		pattern := strings.ReplaceAll(found[1], `\\`, `\`)
		theirs[pattern] = !otherwise[pattern]
	}
	for _, all := range []map[string]bool{ours, theirs} {
		for pattern, compared := range all {
			if !compared {
				delete(all, pattern)
			}
		}
	}
	delete(theirs, `^projects/[^/]+/notificationChannels/[^/]+$`) // not used by this program
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("patterns differ (-infra +deploy):\n%s", diff)
	}
}
