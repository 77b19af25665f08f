package lwa_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

func TestParseCredentials(t *testing.T) {
	t.Parallel()
	const noJSON = "not a JSON object or array with client_id and client_secret"
	tests := []struct {
		name, text string
		want       [][2]string
		err        string
	}{
		{name: "object", text: `{"client_id":"id-1","client_secret":"canary"}`, want: [][2]string{{"id-1", "canary"}}},
		{name: "white space around", text: "\n {\"client_id\":\"id-1\",\"client_secret\":\"canary\"}\r\n", want: [][2]string{{"id-1", "canary"}}},
		{name: "array of one", text: `[{"client_id":"id-1","client_secret":"canary"}]`, want: [][2]string{{"id-1", "canary"}}},
		{
			name: "array in its order",
			text: `[{"client_id":"id-2","client_secret":"canary-2"},{"client_id":"id-1","client_secret":"canary-1"}]`,
			want: [][2]string{{"id-2", "canary-2"}, {"id-1", "canary-1"}},
		},
		{
			name: "two secrets of one client",
			text: `[{"client_id":"id-1","client_secret":"canary-2"},{"client_id":"id-1","client_secret":"canary-1"}]`,
			want: [][2]string{{"id-1", "canary-2"}, {"id-1", "canary-1"}},
		},
		{name: "members of somebody else", text: `{"client_id":"id-1","client_secret":"canary","note":"x"}`, want: [][2]string{{"id-1", "canary"}}},
		{name: "escapes", text: `{"client_id":"id-1","client_secret":"can\u0061ry|"}`, want: [][2]string{{"id-1", "canary|"}}},

		{name: "nothing", text: ``, err: noJSON},
		{name: "bare secret", text: `canary`, err: noJSON},
		{name: "quoted secret", text: `"canary"`, err: noJSON},
		{name: "number", text: `1234567890`, err: noJSON},
		{name: "array of texts", text: `["id-1","canary"]`, err: noJSON},
		{name: "cut", text: `{"client_id":"id-1","client_secret":"canary`, err: noJSON},
		{name: "something after it", text: `{"client_id":"id-1","client_secret":"canary"}canary`, err: noJSON},
		{name: "secret is a number", text: `{"client_id":"id-1","client_secret":1234567890}`, err: noJSON},
		{name: "secret is an object", text: `{"client_id":"id-1","client_secret":{"canary":1}}`, err: noJSON},
		{name: "null", text: `null`, err: "empty array"},
		{name: "empty array", text: `[]`, err: "empty array"},
		{name: "empty object", text: `{}`, err: "[0].client_id: missing"},
		{name: "null in an array", text: `[null]`, err: "[0].client_id: missing"},
		{name: "no client id", text: `{"client_secret":"canary"}`, err: "[0].client_id: missing"},
		{name: "empty client id", text: `{"client_id":"","client_secret":"canary"}`, err: "[0].client_id: missing"},
		{name: "no secret", text: `{"client_id":"canary"}`, err: "[0].client_secret: missing"},
		{name: "empty secret", text: `{"client_id":"canary","client_secret":""}`, err: "[0].client_secret: missing"},
		{name: "no secret in the second", text: `[{"client_id":"canary","client_secret":"canary"},{"client_id":"canary"}]`,
			err: "[1].client_secret: missing"},
		{name: "other names", text: `{"clientId":"id-1","clientSecret":"canary"}`, err: "[0].client_id: missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := lwa.ParseCredentials(sensitive.New(test.text))
			if text := message(err); text != test.err {
				t.Errorf("error = %q, want %q", text, test.err)
			}
			if diff := cmp.Diff(test.want, identities(got)); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(`{"client_id":"id-1","client_secret":"canary"}`)
	f.Add(`[{"client_id":"id-2","client_secret":"canary-2"},{"client_id":"id-1","client_secret":"canary-1"}]`)
	f.Add(`{"client_id":"id-1","client_secret":1e999}`)
	f.Add(`[{}]`)
	f.Add(`canary`)
	f.Fuzz(func(t *testing.T, text string) {
		credentials, err := lwa.ParseCredentials(sensitive.New(text))
		if (err == nil) != (len(credentials) > 0) {
			t.Fatalf("%d credentials and error %v", len(credentials), err)
		}
		for _, c := range credentials {
			if c.ClientID == "" || c.ClientSecret.Empty() {
				t.Error("incomplete credentials and no error")
			}
		}
		known := func(suffix string) bool { return strings.HasSuffix(message(err), suffix) }
		if err != nil && !known("client_secret") && !known("empty array") && !known("].client_id: missing") && !known("].client_secret: missing") {
			t.Errorf("an error that may quote the text: %v", err)
		}
	})
}
