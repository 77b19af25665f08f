package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// Where Gatepost keeps grants.
const (
	inMemory    = "memory"
	inFirestore = "firestore"
)

// gatepost is Gatepost's program with what it needs around it.
type gatepost struct {
	program string
	env     map[string]string
	dir     string
}

// newGatepost configures the program, which it builds when program is empty,
// for a world. database is the Firestore emulator's host and port; without one
// grants are in memory.
func newGatepost(ctx context.Context, program, dir string, w *world, database string) (_ *gatepost, err error) {
	if program == "" {
		if program, err = buildProgram(ctx, dir); err != nil {
			return nil, err
		}
	}
	client := simulator.DefaultClient()
	credentials, err := json.Marshal(map[string]string{"client_id": client.ID, "client_secret": client.Secret.Reveal()})
	if err != nil {
		return nil, err
	}
	g := &gatepost{program: program, dir: dir, env: map[string]string{
		"ALEXA_REGIONS": string(region), "GRANT_STORE": inMemory, "GRANTEE_RESOLVER": "userinfo:" + w.UserInfoURL,
		"LWA_CREDENTIALS": "env:LWA_CLIENT", "LWA_CLIENT": string(credentials),
		// As Cloud Run has them: the Functions Framework does more when they are set.
		"K_SERVICE": "bench", "CLOUD_RUN_TIMEOUT_SECONDS": "60",
	}}
	maps.Copy(g.env, w.Environment)
	if database == "" {
		return g, nil
	}
	return g, g.useFirestore(database)
}

// useFirestore has grants kept in the emulator, in a project that nobody else
// uses.
func (g *gatepost) useFirestore(database string) error {
	keyset, err := seal.NewKeyset()
	if err != nil {
		return err
	}
	path := filepath.Join(g.dir, "keyset.json")
	maps.Copy(g.env, map[string]string{
		"GRANT_STORE": inFirestore, emulatorHost: database, "GOOGLE_CLOUD_PROJECT": "bench-" + strings.ToLower(rand.Text()[:20]), "TOKEN_KEYSET": "file:" + path,
	})
	return os.WriteFile(path, []byte(keyset.Reveal()), 0o600)
}

// inFirestore reports whether functions are processes of their own.
func (g *gatepost) inFirestore() bool { return g.env["GRANT_STORE"] == inFirestore }

// with returns the configuration with variables added.
func (g *gatepost) with(more map[string]string) map[string]string {
	both := maps.Clone(g.env)
	maps.Copy(both, more)
	return both
}

// sendEvent starts SendEvent on the sender's processor, with so many customers
// linked, and returns the path that it is at. A store in memory is that of one
// process, so that one serves all functions then: what SendEvent does for an
// event is the same.
func (g *gatepost) sendEvent(ctx context.Context, pins pins, e enrol, customers int, more map[string]string) (_ *server, path string, err error) {
	env, path := g.with(more), "/SendEvent"
	if g.inFirestore() {
		env["FUNCTION_TARGET"], path = "SendEvent", "/"
	}
	s, err := serve(ctx, g.dir, "send-event", pins.forSender([]string{g.program}), env)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			s.Kill()
		}
	}()
	if !g.inFirestore() {
		return s, path, e.link(ctx, s.URL()+"/AcceptGrant", customers)
	}
	accept, err := serve(ctx, g.dir, "accept-grant", pins.others([]string{g.program}), g.with(map[string]string{"FUNCTION_TARGET": "AcceptGrant"}))
	if err != nil {
		return nil, "", err
	}
	defer accept.Kill()
	return s, path, e.link(ctx, accept.URL()+"/", customers)
}

// database returns the Firestore emulator's address for a store of that name.
func database(store string) (string, error) {
	if store == inMemory {
		return "", nil
	}
	host := os.Getenv(emulatorHost)
	if host == "" {
		return "", errors.New(emulatorHost + " does not say where the Firestore emulator is")
	}
	return host, nil
}
