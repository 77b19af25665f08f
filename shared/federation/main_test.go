package federation_test

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
)

// TestMain refuses every connection that would leave this machine.
func TestMain(m *testing.M) {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !to.Addr().IsLoopback() {
			return errors.New("tests dial nothing but loopback")
		}
		return nil
	}}
	http.DefaultTransport.(*http.Transport).DialContext = dialer.DialContext
	m.Run()
}
