// Package functions assembles Gatepost's functions and registers them with the
// Functions Framework.
//
// [EntryPoints] says which name is which function. A function reads its
// configuration first and is built only when the configuration of every
// function that the process serves is known to be right, so that one message
// can name everything that is wrong.
package functions

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/gatepostdev/gatepost/functions/acceptgrant"
	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/functions/sendevent"
	"github.com/gatepostdev/gatepost/functions/skillevent"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// entryPoints maps the names that FUNCTION_TARGET may have to functions.
var entryPoints = map[string]wiring.EntryPoint{
	"AcceptGrant":   acceptgrant.EntryPoint,
	"RefreshTokens": refreshtokens.TokensEntryPoint,
	"RefreshShard":  refreshtokens.ShardEntryPoint,
	"SendEvent":     sendevent.EntryPoint,
	"SkillEvent":    skillevent.EntryPoint,
}

// startTime bounds what a process does before it serves: reading secrets.
const startTime = 10 * time.Second

// Main registers what this process serves, with the process's environment,
// tunes the runtime for it, and ends the process when it is told to. A wrong configuration ends it now,
// with status 1 and a message that names every fault.
func Main() {
	tune(os.LookupEnv)
	unburden()
	stdlog.SetOutput(telemetry.WithoutWire(os.Stderr))
	log := telemetry.New(os.Stdout)
	h, err := Register(os.LookupEnv, log)
	if err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go h.DrainOn(signals, os.Exit)
}

// Register registers functions with the Functions Framework: the one that
// FUNCTION_TARGET names, or all of them if it names none. Only those are
// built. The Host that it returns drains them. An error names everything that
// is wrong with the configuration.
func Register(lookup config.Lookup, log *slog.Logger) (*host.Host, error) {
	source := config.NewSource(lookup)
	process := wiring.New(source, lookup, log)
	builders := make(map[string]wiring.Builder)
	for _, name := range served(source) {
		builders[name] = entryPoints[name](process)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	// What did parse is built even if something did not: a secret that cannot
	// be read is one more fault to name.
	if err := errors.Join(source.Err(), process.Build(ctx)); err != nil {
		return nil, fmt.Errorf("configuration:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	h := host.New(log, process.Project, process.Now)
	h.First(process.SavePending)
	h.Last(process.SaveBeforeExit)
	for name, build := range builders {
		handle, limits := build()
		functions.HTTP(name, h.Wrap(name, limits, handle))
	}
	return h, nil
}

// Serve serves what is registered, each function at the path of its name unless
// FUNCTION_TARGET names one, and returns only if that fails. It is for programs
// that run the functions on one machine: where they are deployed, the main that
// the buildpack generates does the same on all interfaces.
func Serve(hostname, port string) error { return funcframework.StartHostPort(hostname, port) }

// served returns the names of the functions that a process serves.
func served(source *config.Source) []string {
	names := slices.Sorted(maps.Keys(entryPoints))
	target := source.Text("FUNCTION_TARGET", "")
	switch {
	case target == "":
		return names
	case slices.Contains(names, target):
		return []string{target}
	}
	source.Fault("FUNCTION_TARGET", "must be one of %s", strings.Join(names, ", "))
	return nil
}

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
