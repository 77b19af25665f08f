package reference_test

import (
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/secret/internal/reference"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"latest by default": {"projects/maker-1/secrets/lwa", "projects/maker-1/secrets/lwa/versions/latest"},
		"latest":            {"projects/maker-1/secrets/lwa/versions/latest", "projects/maker-1/secrets/lwa/versions/latest"},
		"version":           {"projects/maker-1/secrets/lwa/versions/12", "projects/maker-1/secrets/lwa/versions/12"},
		"alias":             {"projects/maker-1/secrets/l_W-9/versions/prod_1", "projects/maker-1/secrets/l_W-9/versions/prod_1"},
		"project number":    {"projects/123/secrets/lwa", "projects/123/secrets/lwa/versions/latest"},
		"domain project":    {"projects/example.com:maker/secrets/lwa", "projects/example.com:maker/secrets/lwa/versions/latest"},
		"absolute file":     {"file:/run/secrets/lwa.json", "file:/run/secrets/lwa.json"},
		"relative file":     {"file:my secrets/lwa", "file:my secrets/lwa"},
		"variable":          {"env:LWA_1", "env:LWA_1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, err := reference.Parse(tt.in)
			if err != nil || ref.String() != tt.want {
				t.Fatalf("Parse(%q) = %v, %v, want %s", tt.in, ref, err, tt.want)
			}
			again, err := reference.Parse(ref.String())
			if err != nil || again != ref {
				t.Errorf("Parse(%q) = %v, %v, want the same reference", ref, again, err)
			}
		})
	}
}

// TestParseRefuses: a refused text may be the secret itself.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":              "",
		"a secret":           "canary-fake-secret",
		"JSON":               `{"client_secret":"canary"}`,
		"no path":            "file:",
		"path with line end": "file:/canary\n",
		"no variable":        "env:",
		"not a variable":     "env:canary-secret",
		"digit first":        "env:1canary",
		"other scheme":       "vault:canary",
		"capital scheme":     "ENV:canary",
		"no secret":          "projects/canary/secrets/",
		"no project":         "projects//secrets/canary",
		"empty version":      "projects/p/secrets/canary/versions/",
		"more behind":        "projects/p/secrets/canary/versions/1/x",
		"line end behind":    "projects/p/secrets/canary\n",
		"space":              "projects/p/secrets/canary secret",
		"regional":           "projects/p/locations/l/secrets/canary",
		"leading slash":      "/projects/p/secrets/canary",
		"long":               "projects/p/secrets/canary" + strings.Repeat("x", 256),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, err := reference.Parse(in)
			if err == nil {
				t.Fatalf("Parse() = %v, want an error", ref)
			}
			if ref != (reference.Ref{}) {
				t.Errorf("Parse() = %v with an error", ref)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("error with the value: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"projects/p/secrets/s", "projects/p/secrets/s/versions/1", "file:/x", "env:X", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ref, err := reference.Parse(in)
		if err != nil {
			return
		}
		if again, err := reference.Parse(ref.String()); err != nil || again != ref {
			t.Errorf("Parse(%q) = %v, %v, want the same reference", ref, again, err)
		}
		if !strings.HasPrefix(ref.String(), in) {
			t.Errorf("Parse(%q) = %q", in, ref)
		}
	})
}
