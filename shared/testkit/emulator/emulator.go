package emulator

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/process"
)

// Firestore returns the address, as host:port, of a Firestore emulator.
func Firestore(t testing.TB) string {
	t.Helper()
	return address(t, firestore)
}

// PubSub returns the address, as host:port, of a Pub/Sub emulator.
func PubSub(t testing.TB) string {
	t.Helper()
	return address(t, pubsub)
}

// Project returns the id of a new project. The emulators accept any project and
// keep them apart, so that tests that run in parallel do not see each other's data.
func Project() string { return "test-" + strings.ToLower(rand.Text()[:20]) }

// required makes a missing emulator fail the test.
const required = "REQUIRE_EMULATORS"

func address(t testing.TB, find func() (instance, error)) string {
	t.Helper()
	found, err := find()
	switch {
	case err == nil:
	case os.Getenv(required) == "1":
		t.Fatalf("%v (%s=1)", err, required)
	default:
		t.Skip(err)
	}
	return found.address
}

var firestore = sync.OnceValues(product{
	name: "Firestore emulator",
	env:  "FIRESTORE_EMULATOR_HOST",
	jar:  "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar",
	args: func(jar, host, port string) []string {
		const main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
		return []string{"-cp", jar, main, "--host", host, "--port", port}
	},
	warm: call{http.MethodPatch, "/v1/projects/warm/databases/(default)/documents/warm/warm", `{"fields":{}}`},
}.find)

var pubsub = sync.OnceValues(product{
	name: "Pub/Sub emulator",
	env:  "PUBSUB_EMULATOR_HOST",
	jar:  "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
	args: func(jar, host, port string) []string {
		return []string{"-jar", jar, "--host=" + host, "--port=" + port}
	},
	warm: call{http.MethodPut, "/v1/projects/warm/topics/warm", `{}`},
}.find)

// product describes an emulator.
type product struct {
	name string
	env  string // names a running emulator, for clients and for us
	jar  string // pattern of its path below the SDK's root
	args func(jar, host, port string) []string
	// warm is the first call. It takes a second or two while classes are loaded,
	// which must not count against the first test's deadline.
	warm call
}

// instance is a running emulator.
type instance struct {
	address string
	process *process.Process // nil if it was running already
}

// find returns an instance of p, started if necessary.
func (p product) find() (instance, error) {
	if address := os.Getenv(p.env); address != "" {
		return instance{address: address}, nil
	}
	java, jar, err := locate(p.jar)
	if err != nil {
		return instance{}, fmt.Errorf("no %s: %w", p.name, err)
	}
	started, err := p.launch(java, jar)
	if err != nil {
		return instance{}, fmt.Errorf("the %s does not start: %w", p.name, err)
	}
	return started, nil
}
