package emulator

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// The test binary plays three parts in TestProcessEndsWithItsStarter: the
// test, a starter that ends in some way, and the command that it started. The
// command holds a connection to the test for as long as it lives.
const (
	roleEnv = "EMULATOR_TEST_ROLE"
	dialEnv = "EMULATOR_TEST_DIAL"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case "command":
		playCommand()
	case "server":
		playServer()
	default:
		playStarter(role)
	}
}

// playCommand connects to the test and ends only when the test does.
func playCommand() {
	test, err := net.Dial("tcp", os.Getenv(dialEnv))
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, test)
}

// playServer answers every request at the address that is its last argument.
func playServer() {
	panic(http.ListenAndServe(os.Args[len(os.Args)-1], http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
}

// playStarter starts the command and ends, as the role says, when its standard
// input does.
func playStarter(role string) {
	_ = os.Setenv(roleEnv, "command")
	p, err := start(os.Args[0])
	if err != nil {
		panic(err)
	}
	_, _ = io.ReadAll(os.Stdin)
	switch role {
	case "kills":
		p.kill()
	case "panics":
		panic("on purpose")
	}
}

func TestProcessEndsWithItsStarter(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"kills", "panics", "exits", "is killed"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			deadline := time.Now().Add(20 * time.Second)
			_ = listener.SetDeadline(deadline)
			starter := exec.Command(os.Args[0])
			starter.Env = append(os.Environ(), roleEnv+"="+role, dialEnv+"="+listener.Addr().String())
			stdin, err := starter.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := starter.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = starter.Process.Kill()
				_ = starter.Wait()
			}()
			command, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer command.Close()
			if role == "is killed" {
				err = starter.Process.Kill()
			} else {
				err = stdin.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = command.SetReadDeadline(deadline)
			if _, err := command.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
				t.Errorf("the command lives on (%v)", err)
			}
		})
	}
}
