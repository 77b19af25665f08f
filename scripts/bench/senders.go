package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/simulator"
)

// stage is everything that takes part.
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

// pinning says that processors are shared out, or why not.
func (s *stage) pinning() string {
	if s.unpinned != nil {
		return "nothing pinned: " + s.unpinned.Error()
	}
	return "the sender alone on one processor"
}

// programUsage is for the flag of each command that needs the program.
const programUsage = "a `program` that was built before, instead of one of this source"

// program is a program that was built before, or one that is built now.
func (s *stage) program(ctx context.Context, before string) (string, error) {
	if before != "" {
		return filepath.Abs(before)
	}
	return build(ctx, s.dir)
}

// env configures Gatepost, with grants in memory.
func (s *stage) env() map[string]string {
	client := simulator.DefaultClient()
	env := map[string]string{
		"ALEXA_REGIONS": string(region), "GRANT_STORE": "memory", "GRANTEE_RESOLVER": "userinfo:" + s.world.UserInfoURL,
		"LWA_CREDENTIALS": "env:LWA_CLIENT",
		"LWA_CLIENT":      fmt.Sprintf(`{"client_id":%q,"client_secret":%q}`, client.ID, client.Secret.Reveal()),
		// As Cloud Run has them: the Functions Framework does more when they are set.
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

// startGatepost starts a program with so many customers linked. Grants are in
// its memory, so that one process serves all functions; what SendEvent does for
// an event is the same.
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

// directive is Alexa.Authorization.AcceptGrant of customer i.
func directive(i int, code string) json.RawMessage {
	return fmt.Appendf(nil, `{"directive":{"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant",`+
		`"messageId":"00000000-0000-4000-8000-000000000000","payloadVersion":"3"},"payload":{`+
		`"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":"grantee-%s"}}}}`, code, userID(i))
}

// job is to push n events of so many customers to a sender.
func (s *stage) job(to sender, customers, n, inFlight int) job {
	j := job{Host: address(to.base), Path: to.path, Customers: customers, First: s.serial, Events: n, InFlight: inFlight, Want: to.want}
	s.serial += int64(n)
	return j
}

// address is a base URL's host and port.
func address(base string) string { return strings.TrimPrefix(base, "http://") }
