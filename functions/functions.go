// Package functions builds Gatepost's functions and registers them with the Functions
// Framework.
//
// A function reads its configuration first, and serves only if the configuration of
// every function in the process is valid. One message names everything that is
// wrong.
package functions

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/gatepostdev/gatepost/functions/acceptgrant"
	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/functions/sendevent"
	"github.com/gatepostdev/gatepost/functions/skillevent"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// entryPoints maps the names that FUNCTION_TARGET may have to what reads the
// configuration of the function.
var entryPoints = map[string]func(*config.Source) wiring.Config{
	"AcceptGrant":   acceptgrant.ReadConfig,
	"RefreshTokens": refreshtokens.ReadTokensConfig,
	"RefreshShard":  refreshtokens.ReadShardConfig,
	"SendEvent":     sendevent.ReadConfig,
	"SkillEvent":    skillevent.ReadConfig,
}

// startTime bounds what a process does before it serves: reading secrets.
const startTime = 10 * time.Second

// Main registers what this process serves, with the process's environment, tunes
// the runtime for it, and ends the process at SIGTERM. A wrong configuration ends
// it immediately, with status 1 and a message that names every fault.
func Main() {
	env := config.Environ()
	tune(env)
	unsetPlatformEnv()
	stdlog.SetOutput(logging.WithoutWire(os.Stderr))
	log := logging.New(os.Stdout)
	h, err := Register(env, log)
	if err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go h.DrainOn(signals, os.Exit)
}

// Parts replace what Build would make from the configuration, where they are set.
type Parts = wiring.Parts

// Built is the functions of a process. Its Group drains them.
type Built struct {
	*handler.Group
	Handlers map[string]http.HandlerFunc // by the name of the function

	process *wiring.Process
}

// Build builds functions: the one that FUNCTION_TARGET names, or all of them if it
// names none. An error names everything that is wrong with the configuration. Without
// an error, one log line says what is built and how.
func Build(env config.Env, log *slog.Logger, parts Parts) (*Built, error) {
	source := config.NewSource(env)
	process := wiring.New(source, env, log)
	process.Parts = parts
	names := target(source)
	configs := make(map[string]wiring.Config)
	for _, name := range names {
		configs[name] = entryPoints[name](source)
	}
	_, process.Remember = configs["SendEvent"]
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	built := &Built{
		Group: handler.New(log, process.Project, process.Now), Handlers: make(map[string]http.HandlerFunc), process: process,
	}
	served := make(map[string]string)
	for _, name := range names {
		handle, limits := configs[name].Build(ctx, process)
		built.Handlers[name] = built.Wrap(name, limits, handle)
		served[name] = fmt.Sprintf("%d bytes, %s", limits.Body, limits.Time)
	}
	if err := errors.Join(source.Err(), process.Err()); err != nil {
		_ = process.Close() // nothing was published
		return nil, fmt.Errorf("configuration:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	built.First(process.SavePending)
	built.Last(process.SaveBeforeExit)
	for _, warning := range source.Misspelled() {
		log.Warn(warning)
	}
	log.With(process.Facts()...).Info("ready",
		slog.String("version", Version()), slog.Any("functions", served), slog.String("regions", env["ALEXA_REGIONS"]),
		slog.String("skill", process.Skill))
	return built, nil
}

// Close closes the connection to Pub/Sub. Call it after the drain, in a program that
// goes on without the functions.
func (b *Built) Close() error { return b.process.Close() }

// Register builds functions like [Build], and registers them with the Functions
// Framework. The Group that it returns drains them.
func Register(env config.Env, log *slog.Logger) (*handler.Group, error) {
	built, err := Build(env, log, Parts{})
	if err != nil {
		return nil, err
	}
	for name, handle := range built.Handlers {
		functions.HTTP(name, handle)
	}
	return built.Group, nil
}

// Version returns the version of the module that the program was built from, or the
// commit where it was built in a repository.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path == modulePath {
			return module.Version
		}
	}
	return "unknown"
}

// modulePath is this module's: the buildpack's main program is in another one.
const modulePath = "github.com/gatepostdev/gatepost"

// target returns the names of the functions that a process serves.
func target(source *config.Source) []string {
	names := slices.Sorted(maps.Keys(entryPoints))
	name := source.Text("FUNCTION_TARGET", "")
	switch {
	case name == "":
		return names
	case slices.Contains(names, name):
		return []string{name}
	}
	source.Fault("FUNCTION_TARGET", "must be one of %s", strings.Join(names, ", "))
	return names
}

const (
	// gcPercent lets the heap grow to five times the live data between collections.
	// Go's default is twice: a process with a few megabytes of cache and small
	// requests would collect all the time.
	gcPercent = 400
	// memoryLimit is where the garbage collector takes priority. It suits the smallest
	// instance, which has 256 MiB: the program, the stacks and the platform need part
	// of them. The runtime cannot see the size of a Cloud Run instance: set GOMEMLIMIT
	// for larger ones.
	memoryLimit = 192 << 20
)

// tune sets the garbage collector, unless the environment does.
func tune(env config.Env) {
	if _, given := env["GOGC"]; !given {
		debug.SetGCPercent(gcPercent)
	}
	if _, given := env["GOMEMLIMIT"]; !given {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// unsetPlatformEnv removes two variables that make the Functions Framework do
// needless work for each request: with K_SERVICE it writes empty lines to standard
// output and standard error, to flush logs that are not buffered here; with
// CLOUD_RUN_TIMEOUT_SECONDS it sets a deadline, later than that of package handler.
func unsetPlatformEnv() {
	for _, name := range []string{"K_SERVICE", "CLOUD_RUN_TIMEOUT_SECONDS"} {
		_ = os.Unsetenv(name) // fails for names that no variable can have
	}
}
