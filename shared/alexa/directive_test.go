package alexa_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

const acceptGrant = `{"directive":{"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"m-1","payloadVersion":"3"},
 "payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":"fake-code"},"grantee":{"type":"BearerToken","token":"fake-grantee-token"}}}}`

func TestDecodeAcceptGrant(t *testing.T) {
	t.Parallel()
	withMore := strings.Replace(acceptGrant, `"name"`, `"correlationToken":"c","name"`, 1)
	for name, body := range map[string]string{"as documented": acceptGrant, "with what Amazon may add": withMore,
		"spread out": " \n" + strings.ReplaceAll(acceptGrant, ":", " : ") + "\n"} {
		got, err := alexa.DecodeAcceptGrant([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.MessageID != "m-1" || got.Code.Reveal() != "fake-code" || got.GranteeToken.Reveal() != "fake-grantee-token" {
			t.Errorf("%s: decoded message id %q and other secrets", name, got.MessageID)
		}
	}
}

func TestDecodeAcceptGrantNamesTheField(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new, want string }{
		{"not JSON", acceptGrant, `{"directive":`, "not JSON (at byte 13)"},
		{"not an object", acceptGrant, `[]`, "must be a JSON object"},
		{"not UTF-8", "m-1", "\xff", "not UTF-8"},
		{"empty", acceptGrant, ``, "not JSON (at byte 0)"},
		{"no directive", `"directive"`, `"event"`, "directive: missing"},
		{"directive no object", acceptGrant, `{"directive":[]}`, "directive: must be an object"},
		{"no header", `"header"`, `"head"`, "directive.header: missing"},
		{"other name", `"AcceptGrant"`, `"Discover"`, `directive.header.name: must be "AcceptGrant"`},
		{"other namespace", `"Alexa.Authorization"`, `"Alexa"`, `directive.header.namespace: must be "Alexa.Authorization"`},
		{"name in another case", `"name"`, `"Name"`, "directive.header.name: missing"},
		{"version", `"3"`, `3`, "directive.header.payloadVersion: must be a string"},
		{"other version", `"3"`, `"2"`, `directive.header.payloadVersion: must be "3"`},
		{"empty message id", `"m-1"`, `""`, "directive.header.messageId: empty"},
		{"no payload", `"payload":`, `"load":`, "directive.payload: missing"},
		{"payload text", `"payload":{`, `"payload":"x","p":{`, "directive.payload: must be an object"},
		{"no grant", `"grant":`, `"grunt":`, "directive.payload.grant: missing"},
		{"grant type", `OAuth2.AuthorizationCode`, `Password`, `directive.payload.grant.type: must be "OAuth2.AuthorizationCode"`},
		{"no code", `"code"`, `"cod"`, "directive.payload.grant.code: missing"},
		{"code null", `"fake-code"`, `null`, "directive.payload.grant.code: null, which counts as missing"},
		{"code empty", `"fake-code"`, `""`, "directive.payload.grant.code: empty"},
		{"code twice", `"code"`, `"code":"a","code"`, "directive.payload.grant.code: appears twice"},
		{"no grantee", `"grantee":`, `"guarantee":`, "directive.payload.grantee: missing"},
		{"grantee type", `BearerToken`, `Basic`, `directive.payload.grantee.type: must be "BearerToken"`},
		{"grantee of a unit", `BearerToken`, `BearerTokenWithPartition`, alexa.ErrPartition.Error()},
		{"no token", `"token"`, `"tok"`, "directive.payload.grantee.token: missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := alexa.DecodeAcceptGrant([]byte(strings.Replace(acceptGrant, test.old, test.new, 1)))
			if field := (*alexa.FieldError)(nil); !errors.As(err, &field) && !errors.Is(err, alexa.ErrPartition) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if err.Error() != test.want {
				t.Errorf("got  %s\nwant %s", err, test.want)
			}
		})
	}
}

func TestAcceptGrantAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{"success", string(alexa.AcceptGrantResponse("m-2")),
			`{"event":{"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant.Response","messageId":"m-2","payloadVersion":"3"},` +
				`"payload":{}}}`},
		{"failure", string(alexa.AcceptGrantFailed("m-3", `no "luck"`)),
			`{"event":{"header":{"namespace":"Alexa.Authorization","name":"ErrorResponse","messageId":"m-3","payloadVersion":"3"},` +
				`"payload":{"type":"ACCEPT_GRANT_FAILED","message":"no \"luck\""}}}`},
	}
	for _, test := range tests {
		if !json.Valid([]byte(test.got)) {
			t.Errorf("%s: not JSON", test.name)
		}
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
