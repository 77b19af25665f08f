package binary

import (
	"fmt"
	"net"
)

// reservePort returns a loopback address that only a process which asks for this
// port can get. A port that was merely free may be taken by the time it is used,
// when tests start many processes. So a connection to the port is opened and closed
// from its own side, which leaves it in TCP's state TIME_WAIT for a minute: the
// system does not assign it then, while a server that asks for it with
// SO_REUSEADDR, as Go's do, gets it.
func reservePort() (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	defer func() { _ = client.Close() }()
	server, err := listener.Accept()
	if err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	// Close this end before the client's, which is closed when the function
	// returns: the end that closes first keeps the port.
	if err := server.Close(); err != nil {
		return "", fmt.Errorf("reserving a port: %w", err)
	}
	return listener.Addr().String(), nil
}
