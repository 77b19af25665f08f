package simulator_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

const (
	codeRefused    = "The request has an invalid grant parameter : code"
	refreshRefused = "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission."
)

func TestTokenAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{TokenLifetime: 90 * time.Second})
	got := r.exchange(r.Code(alexa.EU, "amzn-1").Reveal())
	p := r.pair(got)
	if p.Type != "bearer" || p.Seconds != 90 {
		t.Errorf("token_type = %q, expires_in = %v, want bearer, 90", p.Type, p.Seconds)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json;charset=UTF-8" {
		t.Errorf("Content-Type = %q", kind)
	}
	if got.header.Get("X-Amzn-Requestid") == "" {
		t.Error("the answer has no x-amzn-requestid")
	}
	for prefix, token := range map[string]string{"Atza|": p.Access, "Atzr|": p.Refresh} {
		if !strings.HasPrefix(token, prefix) || len(token) < 350 || len(token) > 2048 {
			t.Errorf("token of %d characters starts %q, want 350 to 2048 and %q", len(token), token[:5], prefix)
		}
		for _, special := range "|+/=" {
			if !strings.ContainsRune(token, special) {
				t.Errorf("the token lacks %q, which tests escaping", special)
			}
		}
	}
	if again := r.link(alexa.EU, "amzn-1"); again.Access == p.Access || again.Refresh == p.Refresh {
		t.Error("two grants got the same token")
	}
}

// TestTokenRefusals has one case for each wrong call of the token endpoint, apart
// from wrong codes and tokens.
func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	const missing, invalid = "The request is missing a required parameter : ", "invalid_request"
	client := simulator.DefaultClient()
	exchange := []string{"grant_type", "authorization_code", "code"}
	// with changes the form of a valid request; an empty value removes a field.
	with := func(pairs ...string) func(*rig) *http.Request {
		return func(r *rig) *http.Request {
			values := form(append(append(exchange, r.Code(alexa.EU, "amzn-1").Reveal()), pairs...)...)
			maps.DeleteFunc(values, func(_ string, value []string) bool { return value[0] == "" })
			return r.request("POST", r.LWATokenURL, formType, values.Encode())
		}
	}
	// sent changes a valid request, and adds to its form.
	sent := func(contentType, query, add string) func(*rig) *http.Request {
		return func(r *rig) *http.Request {
			return r.request("POST", r.LWATokenURL+query, contentType, form(append(exchange, r.Code(alexa.EU, "amzn-1").Reveal())...).Encode()+add)
		}
	}
	// basic sends the client's credentials in the header, without a secret in the
	// form.
	basic := func(id, secret string, pairs ...string) func(*rig) *http.Request {
		return func(r *rig) *http.Request {
			request := with(append([]string{"client_id", "", "client_secret", ""}, pairs...)...)(r)
			request.SetBasicAuth(id, secret)
			return request
		}
	}
	for _, test := range []struct {
		name        string
		request     func(*rig) *http.Request
		status      int
		code        any
		description any
	}{
		{"no grant type", with("grant_type", ""), 400, invalid, missing + "grant_type"},
		{"no code", with("code", ""), 400, invalid, missing + "code"},
		{"no client id", with("client_id", ""), 400, invalid, missing + "client_id"},
		{"no client secret", with("client_secret", ""), 400, invalid, missing + "client_secret"},
		{"no refresh token", with("grant_type", "refresh_token"), 400, invalid, missing + "refresh_token"},
		{"unknown grant type", with("grant_type", "password"), 400, "unsupported_grant_type",
			"The authorization grant type is not supported by the authorization server"},
		{"redirect uri", with("redirect_uri", "https://example.com"), 400, invalid, "The request has an invalid parameter : redirect_uri"},
		{"unknown client", with("client_id", "amzn1.fake-other"), 401, "invalid_client", "Client authentication failed"},
		{"wrong secret", with("client_secret", "fake-wrong"), 401, "invalid_client", "Client authentication failed"},
		{"wrong secret and no grant type known", with("client_secret", "fake-wrong", "grant_type", "password"),
			401, "invalid_client", "Client authentication failed"},
		{"parameter twice", sent(formType, "", "&code=fake"), 400, invalid, "The request repeats a parameter"},
		{"bad escape", sent(formType, "", "&scope=%zz"), 400, invalid, "The request is malformed"},
		{"far too long", sent(formType, "", "&scope="+strings.Repeat("a", 70_000)), 400, invalid, "The request is malformed"},
		{"JSON", sent("application/json", "", ""), 500, nil, nil},
		{"no content type", sent("", "", ""), 500, nil, nil},
		{"credentials in the query", sent(formType, "?client_id="+client.ID, ""), 500, nil, nil},
		{"client in the header", basic(client.ID, client.Secret.Reveal()), 200, nil, nil},
		{"wrong secret in the header", basic(client.ID, "fake-wrong"), 401, "invalid_client", "Client authentication failed"},
		{"secret in header and form", basic(client.ID, client.Secret.Reveal(), "client_secret", client.Secret.Reveal()),
			400, invalid, "The request has more than one client authentication"},
		{"another scheme", func(r *rig) *http.Request {
			request := with()(r)
			request.Header.Set("Authorization", "Bearer fake")
			return request
		}, 401, "invalid_client", "Client authentication failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			got := send(test.request(r))
			body := got.json(t)
			if got.status != test.status || body["error"] != test.code || body["error_description"] != test.description {
				t.Errorf("answer = %d %s, want %d %v %v", got.status, got.body, test.status, test.code, test.description)
			}
			if test.status == 500 && (got.body != "{}" || got.header.Get("x-amzn-errortype") != "InternalFailure") {
				t.Errorf("body = %s, x-amzn-errortype = %q, want {}, InternalFailure", got.body, got.header.Get("x-amzn-errortype"))
			}
			if counts := r.Counts(); (counts.LWARefused == 1) != (got.status != 200) || counts.Exchanges+counts.LWARefused != 1 {
				t.Errorf("counts = %+v", counts)
			}
		})
	}
}

// otherClient is a second client of the same simulator.
var otherClient = simulator.Client{ID: "amzn1.application-oa2-client.fake-other", Secret: sensitive.New("fake-other-secret")}

func asOther(values url.Values) url.Values {
	values.Set("client_id", otherClient.ID)
	values.Set("client_secret", otherClient.Secret.Reveal())
	return values
}

func TestCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(r *rig, code string)
		edit    func(url.Values)
		wantOK  bool
	}{
		{"fresh", func(*rig, string) {}, nil, true},
		{"unknown", func(*rig, string) {}, func(v url.Values) { v.Set("code", "ANfakeUNKNOWN") }, false},
		{"used", func(r *rig, code string) { r.pair(r.exchange(code)) }, nil, false},
		{"in its last second", func(r *rig, _ string) { r.clock.advance(5*time.Minute - time.Second) }, nil, true},
		{"expired", func(r *rig, _ string) { r.clock.advance(5 * time.Minute) }, nil, false},
		{"expired, others made since", func(r *rig, _ string) { r.clock.advance(5 * time.Minute); r.Code(alexa.EU, "amzn-2") }, nil, false},
		{"used by others, not expired", func(r *rig, _ string) { r.link(alexa.EU, "amzn-2"); r.Code(alexa.EU, "amzn-3") }, nil, true},
		{"of another client", func(*rig, string) {}, func(v url.Values) { asOther(v) }, false},
		{"tried by another client first", func(r *rig, code string) {
			r.postForm(asOther(form("grant_type", "authorization_code", "code", code)))
		}, nil, true},
		{"disabled", func(r *rig, _ string) { r.Disable(alexa.EU, "amzn-1") }, nil, false},
		{"disabled elsewhere", func(r *rig, _ string) { r.Code(alexa.NA, "amzn-1"); r.Disable(alexa.NA, "amzn-1") }, nil, true},
		{"after a new one", func(r *rig, _ string) { r.Code(alexa.EU, "amzn-1") }, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{Clients: []simulator.Client{simulator.DefaultClient(), otherClient}})
			code := r.Code(alexa.EU, "amzn-1").Reveal()
			test.prepare(r, code)
			values := form("grant_type", "authorization_code", "code", code)
			if test.edit != nil {
				test.edit(values)
			}
			got := r.postForm(values)
			if test.wantOK {
				r.pair(got)
				return
			}
			wantInvalidGrant(t, got, codeRefused)
		})
	}
}

// TestRefresh runs steps, and checks the last one, a refresh:
//
//	first, newest  refresh with that token
//	wait D         move the clock
//	disable, link  the skill
func TestRefresh(t *testing.T) {
	t.Parallel()
	grace, rotating := simulator.Options{OldRefreshTokenGrace: time.Minute}, simulator.Options{}
	for _, test := range []struct {
		name     string
		options  simulator.Options
		steps    string
		wantOK   bool
		wantAway int64 // refreshes with a replaced token
	}{
		{"with the first token", rotating, "first", true, 0},
		{"with the second token", rotating, "first, newest", true, 0},
		{"twice with the first", rotating, "first, first", false, 1},
		{"twice with the first, in its grace", grace, "first, wait 59s, first", true, 1},
		{"twice with the first, after its grace", grace, "first, wait 60s, first", false, 1},
		{"third use of the first, each in its grace", grace, "first, first, first", true, 2},
		{"the newest after grace was used", grace, "first, first, wait 1h, newest", true, 1},
		{"twice with the first, kept", simulator.Options{KeepRefreshToken: true}, "first, first", true, 0},
		{"the newest, kept", simulator.Options{KeepRefreshToken: true}, "first, newest", true, 0},
		{"years later", rotating, "wait 43800h, first", true, 0},
		{"disabled", rotating, "disable, first", false, 0},
		{"enabled again, old token", rotating, "disable, link, first", false, 0},
		{"enabled again, new token", rotating, "disable, link, newest", true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, test.options)
			first := r.link(alexa.EU, "amzn-1")
			newest, got := first, reply{}
			for step := range strings.SplitSeq(test.steps, ", ") {
				refreshed := step == "first" || step == "newest"
				switch name, d, _ := strings.Cut(step, " "); name {
				case "first":
					got = r.refresh(first.Refresh)
				case "newest":
					got = r.refresh(newest.Refresh)
				case "wait":
					d, _ := time.ParseDuration(d)
					r.clock.advance(d)
				case "disable":
					r.Disable(alexa.EU, "amzn-1")
				case "link":
					newest = r.link(alexa.EU, "amzn-1")
				}
				if refreshed && got.status == 200 {
					newest = r.pair(got)
				}
			}
			if away := r.Counts().RotatedAway; away != test.wantAway {
				t.Errorf("RotatedAway = %d, want %d", away, test.wantAway)
			}
			if !test.wantOK {
				wantInvalidGrant(t, got, refreshRefused)
				return
			}
			p := r.pair(got)
			if r.report(alexa.EU, p.Access).status != 202 || p.Access == first.Access {
				t.Error("the gateway refuses the new access token, or it equals the old one")
			}
			if kept := p.Refresh == first.Refresh; kept != test.options.KeepRefreshToken {
				t.Errorf("refresh token kept = %v", kept)
			}
		})
	}
}

func wantInvalidGrant(t *testing.T, got reply, description string) {
	t.Helper()
	body := got.json(t)
	if got.status != 400 || body["error"] != "invalid_grant" || body["error_description"] != description {
		t.Errorf("answer = %d %s, want invalid_grant", got.status, got.body)
	}
}

// TestRefreshWithNoToken refreshes with texts that are not the client's tokens.
func TestRefreshWithNoToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{Clients: []simulator.Client{simulator.DefaultClient(), otherClient}})
	p := r.link(alexa.EU, "amzn-1")
	last := len(p.Refresh) - 5
	for name, token := range map[string]string{
		"an access token":                       p.Access,
		"an access token made to look like one": strings.Replace(p.Access, "Atza", "Atzr", 1),
		"one character changed":                 p.Refresh[:last] + string(p.Refresh[last]^1) + p.Refresh[last+1:],
		"the start of one":                      p.Refresh[:len(p.Refresh)-8],
		"another simulator's":                   newRig(t, simulator.Options{}).link(alexa.EU, "amzn-1").Refresh,
		"unescaped, of which + becomes a space": strings.ReplaceAll(p.Refresh, "+", " "),
	} {
		t.Run(name, func(t *testing.T) { wantInvalidGrant(t, r.refresh(token), refreshRefused) })
	}
	t.Run("another client's", func(t *testing.T) {
		wantInvalidGrant(t, r.postForm(asOther(form("grant_type", "refresh_token", "refresh_token", p.Refresh))), refreshRefused)
	})
	r.link(alexa.EU, "amzn-2")
	r.Disable(alexa.EU, "amzn-2")
	if got := r.refresh(p.Refresh); got.status != 200 {
		t.Errorf("answer to the token, with another user disabled = %d %s", got.status, got.body)
	}
}

func TestConcurrentRefreshHasOneWinner(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	first := r.link(alexa.EU, "amzn-1")
	replies := make([]reply, 16)
	var group sync.WaitGroup
	for i := range replies {
		group.Go(func() { replies[i] = r.refresh(first.Refresh) })
	}
	group.Wait()
	statuses := map[int]int{}
	for _, got := range replies {
		statuses[got.status]++
	}
	expect.Equal(t, "statuses", map[int]int{200: 1, 400: 15}, statuses)
	if counts := r.Counts(); counts.Refreshes != 1 || counts.RotatedAway != 15 {
		t.Errorf("counts = %+v, want 1 refresh and 15 with a replaced token", counts)
	}
}

func TestTokenInfo(t *testing.T) {
	t.Parallel()
	invalid := map[string]any{"status": 400, "error": "invalid_token"}
	access := func(p pair) string { return p.Access }
	for _, test := range []struct {
		name   string
		before func(r *rig)
		token  func(p pair) string
		want   map[string]any // of the answer
	}{
		{"good", func(r *rig) { r.clock.advance(time.Minute) }, access, map[string]any{
			"status": 200, "iss": "https://www.amazon.com", "user_id": "amzn-1", "aud": simulator.DefaultClient().ID,
			"app_id": "amzn1.application.fake", "exp": 3540.0, "iat": 1767323045.0,
		}},
		{"missing", func(*rig) {}, func(pair) string { return "" }, map[string]any{"status": 400, "error": "invalid_request"}},
		{"unknown", func(*rig) {}, func(pair) string { return "Atza|fake" }, invalid},
		{"refresh token", func(*rig) {}, func(p pair) string { return p.Refresh }, invalid},
		{"expired", func(r *rig) { r.clock.advance(time.Hour) }, access, invalid},
		{"disabled", func(r *rig) { r.Disable(alexa.FE, "amzn-1") }, access, invalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.FE, "amzn-1")
			test.before(r)
			got := send(r.request("GET", r.LWATokenInfoURL+"?access_token="+url.QueryEscape(test.token(p)), "", ""))
			body := got.json(t)
			body["status"] = got.status
			for _, varies := range []string{"error_description", "error_index", "request_id"} {
				delete(body, varies)
			}
			expect.Equal(t, "answer", test.want, body)
		})
	}
}
