package grantee_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grantee"
)

func TestUserinfo(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.RequestURI() != "/me?fields=id" {
			t.Errorf("asked %s %s, want GET /me?fields=id", r.Method, r.URL.RequestURI())
		}
		if got, want := r.Header.Get("Authorization"), "Bearer "+canary; got != want {
			t.Errorf("Authorization = %q, want %q", got, want)
		}
		if got := r.Header.Get("Accept"); got != "application/json" {
			t.Errorf("Accept = %q", got)
		}
		answer(http.StatusOK, `{"sub":"not this","data":{"id":9007199254740993}}`)(w, r)
	})
	r := newResolver(t, "userinfo:"+s.URL+"/me?fields=id", grantee.Options{Claim: "data.id"})
	got, err := resolve(t.Context(), t, r, canary)
	if err != nil || got != "9007199254740993" {
		t.Errorf("Resolve() = %q, %v, want 9007199254740993", got, err)
	}
}

func TestUserinfoFaults(t *testing.T) {
	t.Parallel()
	echo := `{"error":"` + canary + `"}`
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		kind    error
		status  int
	}{
		"401":            {answer(401, echo), grantee.ErrRejected, 401},
		"403":            {answer(403, echo), grantee.ErrRejected, 403},
		"400":            {answer(400, echo), grantee.ErrUnavailable, 400},
		"404":            {answer(404, echo), grantee.ErrUnavailable, 404},
		"429":            {answer(429, echo), grantee.ErrUnavailable, 429},
		"500":            {answer(500, echo), grantee.ErrUnavailable, 500},
		"503 with HTML":  {answer(503, "<html>"+canary), grantee.ErrUnavailable, 503},
		"201":            {answer(201, `{"sub":"u-1"}`), grantee.ErrUnavailable, 201},
		"204":            {answer(204, ""), grantee.ErrUnavailable, 204},
		"HTML":           {answer(200, "<html>"+canary), grantee.ErrUnavailable, 200},
		"empty":          {answer(200, ""), grantee.ErrUnavailable, 200},
		"cut JSON":       {answer(200, `{"sub":"u-1"`), grantee.ErrUnavailable, 200},
		"list":           {answer(200, `[{"sub":"u-1"}]`), grantee.ErrUnavailable, 200},
		"null":           {answer(200, `null`), grantee.ErrUnavailable, 200},
		"no claim":       {answer(200, echo), grantee.ErrNoCustomer, 0},
		"empty claim":    {answer(200, `{"sub":""}`), grantee.ErrNoCustomer, 0},
		"claim as list":  {answer(200, `{"sub":["`+canary+`"]}`), grantee.ErrNoCustomer, 0},
		"huge":           {answer(200, `{"sub":"u-1"}`+strings.Repeat(" ", 64<<10)), grantee.ErrUnavailable, 200},
		"body broken":    {broken, grantee.ErrUnavailable, 200},
		"hang":           {hang(""), grantee.ErrUnavailable, 0},
		"hang in a body": {hang(`{"sub":`), grantee.ErrUnavailable, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.handler)
			o := grantee.Options{}
			if strings.HasPrefix(name, "hang") {
				o.Timeout = 50 * time.Millisecond
			}
			_, err := resolve(t.Context(), t, newResolver(t, "userinfo:"+s.URL, o), canary)
			checkFault(t, err, fault{Kind: tt.kind, Asked: "userinfo", Status: tt.status})
			if timeout := errors.Is(err, context.DeadlineExceeded); timeout != (o.Timeout != 0) {
				t.Errorf("errors.Is(%v, DeadlineExceeded) = %t", err, timeout)
			}
		})
	}
}

// broken promises a longer body than it sends.
func broken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = w.Write([]byte(`{"sub":"u-1"}`))
}

// The largest answer that is read, to the byte.
func TestUserinfoLargest(t *testing.T) {
	t.Parallel()
	head, tail := `{"sub":"u-1","pad":"`, `"}`
	body := head + strings.Repeat("x", 64<<10-len(head)-len(tail)) + tail
	s := serve(t, answer(http.StatusOK, body))
	if id, err := resolve(t.Context(), t, newResolver(t, "userinfo:"+s.URL, grantee.Options{}), canary); err != nil || id != "u-1" {
		t.Errorf("Resolve() = %q, %v, want u-1", id, err)
	}
}

// A redirect is not followed, even to the same host: the token stays with the
// address that was configured.
func TestUserinfoRedirect(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/me" {
			t.Errorf("the redirect to %s was followed", r.URL)
			answer(http.StatusOK, `{"sub":"u-1"}`)(w, r)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	// A client that follows redirects is no way around.
	r := newResolver(t, "userinfo:"+s.URL+"/me", grantee.Options{HTTPClient: s.Client()})
	_, err := resolve(t.Context(), t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo", Status: http.StatusFound})
}

func TestUserinfoCallerGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		hang("")(w, r)
	})
	r := newResolver(t, "userinfo:"+s.URL, grantee.Options{Timeout: time.Hour})
	_, err := resolve(ctx, t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled inside", err)
	}
}

// A verdict is never kept: a token that was revoked a moment ago is refused.
func TestUserinfoAsksEachTime(t *testing.T) {
	t.Parallel()
	revoked := false
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if revoked {
			answer(http.StatusUnauthorized, "")(w, r)
			return
		}
		answer(http.StatusOK, `{"sub":"u-1"}`)(w, r)
	})
	r := newResolver(t, "userinfo:"+s.URL, grantee.Options{})
	if id, err := resolve(t.Context(), t, r, canary); err != nil || id != "u-1" {
		t.Fatalf("Resolve() = %q, %v, want u-1", id, err)
	}
	revoked = true
	_, err := resolve(t.Context(), t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrRejected, Asked: "userinfo", Status: http.StatusUnauthorized})
}
