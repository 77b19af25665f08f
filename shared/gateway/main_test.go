package gateway_test

import (
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
)

func TestMain(m *testing.M) {
	loopback.Only()
	m.Run()
}
