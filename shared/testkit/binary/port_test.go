package binary

import (
	"net"
	"testing"
)

// TestReservedPort asks for many free ports while one is reserved.
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
	for range 30_000 { // about as many as a system has
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if reserved[listener.Addr().String()] {
			t.Errorf("%s is reserved and was given to somebody else", listener.Addr())
		}
		_ = listener.Close()
	}
	for address := range reserved {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("who asks for %s does not get it: %v", address, err)
			continue
		}
		_ = listener.Close()
	}
}
