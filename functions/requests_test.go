package functions_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestRequests holds every path against what it must refuse, and how.
func TestRequests(t *testing.T) {
	t.Parallel()
	p := launch(t, newAmazon(t, simulator.Options{}).env(alexa.EU))
	directive := acceptGrantDirective("ANfake-1", "grantee-u-1")
	large := func(size int) string { return `{"x":"` + strings.Repeat("x", size-len(`{"x":""}`)) + `"}` }
	shard := func(data string) string { return pushed(t, data, nil) }
	tests := []struct {
		name, method, path, body string
		status                   int
		says                     string // part of the answer
	}{
		{"AcceptGrant, GET", "GET", "/AcceptGrant", "", 405, "POST only"},
		{"AcceptGrant, PUT", "PUT", "/AcceptGrant", directive, 405, "POST only"},
		{"AcceptGrant, empty", "POST", "/AcceptGrant", "", 400, "not JSON"},
		{"AcceptGrant, not JSON", "POST", "/AcceptGrant", "code=ANfake-1", 400, "not JSON"},
		{"AcceptGrant, no directive", "POST", "/AcceptGrant", "{}", 400, "directive: missing"},
		{"AcceptGrant, another directive", "POST", "/AcceptGrant", strings.Replace(directive, `"AcceptGrant"`, `"Discover"`, 1), 400, `directive.header.name`},
		{"AcceptGrant, another version", "POST", "/AcceptGrant", strings.Replace(directive, `"3"`, `"2"`, 1), 400, `directive.header.payloadVersion`},
		{"AcceptGrant, no code", "POST", "/AcceptGrant", strings.Replace(directive, `"code"`, `"key"`, 1), 400, "directive.payload.grant.code: missing"},
		{"AcceptGrant, no grantee", "POST", "/AcceptGrant", strings.Replace(directive, `"grantee"`, `"grantees"`, 1), 400, "directive.payload.grantee: missing"},
		{"AcceptGrant, largest", "POST", "/AcceptGrant", large(64 << 10), 400, "directive: missing"},
		{"AcceptGrant, too large", "POST", "/AcceptGrant", large(64<<10 + 1), 413, "too large"},

		{"RefreshTokens, GET", "GET", "/RefreshTokens", "", 405, "POST only"},
		{"RefreshTokens, empty", "POST", "/RefreshTokens", "", 200, `"refreshed":0`},
		{"RefreshTokens, too large", "POST", "/RefreshTokens", large(64<<10 + 1), 413, "too large"},

		{"RefreshShard, GET", "GET", "/RefreshShard", "", 405, "POST only"},
		{"RefreshShard, not JSON", "POST", "/RefreshShard", "shard", 400, "not a Pub/Sub message"},
		{"RefreshShard, no message", "POST", "/RefreshShard", "{}", 400, "message: missing"},
		{"RefreshShard, no message id", "POST", "/RefreshShard", `{"message":{}}`, 400, "message.messageId: missing"},
		{"RefreshShard, too large", "POST", "/RefreshShard", large(64<<10 + 1), 413, "too large"},
		{"RefreshShard, not a shard", "POST", "/RefreshShard", shard("all"), 200, "not a shard: not JSON"},
		{"RefreshShard, no number of shards", "POST", "/RefreshShard", shard(`{"shard":1}`), 200, "not a shard: shards:"},
		{"RefreshShard, no such shard", "POST", "/RefreshShard", shard(`{"shard":4,"shards":4}`), 200, "not a shard: shard:"},
		{"RefreshShard", "POST", "/RefreshShard", shard(`{"shard":3,"shards":4}`), 200, `"refreshed":0`},

		{"SendEvent, GET", "GET", "/SendEvent", "", 405, "POST only"},
		{"SendEvent, not JSON", "POST", "/SendEvent", "event", 400, "not a Pub/Sub message"},
		{"SendEvent, data not base64", "POST", "/SendEvent", `{"message":{"messageId":"1","data":"{}"}}`, 400, "not a Pub/Sub message"},
		{"SendEvent, no message", "POST", "/SendEvent", `{"subscription":"s"}`, 400, "message: missing"},
		{"SendEvent, no message id", "POST", "/SendEvent", `{"message":{"data":""}}`, 400, "message.messageId: missing"},
		{"SendEvent, largest", "POST", "/SendEvent", large(15 << 20), 400, "message: missing"},
		{"SendEvent, too large", "POST", "/SendEvent", large(15<<20 + 1), 413, "too large"},

		{"SkillEvent, GET", "GET", "/SkillEvent", "", 405, "POST only"},
		{"SkillEvent, empty", "POST", "/SkillEvent", "", 400, "not a skill event: not JSON"},
		{"SkillEvent, a directive", "POST", "/SkillEvent", directive, 400, "not a skill event: request: missing"},
		{"SkillEvent, no type", "POST", "/SkillEvent", `{"request":{}}`, 400, "request.type: missing"},
		{"SkillEvent, no account", "POST", "/SkillEvent", `{"request":{"type":"AlexaSkillEvent.SkillDisabled"}}`, 400, "context.System.user.userId: missing"},
		{"SkillEvent, unheard of", "POST", "/SkillEvent", `{"request":{"type":"AlexaSkillEvent.SkillAdmired"}}`, 200, `{"outcome":"ignored"}`},
		{"SkillEvent, unknown account", "POST", "/SkillEvent", skillEvent("SkillDisabled", "amzn-nobody", "{}"), 200, `{"outcome":"unknown"}`},
		{"SkillEvent, token of nobody", "POST", "/SkillEvent", skillEvent("SkillAccountLinked", "amzn-nobody", `{"accessToken":"expired-grantee-u-1"}`), 200, `{"outcome":"refused"}`},
		{"SkillEvent, too large", "POST", "/SkillEvent", large(64<<10 + 1), 413, "too large"},

		{"root", "POST", "/", "{}", 404, "not found"},
		{"another name", "POST", "/sendevent", "{}", 404, "not found"},
		{"below a function", "POST", "/SendEvent/1", "{}", 404, "not found"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := send(testkit.Context(t), test.method, p.URL()+test.path, nil, test.body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != test.status || !strings.Contains(got.Body, test.says) {
				t.Errorf("answered %d %s, want %d with %q", got.Status, got.Body, test.status, test.says)
			}
		})
	}
}

// TestOneFunction serves the function that FUNCTION_TARGET names at every
// path, as Cloud Functions expects it, and no other.
func TestOneFunction(t *testing.T) {
	t.Parallel()
	p := launch(t, with(newAmazon(t, simulator.Options{}).env(alexa.EU), map[string]string{"FUNCTION_TARGET": "SendEvent"}))
	for _, path := range []string{"", "/", "/AcceptGrant", "/projects/p/topics/t"} {
		got := post(t, p.URL()+path, nil, pushed(t, newCustomer("unknown").report("lamp-1"), nil))
		if want := (answer{http.StatusOK, `{"outcomes":[]}`}); got != want {
			t.Errorf("POST %q was answered %v, want %v", path, got, want)
		}
	}
}
