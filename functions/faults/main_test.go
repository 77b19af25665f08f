package faults_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/binary"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run is TestMain with deferred calls.
func run(m *testing.M) int {
	refuseOtherMachines()
	// The tests wait more than they work. The command line, which is parsed
	// later, still has the last word.
	err := flag.Set("test.parallel", "16")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if workDir, err = os.MkdirTemp("", "gatepost-faults-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(workDir) }()
	return m.Run()
}

// refuseOtherMachines lets no test leave this one.
func refuseOtherMachines() {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !to.Addr().IsLoopback() {
			return errors.New("tests dial nothing but loopback")
		}
		return nil
	}}
	http.DefaultTransport.(*http.Transport).DialContext = dialer.DialContext
}

// workDir is where the program is built; it is gone after the tests.
var workDir string

// program builds the program once, when the first test asks for it.
var program = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return binary.Build(ctx, workDir)
})

// patience bounds a wait for what takes far less on an idle machine. It is
// longer than the 25 seconds that SendEvent may take.
const patience = time.Minute

// arrivalTime is how long what has been sent may take to be seen.
const arrivalTime = 15 * time.Second

// within returns the test's context with a deadline.
func within(t *testing.T, most time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	return ctx
}
