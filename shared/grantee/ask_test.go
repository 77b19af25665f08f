package grantee_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func says(status int, body string) badserver.Answer {
	return badserver.Answer{Status: status, Body: body}
}

const vouched = `{"active":true,"sub":"u-1"`

// remote are the methods that call the provider for each token.
var remote = []string{"userinfo", "introspection"}

func TestAsksExactly(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, says(200, `{"active":true,"sub":"not this","data":{"id":9007199254740993}}`))
	for _, method := range remote {
		wantCustomer(t, newResolver(t, method+":"+s.URL+"/me?fields=id", grantee.Options{Claim: "data.id"}), canary, "9007199254740993")
	}
	header := func(more ...string) http.Header {
		h := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"Go-http-client/1.1"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	want := []badserver.Request{
		{Method: "GET", URI: "/me?fields=id", Host: s.URL[len("http://"):], Header: header("Authorization", "Bearer "+canary)},
		{
			Method: "POST", URI: "/me?fields=id", Host: s.URL[len("http://"):],
			Body:   "token=maker%7Cfake-canary-7c41&token_type_hint=access_token",
			Header: header("Content-Type", "application/x-www-form-urlencoded", "Content-Length", "59", "Authorization", ""),
		},
	}
	// Both parts of the credentials are form-encoded before they are joined.
	basic := &http.Request{Header: want[1].Header}
	basic.SetBasicAuth("gate+post", "fake%2Fsecret+canary%3A93")
	expect.Equal(t, "requests", want, s.Requests())
}

// TestAnswers checks the meaning of the provider's answers. Both methods read most
// of them alike.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const pad = `{"active":true,"sub":"u-1","pad":"`
	both, userinfo, introspection := remote, remote[:1], remote[1:]
	gone := func(status int) fault { return fault{Kind: grantee.ErrUnavailable, Status: status} }
	rejected := func(status int) fault { return fault{Kind: grantee.ErrRejected, Status: status} }
	for name, tt := range map[string]struct {
		methods []string
		answer  http.Handler
		want    fault // Asked is the method
	}{
		"largest":        {both, says(200, pad+strings.Repeat("x", 64<<10-len(pad)-2)+`"}`), fault{}},
		"a byte more":    {both, says(200, pad+strings.Repeat("x", 64<<10-len(pad)-1)+`"}`), gone(200)},
		"400":            {both, says(400, canary), gone(400)},
		"429":            {both, says(429, canary), gone(429)},
		"500":            {both, says(500, canary), gone(500)},
		"201":            {both, says(201, vouched+"}"), gone(201)},
		"204":            {both, says(204, ""), gone(204)},
		"redirect":       {both, http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect), gone(307)},
		"HTML":           {both, badserver.Page(200, canary), gone(200)},
		"empty":          {both, says(200, ""), gone(200)},
		"cut JSON":       {both, says(200, vouched), gone(200)},
		"list":           {both, says(200, `[`+vouched+`}]`), gone(200)},
		"null":           {both, says(200, `null`), gone(200)},
		"no claim":       {both, says(200, `{"active":true,"error":"`+canary+`"}`), fault{Kind: grantee.ErrNoCustomer}},
		"empty claim":    {both, says(200, `{"active":true,"sub":""}`), fault{Kind: grantee.ErrNoCustomer}},
		"claim as list":  {both, says(200, `{"active":true,"sub":["`+canary+`"]}`), fault{Kind: grantee.ErrNoCustomer}},
		"body broken":    {both, says(200, vouched+"}").Cut(), gone(200)},
		"hang":           {both, badserver.Hang(""), gone(0)},
		"hang in a body": {both, badserver.Hang("HTTP/1.1 200 OK\r\n\r\n{"), gone(200)},
		// The token is in the header or in the form: only in the header's case is a
		// refusal about it.
		"401":                 {userinfo, says(401, canary), rejected(401)},
		"403":                 {userinfo, says(403, canary), rejected(403)},
		"credentials, 401":    {introspection, says(401, canary), gone(401)},
		"credentials, 403":    {introspection, says(403, canary), gone(403)},
		"not active":          {introspection, says(200, `{"active":false}`), rejected(200)},
		"no active":           {introspection, says(200, `{"sub":"u-1"}`), gone(200)},
		"active in capitals":  {introspection, says(200, `{"Active":true,"sub":"u-1"}`), gone(200)},
		"active as text":      {introspection, says(200, `{"active":"true","sub":"u-1"}`), gone(200)},
		"active as number":    {introspection, says(200, `{"active":1,"sub":"u-1"}`), gone(200)},
		"expired":             {introspection, says(200, vouched+fmt.Sprintf(`,"aud":%q,"exp":%d}`, audience, now.Unix())), rejected(200)},
		"for another service": {introspection, says(200, vouched+`,"aud":"other"}`), rejected(200)},
		"good":                {introspection, says(200, vouched+fmt.Sprintf(`,"aud":[7,%q],"exp":%d}`, audience, now.Unix()+1)), fault{}},
	} {
		for _, method := range tt.methods {
			t.Run(method+", "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := badserver.NewInBubble(t, tt.answer)
					o := grantee.Options{HTTPClient: s.Client()}
					if len(tt.methods) == 1 && method == "introspection" {
						o.Audience = audience
					}
					expect := tt.want
					if expect.Kind != nil {
						expect.Asked = method
					}
					began, takes := time.Now(), time.Duration(0)
					if strings.HasPrefix(name, "hang") {
						takes = 2 * time.Second
					}
					err := want(t, newResolver(t, method+":"+s.URL, o), canary, expect)
					if took := time.Since(began); took != takes || errors.Is(err, context.DeadlineExceeded) != (takes > 0) {
						t.Errorf("error = %v after %v, want it after %v", err, took, takes)
					}
				})
			})
		}
	}
}

// want resolves a token to u-1, or to the given fault.
func want(t *testing.T, r grantee.Resolver, token string, fails fault) error {
	t.Helper()
	if fails == (fault{}) {
		wantCustomer(t, r, token, "u-1")
		return nil
	}
	return wantFault(t, r, token, fails)
}

// TestErrorsShowNothing has the provider repeat the token and the client secret
// wherever it can.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	for _, method := range remote {
		t.Run(method, func(t *testing.T) {
			badserver.EachFault(t, []string{canary, canarySecret}, nil, func(t *testing.T, answer http.Handler) error {
				s := badserver.NewInBubble(t, answer)
				r := newResolver(t, method+":"+s.URL+"?canary", grantee.Options{HTTPClient: s.Client()})
				_, err := resolve(t.Context(), t, r, canary)
				if !errors.Is(err, grantee.ErrUnavailable) {
					t.Errorf("error = %v, want %v", err, grantee.ErrUnavailable)
				}
				return err
			})
		})
	}
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		// Port 1 is never in use: tests beside this one take free ports.
		r := newResolver(t, "userinfo:http://127.0.0.1:1?key=canary", grantee.Options{})
		err := wantFault(t, r, canary, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("error = %v, want a *net.OpError inside", err)
		}
	})
}

// TestQuickFailure: a quick failure of the provider is retried once.
func TestQuickFailure(t *testing.T) {
	t.Parallel()
	good, failing := says(200, `{"sub":"u-1"}`), says(503, "")
	unavailable := fault{grantee.ErrUnavailable, "userinfo", 503}
	for name, tt := range map[string]struct {
		answers  []http.Handler
		requests int
		want     fault
	}{
		"one failure":      {[]http.Handler{failing, good}, 2, fault{}},
		"two failures":     {[]http.Handler{failing, failing, good}, 2, unavailable},
		"a refusal":        {[]http.Handler{says(401, ""), good}, 1, fault{grantee.ErrRejected, "userinfo", 401}},
		"quick enough":     {[]http.Handler{badserver.After(time.Second-1, failing), good}, 2, fault{}},
		"not quick enough": {[]http.Handler{badserver.After(time.Second, failing), good}, 1, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := badserver.NewInBubble(t, tt.answers...)
				want(t, newResolver(t, "userinfo:"+s.URL, grantee.Options{HTTPClient: s.Client()}), canary, tt.want)
				if n := len(s.Requests()); n != tt.requests {
					t.Errorf("requests = %d, want %d", n, tt.requests)
				}
			})
		})
	}
}

// TestCredentialsAreReadEachTime: the client secret may be rotated, or deleted,
// while the process runs.
func TestCredentialsAreReadEachTime(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, says(401, ""), says(401, ""), says(200, vouched+"}"))
	secret, broken := "fake-old", error(nil)
	r := newResolver(t, "introspection:"+s.URL, grantee.Options{Credentials: func(ctx context.Context) (grantee.Credentials, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("Credentials was called without a deadline")
		}
		return grantee.Credentials{ClientID: "id", ClientSecret: sensitive.New(secret)}, broken
	}})
	wantFault(t, r, canary, fault{Kind: grantee.ErrUnavailable, Asked: "introspection", Status: 401})
	secret = "fake-new"
	wantCustomer(t, r, canary, "u-1")
	broken = errors.New("the secret is gone")
	if err := wantFault(t, r, canary, fault{Kind: grantee.ErrUnavailable, Asked: "credentials"}); !errors.Is(err, broken) {
		t.Errorf("error = %v, want the cause inside", err)
	}
	var shown []string
	for _, r := range s.Requests() {
		_, secret, _ := (&http.Request{Header: r.Header}).BasicAuth()
		shown = append(shown, secret)
	}
	expect.Equal(t, "secrets", []string{"fake-old", "fake-old", "fake-new"}, shown)
}

// TestIntrospectionOnDeadConnection: results are not cached, so the provider is
// called for each token. While a function sleeps, the provider may drop the idle
// connection: then the call is repeated.
func TestIntrospectionOnDeadConnection(t *testing.T) {
	t.Parallel()
	good := says(200, vouched+"}")
	s := badserver.New(t, good, badserver.Raw(""), good)
	r := newResolver(t, "introspection:"+s.URL, grantee.Options{})
	wantCustomer(t, r, canary, "u-1")
	wantCustomer(t, r, canary, "u-1")
	if n := len(s.Requests()); n != 3 {
		t.Errorf("requests = %d, want 3, the second on a dead connection", n)
	}
}
