package functions

import (
	"os"
	"runtime/debug"

	"github.com/gatepostdev/gatepost/shared/config"
)

const (
	// gcPercent lets the heap grow to five times what is in use before it is
	// collected. By default it is twice, and a process that remembers a few
	// megabytes, and uses a few kilobytes for each request, collects them all the
	// time.
	gcPercent = 400
	// memoryLimit is where collecting begins to come before everything else. It
	// holds for the smallest instance, of 256 MiB, of which the program itself,
	// the stacks and the platform need a part. Cloud Run does not tell the
	// runtime how large an instance is: whoever deploys larger ones may set
	// GOMEMLIMIT.
	memoryLimit = 192 << 20
)

// tune sets what the garbage collector does, unless the environment says it.
func tune(lookup config.Lookup) {
	if _, given := lookup("GOGC"); !given {
		debug.SetGCPercent(gcPercent)
	}
	if _, given := lookup("GOMEMLIMIT"); !given {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// unburden takes away the variables by which the Functions Framework knows that
// it runs on Google Cloud. Nothing else reads them, and all that it does about
// them it does for each request: with K_SERVICE it writes an empty line to
// standard output and one to standard error, to flush logs that nobody buffers
// here; with CLOUD_RUN_TIMEOUT_SECONDS it sets a deadline, later than the one
// that package host sets.
func unburden() {
	for _, name := range []string{"K_SERVICE", "CLOUD_RUN_TIMEOUT_SECONDS"} {
		_ = os.Unsetenv(name) // fails for names that no variable can have
	}
}
