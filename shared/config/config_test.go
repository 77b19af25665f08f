package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestDefaultsAndValues(t *testing.T) {
	t.Parallel()
	s := config.NewSource(map[string]string{
		"TEXT": "a", "EMPTY": "", "ONE": "memory", "INT": "7", "FOR": "90s",
		"URL": "https://x.example/p", "LOCAL": "http://127.0.0.1:8080", "V6": "http://[::1]:1", "BASE": "https://x.example/",
	})
	got := []any{
		s.Text("TEXT", "b"), s.Text("EMPTY", "b"), s.Text("NONE", "b"), s.Required("TEXT", "why"),
		s.OneOf("ONE", "firestore", "memory"), s.OneOf("NONE", "firestore", "memory"),
		s.Int("INT", 1, 1, 9), s.Int("NONE", 3, 1, 9),
		s.Duration("FOR", time.Minute, 0, time.Hour), s.Duration("NONE", time.Minute, 0, time.Hour),
		s.URL("URL", "").String(), s.URL("LOCAL", "").String(), s.URL("V6", "").String(),
		s.BaseURL("BASE", "").String(), s.BaseURL("NONE", "https://y.example").String(),
	}
	want := []any{
		"a", "b", "b", "a", "memory", "firestore", 7, 3, 90 * time.Second, time.Minute,
		"https://x.example/p", "http://127.0.0.1:8080", "http://[::1]:1", "https://x.example/", "https://y.example",
	}
	expect.Equal(t, "values", want, got)
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func TestEveryFaultIsNamedOnceAndNoValueShown(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	for _, name := range []string{"ONE", "INT", "FOR", "URL"} {
		env[name] = "canary value"
	}
	env["SMALL"], env["LARGE"], env["SHORT"] = "0", "10", "1s"
	env["REMOTE"], env["USER"], env["QUERY"], env["PATHED"] = "http://canary.example", "https://canary@x", "https://x?canary",
		"https://x/canary"
	s := config.NewSource(env)
	for range 2 { // as two functions of one process do
		s.Required("NONE", "the reason")
		s.OneOf("ONE", "a", "b")
		s.Int("INT", 1, 1, 9)
		s.Int("SMALL", 1, 1, 9)
		s.Int("LARGE", 1, 1, 9)
		s.Duration("FOR", time.Minute, time.Second, time.Hour)
		s.Duration("SHORT", time.Minute, 2*time.Second, time.Hour)
		s.URL("URL", "https://x")
		s.URL("REMOTE", "https://x")
		s.URL("USER", "https://x")
		s.URL("QUERY", "https://x")
		s.BaseURL("PATHED", "https://x")
	}
	want := `NONE: required (the reason)
ONE: must be one of a, b
INT: must be a whole number from 1 to 9
SMALL: must be a whole number from 1 to 9
LARGE: must be a whole number from 1 to 9
FOR: must be a duration from 1s to 1h0m0s, such as 1m0s
SHORT: must be a duration from 2s to 1h0m0s, such as 1m0s
URL: must be an absolute URL
REMOTE: must begin with https:// (http:// is for this machine only)
USER: must have no user, query or fragment
QUERY: must have no user, query or fragment
PATHED: must have no path, which is added`
	err := s.Err()
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Fatalf("Err() = %v", err)
	}
	expect.Equal(t, "error", want, err.Error())
}

func TestMisspelled(t *testing.T) {
	t.Parallel()
	s := config.NewSource(config.Env{
		"MAX_AGES": "1", "MAX_AG": "1", "MXA_AGE": "1", "MIN_AGE": "1", "SKILL": "a", "SKILLS": "b", "REGION": "1", "REGIONS": "1",
	})
	s.Text("MAX_AGE", "")
	s.Text("SKILL", "")
	s.Text("REGION", "")
	s.Text("REGIONS", "")
	want := []string{
		"the variable MAX_AG is not known: did you mean MAX_AGE?",
		"the variable MAX_AGES is not known: did you mean MAX_AGE?",
		"the variable MXA_AGE is not known: did you mean MAX_AGE?",
	}
	expect.Equal(t, "names", want, s.Misspelled())
}
