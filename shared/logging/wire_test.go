package logging_test

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/logging"
)

// lines is a log that signals its writes.
type lines struct {
	bytes.Buffer
	written chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	l.written <- struct{}{}
	return n, err
}

// TestNothingFromTheWire makes net/http log: a server sends two answers to one
// request, the second with a token. It is not parallel, because it uses the
// standard logger.
func TestNothingFromTheWire(t *testing.T) {
	shown := &lines{written: make(chan struct{}, 8)}
	defer log.SetOutput(log.Writer()) // the current one
	log.SetOutput(logging.WithoutWire(shown))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = io.WriteString(conn, "Atza|canary")
	}()
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-shown.written
	if got := shown.String(); strings.Contains(got, "canary") || !strings.HasSuffix(got, "idle HTTP channel\n") {
		t.Errorf("log = %q, want no token", got)
	}
	log.Print("funcframework.Start: port in use")
	if got := shown.String(); !strings.HasSuffix(got, "funcframework.Start: port in use\n") {
		t.Errorf("log = %q", got)
	}
}
