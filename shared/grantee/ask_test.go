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

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

func says(status int, body string) badserver.Answer {
	return badserver.Answer{Status: status, Body: body}
}

const vouched = `{"active":true,"sub":"u-1"`

// asking are the methods that ask for each token.
var asking = []string{"userinfo", "introspection"}

func TestAsksExactly(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, says(200, `{"active":true,"sub":"not this","data":{"id":9007199254740993}}`))
	for _, method := range asking {
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
	// Both halves of the credentials are form-encoded before they are joined.
	basic := &http.Request{Header: want[1].Header}
	basic.SetBasicAuth("gate+post", "fake%2Fsecret+canary%3A93")
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestAnswers is about what an answer of the provider means. What both methods
// ask with is read alike.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const pad = `{"active":true,"sub":"u-1","pad":"`
	both := map[string]struct {
		answer http.Handler
		want   fault // Asked is the method
	}{
		"largest":        {says(200, pad+strings.Repeat("x", 64<<10-len(pad)-2)+`"}`), fault{}},
		"a byte more":    {says(200, pad+strings.Repeat("x", 64<<10-len(pad)-1)+`"}`), fault{Kind: grantee.ErrUnavailable, Status: 200}},
		"400":            {says(400, canary), fault{Kind: grantee.ErrUnavailable, Status: 400}},
		"429":            {says(429, canary), fault{Kind: grantee.ErrUnavailable, Status: 429}},
		"500":            {says(500, canary), fault{Kind: grantee.ErrUnavailable, Status: 500}},
		"201":            {says(201, vouched+"}"), fault{Kind: grantee.ErrUnavailable, Status: 201}},
		"204":            {says(204, ""), fault{Kind: grantee.ErrUnavailable, Status: 204}},
		"redirect":       {http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect), fault{Kind: grantee.ErrUnavailable, Status: 307}},
		"HTML":           {badserver.Page(200, canary), fault{Kind: grantee.ErrUnavailable, Status: 200}},
		"empty":          {says(200, ""), fault{Kind: grantee.ErrUnavailable, Status: 200}},
		"cut JSON":       {says(200, vouched), fault{Kind: grantee.ErrUnavailable, Status: 200}},
		"list":           {says(200, `[`+vouched+`}]`), fault{Kind: grantee.ErrUnavailable, Status: 200}},
		"null":           {says(200, `null`), fault{Kind: grantee.ErrUnavailable, Status: 200}},
		"no claim":       {says(200, `{"active":true,"error":"`+canary+`"}`), fault{Kind: grantee.ErrNoCustomer}},
		"empty claim":    {says(200, `{"active":true,"sub":""}`), fault{Kind: grantee.ErrNoCustomer}},
		"claim as list":  {says(200, `{"active":true,"sub":["`+canary+`"]}`), fault{Kind: grantee.ErrNoCustomer}},
		"body broken":    {says(200, vouched+"}").Cut(), fault{Kind: grantee.ErrUnavailable, Status: 200}},
		"hang":           {badserver.Hang(""), fault{Kind: grantee.ErrUnavailable}},
		"hang in a body": {badserver.Hang("HTTP/1.1 200 OK\r\n\r\n{"), fault{Kind: grantee.ErrUnavailable, Status: 200}},
	}
	for _, method := range asking {
		for name, tt := range both {
			t.Run(method+", "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := badserver.NewInBubble(t, tt.answer)
					r := newResolver(t, method+":"+s.URL, grantee.Options{HTTPClient: s.Client()})
					if tt.want == (fault{}) {
						wantCustomer(t, r, canary, "u-1")
						return
					}
					began, takes := time.Now(), time.Duration(0)
					if strings.HasPrefix(name, "hang") {
						takes = 2 * time.Second
					}
					err := wantFault(t, r, canary, fault{tt.want.Kind, method, tt.want.Status})
					if took := time.Since(began); took != takes || errors.Is(err, context.DeadlineExceeded) != (takes > 0) {
						t.Errorf("%v after %v, want it after %v", err, took, takes)
					}
				})
			})
		}
	}
	rejected := fault{Kind: grantee.ErrRejected, Asked: "introspection", Status: 200}
	unavailable := fault{Kind: grantee.ErrUnavailable, Asked: "introspection", Status: 200}
	for name, tt := range map[string]struct {
		method, answer string
		status         int
		want           fault
	}{
		// The token is in the header or in the form: only in the first case is a
		// refusal about it.
		"401":                {"userinfo", canary, 401, fault{grantee.ErrRejected, "userinfo", 401}},
		"403":                {"userinfo", canary, 403, fault{grantee.ErrRejected, "userinfo", 403}},
		"credentials, 401":   {"introspection", canary, 401, fault{grantee.ErrUnavailable, "introspection", 401}},
		"credentials, 403":   {"introspection", canary, 403, fault{grantee.ErrUnavailable, "introspection", 403}},
		"not active":         {"introspection", `{"active":false}`, 200, rejected},
		"no active":          {"introspection", `{"sub":"u-1"}`, 200, unavailable},
		"active in capitals": {"introspection", `{"Active":true,"sub":"u-1"}`, 200, unavailable},
		"active as text":     {"introspection", `{"active":"true","sub":"u-1"}`, 200, unavailable},
		"active as number":   {"introspection", `{"active":1,"sub":"u-1"}`, 200, unavailable},
		"expired":            {"introspection", fmt.Sprintf(`%s,"exp":%d}`, vouched, now.Unix()), 200, rejected},
		"for somebody else":  {"introspection", vouched + `,"aud":"other"}`, 200, rejected},
		"good":               {"introspection", vouched + fmt.Sprintf(`,"aud":["other",%q],"exp":%d}`, audience, now.Unix()+1), 200, fault{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := badserver.New(t, says(tt.status, tt.answer))
			o := grantee.Options{}
			if tt.method == "introspection" {
				o.Audience = audience
			}
			want(t, newResolver(t, tt.method+":"+s.URL, o), canary, tt.want)
		})
	}
}

// want resolves a token to u-1, or to a fault if one is given.
func want(t *testing.T, r grantee.Resolver, token string, fails fault) {
	t.Helper()
	if fails == (fault{}) {
		wantCustomer(t, r, token, "u-1")
	} else {
		wantFault(t, r, token, fails)
	}
}

// TestErrorsShowNothing has the provider repeat the token and the client secret in
// whatever it can.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	for _, method := range asking {
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
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close()
		r := newResolver(t, "userinfo:http://"+listener.Addr().String()+"?key=canary", grantee.Options{})
		err = wantFault(t, r, canary, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("error = %v, want a *net.OpError inside", err)
		}
	})
}

// TestQuickFailure: a provider that fails at once is asked once more.
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
					t.Errorf("%d requests, want %d", n, tt.requests)
				}
			})
		})
	}
}

// A redirect is not followed, even to the same host: the token stays with the
// address that was configured. A client that follows redirects is no way around.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, http.RedirectHandler("/elsewhere", http.StatusFound))
	r := newResolver(t, "userinfo:"+s.URL+"/me", grantee.Options{HTTPClient: &http.Client{Transport: s.Client().Transport}})
	wantFault(t, r, canary, fault{grantee.ErrUnavailable, "userinfo", http.StatusFound})
	for _, r := range s.Requests() {
		if r.URI != "/me" {
			t.Errorf("the redirect to %s was followed", r.URI)
		}
	}
}

func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := badserver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	_, err := resolve(ctx, t, newResolver(t, "userinfo:"+s.URL, grantee.Options{Timeout: time.Hour}), canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled inside", err)
	}
}

// A verdict is never kept: a token that was revoked a moment ago is refused.
func TestAsksEachTime(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, says(200, `{"sub":"u-1"}`), says(401, ""))
	r := newResolver(t, "userinfo:"+s.URL, grantee.Options{})
	wantCustomer(t, r, canary, "u-1")
	wantFault(t, r, canary, fault{Kind: grantee.ErrRejected, Asked: "userinfo", Status: 401})
}

// The client secret may be rotated while the process runs, and may be gone.
func TestCredentialsAreReadEachTime(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, says(401, ""), says(401, ""), says(200, vouched+"}"))
	secret, broken := "fake-old", error(nil)
	r := newResolver(t, "introspection:"+s.URL, grantee.Options{Credentials: func(ctx context.Context) (grantee.Credentials, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the credentials are read without a deadline")
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
	if diff := cmp.Diff([]string{"fake-old", "fake-old", "fake-new"}, shown); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// A function sleeps between requests, and the provider drops its idle
// connection without a word. The question must then be put again.
func TestIntrospectionOnDeadConnection(t *testing.T) {
	t.Parallel()
	good := says(200, vouched+"}")
	s := badserver.New(t, good, badserver.Raw(""), good)
	r := newResolver(t, "introspection:"+s.URL, grantee.Options{})
	wantCustomer(t, r, canary, "u-1")
	wantCustomer(t, r, canary, "u-1")
	if n := len(s.Requests()); n != 3 {
		t.Errorf("asked %d times, want 3: the second on a dead connection", n)
	}
}
