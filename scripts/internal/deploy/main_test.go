package main

import (
	"testing"

	"github.com/gatepostdev/gatepost/shared/loopback"
)

func TestMain(m *testing.M) {
	loopback.Only()
	m.Run()
}
