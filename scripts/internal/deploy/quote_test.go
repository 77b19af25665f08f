package main

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestQuote has a shell read back what quote has written.
func TestQuote(t *testing.T) {
	t.Parallel()
	url := ref("EU_SENDEVENT_URL")
	for _, test := range []struct{ name, arg, want string }{
		{"plain", "--flag=a/b:c,d@e.f", "--flag=a/b:c,d@e.f"},
		{"empty", "", "''"},
		{"space", "-s -w", "'-s -w'"},
		{"asterisk", "*", "'*'"},
		{"quotes", `it's "x"`, `'it'\''s "x"'`},
		{"dollar", "$HOME ${HOME} $(id) `id` \\", "'$HOME ${HOME} $(id) `id` \\'"},
		{"newline", "a\nb", "'a\nb'"},
		{"exclamation mark", "a!b !!", `'a!b !!'`},
		{"reference", "--url=" + url + "/x", `--url="${EU_SENDEVENT_URL:?}"/x`},
		{"reference among others", "\"$x `y` \\! " + url + "'" + url, "'\"$x `y` \\! '\"${EU_SENDEVENT_URL:?}\"''\\'''\"${EU_SENDEVENT_URL:?}\""},
		{"what looks like a reference", "${EU_SENDEVENT_URL} ${PROJECT_NUMBER}", "'${EU_SENDEVENT_URL} ${PROJECT_NUMBER}'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			quoted := quote(test.arg)
			if quoted != test.want {
				t.Errorf("quote(%q) = %s, want %s", test.arg, quoted, test.want)
			}
			shell := exec.Command("sh", "-c", "printf %s "+quoted)
			shell.Env = []string{"EU_SENDEVENT_URL=https://x"}
			got, err := shell.Output()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(known{"EU_SENDEVENT_URL": "https://x"}.resolve(test.arg), string(got)); diff != "" {
				t.Errorf("a shell reads something else (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDictionary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		values map[string]string
		want   string
	}{
		{"none", nil, ""},
		{"plain", map[string]string{"B": "2", "A": "1"}, "A=1,B=2"},
		{"comma", map[string]string{"B": "2,3", "A": "1"}, "^;^A=1;B=2,3"},
		{"comma and others", map[string]string{"B": "2,;|", "A": "1"}, "^#^A=1#B=2,;|"},
		{"everything", map[string]string{"A": ",;|#~::@@%%"}, "^\x1f^A=,;|#~::@@%%"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := dictionary(test.values); got != test.want {
				t.Errorf("dictionary = %q, want %q", got, test.want)
			}
		})
	}
}
