package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
)

// maxEventBytes is the largest event that can be published.
const maxEventBytes = 1 << 20

// maker is a fake of the maker's cloud. It publishes device events that it gets over
// HTTP, since curl does not speak Pub/Sub's gRPC, and runs commands that look at this
// process.
type maker struct {
	url    string
	server *http.Server
}

// startMaker serves on an address. It calls fail if serving ends.
func startMaker(address string, r *run, fail func(error)) (*maker, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("starting the maker's cloud: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /publish", r.servePublish)
	mux.HandleFunc("POST /run", r.serveRun)
	m := &maker{
		url:    "http://" + listener.Addr().String(),
		server: &http.Server{Handler: onlyFromHere(mux), ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		if err := m.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serving the maker's cloud: %w", err))
		}
	}()
	return m, nil
}

func (m *maker) close() { _ = m.server.Close() }

// onlyFromHere refuses requests that a page of another site makes a browser send: they
// have an Origin, or a Host whose name that site has pointed to this machine.
func onlyFromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || !cli.IsLoopback(r.Host) {
			http.Error(w, "only programs on this machine may call this", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// servePublish publishes the body without validation, which SendEvent does.
func (r *run) servePublish(w http.ResponseWriter, request *http.Request) {
	event, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxEventBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	attributes := map[string]string{}
	for _, name := range []string{"region", "eventId"} {
		if value := request.URL.Query().Get(name); value != "" {
			attributes[name] = value
		}
	}
	id, err := r.gatepost.Publish(request.Context(), event, attributes, request.URL.Query().Get("key"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer(w, map[string]string{"messageId": id})
}

// serveRun runs a command of gatepost that has the flag --local.
func (r *run) serveRun(w http.ResponseWriter, request *http.Request) {
	var command cli.Asked
	decoder := json.NewDecoder(http.MaxBytesReader(w, request.Body, maxEventBytes))
	if err := decoder.Decode(&command); err != nil || r.Gatepost == nil {
		http.Error(w, `want {"args": ["grants", "show", "u-1", "--local"]}`, http.StatusBadRequest)
		return
	}
	var stdout, stderr bytes.Buffer
	env := *r.env
	env.Stdin, env.Stdout, env.Stderr, env.Terminal = strings.NewReader(""), &stdout, &stderr, false
	env.OpenGrants = func(context.Context, string, string) (grant.Admin, func() error, error) {
		return r.store, func() error { return nil }, nil
	}
	env.Local = r.parts()
	status := r.Gatepost(request.Context(), &env, command.Args)
	answer(w, cli.Answered{Stdout: stdout.String(), Stderr: stderr.String(), Status: status})
}

// parts returns what the run has for commands that look at it.
func (r *run) parts() *cli.Local {
	l := &cli.Local{
		Functions: r.gatepost.URL, Amazon: r.gatepost.Amazon.Env(),
		PubSub: r.gatepost.Broker.Address, Subscriptions: r.gatepost.Broker.Subscriptions(),
	}
	lines, _ := r.gatepost.Lines.Find(func(oneprocess.Line) bool { return true })
	for _, line := range lines {
		l.Log = append(append(l.Log, line.JSON()...), '\n')
	}
	l.Letters, _ = r.gatepost.DeadLetters.Find(func(push.Message) bool { return true })
	return l
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
