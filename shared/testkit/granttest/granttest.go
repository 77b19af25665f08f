package granttest

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// check is one sentence of the contract. Its test starts with an empty store and
// stops at the first fault.
type check struct {
	name string
	test func(t testing.TB, s grant.Admin)
}

// checks returns all checks.
func checks() []check {
	return slices.Concat(records.checks(), deliveries.checks(), accounts.checks(), controls.checks(), customerChecks, queryChecks)
}

// seedEnv sets the seed of the first walk, to explore or to repeat a failure. It is
// 1 unless set: a change is not judged by chance.
const seedEnv = "STORE_SEED"

// Run runs every check, and then random walks for some seconds, each with its own
// empty store. newStore registers its cleanup with t.
func Run(t *testing.T, newStore func(t *testing.T) grant.Admin) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, newStore(t))
		})
	}
	t.Run("random operations", func(t *testing.T) {
		t.Parallel()
		started := time.Now()
		seed := uint64(1)
		if text, ok := os.LookupEnv(seedEnv); ok {
			var err error
			if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
				t.Fatalf("%s: %v", seedEnv, err)
			}
		}
		const walks, limit = 100, 5 * time.Second
		for n := uint64(0); n < walks && time.Since(started) < limit; n++ {
			takeWalk(t, newStore(t), seed+n)
		}
	})
}
