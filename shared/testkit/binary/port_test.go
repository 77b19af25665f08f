package binary

import (
	"net"
	"testing"
)

// TestReservedPort listens on many free ports while some are reserved.
func TestReservedPort(t *testing.T) {
	t.Parallel()
	reserved := map[string]bool{}
	for range 20 {
		address, err := reservePort()
		if err != nil {
			t.Fatal(err)
		}
		if reserved[address] {
			t.Errorf("%s was given twice", address)
		}
		reserved[address] = true
	}
	for range 30_000 { // about all ports of a system
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if reserved[listener.Addr().String()] {
			t.Errorf("reserved address %s was assigned", listener.Addr())
		}
		_ = listener.Close()
	}
	for address := range reserved {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("listen on the reserved address %s: %v", address, err)
			continue
		}
		_ = listener.Close()
	}
}
