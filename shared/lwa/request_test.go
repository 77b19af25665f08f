package lwa_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// request is everything of a request that LWA sees, less what Go's client adds
// by itself.
type request struct {
	Method, URI, Body string
	Header            http.Header
}

// TestSendsExactly has the forms written out, since url.Values would make the
// same mistakes on both sides.
func TestSendsExactly(t *testing.T) {
	t.Parallel()
	const client = "client_id=amzn1.application-oa2-client.fake&client_secret=fake%7Csecret%2B%2F%3D%26%25+"
	forms := map[string]string{
		"exchange": client + "&code=ANfake%7Ccode%2B%2F%3D%26%25+&grant_type=authorization_code",
		"refresh":  client + "&grant_type=refresh_token&refresh_token=Atzr%7Cfake-refresh%2B%2F%3D%26%25+",
	}
	for op, call := range calls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			var got []request
			lwaClient := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Header.Del("User-Agent")
				r.Header.Del("Accept-Encoding")
				got = append(got, request{r.Method, r.RequestURI, string(body), r.Header})
				answer{status: 200, body: newTokens}.ServeHTTP(w, r)
			}))
			if _, err := call(t.Context(), lwaClient); err != nil {
				t.Fatal(err)
			}
			want := []request{{
				Method: "POST", URI: "/auth/o2/token", Body: forms[op],
				Header: http.Header{
					"Content-Type":   {"application/x-www-form-urlencoded"},
					"Content-Length": {strconv.Itoa(len(forms[op]))},
				},
			}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyAtOnce proves that calls of one client do not mix their tokens.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer{status: 200, body: `{"access_token":"for ` + r.PostFormValue("refresh_token") + `"}`}.ServeHTTP(w, r)
	}))
	type result struct {
		refresh, access string
		err             error
	}
	const n = 32
	results := make(chan result, n)
	for i := range n {
		go func() {
			refresh := "Atzr|fake-" + strconv.Itoa(i)
			token, err := client.Refresh(context.Background(), fakeID, sensitive.New(refresh))
			results <- result{refresh, token.AccessToken.Reveal(), err}
		}()
	}
	for range n {
		if got := <-results; got.err != nil || got.access != "for "+got.refresh {
			t.Errorf("refresh of %s: %q, %v", got.refresh, got.access, got.err)
		}
	}
}

func TestKnows(t *testing.T) {
	t.Parallel()
	client := serveFor(t, http.NotFoundHandler(), []lwa.Credentials{{ClientID: "new"}, {ClientID: "old"}})
	for id, want := range map[string]bool{"new": true, "old": true, "other": false, "": false, "NEW": false} {
		if got := client.Knows(id); got != want {
			t.Errorf("Knows(%q) = %v, want %v", id, got, want)
		}
	}
}
