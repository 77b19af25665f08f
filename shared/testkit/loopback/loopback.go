// Package loopback keeps tests from leaving the machine: whatever dials through
// the default transport, or through one that was cloned from it, reaches
// loopback addresses only.
package loopback

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// ErrElsewhere is what a connection to another machine fails with.
var ErrElsewhere = errors.New("tests dial nothing but loopback")

// Only refuses, from now on, every connection that would leave this machine.
// Call it in TestMain, before anything clones the default transport.
func Only() {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !to.Addr().IsLoopback() {
			return ErrElsewhere
		}
		return nil
	}}
	http.DefaultTransport.(*http.Transport).DialContext = dialer.DialContext
}
