package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// Environment of the senders that are not Gatepost.
const (
	gatewayEnv = "GATEWAY_URL" // where events go
	tokensEnv  = "TOKENS_FILE" // file of JSON: customer to access token
)

// peerEnv writes an access token of each customer for the senders that have no
// AcceptGrant. It is a file, because other users of the machine can read environments.
func (s *stage) peerEnv(ctx context.Context, customers int) (map[string]string, error) {
	list, err := s.world.tokens(ctx, customers)
	if err != nil {
		return nil, err
	}
	known := make(map[string]string, customers)
	for i, t := range list {
		known[userID(i)] = t.Access
	}
	text, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, rand.Text())
	// The floor must not collect garbage more often than Gatepost.
	return map[string]string{gatewayEnv: s.world.Gateway, tokensEnv: file, "GOGC": "400"}, os.WriteFile(file, text, 0o600)
}

// floorName is the command that this program starts itself with for the floor: a sender
// that posts the same body for each request and decodes nothing. No sender in Go with
// net/http on both sides can be cheaper.
const floorName = "floor"

// startFloor starts the floor.
func (s *stage) startFloor(ctx context.Context, env map[string]string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return s.start(ctx, floorName, "/", "", env, self, floorName)
}

type floor struct {
	client *http.Client
	url    string
	bearer string
	body   []byte
}

// serveFloor serves the floor in its own process.
func serveFloor() error {
	text, err := os.ReadFile(os.Getenv(tokensEnv))
	if err != nil {
		return err
	}
	var known map[string]string
	if err := json.Unmarshal(text, &known); err != nil {
		return err
	}
	token := known[userID(0)]
	f := &floor{transport.NewClient(80), os.Getenv(gatewayEnv) + "/v3/events", "Bearer " + token, readyEvent(token, time.Now())}
	return http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("PORT")), f)
}

// ServeHTTP implements [http.Handler].
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, err := io.Copy(io.Discard, r.Body)
	if err == nil {
		err = f.post(r.Context())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (f *floor) post(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(f.body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", f.bearer)
	request.Header.Set("Content-Type", "application/json")
	return drop(f.client, request, http.StatusAccepted)
}

// drop makes a request and drops the answer, which must have the status.
func drop(client *http.Client, request *http.Request, want int) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != want {
		return fmt.Errorf("%s answered %d", request.URL, response.StatusCode)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// peers has the source of common alternatives.
//
//go:embed peers
var peers embed.FS

// startPeers starts the peers that can run here, and records why others cannot.
func (s *stage) startPeers(ctx context.Context, env map[string]string, install bool) error {
	dir := filepath.Join(s.dir, "peers")
	if err := os.CopyFS(s.dir, peers); err != nil {
		return err
	}
	python, err := findPython(ctx)
	if err := s.startPeer(ctx, "Python aiohttp", env, err, python, filepath.Join(dir, "sender.py")); err != nil {
		return err
	}
	env = maps.Clone(env)
	node, modules, err := findNode(ctx, dir, install)
	env["NODE_PATH"] = modules
	return s.startPeer(ctx, "Node express", env, err, node, filepath.Join(dir, "sender.js"))
}

func (s *stage) startPeer(ctx context.Context, name string, env map[string]string, absent error, argv ...string) error {
	if absent != nil {
		s.absent = append(s.absent, fmt.Sprintf("%s does not take part: %v", name, absent))
		return nil
	}
	return s.start(ctx, name, "/", `"accepted"`, env, argv...)
}

// findPython returns an interpreter with aiohttp. Debian's package is only visible to
// Debian's interpreter, which may not come first in PATH.
func findPython(ctx context.Context) (string, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(python)
		if err == nil && exec.CommandContext(ctx, path, "-c", "import aiohttp").Run() == nil {
			return path, nil
		}
	}
	return "", errors.New("no aiohttp for python3: apt-get install python3-aiohttp")
}

// findNode returns node and the directory in which it finds express and axios:
// that of NODE_PATH, or dir when they are to be installed with the versions that
// package.json names.
func findNode(ctx context.Context, dir string, install bool) (node, modules string, err error) {
	if node, err = exec.LookPath("node"); err != nil {
		return "", "", errors.New("no node")
	}
	modules = os.Getenv("NODE_PATH")
	if install {
		modules = filepath.Join(dir, "node_modules")
		npm := exec.CommandContext(ctx, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir)
		if output, err := npm.CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("npm install: %w: %.500s", err, output)
		}
	}
	probe := exec.CommandContext(ctx, node, "-e", "require('express'); require('axios')")
	probe.Env = append(os.Environ(), "NODE_PATH="+modules)
	if probe.Run() != nil {
		return "", "", errors.New("no express and axios for node: -install, or NODE_PATH")
	}
	return node, modules, nil
}

// stage is the world and the senders.
type stage struct {
	pins     pins
	unpinned error // why nothing is pinned
	dir      string
	world    *world
	serial   int64 // message id of the next event
	senders  []sender
	absent   []string // a line for each peer that does not take part
}

// sender is a process that sends events to the gateway.
type sender struct {
	name string
	*server
	base string // URL
	path string
	want string // part of each answer
}

// newStage starts the world. Close the stage when done.
func newStage(ctx context.Context) (_ *stage, err error) {
	s := &stage{serial: 1}
	s.pins, s.unpinned = findPins()
	if s.dir, err = os.MkdirTemp("", "gatepost-bench-"); err != nil {
		return nil, err
	}
	if s.world, err = startWorld(ctx, s.pins, s.dir); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) close() {
	for _, sender := range s.senders {
		sender.Kill()
	}
	if s.world != nil {
		s.world.Kill()
	}
	_ = os.RemoveAll(s.dir)
}

// pinning tells that senders are pinned to processors, or why not.
func (s *stage) pinning() string {
	if s.unpinned != nil {
		return "nothing pinned: " + s.unpinned.Error()
	}
	return "the sender alone on one processor"
}

// programUsage is the usage of the flag of each command that needs the program.
const programUsage = "a `program` that was built before, instead of one of this source"

// program returns the path of a given program, or builds one.
func (s *stage) program(ctx context.Context, before string) (string, error) {
	if before != "" {
		return filepath.Abs(before)
	}
	return build(ctx, s.dir)
}

// env returns Gatepost's environment, with grants in memory.
func (s *stage) env() map[string]string {
	client := simulator.DefaultClient()
	env := map[string]string{
		"ALEXA_REGIONS": string(region), "GRANT_STORE": "memory", "GRANTEE_RESOLVER": "userinfo:" + s.world.UserInfoURL,
		"LWA_CREDENTIALS": "env:LWA_CLIENT",
		"LWA_CLIENT":      fmt.Sprintf(`{"client_id":%q,"client_secret":%q}`, client.ID, client.Secret.Reveal()),
		// As on Cloud Run: the Functions Framework does more work if they are set.
		"K_SERVICE": "bench", "CLOUD_RUN_TIMEOUT_SECONDS": "60",
	}
	maps.Copy(env, s.world.Env)
	return env
}

// start starts a sender on its processor.
func (s *stage) start(ctx context.Context, name, path, want string, env map[string]string, argv ...string) error {
	server, err := serve(ctx, s.dir, env, s.pins.on(s.pins.sender, argv)...)
	if err != nil {
		return err
	}
	s.senders = append(s.senders, sender{name, server, server.URL(), path, want})
	return nil
}

// startGatepost starts a program and links customers. Grants are in its memory, so that
// one process serves all functions. SendEvent does the same work for an event.
func (s *stage) startGatepost(ctx context.Context, name, program string, customers int) error {
	if err := s.start(ctx, name, "/SendEvent", `"outcome":"accepted"`, s.env(), program); err != nil {
		return err
	}
	codes, err := s.world.codes(ctx, 0, customers)
	if err != nil {
		return err
	}
	url := s.senders[len(s.senders)-1].base + "/AcceptGrant"
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(16)
	for i, code := range codes {
		all.Go(func() error { return acceptGrant(ctx, url, i, code) })
	}
	return all.Wait()
}

// acceptGrant links customer i.
func acceptGrant(ctx context.Context, url string, i int, code string) error {
	answer, err := call[struct {
		Event struct{ Header struct{ Name string } }
	}](ctx, url, directive(i, code))
	if name := answer.Event.Header.Name; err == nil && name != "AcceptGrant.Response" {
		err = fmt.Errorf("AcceptGrant was answered with %q", name)
	}
	return err
}

// directive returns Alexa.Authorization.AcceptGrant of customer i.
func directive(i int, code string) json.RawMessage {
	return fmt.Appendf(nil, `{"directive":{"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant",`+
		`"messageId":"00000000-0000-4000-8000-000000000000","payloadVersion":"3"},"payload":{`+
		`"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":"grantee-%s"}}}}`, code, userID(i))
}

// job returns the job of pushing n events of some customers to a sender.
func (s *stage) job(to sender, customers, n, inFlight int) job {
	j := job{Host: address(to.base), Path: to.path, Customers: customers, First: s.serial, Events: n, InFlight: inFlight, Want: to.want}
	s.serial += int64(n)
	return j
}

// address returns a base URL's host and port.
func address(base string) string { return strings.TrimPrefix(base, "http://") }
