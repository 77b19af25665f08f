// Package loopback keeps tests on this machine: the default transport, and every
// clone of it, dials loopback addresses only.
package loopback

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// ErrElsewhere is the error of a connection to another machine.
var ErrElsewhere = errors.New("tests dial nothing but loopback")

// Only refuses, from now on, every connection to another machine. Call it in
// TestMain, before the default transport is cloned.
func Only() {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !to.Addr().IsLoopback() {
			return ErrElsewhere
		}
		return nil
	}}
	http.DefaultTransport.(*http.Transport).DialContext = dialer.DialContext
}
