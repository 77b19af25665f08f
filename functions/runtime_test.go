package functions

import (
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestTune: settings of the garbage collector in the environment are kept, and the
// rest are ours. It changes the settings of this process, so it does not run in
// parallel.
func TestTune(t *testing.T) {
	type settings struct {
		Percent int
		Limit   int64
	}
	tests := []struct {
		name string
		env  map[string]string
		want settings
	}{
		{"nothing given", nil, settings{gcPercent, memoryLimit}},
		{"GOGC", map[string]string{"GOGC": "50"}, settings{50, memoryLimit}},
		{"GOGC, empty", map[string]string{"GOGC": ""}, settings{50, memoryLimit}},
		{"GOMEMLIMIT", map[string]string{"GOMEMLIMIT": "1GiB"}, settings{gcPercent, 1 << 30}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// As the runtime sets them from the environment.
			percent, limit := debug.SetGCPercent(50), debug.SetMemoryLimit(1<<30)
			defer debug.SetGCPercent(percent)
			defer debug.SetMemoryLimit(limit)
			tune(test.env)
			got := settings{debug.SetGCPercent(50), debug.SetMemoryLimit(-1)}
			expect.Equal(t, "settings", test.want, got)
		})
	}
}

// TestVariables: CONTRACTS.md lists every variable that a function reads.
func TestVariables(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("CONTRACTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| variable |")
	table, _, _ = strings.Cut(table, "\n\n")
	env := config.Env{"ALEXA_REGIONS": "NA", "GRANTEE_RESOLVER": "introspection:https://id.example.com"}
	source := config.NewSource(env)
	wiring.New(source, env, slog.New(slog.DiscardHandler))
	for _, name := range target(source) {
		entryPoints[name](source)
	}
	if len(source.Known()) < 20 {
		t.Errorf("%d variables were read, want 20 or more: %v", len(source.Known()), source.Known())
	}
	for _, name := range source.Known() {
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("CONTRACTS.md does not list %s", name)
		}
	}
}

// TestBuildFails: a program that goes on after a wrong configuration keeps no connection.
func TestBuildFails(t *testing.T) {
	connection, err := grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	env := config.Env{
		"FUNCTION_TARGET": "RefreshTokens", "REFRESH_TOPIC": "refresh", "GOOGLE_CLOUD_PROJECT": "p", "GRANT_STORE": "memory", "SKILL": "!",
	}
	parts := Parts{PubSub: []option.ClientOption{option.WithGRPCConn(connection)}}
	if _, err := Build(env, slog.New(slog.DiscardHandler), parts); err == nil || !strings.Contains(err.Error(), "SKILL") {
		t.Errorf("Build() = %v, want an error with SKILL", err)
	}
	if state := connection.GetState(); state != connectivity.Shutdown {
		t.Errorf("the connection to Pub/Sub is %v, want it closed", state)
	}
}
