package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// threeRegions are the settings that testdata/plan.json is the plan of.
func threeRegions(t *testing.T) object {
	t.Helper()
	return settingsIn(t, "testdata/settings.json")
}

func settingsIn(t *testing.T, file string) object {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s object
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// with returns good settings with some replaced; nil takes one out.
func with(t *testing.T, changes object) settings {
	t.Helper()
	s, err := parseWith(t, changes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parseWith(t *testing.T, changes object) (settings, error) {
	t.Helper()
	all := threeRegions(t)
	maps.Copy(all, changes)
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return parseSettings(data)
}

func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	got := with(t, object{"alert_channels": nil})
	want := settings{
		projectID: "maker-prod", skillID: "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab", awsAccountID: "123456789012", skill: "default",
		stacks:        []stack{{"EU", "europe-west1", "eur3", ""}, {"FE", "us-west1", "us-west1", ""}, {"NA", "us-east4", "nam5", ""}},
		grantee:       customers{resolver: "jwt:https://id.maker.example"},
		refreshShards: 16, refreshIdleAfter: "off", refreshSchedule: "*/5 * * * *", maxEventAge: "5m", eventChecks: "strict",
		scaling: defaultScaling, proxyName: "gatepost-skill-proxy", logRetentionDays: 30,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{}, stack{}, customers{}, scaling{})); diff != "" {
		t.Errorf("settings differ (-want +got):\n%s", diff)
	}
}

func TestSettingsGiven(t *testing.T) {
	t.Parallel()
	got := with(t, object{
		"skill": "s", "grantee": object{"resolver": "introspection:https://id.maker.example/i", "claim": "id", "audience": "a"},
		"regions":        object{"EU": object{"location": "europe-west1", "firestore_location": "eur3", "own_lambda_role": "maker"}},
		"directive":      object{"url": "https://maker.example/d", "auth": "google", "audience": "b"},
		"refresh_shards": "32", "refresh_idle_after": "720h", "refresh_schedule": "*/2 * * * *", "lwa_max_rate": "50", "max_event_age": "1h30m", "event_checks": "off",
		"scaling": object{"SendEvent": object{"max_instances": 7, "memory": "1Gi"}}, "device_events": "regional",
		"source_package": "a.zip", "proxy_package": "b.zip", "proxy_name": "p", "log_retention_days": 60, "alert_channels": []string{"projects/p/notificationChannels/1"},
	})
	scaled := maps.Clone(defaultScaling)
	scaled["SendEvent"] = scaling{0, 7, "1Gi", "1"}
	want := settings{
		projectID: "maker-prod", skillID: "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab", awsAccountID: "123456789012", skill: "s",
		stacks:        []stack{{"EU", "europe-west1", "eur3", "maker"}},
		grantee:       customers{"introspection:https://id.maker.example/i", "id", "a", ""},
		directive:     &directive{"https://maker.example/d", "google", "b"},
		refreshShards: 32, refreshIdleAfter: "720h", refreshSchedule: "*/2 * * * *", lwaMaxRate: 50, maxEventAge: "1h30m", eventChecks: "off",
		scaling: scaled, regionalTopic: true, alertChannels: []string{"projects/p/notificationChannels/1"},
		sourcePackage: "a.zip", proxyPackage: "b.zip", proxyName: "p", logRetentionDays: 60,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{}, stack{}, customers{}, directive{}, scaling{})); diff != "" {
		t.Errorf("settings differ (-want +got):\n%s", diff)
	}
}

// TestSettingsRefused has one fault each. infra/ refuses the same.
func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	eu := func(changes object) object {
		one := object{"location": "europe-west1", "firestore_location": "eur3"}
		maps.Copy(one, changes)
		return object{"EU": one}
	}
	twoRoles := func(roleEU, roleNA string) object {
		all := eu(object{"own_lambda_role": roleEU})
		all["NA"] = object{"location": "us-east4", "firestore_location": "nam5"}
		if roleNA != "" {
			all["NA"].(object)["own_lambda_role"] = roleNA
		}
		return all
	}
	long := strings.Repeat("r", 90)
	for _, test := range []struct {
		setting string
		value   any
		want    string // in the error
	}{
		{"project_id", nil, "project_id: is missing"},
		{"project_id", "Maker", "project_id: must be 6 to 30"},
		{"project_id", []string{"maker-prod"}, "project_id: must be a text"},
		{"skill_id", "amzn1.ask.skill.1", "skill_id: must be"},
		{"aws_account_id", "123", "aws_account_id: must be"},
		{"skill", "a b", "skill: must be"},
		{"skill", "", "skill: must be"},
		{"regions", nil, "regions: is missing"},
		{"regions", "EU", "regions: must be an object"},
		{"regions", object{}, "regions: must have"},
		{"regions", object{"eu": object{"location": "europe-west1", "firestore_location": "eur3"}}, "regions.eu: must be"},
		{"regions", object{"EU": object{"firestore_location": "eur3"}}, "regions.EU.location: is missing"},
		{"regions", object{"EU": object{"location": "europe-west1"}}, "regions.EU.firestore_location: is missing"},
		{"regions", twoRoles("maker", "Maker"), "regions.NA: must have a role of its own, not that of EU"},
		{"regions", twoRoles("gatepost-skill-proxy-na", ""), "regions.NA: must have a role of its own, not that of EU"},
		{"regions", eu(object{"location": "europe-west1-b"}), "regions.EU.location: must be"},
		{"regions", eu(object{"firestore_location": "EUR"}), "regions.EU.firestore_location: must be"},
		{"regions", eu(object{"own_lambda_role": "arn:aws:iam::1:role/r"}), "regions.EU.own_lambda_role: must be"},
		{"regions", eu(object{"own_lambda_role": long}), "regions.EU.own_lambda_role: must be"},
		{"regions", eu(object{"zone": "b"}), "regions.EU.zone: there is no such setting"},
		{"grantee", nil, "grantee: is missing"},
		{"grantee", object{"resolver": "jwt:http://id.maker.example"}, "grantee.resolver: must be"},
		{"grantee", object{"resolver": "saml:https://id.maker.example"}, "grantee.resolver: must be"},
		{"grantee", object{"resolver": "userinfo:https://id.maker.example@evil.example/x"}, "grantee.resolver: must be"},
		{"grantee", object{"resolver": "jwt:https://id.maker.example?x=1"}, "grantee.resolver: must have no query"},
		{"grantee", object{"resolver": "jwt:https://id.maker.example", "key": "x"}, "grantee.key: there is no such setting"},
		{"grantee", object{"resolver": "jwt:https://id.maker.example", "claim": "a\nb"}, "grantee.claim: must be one line"},
		{"grantee", object{"resolver": "jwt:https://id.maker.example", "audience": "a\nb"}, "grantee.audience: must be one line"},
		{"grantee", object{"resolver": "userinfo:https://id.maker.example", "audience": "a"}, "grantee.audience: must not be given"},
		{"grantee", object{"resolver": "userinfo:https://id.example", "jwks": "https://id.example/k"}, "grantee.jwks: must be given with jwt"},
		{"grantee", object{"resolver": "jwt:https://id.maker.example", "jwks": "http://id.maker.example/k"}, "grantee.jwks: must be"},
		{"directive", object{"url": "https://maker.example/?q"}, "directive.url: must be"},
		{"directive", object{"url": "https://maker.example/", "auth": "basic"}, "directive.auth: must be"},
		{"refresh_shards", 0, "refresh_shards: must be"},
		{"refresh_shards", 257, "refresh_shards: must be"},
		{"refresh_shards", 1.5, "refresh_shards: must be a whole number"},
		{"refresh_idle_after", "30m", "refresh_idle_after: must be"},
		{"refresh_schedule", "hourly", "refresh_schedule: must be"},
		{"refresh_schedule", "0 * * * *", "refresh_schedule: must be"},
		{"refresh_schedule", "*/6 * * * *", "refresh_schedule: must be"},
		{"refresh_schedule", "*/5 * * *", "refresh_schedule: must be"},
		{"lwa_max_rate", -1, "lwa_max_rate: must be"},
		{"lwa_max_rate", 100_001, "lwa_max_rate: must be"},
		{"lwa_max_rate", 0.5, "lwa_max_rate: must be a whole number"},
		{"max_event_age", "5", "max_event_age: must be"},
		{"max_event_age", "0m", "max_event_age: must not be nothing"},
		{"event_checks", "lax", "event_checks: must be"},
		{"scaling", object{"sendevent": object{}}, "scaling.sendevent: there is no such setting"},
		{"scaling", object{"SendEvent": object{"max_instances": 0}}, "scaling.SendEvent.max_instances: must be"},
		{"scaling", object{"SendEvent": object{"min_instances": -1}}, "scaling.SendEvent.min_instances: must be"},
		{"scaling", object{"SendEvent": object{"min_instances": 11}}, "scaling.SendEvent.min_instances: must not be more"},
		{"scaling", object{"SendEvent": object{"cpu": "4"}}, "scaling.SendEvent.memory: must be from 2048Mi"},
		{"scaling", object{"SendEvent": object{"cpu": "8", "memory": "3Gi"}}, "scaling.SendEvent.memory: must be from 4096Mi"},
		{"scaling", object{"SendEvent": object{"memory": "5Gi"}}, "scaling.SendEvent.memory: must be from 128Mi to 4096Mi with 1 cpu"},
		{"scaling", object{"SendEvent": object{"memory": "99999999999999999999Gi"}}, "scaling.SendEvent.memory: must be from 128Mi"},
		{"scaling", object{"SendEvent": object{"memory": "512MB"}}, "scaling.SendEvent.memory: must be"},
		{"scaling", object{"SendEvent": object{"cpu": "0.5"}}, "scaling.SendEvent.cpu: must be"},
		{"device_events", "both", "device_events: must be"},
		{"alert_channels", []string{"mail"}, "alert_channels: must be"},
		{"alert_channels", "projects/p/notificationChannels/1", "alert_channels: must be a list"},
		{"proxy_name", "-x", "proxy_name: must be"},
		{"log_retention_days", 31, "log_retention_days: must be"},
		{"log_retention_days", 0, "log_retention_days: must be"},
		{"colour", "red", "colour: there is no such setting"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			_, err := parseWith(t, object{test.setting: test.value})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "\n") != 0 {
				t.Errorf("error %v, want the one line %q", err, test.want)
			}
		})
	}
}

// TestLongestSubject is why no setting is refused for the length of the subject
// that comes of it: of a longer one nobody would learn before the first grant.
// https://cloud.google.com/iam/docs/workload-identity-federation#mapping
func TestLongestSubject(t *testing.T) {
	t.Parallel()
	for _, changes := range []object{
		{"regions": object{"EU": object{"location": "europe-west1", "firestore_location": "eur3", "own_lambda_role": strings.Repeat("r", 64)}}},
		{"proxy_name": strings.Repeat("p", 61)},
	} {
		s := with(t, changes)
		if subject := s.assumedRole(s.stacks[0]); len(subject) > 127 {
			t.Errorf("Google takes 127 bytes, and %s has %d", subject, len(subject))
		}
	}
}

func TestSettingsFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parseWith(t, object{"skill": "a b", "event_checks": "lax", "proxy_name": "-"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("error %v, want three lines", err)
	}
	_, err = parseWith(t, object{"a": 1, "b": 2, "project_id": nil})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("error %v, want three lines", err)
	}
}

// TestSettingsNames holds the names against the variables of infra/.
func TestSettingsNames(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../infra/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no configuration: %v", err)
	}
	var faults []string
	known := newReader("", map[string]any{}, &faults)
	readAll(known)
	variables := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, `variable "`); ok {
				name, _, _ := strings.Cut(rest, `"`)
				variables[name] = true
			}
		}
	}
	if diff := cmp.Diff(variables, known.known); diff != "" {
		t.Errorf("settings differ from the variables of infra/ (-infra +deploy):\n%s", diff)
	}
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all := threeRegions(t)
	all["source_package"] = "a.zip"
	all["proxy_package"] = "/b.zip"
	path := filepath.Join(dir, "terraform.tfvars.json")
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := readSettings(path)
	if err != nil || s.sourcePackage != filepath.Join(dir, "a.zip") || s.proxyPackage != "/b.zip" {
		t.Errorf("packages %q and %q, %v", s.sourcePackage, s.proxyPackage, err)
	}
	if err := os.WriteFile(path, []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSettings(path); err == nil || !strings.Contains(err.Error(), "not a JSON object") {
		t.Errorf("error %v", err)
	}
}
