package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

const (
	fakeToken = "Atza|fake-access/+=="
	fakeEvent = `{"event":{"header":{"namespace":"Alexa","name":"ChangeReport"}}}`
)

// serve starts a gateway that answers with handler, and returns its client.
func serve(t *testing.T, handler http.HandlerFunc) *gateway.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return newClient(t, srv.URL, transport.NewClient(64))
}

func newClient(t *testing.T, baseURL string, client *http.Client) *gateway.Client {
	t.Helper()
	base, err := url.Parse(baseURL)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.New(alexa.EU, base, client)
}

func send(ctx context.Context, client *gateway.Client) (gateway.Receipt, error) {
	return client.Send(ctx, sensitive.New(fakeToken), []byte(fakeEvent))
}

// answer is what a gateway writes, whatever it is asked.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// exception is the body of the gateway's error answers.
func exception(code, description string) string {
	body, err := json.Marshal(map[string]map[string]string{
		"header":  {"namespace": "System", "name": "Exception", "messageId": "00000000-0000-4000-8000-000000000021"},
		"payload": {"code": code, "description": description},
	})
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return string(body)
}

// counted counts the requests that reach handler.
func counted(n *atomic.Int64, handler http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		handler.ServeHTTP(w, r)
	}
}

// hijacked takes the connection out of the server's hands.
func hijacked(t *testing.T, then func(*net.TCPConn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		then(conn.(*net.TCPConn))
		_ = conn.Close()
	}
}

// inMemory returns the client of a gateway without a socket, so that a
// synctest bubble sees both ends wait and lets the time pass. Each request is
// read and handed to then, which may write an answer.
func inMemory(t *testing.T, then func(net.Conn)) *gateway.Client {
	t.Helper()
	return newClient(t, "http://127.0.0.1", inMemoryHTTP(t, then))
}

// inMemoryHTTP is the HTTP client of inMemory.
func inMemoryHTTP(t *testing.T, then func(net.Conn)) *http.Client {
	t.Helper()
	client := transport.NewClient(1)
	client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			req, err := http.ReadRequest(bufio.NewReader(far))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			then(far)
		}()
		return near, nil
	}
	t.Cleanup(client.CloseIdleConnections) // a bubble must not be left with goroutines
	return client
}
