package grantee_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

func credentials(context.Context) (grantee.Credentials, error) {
	return grantee.Credentials{ClientID: "gate post", ClientSecret: sensitive.New(canarySecret)}, nil
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, secret, _ := r.BasicAuth()
		got := []string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Accept"), id, secret, string(body)}
		want := []string{
			"POST", "/introspect", "application/x-www-form-urlencoded", "application/json",
			"gate+post", "fake%2Fsecret+canary%3A93",
			"token=maker%7Cfake-canary-7c41&token_type_hint=access_token",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		if _, sent := r.Header["Idempotency-Key"]; sent {
			t.Error("the mark for net/http was sent")
		}
		answer(http.StatusOK, `{"active":true,"sub":"u-1"}`)(w, r)
	})
	r := newResolver(t, "introspection:"+s.URL+"/introspect", grantee.Options{Credentials: credentials})
	got, err := resolve(t.Context(), t, r, canary)
	if err != nil || got != "u-1" {
		t.Errorf("Resolve() = %q, %v, want u-1", got, err)
	}
}

func TestIntrospectionAccepts(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]string{
		"nothing more":          ``,
		"expires in a second":   fmt.Sprintf(`,"exp":%d`, now.Unix()+1),
		"expires with fraction": fmt.Sprintf(`,"exp":%d.5`, now.Unix()),
		"expires far away":      `,"exp":1e300`,
		"no expiry":             `,"exp":null,"nbf":null`,
		"expires, as text":      fmt.Sprintf(`,"exp":"%d"`, now.Unix()+1),
		"times nobody can read": `,"exp":"2025-01-01","nbf":[]`,
		"valid since now":       fmt.Sprintf(`,"nbf":%d`, now.Unix()),
		"start within leeway":   fmt.Sprintf(`,"nbf":%d`, now.Add(5*time.Minute).Unix()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer(http.StatusOK, `{"active":true,"sub":"u-1"`+members+`}`))
			r := newResolver(t, "introspection:"+s.URL, grantee.Options{Credentials: credentials})
			if got, err := resolve(t.Context(), t, r, canary); err != nil || got != "u-1" {
				t.Errorf("Resolve() = %q, %v, want u-1", got, err)
			}
		})
	}
}

func TestIntrospectionFaults(t *testing.T) {
	t.Parallel()
	const vouched = `{"active":true,"sub":"u-1"`
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		kind    error
		status  int
	}{
		"not active":        {answer(200, `{"active":false}`), grantee.ErrRejected, 200},
		"expired now":       {answer(200, fmt.Sprintf(`%s,"exp":%d}`, vouched, now.Unix())), grantee.ErrRejected, 200},
		"not valid yet":     {answer(200, fmt.Sprintf(`%s,"nbf":%d}`, vouched, now.Add(5*time.Minute).Unix()+1)), grantee.ErrRejected, 200},
		"no customer":       {answer(200, `{"active":true}`), grantee.ErrNoCustomer, 0},
		"no active":         {answer(200, `{"sub":"u-1"}`), grantee.ErrUnavailable, 200},
		"active in capital": {answer(200, `{"Active":true,"sub":"u-1"}`), grantee.ErrUnavailable, 200},
		"active as text":    {answer(200, `{"active":"true","sub":"u-1"}`), grantee.ErrUnavailable, 200},
		"active as number":  {answer(200, `{"active":1,"sub":"u-1"}`), grantee.ErrUnavailable, 200},
		"expired, as text":  {answer(200, fmt.Sprintf(`%s,"exp":"%d"}`, vouched, now.Unix())), grantee.ErrRejected, 200},
		"credentials, 401":  {answer(401, canary), grantee.ErrUnavailable, 401},
		"credentials, 403":  {answer(403, canary), grantee.ErrUnavailable, 403},
		"400":               {answer(400, canary), grantee.ErrUnavailable, 400},
		"429":               {answer(429, canary), grantee.ErrUnavailable, 429},
		"500":               {answer(500, canary), grantee.ErrUnavailable, 500},
		"redirect":          {http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP, grantee.ErrUnavailable, 307},
		"HTML":              {answer(200, "<html>"+canary), grantee.ErrUnavailable, 200},
		"huge":              {answer(200, vouched+"}"+strings.Repeat(" ", 64<<10)), grantee.ErrUnavailable, 200},
		"hang":              {hang(""), grantee.ErrUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.handler)
			o := grantee.Options{Credentials: credentials}
			if name == "hang" {
				o.Timeout = 50 * time.Millisecond
			}
			_, err := resolve(t.Context(), t, newResolver(t, "introspection:"+s.URL, o), canary)
			checkFault(t, err, fault{Kind: tt.kind, Asked: "introspection", Status: tt.status})
		})
	}
}

func TestIntrospectionAudience(t *testing.T) {
	t.Parallel()
	refused := &fault{Kind: grantee.ErrRejected, Asked: "introspection", Status: http.StatusOK}
	for name, tt := range map[string]struct {
		aud  string
		want *fault
	}{
		"text":          {`"1234"`, nil},
		"list":          {`["other","1234"]`, nil},
		"number":        {`1234`, nil},
		"list with one": {`[7,1234]`, nil},
		"other text":    {`"other"`, refused},
		"other list":    {`["other","12345"]`, refused},
		"part of it":    {`"123"`, refused},
		"empty list":    {`[]`, refused},
		"null":          {`null`, refused},
		"other number":  {`1`, refused},
		"list of lists": {`[["1234"]]`, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer(http.StatusOK, `{"active":true,"sub":"u-1","aud":`+tt.aud+`}`))
			o := grantee.Options{Credentials: credentials, Audience: "1234"}
			id, err := resolve(t.Context(), t, newResolver(t, "introspection:"+s.URL, o), canary)
			if tt.want != nil {
				checkFault(t, err, *tt.want)
			} else if err != nil || id != "u-1" {
				t.Errorf("Resolve() = %q, %v, want u-1", id, err)
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		s := serve(t, answer(http.StatusOK, `{"active":true,"sub":"u-1"}`))
		o := grantee.Options{Credentials: credentials, Audience: "1234"}
		_, err := resolve(t.Context(), t, newResolver(t, "introspection:"+s.URL, o), canary)
		checkFault(t, err, *refused)
	})
}

// The client secret may be rotated while the process runs.
func TestIntrospectionReadsCredentialsEachTime(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, secret, _ := r.BasicAuth(); secret != "fake-new" {
			answer(http.StatusUnauthorized, "")(w, r)
			return
		}
		answer(http.StatusOK, `{"active":true,"sub":"u-1"}`)(w, r)
	})
	secret := "fake-old"
	r := newResolver(t, "introspection:"+s.URL, grantee.Options{Credentials: func(context.Context) (grantee.Credentials, error) {
		return grantee.Credentials{ClientID: "id", ClientSecret: sensitive.New(secret)}, nil
	}})
	_, err := resolve(t.Context(), t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "introspection", Status: http.StatusUnauthorized})
	secret = "fake-new"
	if id, err := resolve(t.Context(), t, r, canary); err != nil || id != "u-1" {
		t.Errorf("Resolve() = %q, %v, want u-1", id, err)
	}
}

func TestIntrospectionWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the provider was asked") })
	broken := errors.New("the secret is gone")
	r := newResolver(t, "introspection:"+s.URL, grantee.Options{Credentials: func(ctx context.Context) (grantee.Credentials, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the credentials are read without a deadline")
		}
		return grantee.Credentials{}, broken
	}})
	_, err := resolve(t.Context(), t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "credentials"})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v, want the cause inside", err)
	}
}

// A function sleeps between requests, and the provider drops its idle
// connection without a word. The question must then be put again.
func TestIntrospectionOnDeadConnection(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
			return
		}
		answer(http.StatusOK, `{"active":true,"sub":"u-1"}`)(w, r)
	})
	r := newResolver(t, "introspection:"+s.URL, grantee.Options{Credentials: credentials})
	for range 2 {
		if id, err := resolve(t.Context(), t, r, canary); err != nil || id != "u-1" {
			t.Errorf("Resolve() = %q, %v, want u-1", id, err)
		}
	}
	if got := asked.Load(); got != 3 {
		t.Errorf("asked %d times, want 3: the second on a dead connection", got)
	}
}
