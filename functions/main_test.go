package functions_test

import (
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
)

// The tests of this package meet the program as Google does: built by way of
// the root package, started with an environment, spoken to over HTTP and ended
// by a signal. What is inside the functions has tests of its own.

// The last test is of what all others had the program show.
func TestMain(m *testing.M) { testkit.Main(m, shown.leaks) }
