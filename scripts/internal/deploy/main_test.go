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

// reply is a program's output and exit status.
type reply struct {
	stdout, stderr string
	status         int
}

// stub is a bash function that replaces a program. It sends its arguments to the
// test, without a process or an executable file. If it is to read a line of
// standard input, it sends that too.
const stub = `() {
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

// programs replaces programs that scripts run with a function, and returns the
// environment of bash that does so.
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
				return // the test has ended
			}
			go serve(connection, answer)
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	var env []string
	for _, name := range names {
		env = append(env, "BASH_FUNC_"+name+"%%="+fmt.Sprintf(stub, port, name))
	}
	return env
}

// serve answers one command line. Standard error must be one line.
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

// shell runs a script in bash, from standard input, and returns its status and its
// output.
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
		t.Errorf("files left behind = %v, %v", left, err)
	}
	return bash.ProcessState.ExitCode(), string(out)
}

// settingsWith writes a settings file with changes; nil removes a setting.
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

// scriptOf returns the script that a dry run with these arguments prints.
func scriptOf(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	if status := run(append([]string{"--dry-run"}, args...), &stdout, &stderr); status != exitOK {
		t.Fatalf("status = %d: %s", status, stderr.String())
	}
	return stdout.String()
}
