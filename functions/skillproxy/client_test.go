package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestClient: the client's own settings must leave HTTP/2 and the server's
// certificate's examination as they were, and make a second handshake cheap.
func TestClient(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(answering(http.StatusOK, done))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that refuses it
	server.StartTLS()
	t.Cleanup(server.Close)

	client := newClient()
	fetch := func() *http.Response {
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	first := fetch()
	client.CloseIdleConnections()
	second := fetch()
	if first.ProtoMajor != 2 || first.TLS.Version != tls.VersionTLS13 || first.TLS.DidResume || !second.TLS.DidResume {
		t.Errorf("first %s, resumed: %v; second resumed: %v", first.Proto, first.TLS.DidResume, second.TLS.DidResume)
	}
	if resp, err := newClient().Get(server.URL); err == nil {
		_ = resp.Body.Close()
		t.Error("an unknown certificate was accepted")
	}
}
