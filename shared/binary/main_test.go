package binary_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/binary"
)

// The test binary plays the programs that the tests start.
const roleEnv = "BINARY_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case "exits":
		os.Exit(3)
	case "writes":
		fmt.Fprintln(os.Stdout, "one")
		fmt.Fprintln(os.Stderr, "two")
	case "tells its environment":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "listens":
		listen()
	case "hangs":
		select {}
	case "starts another":
		startAnother()
	}
}

// listen takes connections on PORT, and ends no other way than by a signal.
func listen() {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	if err != nil {
		panic(err)
	}
	for {
		if _, err := listener.Accept(); err != nil {
			panic(err)
		}
	}
}

// startAnother starts a program that listens, tells where, and waits to be
// killed.
func startAnother() {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	p, err := binary.Start(self, map[string]string{roleEnv: "listens"})
	if err != nil {
		panic(err)
	}
	if err := p.Ready(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println("started", p.URL())
	select {}
}
