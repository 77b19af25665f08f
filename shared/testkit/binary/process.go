package binary

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/process"
)

// Process is a started program, which listens on its own port.
type Process struct {
	*process.Process
	address string
}

// Start starts the program with env as its environment, and PORT.
func Start(program string, env map[string]string) (*Process, error) {
	address, err := process.ReservePort()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	variables := []string{"PORT=" + port}
	for name, value := range env {
		variables = append(variables, name+"="+value)
	}
	p, err := process.Start(variables, program)
	if err != nil {
		return nil, err
	}
	return &Process{p, address}, nil
}

// URL is the address of the program, without a trailing slash.
func (p *Process) URL() string { return "http://" + p.address }

// Ready returns when the program accepts connections, or with an error when it or
// ctx ends. It polls, because nothing signals that a program listens.
func (p *Process) Ready(ctx context.Context) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", p.address)
		// Before the program listens, a connection may get the port that it dials,
		// and so connect to itself.
		if err == nil && conn.LocalAddr().String() != conn.RemoteAddr().String() {
			return conn.Close()
		}
		if err == nil {
			_ = conn.Close()
		}
		select {
		case <-p.Ended():
			return fmt.Errorf("waiting for the program to listen: %w; output: %.2000s", process.ErrEnded, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the program to listen: %w; output: %.2000s", context.Cause(ctx), p.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
