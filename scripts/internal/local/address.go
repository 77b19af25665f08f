package local

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// loopback is the only interface to listen on.
const loopback = "127.0.0.1"

// address returns the address of a port if it is free, and port 0 otherwise.
func address(port int) string {
	wanted := net.JoinHostPort(loopback, strconv.Itoa(port))
	listener, err := net.Listen("tcp", wanted)
	if err != nil {
		return net.JoinHostPort(loopback, "0")
	}
	_ = listener.Close() // it was only a check
	return wanted
}

// freePort returns port if it is free, and another free port otherwise. It is for a
// server that cannot report its port.
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

// emulatorAt returns the address of the emulator that a variable names, or "". It
// returns an error if the emulator does not run, because the client libraries would
// retry for long.
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

// await returns when a server accepts connections. It polls, because the Functions
// Framework does not report when it listens.
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
