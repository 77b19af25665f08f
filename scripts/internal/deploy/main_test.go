package deploy

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// reply is what a program writes, and its exit status.
type reply struct {
	stdout, stderr string
	status         int
}

// asking is a bash function in the place of a program. It has the test answer,
// which costs no process, and no file is written that is then run. A line of
// standard input that it is told to read goes with its arguments.
const asking = `() {
  local connection line status
  if [[ " $* " == *' @- '* ]]; then read -r line && set -- "$@" "<<<$line"; fi
  exec {connection}<>/dev/tcp/127.0.0.1/%s
  printf '%%s\0' $(($# + 1)) %s "$@" >&$connection
  read -r status <&$connection
  read -r line <&$connection
  if [[ $line ]]; then echo "$line" >&2; fi
  while IFS= read -r line || [[ $line ]]; do printf '%%s\n' "$line"; done <&$connection
  exec {connection}>&-
  return "$status"
}`

// programs has a function answer for programs that scripts run, and returns the
// environment for bash in which it does.
func programs(t *testing.T, answer func(args []string) reply, names ...string) []string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go serve(connection, answer)
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	var env []string
	for _, name := range names {
		env = append(env, "BASH_FUNC_"+name+"%%="+fmt.Sprintf(asking, port, name))
	}
	return env
}

// serve answers one command line. Complaints go on one line.
func serve(connection net.Conn, answer func(args []string) reply) {
	defer func() { _ = connection.Close() }()
	in := bufio.NewReader(connection)
	next := func() string {
		text, _ := in.ReadString(0)
		return strings.TrimSuffix(text, "\x00")
	}
	n, _ := strconv.Atoi(next())
	args := make([]string, n)
	for i := range args {
		args[i] = next()
	}
	got := answer(args)
	_, _ = fmt.Fprintf(connection, "%d\n%s\n%s", got.status, strings.ReplaceAll(strings.TrimSpace(got.stderr), "\n", " | "), got.stdout)
}

// shell runs a script in bash, from its standard input, and returns its status and
// all that it wrote.
func shell(t *testing.T, script string, env []string) (int, string) {
	t.Helper()
	temporary := t.TempDir()
	bash := exec.CommandContext(t.Context(), "bash")
	bash.Stdin, bash.Dir = strings.NewReader(script), t.TempDir()
	bash.Env = append(append(os.Environ(), env...), "TMPDIR="+temporary)
	out, err := bash.CombinedOutput()
	if bash.ProcessState == nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
	return bash.ProcessState.ExitCode(), string(out)
}

// settingsWith writes a file of settings, with some replaced; nil takes one out.
func settingsWith(t *testing.T, file string, changes object) string {
	t.Helper()
	data, err := os.ReadFile(file)
	var all object
	if err := errors.Join(err, json.Unmarshal(data, &all)); err != nil {
		t.Fatal(err)
	}
	maps.Copy(all, changes)
	path := filepath.Join(t.TempDir(), "terraform.tfvars.json")
	if err := os.WriteFile(path, []byte(compact(all)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// scriptOf is the script that a dry run with these arguments prints.
func scriptOf(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	if status := run(append([]string{"--dry-run"}, args...), &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	return stdout.String()
}
