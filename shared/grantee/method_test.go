package grantee_test

import (
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/grantee"
)

func TestParseMethod(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in, shown   string
		credentials bool
	}{
		"userinfo":            {in: "userinfo:https://id.example.com/me?key=canary", shown: "userinfo:https://id.example.com"},
		"introspection":       {in: "introspection:https://id.example.com:8443/i", shown: "introspection:https://id.example.com:8443", credentials: true},
		"jwt":                 {in: "jwt:https://id.example.com/tenant/", shown: "jwt:https://id.example.com"},
		"http on localhost":   {in: "userinfo:http://localhost:8080/me", shown: "userinfo:http://localhost:8080"},
		"http on 127.0.0.0/8": {in: "userinfo:http://127.9.9.9/me", shown: "userinfo:http://127.9.9.9"},
		"http on ::1":         {in: "jwt:http://[::1]:8080", shown: "jwt:http://[::1]:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := grantee.ParseMethod(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if m.String() != tt.shown || m.NeedsCredentials() != tt.credentials {
				t.Errorf("got %s, credentials %t, want %s, %t",
					m, m.NeedsCredentials(), tt.shown, tt.credentials)
			}
		})
	}
	var none grantee.Method
	if none.String() != "none" {
		t.Errorf("the zero Method reads %q", none)
	}
}

// Each fault names the rule, and never shows what was given: the canary.
func TestParseMethodRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, rule string }{
		"empty":                 {"", "userinfo:URL"},
		"no method":             {"https://canary.example.com/me", "userinfo:URL"},
		"unknown method":        {"canary:https://id.example.com", "userinfo:URL"},
		"other case":            {"JWT:https://canary.example.com", "userinfo:URL"},
		"no URL":                {"userinfo", "absolute"},
		"empty URL":             {"userinfo:", "absolute"},
		"relative":              {"userinfo:/canary", "absolute"},
		"no host":               {"userinfo:https:///canary", "absolute"},
		"port only":             {"userinfo:https://:443/canary", "absolute"},
		"opaque":                {"userinfo:https:canary", "absolute"},
		"other scheme":          {"userinfo:ftp://canary.example.com/", "absolute"},
		"not a URL":             {"userinfo:https://id.example.com/%zzcanary", "absolute"},
		"control character":     {"userinfo:https://id.example.com/canary\n", "absolute"},
		"http":                  {"userinfo:http://canary.example.com/me", "https"},
		"http on a false local": {"userinfo:http://localhost.canary.example.com/me", "https"},
		"http on 0.0.0.0":       {"userinfo:http://0.0.0.0/canary", "https"},
		"user info":             {"introspection:https://id:canary@id.example.com/i", "user name"},
		"fragment":              {"userinfo:https://id.example.com/me#canary", "fragment"},
		"issuer with query":     {"jwt:https://id.example.com/?canary", "query"},
		"issuer, empty query":   {"jwt:https://id.example.com/?", "query"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := grantee.ParseMethod(tt.in)
			if err == nil {
				t.Fatalf("ParseMethod() = %v, want an error", m)
			}
			if !strings.Contains(err.Error(), tt.rule) {
				t.Errorf("error = %v, want it to say %q", err, tt.rule)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the value: %v", err)
			}
		})
	}
}
