package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// loopback is the only interface that anything listens on.
const loopback = "127.0.0.1"

// address returns the address of a port if it can be listened on, and of any
// free port if not.
func address(port int) string {
	wanted := net.JoinHostPort(loopback, strconv.Itoa(port))
	listener, err := net.Listen("tcp", wanted)
	if err != nil {
		return net.JoinHostPort(loopback, "0")
	}
	_ = listener.Close() // it is only wanted to be free
	return wanted
}

// freePort is address for a server that cannot tell which free port it found.
func freePort(port int) (string, error) {
	listener, err := net.Listen("tcp", address(port))
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	_, found, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "", err
	}
	return found, listener.Close()
}

// emulatorAt returns the address of the emulator that a variable names, "" if it
// names none. The client libraries would try for long to reach one that does
// not run.
func emulatorAt(ctx context.Context, variable string) (string, error) {
	address := os.Getenv(variable)
	if address == "" {
		return "", nil
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("%s: no emulator: %w", variable, err)
	}
	return address, connection.Close()
}

// await returns when a server accepts connections. It asks again and again,
// because the Functions Framework does not say when it listens.
func await(ctx context.Context, address string, failed <-chan error) error {
	for pause := time.Millisecond; ; pause *= 2 {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return connection.Close()
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s: %w", address, ctx.Err())
		case <-time.After(pause):
		}
	}
}
