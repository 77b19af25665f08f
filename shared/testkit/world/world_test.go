package world

import (
	"slices"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestExposure proves that leaks finds secrets.
func TestExposure(t *testing.T) {
	t.Parallel()
	e := exposure{secrets: []string{"c2VjcmV0"}}
	for where, text := range map[string]string{
		"access token":  `{"error":"token Atza|fake-1 refused"}`,
		"escaped token": `refresh_token=Atzr%7Cfake-1`,
		"code":          "exchange of ANfakeXYZ failed",
		"client":        "amzn1.oa2-cs.v1.fake",
		"grantee":       `Bearer grantee-u-1`,
		"account":       "amzn1.ask.account.fake",
		"configuration": `ALEXA_REGIONS: "canary-1" is no region`,
		"keyset":        `{"value":"c2VjcmV0"}`,
		"nothing":       `{"severity":"INFO","message":"AcceptGrant","outcome":"accepted"}`,
	} {
		e.add(where, text)
	}
	want := []string{
		"access token: Atza…", "account: amzn1.ask.account…", "client: amzn1.oa2-cs…", "code: ANfake…", "configuration: canary…",
		"escaped token: Atzr…", "grantee: grantee-u-…", "keyset: a key",
	}
	expect.Equal(t, "leaks()", want, slices.Sorted(slices.Values(e.leaks())))
}
