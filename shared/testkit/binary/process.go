package binary

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/process"
)

// Process is a started program, which listens on a port of its own.
type Process struct {
	*process.Process
	address string
}

// Start starts the program with env for an environment, and PORT added.
func Start(program string, env map[string]string) (*Process, error) {
	address, err := reservePort()
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

// URL is where the program listens, without a trailing slash.
func (p *Process) URL() string { return "http://" + p.address }

// Ready returns when the program accepts connections, or with an error when it
// ends or ctx does. It asks again and again, because nothing tells when
// another program listens.
func (p *Process) Ready(ctx context.Context) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", p.address)
		// Where nobody listens yet, a connection may be given the port that it
		// goes to, and then meets itself.
		if err == nil && conn.LocalAddr().String() != conn.RemoteAddr().String() {
			return conn.Close()
		}
		if err == nil {
			_ = conn.Close()
		}
		select {
		case <-p.Ended():
			return fmt.Errorf("waiting for the program to listen: %w; it wrote: %.2000s", process.ErrEnded, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the program to listen: %w; it wrote: %.2000s", context.Cause(ctx), p.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
