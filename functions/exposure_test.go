package functions_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secretMarks are in every secret that the tests use, however it is escaped,
// and in nothing else: Amazon's prefixes of access and refresh tokens, the
// simulator's of codes, the client secret, the grantee tokens, Amazon's ids of
// accounts, and what the tests of a wrong configuration give for values.
var secretMarks = []string{"Atza", "Atzr", "ANfake", clientSecretMark, granteeTokenMark, amazonIDMark, configCanary}

const (
	clientSecretMark = "amzn1.oa2-cs"
	granteeTokenMark = "grantee-u-"
	amazonIDMark     = "amzn1.ask.account"
	configCanary     = "canary"
)

// shown is all that the program has shown to anybody: what its processes
// wrote, what they answered, published and stored.
var shown exposure

// exposure collects texts that may hold no secret.
type exposure struct {
	mu      sync.Mutex
	texts   []exposedText
	secrets []string // beside secretMarks
}

type exposedText struct{ where, text string }

// add adds a text. where says in a failure whose it is.
func (e *exposure) add(where, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.texts = append(e.texts, exposedText{where, text})
}

// forbid adds a secret that bears no mark.
func (e *exposure) forbid(secret string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secrets = append(e.secrets, secret)
}

// leaks says which texts hold a secret, without repeating it.
func (e *exposure) leaks() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var leaks []string
	for _, shown := range e.texts {
		for _, mark := range secretMarks {
			if strings.Contains(shown.text, mark) {
				leaks = append(leaks, fmt.Sprintf("%s: %s…", shown.where, mark))
			}
		}
		if slices.ContainsFunc(e.secrets, func(secret string) bool { return strings.Contains(shown.text, secret) }) {
			leaks = append(leaks, shown.where+": a key")
		}
	}
	return slices.Compact(leaks)
}

// TestExposure proves that the collector finds what it is there to find.
func TestExposure(t *testing.T) {
	t.Parallel()
	var e exposure
	e.forbid("c2VjcmV0")
	for where, text := range map[string]string{
		"access token":  `{"error":"token Atza|fake-1 refused"}`,
		"escaped token": `refresh_token=Atzr%7Cfake-1`,
		"code":          "exchange of ANfakeXYZ failed",
		"client":        clientSecretMark + ".v1.fake",
		"grantee":       `Bearer grantee-u-1`,
		"account":       amazonIDMark + ".fake",
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
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(e.leaks()))); diff != "" {
		t.Errorf("leaks() differ (-want +got):\n%s", diff)
	}
}
