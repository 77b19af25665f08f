package local

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// loopback is the only interface to listen on.
const loopback = "127.0.0.1"

// address returns the address of a port if it is free. If it is taken, it returns port 0
// for a default, and an error for a port that the flag gives.
func (c Command) address(flag string, port int) (string, error) {
	wanted := net.JoinHostPort(loopback, strconv.Itoa(port))
	listener, err := net.Listen("tcp", wanted)
	switch {
	case err == nil:
		return wanted, listener.Close() // it was only a check
	case c.Given[flag]:
		return "", fmt.Errorf("--%s: port %d: %w", flag, port, err)
	}
	return net.JoinHostPort(loopback, "0"), nil
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
