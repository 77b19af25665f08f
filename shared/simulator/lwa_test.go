package simulator_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
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
		t.Errorf("token_type %q, expires_in %v, want bearer, 90", p.Type, p.Seconds)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json;charset=UTF-8" {
		t.Errorf("Content-Type = %q", kind)
	}
	if got.header.Get("X-Amzn-Requestid") == "" {
		t.Error("no x-amzn-requestid")
	}
	for prefix, token := range map[string]string{"Atza|": p.Access, "Atzr|": p.Refresh} {
		if !strings.HasPrefix(token, prefix) || len(token) < 350 || len(token) > 2048 {
			t.Errorf("token of %d characters starts %q, want 350 to 2048 and %q", len(token), token[:5], prefix)
		}
		for _, special := range "|+/=" {
			if !strings.ContainsRune(token, special) {
				t.Errorf("a token without %q tests no escaping", special)
			}
		}
	}
	if again := r.link(alexa.EU, "amzn-1"); again.Access == p.Access || again.Refresh == p.Refresh {
		t.Error("two grants got the same token")
	}
}

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	client := simulator.DefaultClient()
	basic := func(r *rig, id, secret string, extra ...string) *http.Request {
		values := url.Values{"grant_type": {"authorization_code"}, "code": {r.Code(alexa.NA, "amzn-1").Reveal()}}
		for i := 0; i < len(extra); i += 2 {
			values.Set(extra[i], extra[i+1])
		}
		request := r.request("POST", r.LWATokenURL, formType, values.Encode())
		request.SetBasicAuth(id, secret)
		return request
	}
	tests := []struct {
		name       string
		request    func(*rig) *http.Request
		wantStatus int
		wantError  any
	}{
		{"right", func(r *rig) *http.Request { return basic(r, client.ID, client.Secret.Reveal()) }, 200, nil},
		{"wrong secret", func(r *rig) *http.Request { return basic(r, client.ID, "fake-wrong") }, 401, "invalid_client"},
		{"in the form too", func(r *rig) *http.Request {
			return basic(r, client.ID, client.Secret.Reveal(), "client_secret", client.Secret.Reveal())
		}, 400, "invalid_request"},
		{"another scheme", func(r *rig) *http.Request {
			request := basic(r, "", "")
			request.Header.Set("Authorization", "Bearer fake")
			return request
		}, 401, "invalid_client"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			got := send(test.request(r))
			if got.status != test.wantStatus || got.json(t)["error"] != test.wantError {
				t.Errorf("answered %d %s, want %d %v", got.status, got.body, test.wantStatus, test.wantError)
			}
		})
	}
}

// TestTokenRefusals has one case for each way to call the token endpoint that
// is wrong whatever the code or token.
func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	client := simulator.DefaultClient()
	without := func(names ...string) func(*rig) *http.Request {
		return func(r *rig) *http.Request {
			values := form("grant_type", "authorization_code", "code", r.Code(alexa.EU, "amzn-1").Reveal())
			for _, name := range names {
				values.Del(name)
			}
			return r.request("POST", r.LWATokenURL, formType, values.Encode())
		}
	}
	with := func(pairs ...string) func(*rig) *http.Request {
		return func(r *rig) *http.Request {
			code := r.Code(alexa.EU, "amzn-1").Reveal()
			values := form(append([]string{"grant_type", "authorization_code", "code", code}, pairs...)...)
			return r.request("POST", r.LWATokenURL, formType, values.Encode())
		}
	}
	raw := func(contentType, query string, body func(code string) string) func(*rig) *http.Request {
		return func(r *rig) *http.Request {
			return r.request("POST", r.LWATokenURL+query, contentType, body(r.Code(alexa.EU, "amzn-1").Reveal()))
		}
	}
	good := func(code string) string { return form("grant_type", "authorization_code", "code", code).Encode() }
	tests := []struct {
		name        string
		request     func(*rig) *http.Request
		status      int
		code        any
		description any
	}{
		{"no grant type", without("grant_type"), 400, "invalid_request", "The request is missing a required parameter : grant_type"},
		{"no code", without("code"), 400, "invalid_request", "The request is missing a required parameter : code"},
		{"no client id", without("client_id"), 400, "invalid_request", "The request is missing a required parameter : client_id"},
		{"no client secret", without("client_secret"), 400, "invalid_request", "The request is missing a required parameter : client_secret"},
		{"no refresh token", with("grant_type", "refresh_token"), 400, "invalid_request", "The request is missing a required parameter : refresh_token"},
		{"unknown grant type", with("grant_type", "password"), 400, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server"},
		{"redirect uri", with("redirect_uri", "https://example.com"), 400, "invalid_request", "The request has an invalid parameter : redirect_uri"},
		{"unknown client", with("client_id", "amzn1.fake-other"), 401, "invalid_client", "Client authentication failed"},
		{"wrong secret", with("client_secret", "fake-wrong"), 401, "invalid_client", "Client authentication failed"},
		{"wrong secret and no grant type known", with("client_secret", "fake-wrong", "grant_type", "password"), 401, "invalid_client", "Client authentication failed"},
		{"parameter twice", raw(formType, "", func(code string) string { return good(code) + "&code=" + code }), 400, "invalid_request", "The request repeats a parameter"},
		{"bad escape", raw(formType, "", func(code string) string { return good(code) + "&scope=%zz" }), 400, "invalid_request", "The request is malformed"},
		{"far too long", raw(formType, "", func(code string) string { return good(code) + "&scope=" + strings.Repeat("a", 70_000) }), 400, "invalid_request", "The request is malformed"},
		{"JSON", raw("application/json", "", func(code string) string {
			return `{"grant_type":"authorization_code","code":"` + code + `","client_id":"` + client.ID + `"}`
		}), 500, nil, nil},
		{"no content type", raw("", "", good), 500, nil, nil},
		{"credentials in the query", raw(formType, "?client_id="+client.ID, good), 500, nil, nil},
		{"everything in the query", raw("", "?"+form("grant_type", "authorization_code", "code", "fake").Encode(), func(string) string { return "" }), 500, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			got := send(test.request(r))
			body := got.json(t)
			if got.status != test.status || body["error"] != test.code || body["error_description"] != test.description {
				t.Errorf("answered %d %s, want %d %v %v", got.status, got.body, test.status, test.code, test.description)
			}
			if test.status == 500 && (got.body != "{}" || got.header.Get("x-amzn-errortype") != "InternalFailure") {
				t.Errorf("answered %s, x-amzn-errortype %q, want {}, InternalFailure", got.body, got.header.Get("x-amzn-errortype"))
			}
			if counts := r.Counts(); counts.LWARefused != 1 || counts.Exchanges+counts.Refreshes != 0 {
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
			body := got.json(t)
			if got.status != 400 || body["error"] != "invalid_grant" || body["error_description"] != codeRefused {
				t.Errorf("answered %d %s", got.status, got.body)
			}
		})
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		options  simulator.Options
		try      func(r *rig, first pair) reply
		wantOK   bool
		wantAway int64 // refreshes with a token that was rotated away
	}{
		{"with the first token", simulator.Options{},
			func(r *rig, first pair) reply { return r.refresh(first.Refresh) }, true, 0},
		{"with the second token", simulator.Options{},
			func(r *rig, first pair) reply { return r.refresh(r.pair(r.refresh(first.Refresh)).Refresh) }, true, 0},
		{"twice with the first", simulator.Options{},
			func(r *rig, first pair) reply { r.pair(r.refresh(first.Refresh)); return r.refresh(first.Refresh) }, false, 1},
		{"twice with the first, in its grace", simulator.Options{OldRefreshTokenGrace: time.Minute},
			func(r *rig, first pair) reply {
				r.pair(r.refresh(first.Refresh))
				r.clock.advance(time.Minute - time.Second)
				return r.refresh(first.Refresh)
			}, true, 1},
		{"twice with the first, after its grace", simulator.Options{OldRefreshTokenGrace: time.Minute},
			func(r *rig, first pair) reply {
				r.pair(r.refresh(first.Refresh))
				r.clock.advance(time.Minute)
				return r.refresh(first.Refresh)
			}, false, 1},
		{"third use of the first, each in its grace", simulator.Options{OldRefreshTokenGrace: time.Minute},
			func(r *rig, first pair) reply {
				r.pair(r.refresh(first.Refresh))
				r.pair(r.refresh(first.Refresh))
				return r.refresh(first.Refresh)
			}, true, 2},
		{"the newest after grace was used", simulator.Options{OldRefreshTokenGrace: time.Minute},
			func(r *rig, first pair) reply {
				r.pair(r.refresh(first.Refresh))
				newest := r.pair(r.refresh(first.Refresh))
				r.clock.advance(time.Hour)
				return r.refresh(newest.Refresh)
			}, true, 1},
		{"twice with the first, kept", simulator.Options{KeepRefreshToken: true},
			func(r *rig, first pair) reply {
				if p := r.pair(r.refresh(first.Refresh)); p.Refresh != first.Refresh || p.Access == first.Access {
					r.t.Error("want the same refresh token, and another access token")
				}
				return r.refresh(first.Refresh)
			}, true, 0},
		{"years later", simulator.Options{},
			func(r *rig, first pair) reply {
				r.clock.advance(5 * 365 * 24 * time.Hour)
				return r.refresh(first.Refresh)
			}, true, 0},
		{"disabled", simulator.Options{},
			func(r *rig, first pair) reply { r.Disable(alexa.EU, "amzn-1"); return r.refresh(first.Refresh) }, false, 0},
		{"enabled again, old token", simulator.Options{},
			func(r *rig, first pair) reply {
				r.Disable(alexa.EU, "amzn-1")
				r.link(alexa.EU, "amzn-1")
				return r.refresh(first.Refresh)
			}, false, 0},
		{"enabled again, new token", simulator.Options{},
			func(r *rig, _ pair) reply {
				r.Disable(alexa.EU, "amzn-1")
				return r.refresh(r.link(alexa.EU, "amzn-1").Refresh)
			}, true, 0},
		{"another user disabled", simulator.Options{},
			func(r *rig, first pair) reply {
				r.link(alexa.EU, "amzn-2")
				r.Disable(alexa.EU, "amzn-2")
				return r.refresh(first.Refresh)
			}, true, 0},
		{"of another client", simulator.Options{},
			func(r *rig, first pair) reply {
				return r.postForm(asOther(form("grant_type", "refresh_token", "refresh_token", first.Refresh)))
			}, false, 0},
		{"an access token", simulator.Options{},
			func(r *rig, first pair) reply { return r.refresh(first.Access) }, false, 0},
		{"an access token made to look like one", simulator.Options{},
			func(r *rig, first pair) reply { return r.refresh(strings.Replace(first.Access, "Atza", "Atzr", 1)) }, false, 0},
		{"one character changed", simulator.Options{},
			func(r *rig, first pair) reply {
				last := len(first.Refresh) - 5
				return r.refresh(first.Refresh[:last] + string(first.Refresh[last]^1) + first.Refresh[last+1:])
			}, false, 0},
		{"the start of one", simulator.Options{},
			func(r *rig, first pair) reply { return r.refresh(first.Refresh[:len(first.Refresh)-8]) }, false, 0},
		{"of another simulator", simulator.Options{},
			func(r *rig, _ pair) reply {
				return r.refresh(newRig(r.t, simulator.Options{}).link(alexa.EU, "amzn-1").Refresh)
			}, false, 0},
		{"not escaped", simulator.Options{},
			func(r *rig, first pair) reply {
				values := form("grant_type", "refresh_token")
				return send(r.request("POST", r.LWATokenURL, formType, values.Encode()+"&refresh_token="+first.Refresh))
			}, false, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.options.Clients = []simulator.Client{simulator.DefaultClient(), otherClient}
			r := newRig(t, test.options)
			got := test.try(r, r.link(alexa.EU, "amzn-1"))
			if away := r.Counts().RotatedAway; away != test.wantAway {
				t.Errorf("RotatedAway = %d, want %d", away, test.wantAway)
			}
			if test.wantOK {
				if p := r.pair(got); r.report(alexa.EU, p.Access).status != 202 {
					t.Error("the gateway refuses the new access token")
				}
				return
			}
			body := got.json(t)
			if got.status != 400 || body["error"] != "invalid_grant" || body["error_description"] != refreshRefused {
				t.Errorf("answered %d %s", got.status, got.body)
			}
		})
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
	if diff := cmp.Diff(map[int]int{200: 1, 400: 15}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if counts := r.Counts(); counts.Refreshes != 1 || counts.RotatedAway != 15 {
		t.Errorf("counts = %+v, want 1 refresh and 15 rotated away", counts)
	}
}

func TestTokenInfo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		token func(r *rig, p pair) string
		want  map[string]any // of the answer
	}{
		{"good", func(r *rig, p pair) string { r.clock.advance(time.Minute); return p.Access }, map[string]any{
			"status": 200, "iss": "https://www.amazon.com", "user_id": "amzn-1", "aud": simulator.DefaultClient().ID,
			"app_id": "amzn1.application.fake", "exp": 3540.0, "iat": 1767323045.0,
		}},
		{"missing", func(*rig, pair) string { return "" }, map[string]any{"status": 400, "error": "invalid_request"}},
		{"unknown", func(*rig, pair) string { return "Atza|fake" }, map[string]any{"status": 400, "error": "invalid_token"}},
		{"refresh token", func(_ *rig, p pair) string { return p.Refresh }, map[string]any{"status": 400, "error": "invalid_token"}},
		{"expired", func(r *rig, p pair) string { r.clock.advance(time.Hour); return p.Access }, map[string]any{"status": 400, "error": "invalid_token"}},
		{"disabled", func(r *rig, p pair) string { r.Disable(alexa.FE, "amzn-1"); return p.Access }, map[string]any{"status": 400, "error": "invalid_token"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			token := test.token(r, r.link(alexa.FE, "amzn-1"))
			got := send(r.request("GET", r.LWATokenInfoURL+"?access_token="+url.QueryEscape(token), "", ""))
			body := got.json(t)
			body["status"] = got.status
			for _, varies := range []string{"error_description", "error_index", "request_id"} {
				delete(body, varies)
			}
			if diff := cmp.Diff(test.want, body); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}
