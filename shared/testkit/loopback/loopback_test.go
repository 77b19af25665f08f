package loopback_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
)

func TestMain(m *testing.M) {
	loopback.Only()
	m.Run()
}

func TestOnly(t *testing.T) {
	t.Parallel()
	here := httptest.NewServer(http.NotFoundHandler())
	defer here.Close()
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	if resp, err := client.Get(here.URL); err != nil {
		t.Error(err)
	} else {
		_ = resp.Body.Close()
	}
	// TEST-NET-1 of RFC 5737, which is never assigned.
	if resp, err := client.Get("http://192.0.2.1/"); !errors.Is(err, loopback.ErrElsewhere) {
		t.Errorf("%v, %v", resp, err)
	}
}
