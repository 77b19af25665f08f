package functions_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestWrongConfiguration starts the program with several faults at once. Each
// has to be named, in one log line, by its variable; no value may be shown.
func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	good := newAmazon(t, simulator.Options{}).env(alexa.EU)
	keyset := filepath.Join(t.TempDir(), "keyset")
	if err := os.WriteFile(keyset, []byte(`{"primaryKeyId":1,"key":["canary-key"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		env  map[string]string
		want []string // variables with a fault, in alphabetical order
	}{
		{
			"nothing set", nil,
			[]string{"ALEXA_REGIONS", "GRANTEE_RESOLVER", "LWA_CREDENTIALS", "TOKEN_KEYSET"},
		},
		{
			"everything wrong",
			with(good, map[string]string{
				"ALEXA_REGIONS":       "EU,canary",
				"EVENT_CHECKS":        "canary",
				"EVENT_GATEWAY_EU":    "https://canary:canary@api.example.com",
				"GRANT_STORE":         "canary",
				"GRANTEE_CREDENTIALS": "canary",
				"GRANTEE_RESOLVER":    "introspection:https://canary.example.com",
				"LWA_CREDENTIALS":     `{"client_id":"canary","client_secret":"canary"}`,
				"LWA_MAX_RATE":        "canary",
				"LWA_TOKEN_URL":       "http://canary.example.com",
				"MAX_EVENT_AGE":       "canary",
				"REFRESH_IDLE_AFTER":  "canary",
				"REFRESH_PERIOD":      "canary",
				"REFRESH_SHARDS":      "canary",
				"SKILL":               "canary!",
				"TOKEN_KEYSET":        `{"primaryKeyId":1,"key":["canary"]}`,
			}),
			[]string{
				"ALEXA_REGIONS", "EVENT_CHECKS", "EVENT_GATEWAY_EU", "GRANTEE_CREDENTIALS", "GRANT_STORE", "LWA_CREDENTIALS",
				"LWA_MAX_RATE", "LWA_TOKEN_URL", "MAX_EVENT_AGE", "REFRESH_IDLE_AFTER", "REFRESH_PERIOD", "REFRESH_SHARDS", "SKILL", "TOKEN_KEYSET",
			},
		},
		{
			"resolver unknown",
			with(good, map[string]string{"GRANTEE_RESOLVER": "canary:https://canary.example.com", "REFRESH_SHARDS": "257"}),
			[]string{"GRANTEE_RESOLVER", "REFRESH_SHARDS"},
		},
		{
			"secrets missing",
			with(good, map[string]string{"GRANT_STORE": "firestore", "TOKEN_KEYSET": "file:/missing", "LWA_CREDENTIALS": "env:MISSING"}),
			[]string{"LWA_CREDENTIALS", "TOKEN_KEYSET"},
		},
		{
			"secrets malformed",
			with(good, map[string]string{
				"GRANT_STORE": "firestore", "TOKEN_KEYSET": "file:" + keyset,
				"LWA_CREDENTIALS": "env:LWA_CLIENT", "LWA_CLIENT": `{"client_secret":"canary"}`,
			}),
			[]string{"LWA_CREDENTIALS", "TOKEN_KEYSET"},
		},
		{
			"no such function",
			with(good, map[string]string{"FUNCTION_TARGET": "canary"}),
			[]string{"FUNCTION_TARGET"},
		},
		{
			"credentials for introspection missing", // which two functions need
			with(good, map[string]string{"GRANTEE_RESOLVER": "introspection:https://id.example.com", "GRANTEE_CREDENTIALS": "env:MISSING"}),
			[]string{"GRANTEE_CREDENTIALS"},
		},
		{
			"resolver and audience at odds", // for two functions
			with(good, map[string]string{"GRANTEE_AUDIENCE": "gatepost"}),
			[]string{"GRANTEE_RESOLVER"},
		},
		{
			"key set in the clear",
			with(good, map[string]string{"GRANTEE_RESOLVER": "jwt:https://id.example.com", "GRANTEE_JWKS": "http://canary.example.com/keys"}),
			[]string{"GRANTEE_JWKS"},
		},
		{
			"SkillEvent without identity provider",
			with(good, map[string]string{"FUNCTION_TARGET": "SkillEvent", "GRANTEE_RESOLVER": "", "LWA_CREDENTIALS": "not its business"}),
			[]string{"GRANTEE_RESOLVER"},
		},
		{
			"AcceptGrant without identity provider",
			with(good, map[string]string{"FUNCTION_TARGET": "AcceptGrant", "GRANTEE_RESOLVER": "", "REFRESH_SHARDS": "not its business"}),
			[]string{"GRANTEE_RESOLVER"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := start(t, test.env)
			if err != nil {
				t.Fatal(err)
			}
			status, err := p.Wait(testkit.Context(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, faults(t, p.Output())); diff != "" || status != 1 {
				t.Errorf("status %d, want 1; the variables named differ (-want +got):\n%s%s", status, diff, p.Output())
			}
		})
	}
}

// faults reads the one log line, a heading with the faults below it, and
// returns the variables that it names, in alphabetical order.
func faults(t *testing.T, output string) []string {
	t.Helper()
	if strings.Count(output, "\n") != 1 {
		t.Fatalf("the program wrote not one line but: %s", output)
	}
	line := decode[struct{ Severity, Message string }](t, output)
	heading, list, _ := strings.Cut(line.Message, "\n")
	if line.Severity != "ERROR" || heading != "configuration:" {
		t.Errorf("the line is no error with the heading %q: %s", "configuration:", output)
	}
	var names []string
	for fault := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(fault), ":")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestConfigurationOfOneFunction starts each function with nothing but what it
// needs where it is deployed. There is no Firestore or Pub/Sub at the addresses:
// a process calls neither at its start.
func TestConfigurationOfOneFunction(t *testing.T) {
	t.Parallel()
	all := with(newAmazon(t, simulator.Options{}).env(alexa.EU), map[string]string{
		"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "GOOGLE_CLOUD_PROJECT": "p",
		"GRANT_STORE": "firestore", "REFRESH_TOPIC": "refresh", "TOKEN_KEYSET": "file:" + newKeyset(t),
	})
	only := func(names ...string) map[string]string {
		env := map[string]string{"FUNCTION_TARGET": names[0]}
		for _, name := range append(names[1:], "ALEXA_REGIONS", "GOOGLE_CLOUD_PROJECT") {
			env[name] = all[name]
		}
		return env
	}
	for _, env := range []map[string]string{
		only("AcceptGrant", "FIRESTORE_EMULATOR_HOST", "GRANT_STORE", "GRANTEE_RESOLVER", "LWA_CLIENT", "LWA_CREDENTIALS", "TOKEN_KEYSET"),
		only("SendEvent", "FIRESTORE_EMULATOR_HOST", "GRANT_STORE", "LWA_CLIENT", "LWA_CREDENTIALS", "TOKEN_KEYSET"),
		only("RefreshTokens", "FIRESTORE_EMULATOR_HOST", "GRANT_STORE", "LWA_CLIENT", "LWA_CREDENTIALS", "TOKEN_KEYSET"),
		only("RefreshTokens", "PUBSUB_EMULATOR_HOST", "REFRESH_TOPIC"),
		only("RefreshShard", "FIRESTORE_EMULATOR_HOST", "GRANT_STORE", "LWA_CLIENT", "LWA_CREDENTIALS", "TOKEN_KEYSET"),
		only("SkillEvent", "FIRESTORE_EMULATOR_HOST", "GRANT_STORE", "GRANTEE_RESOLVER"),
	} {
		t.Run(env["FUNCTION_TARGET"], func(t *testing.T) {
			t.Parallel()
			launch(t, env)
		})
	}
}

// TestAnyAudience starts all functions, of which two recognize customers: that
// any token of the issuer is accepted is one warning.
func TestAnyAudience(t *testing.T) {
	t.Parallel()
	env := newAmazon(t, simulator.Options{}).env(alexa.EU)
	for name, test := range map[string]struct {
		env  map[string]string
		want int
	}{
		"jwt":                  {map[string]string{"GRANTEE_RESOLVER": "jwt:https://id.example.com"}, 1},
		"jwt with an audience": {map[string]string{"GRANTEE_RESOLVER": "jwt:https://id.example.com", "GRANTEE_AUDIENCE": "gatepost"}, 0},
		"userinfo":             {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output := launch(t, with(env, test.env)).Output()
			got := 0
			for line := range strings.Lines(output) {
				if !strings.Contains(line, "GRANTEE_AUDIENCE") {
					continue
				}
				got++
				if severity := decode[struct{ Severity string }](t, line).Severity; severity != "WARNING" {
					t.Errorf("severity %q, want WARNING", severity)
				}
			}
			if got != test.want {
				t.Errorf("%d warnings, want %d: %s", got, test.want, output)
			}
		})
	}
}
