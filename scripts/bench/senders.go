package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The senders, in the order in which they take turns.
const (
	floorSender    = "floor"
	gatepostSender = "Gatepost"
	pythonSender   = "Python aiohttp"
	nodeSender     = "Node express"
)

// sender is a process that sends events to the gateway.
type sender struct {
	name string
	*server
	base string // URL
	path string
	want string // part of each answer
}

// host is where the sender is, as a connection wants it.
func (s sender) host() string { return hostOf(s.base) }

// hostOf is the host and port of a base URL without a path.
func hostOf(base string) string { return strings.TrimPrefix(base, "http://") }

// stage is everything that takes part.
type stage struct {
	pins     pins
	dir      string
	world    *world
	gatepost *gatepost
	tokens   []string // of each customer
	ready    []byte
	senders  []sender
	absent   []string // lines about who does not take part
}

// newStage starts Amazon and builds Gatepost, unless program is one that has
// been built. Close it when done.
func newStage(ctx context.Context, p pins, program, database string) (_ *stage, err error) {
	s := &stage{pins: p}
	if s.dir, err = os.MkdirTemp("", "gatepost-bench-"); err != nil {
		return nil, err
	}
	if s.world, err = startWorld(ctx, p); err == nil {
		s.gatepost, err = newGatepost(ctx, program, s.dir, s.world, database)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) close() error {
	for _, sender := range s.senders {
		sender.Kill()
	}
	var err error
	if s.world != nil {
		err = s.world.stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// startGatepost starts SendEvent with so many customers.
func (s *stage) startGatepost(ctx context.Context, customers int, more map[string]string) error {
	server, path, err := s.gatepost.sendEvent(ctx, s.pins, newEnrol(s.world), customers, more)
	if err != nil {
		return err
	}
	s.senders = append(s.senders, sender{gatepostSender, server, server.URL(), path, `"outcome":"accepted"`})
	return nil
}

// startAll starts everybody who can be.
func (s *stage) startAll(ctx context.Context, customers int, r runtimes) error {
	env, err := s.peerEnv(ctx, customers)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := s.startPeer(ctx, floorSender, []string{self, floorName}, env, ""); err != nil {
		return err
	}
	if err := s.startGatepost(ctx, customers, nil); err != nil {
		return err
	}
	if !r.peers {
		return nil
	}
	return s.startPeers(ctx, r, env)
}

// startPeers starts what others would write, as far as it can run here.
func (s *stage) startPeers(ctx context.Context, r runtimes, env map[string]string) error {
	python, err := r.pythonPeer(ctx, s.dir)
	if err := s.startIfPresent(ctx, pythonSender, python, env, err); err != nil {
		return err
	}
	node, more, err := r.nodePeer(ctx, s.dir)
	if err == nil {
		maps.Copy(more, env)
	}
	return s.startIfPresent(ctx, nodeSender, node, more, err)
}

// startIfPresent starts a peer, or notes why it does not take part.
func (s *stage) startIfPresent(ctx context.Context, name string, argv []string, env map[string]string, err error) error {
	var absent errAbsent
	if errors.As(err, &absent) {
		s.absent = append(s.absent, fmt.Sprintf("%s does not take part: %s", name, absent.reason))
		return nil
	}
	if err != nil {
		return err
	}
	return s.startPeer(ctx, name, argv, env, `"accepted"`)
}

func (s *stage) startPeer(ctx context.Context, name string, argv []string, env map[string]string, want string) error {
	server, err := serve(ctx, s.dir, "sender-"+fmt.Sprint(len(s.senders)), s.pins.forSender(argv), env)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.senders = append(s.senders, sender{name, server, server.URL(), "/", want})
	return nil
}

// peerEnv gives each customer an access token, and tells them to senders that
// have no AcceptGrant. Environments can be read by others of this machine;
// files need not be.
func (s *stage) peerEnv(ctx context.Context, customers int) (map[string]string, error) {
	var err error
	if s.tokens, err = newEnrol(s.world).tokens(ctx, customers); err != nil {
		return nil, err
	}
	s.ready = readyEvent(s.tokens[0], time.Now())
	known := make(map[string]string, customers)
	for i, token := range s.tokens {
		known[userID(i)] = token
	}
	text, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	env := map[string]string{gatewayEnv: s.world.Gateway, "GOGC": floorGOGC}
	for name, data := range map[string][]byte{tokensEnv: text, tokenEnv: []byte(s.tokens[0]), eventEnv: s.ready} {
		env[name] = filepath.Join(s.dir, name)
		if err := os.WriteFile(env[name], data, 0o600); err != nil {
			return nil, err
		}
	}
	return env, nil
}
