package grants

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/admin/adminpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// someID is the id of some record.
var someID = key("u-1").ID()

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	const pasted = `{"primaryKeyId":"canary"}`
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, `expected one of "show", "restore"`},
		{[]string{"delete", "u-1"}, "want show, restore, probe, brake, erase, reseal"},
		{[]string{"show"}, `expected "<user>"`},
		{[]string{"erase", ""}, "<user>: it is empty"},
		{[]string{"restore", "u-1", ""}, "<grant>]: it is empty"},
		{[]string{"show", "u-1", "u-2"}, "unexpected argument u-2"},
		{[]string{"show", "--for-real", "u-1"}, "unknown flag --for-real"},
		{[]string{"erase", "-for-real", "u-1"}, "two dashes: --for-real"},
		{[]string{"restore", "--revoked-since", "2h", "u-1"}, "not both"},
		{[]string{"restore"}, "give USER"},
		{[]string{"restore", "--revoked-until", "2h", "u-1"}, "needs --revoked-since"},
		{[]string{"restore", "--after", someID, "u-1"}, "needs --revoked-since"},
		{[]string{"restore", "--revoked-since", "1h", "--revoked-until", "2h"}, "not before"},
		{[]string{"restore", "--revoked-since", "yesterday"}, "a duration before now like 2h"},
		{[]string{"restore", "--revoked-since=-2h"}, "a duration before now like 2h"},
		{[]string{"probe", "--after", someID, "u-1"}, "not both"},
		{[]string{"probe", "u-1", "g-1"}, "unexpected argument g-1"},
		{[]string{"brake", "--skill", "s"}, "unknown flag --skill"},
		{[]string{"brake", "loose"}, "want on, off, or no argument"},
		{[]string{"brake", "on", "u-1"}, "unexpected argument u-1"},
		{[]string{"brake", ""}, "want on, off, or no argument"},
		{[]string{"reseal"}, "missing flags: --keyset=REF"},
		{[]string{"reseal", "--skill", "s", "--keyset", "env:K"}, "unknown flag --skill"},
		{[]string{"reseal", "--keyset", "env:K", "--after", "u-1"}, "--after: want the record id"},
		{[]string{"reseal", "--keyset", "env:K", "u-1"}, "unexpected argument"},
		{[]string{"reseal", "--keyset", pasted}, "--keyset: secret reference"},
		{[]string{"reseal", "--keyset=" + pasted}, "--keyset: secret reference"},
		{[]string{"reseal", "--keyset", "env:K", pasted}, "unexpected argument"},
		{[]string{"reseal", "--keyset", "env:K", "--after=" + pasted}, "--after: want the record id"},
		{[]string{"reseal", "--json=" + pasted}, "--json"},
		{[]string{"reseal", "--local"}, "--local: the keyset of a local run exists only in the memory of its functions"},
		{[]string{"--local", "show", "u-1", "--project", "p"}, "give --local or --project, not both"},
		{[]string{"show", "u-1", "--database=(default)", "--local"}, "give --local or --database, not both"},
		{[]string{"show", "u-1", "--local="}, "--local: want an address like 127.0.0.1:8089"},
		{[]string{"show", "u-1", "--local=http://:8089"}, "--local: want an address"},
		{[]string{"show", "u-1", "--local=127.0.0.1"}, "--local: want an address"},
		{[]string{"show", "u-1", "--local=127.0.0.1:x"}, "--local: want an address"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			var out, errs strings.Builder
			env := &cli.Env{Stdout: &out, Stderr: &errs, Now: time.Now}
			got, text := cli.Run(t.Context(), env, new(grammar), append([]string{"grants"}, test.args...)), &errs
			if got != cli.StatusUsage || out.Len() > 0 || strings.Count(text.String(), "\n") != 1 || !strings.Contains(text.String(), test.says) {
				t.Errorf("status %d, and it wrote %q and %q, want %d and a line that says %q", got, out.String(), text, cli.StatusUsage, test.says)
			}
			if strings.Contains(text.String(), "canary") {
				t.Errorf("it repeats what may be a keyset: %s", text)
			}
		})
	}
}

// TestOrderOfArguments has flags before, between and after the arguments.
func TestOrderOfArguments(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.both, "a")
	s.link(grant.Key{Skill: "other", UserID: "-u"}, s.both, "b")
	for _, line := range []string{"--json show u-1", "show u-1 --json", "show --json -- u-1", "show --skill other --json -- -u"} {
		s.says(cli.StatusDone, line, `"grantId"`)
	}
}

// databases is a Firestore that lists databases.
type databases struct {
	adminpb.UnimplementedFirestoreAdminServer
}

func (databases) ListDatabases(_ context.Context, r *adminpb.ListDatabasesRequest) (*adminpb.ListDatabasesResponse, error) {
	return &adminpb.ListDatabasesResponse{Databases: []*adminpb.Database{
		{Name: r.Parent + "/databases/gatepost-eu"}, {Name: r.Parent + "/databases/gatepost-na"},
	}}, nil
}

// absent is a store without database.
type absent struct{ grant.Admin }

func (absent) Read(context.Context, grant.Key) (grant.Record, error) {
	return grant.Record{}, status.Error(codes.NotFound, "The database gatepost does not exist")
}

func TestMissingDatabase(t *testing.T) {
	t.Parallel()
	address := cloud.Serve(t, func(s *grpc.Server) { adminpb.RegisterFirestoreAdminServer(s, databases{}) })
	var errs strings.Builder
	env := &cli.Env{
		Stdout: &errs, Stderr: &errs, Now: time.Now,
		OpenGrants: opens(absent{}, nil),
		Google:     []option.ClientOption{cloud.Dial(t, address)},
	}
	got := cli.Run(t.Context(), env, new(grammar), strings.Fields("grants show u-1 --project p --database gatepost"))
	const want = "gatepost grants show: database gatepost does not exist in project p: there are gatepost-eu, gatepost-na\n"
	if got != cli.StatusFailed || errs.String() != want {
		t.Errorf("status %d and %q, want %d and %q", got, errs.String(), cli.StatusFailed, want)
	}
}

// TestReadmeExample has the README show what the example shows.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	readme.Open(t, "README.md").Shows(readme.Output(t, "example_test.go"))
}

// TestReadmeCommands has every command of the README, and every example of the help, be
// one that can be parsed.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	lines := regexp.MustCompile(`(?m)^    gatepost (grants (\S+).*)$`).FindAllStringSubmatch(readme.Open(t, "README.md").Text, -1)
	commands, shown := reflect.TypeFor[Commands](), make(map[string]bool)
	for _, line := range lines {
		shown[line[2]] = true
	}
	subcommands := 0
	for i := range commands.NumField() {
		if command, ok := reflect.Zero(commands.Field(i).Type).Interface().(interface{ Example() string }); ok {
			lines = append(lines, []string{"", strings.TrimPrefix(command.Example(), "gatepost ")})
			subcommands++
		}
	}
	if len(shown) != subcommands {
		t.Errorf("README.md has commands with %v, want one with each of %d", shown, subcommands)
	}
	parsed, secretOfP := errors.New("parsed"), regexp.MustCompile(`projects/P/secrets/\S+`)
	for _, line := range lines {
		var errs strings.Builder
		env := &cli.Env{Stdout: &errs, Stderr: &errs, Now: func() time.Time { return noon.AddDate(0, 1, 0) }, OpenGrants: opens(nil, parsed)}
		args := strings.Fields(secretOfP.ReplaceAllString(line[1], "env:NONE"))
		if got := cli.Run(t.Context(), env, new(grammar), args); got != cli.StatusFailed || !strings.Contains(errs.String(), "parsed") &&
			!strings.Contains(errs.String(), "--keyset: ") {
			t.Errorf("%s: status %d, %s", line[1], got, errs.String())
		}
	}
}
