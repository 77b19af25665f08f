package local

import (
	"context"
	"fmt"
	"net"
	"strconv"
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

// emulatorAt returns the address of the emulator that a variable names, or "". It
// returns an error if the emulator does not run, because the client libraries would
// retry for long.
func emulatorAt(ctx context.Context, variable, address string) (string, error) {
	if address == "" {
		return "", nil
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("%s: no emulator: %w", variable, err)
	}
	return address, connection.Close()
}
