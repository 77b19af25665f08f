package keyset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "KEYSET_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		cli.Main("test", new(grammar))
	}
	testkit.Main(m, world.Leaks)
}

// grammar is the part of the command line that is tested.
type grammar struct {
	Keyset Commands `cmd:"" secretive:""`
}

// ran is how the program ended and what it wrote.
type ran struct {
	status         int
	stdout, stderr string
}

// run runs the program in a process of its own, in a directory, and looks
// through what it wrote for the keys in the file keyset.json there, before and
// after.
func run(t *testing.T, dir string, args ...string) ran {
	t.Helper()
	forbidden := material(t, dir)
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"keyset"}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	got := ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	for _, secret := range append(forbidden, material(t, dir)...) {
		if strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("%q shows a key: %+v", args, got)
		}
	}
	return got
}

const fileName = "keyset.json"

// read returns the keyset in a directory, empty if there is none.
func read(t *testing.T, dir string) sensitive.String {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return sensitive.New(string(text))
}

// material is the secret parts of the keyset in a directory.
func material(t *testing.T, dir string) []string {
	t.Helper()
	var parts []string
	for part := range strings.SplitSeq(read(t, dir).Reveal(), `"`) {
		if len(part) > 40 && !strings.Contains(part, "googleapis") {
			parts = append(parts, part)
		}
	}
	return parts
}

func keysIn(t *testing.T, dir string) []seal.Key {
	t.Helper()
	keys, err := seal.Keys(read(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestLifeOfAKeyset makes, rotates and shortens a keyset, and opens what its
// keys have sealed.
func TestLifeOfAKeyset(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const ref = "file:" + fileName
	token, place := sensitive.New("Atzr|fake"), seal.Place{Customer: "c", Grant: "g", Field: "refreshToken"}
	var sealed [][]byte
	sealOne := func() {
		sealer, err := seal.New(read(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		one, err := sealer.Seal(token, place)
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, one)
	}
	wantOpen := func(want string) {
		t.Helper()
		sealer, err := seal.New(read(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, one := range sealed {
			_, err := sealer.Open(one, place)
			got += map[bool]string{true: "+", false: "-"}[err == nil]
		}
		if got != want {
			t.Errorf("opened %s, want %s", got, want)
		}
	}

	if got := run(t, dir, "create", ref); got.status != cli.StatusDone || len(material(t, dir)) != 1 {
		t.Fatalf("create: %+v", got)
	}
	sealOne()
	first := keysIn(t, dir)[0].ID
	if got := run(t, dir, "rotate", ref); got.status != cli.StatusDone || len(material(t, dir)) != 2 {
		t.Fatalf("rotate: %+v", got)
	}
	sealOne()
	wantOpen("++")
	second := keysIn(t, dir)[1].ID

	before := read(t, dir)
	for name, args := range map[string][]string{
		"create again":           {"create", ref},
		"remove the primary key": {"remove", ref, fmt.Sprint(second)},
		"remove an unknown key":  {"remove", ref, "0"},
	} {
		got := run(t, dir, args...)
		if got.status != cli.StatusFailed || got.stdout != "" || got.stderr == "" || !read(t, dir).Equal(before) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	shown := run(t, dir, "show", ref)
	want := fmt.Sprintf("%s\n  %10d  ENABLED    AesGcmKey\n  %10d  ENABLED    AesGcmKey  primary\n", ref, first, second)
	if shown.stdout != want {
		t.Errorf("show (-want +got):\n%s", cmp.Diff(want, shown.stdout))
	}
	var listed report
	wantKeys := []key{{first, false, "ENABLED", "AesGcmKey"}, {second, true, "ENABLED", "AesGcmKey"}}
	if err := json.Unmarshal([]byte(run(t, dir, "show", "--json", ref).stdout), &listed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantKeys, listed.Keys); diff != "" || listed.Reference != ref {
		t.Errorf("show --json of %s (-want +got):\n%s", listed.Reference, diff)
	}

	if got := run(t, dir, "remove", ref, fmt.Sprint(first)); got.status != cli.StatusDone || !strings.Contains(got.stdout, "WARNING") {
		t.Errorf("remove: %+v", got)
	}
	wantOpen("-+")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("files left: %v, %v", entries, err)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{
		"":                                       cli.StatusUsage,
		"canary file:keyset.json":                cli.StatusUsage,
		"rotate":                                 cli.StatusUsage,
		"rotate file:keyset.json canary":         cli.StatusUsage,
		"remove file:keyset.json":                cli.StatusUsage,
		"remove file:keyset.json canary":         cli.StatusUsage,
		"remove file:keyset.json 4294967296":     cli.StatusUsage, // no key has such an id
		`show {"canary"}`:                        cli.StatusUsage,
		"rotate env:KEYSET":                      cli.StatusUsage,
		"create projects/p/secrets/s/versions/1": cli.StatusUsage,
		"rotate file:missing":                    cli.StatusFailed,
		"show file:other":                        cli.StatusFailed,
		"rotate file:other":                      cli.StatusFailed,
		"create file:other":                      cli.StatusFailed,
		"-h":                                     cli.StatusDone,
		"rotate --help":                          cli.StatusDone,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			got, ok := run(t, dir, strings.Fields(args)...), want == cli.StatusDone
			if got.status != want || strings.Contains(got.stdout+got.stderr, "canary") {
				t.Errorf("%+v, want status %d and nothing of the command line's own", got, want)
			}
			if (got.stdout != "") != ok || (strings.Count(got.stderr, "\n") == 1) == ok {
				t.Errorf("%+v, want the result, or one line that says what is wrong", got)
			}
		})
	}
}

// TestReadme runs the README's commands of this program one after the other.
// What it shows below each must be what the command writes, but for the ids of
// keys.
func TestReadme(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shown := newIDs("1111111111", "2222222222")
	ran := 0
	for _, part := range strings.Split(readme.Open(t, "README.md").Text, "\n    gatepost keyset ")[1:] {
		line, rest, _ := strings.Cut(part, "\n")
		want := block(strings.TrimPrefix(rest, "\n"))
		args := strings.Fields(shown.real(line))
		got := run(t, dir, args...)
		if diff := cmp.Diff(want, shown.learn(got.stdout)); diff != "" || got.status != cli.StatusDone {
			t.Errorf("keyset %s: status %d, %s (-README.md +got):\n%s", line, got.status, got.stderr, diff)
		}
		ran++
	}
	if commands := reflect.TypeFor[Commands]().NumField(); ran != commands {
		t.Errorf("README.md shows %d commands, want each of the %d once", ran, commands)
	}
}

// block is the indented lines with which text begins, less the indentation.
func block(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		line, indented := strings.CutPrefix(line, "    ")
		if !indented {
			break
		}
		lines.WriteString(line)
	}
	return lines.String()
}

// ids are the ids of keys that README.md shows, and the real ones.
type ids struct {
	shown []string
	found map[string]string // by the one shown
}

func newIDs(shown ...string) *ids { return &ids{shown, map[string]string{}} }

// real puts the real ids in the place of those shown.
func (i *ids) real(text string) string {
	for shown, found := range i.found {
		text = strings.ReplaceAll(text, shown, found)
	}
	return text
}

var keyLine = regexp.MustCompile(`(?m)^  ([ 0-9]{10})  `)

// learn puts the ids shown in the place of the real ones, which it learns in
// the order of their appearance.
func (i *ids) learn(text string) string {
	for _, match := range keyLine.FindAllStringSubmatch(text, -1) {
		id := strings.TrimSpace(match[1])
		known := false
		for _, found := range i.found {
			known = known || found == id
		}
		if !known {
			i.found[i.shown[len(i.found)]] = id
		}
	}
	for shown, found := range i.found {
		text = strings.ReplaceAll(text, strings.Repeat(" ", 10-len(found))+found+"  ", shown+"  ")
		text = strings.ReplaceAll(text, found, shown)
	}
	return text
}

// vault is a Secret Manager with one secret. It is asked by one client, one
// call at a time.
type vault struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	versions [][]byte
}

const secretName = "projects/maker-1/secrets/keyset"

func (v *vault) AccessSecretVersion(
	_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest,
) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	number := len(v.versions)
	if r.GetName() != secretName+"/versions/latest" {
		number, _ = strconv.Atoi(strings.TrimPrefix(r.GetName(), secretName+"/versions/"))
	}
	if number < 1 || number > len(v.versions) {
		return nil, status.Error(codes.NotFound, "no such version")
	}
	data := v.versions[number-1]
	sum := int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: fmt.Sprint(secretName, "/versions/", number), Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	}, nil
}

func (v *vault) AddSecretVersion(
	_ context.Context, r *secretmanagerpb.AddSecretVersionRequest,
) (*secretmanagerpb.SecretVersion, error) {
	if r.GetParent() != secretName {
		return nil, status.Error(codes.NotFound, "no such secret")
	}
	v.versions = append(v.versions, r.GetPayload().GetData())
	return &secretmanagerpb.SecretVersion{Name: fmt.Sprint(secretName, "/versions/", len(v.versions))}, nil
}

// run runs the program as a client of the vault.
func (v *vault) run(t *testing.T, args ...string) ran {
	t.Helper()
	address := cloud.Serve(t, func(s *grpc.Server) { secretmanagerpb.RegisterSecretManagerServiceServer(s, v) })
	var stdout, stderr strings.Builder
	env := &cli.Env{Stdout: &stdout, Stderr: &stderr, Now: time.Now, Google: []option.ClientOption{cloud.Dial(t, address)}}
	status := cli.Run(t.Context(), env, new(grammar), append([]string{"keyset"}, args...))
	return ran{status, stdout.String(), stderr.String()}
}

func (v *vault) keys(t *testing.T, version int) []seal.Key {
	t.Helper()
	keys, err := seal.Keys(sensitive.New(string(v.versions[version-1])))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestSecretManager does what the functions' keyset needs in its life.
func TestSecretManager(t *testing.T) {
	t.Parallel()
	v := &vault{}
	for _, step := range []struct {
		args    string // FIRST is the first key
		status  int
		says    string
		version int // the newest afterwards
		keys    int // that it has
	}{
		{"rotate " + secretName, cli.StatusFailed, "not found", 0, 0},
		{"create " + secretName, cli.StatusDone, "/versions/1\n", 1, 1},
		{"create " + secretName, cli.StatusFailed, "exists already", 1, 1},
		{"rotate " + secretName, cli.StatusDone, "/versions/2\n", 2, 2},
		{"show " + secretName, cli.StatusDone, "/versions/2\n", 2, 2},
		{"show " + secretName + "/versions/1", cli.StatusDone, "/versions/1\n", 2, 2},
		{"remove " + secretName + " FIRST", cli.StatusDone, "/versions/3\n", 3, 1},
		{"create projects/p/secrets/s", cli.StatusFailed, "not found", 3, 1},
	} {
		args := step.args
		if strings.HasSuffix(args, "FIRST") {
			args = strings.Replace(args, "FIRST", fmt.Sprint(v.keys(t, 1)[0].ID), 1)
		}
		got := v.run(t, strings.Fields(args)...)
		if got.status != step.status || !strings.Contains(got.stdout+got.stderr, step.says) {
			t.Fatalf("%s: %+v, want status %d and %q", step.args, got, step.status, step.says)
		}
		if len(v.versions) != step.version || step.version > 0 && len(v.keys(t, step.version)) != step.keys {
			t.Fatalf("%s: %d versions, want %d, the newest of %d keys", step.args, len(v.versions), step.version, step.keys)
		}
	}
}
