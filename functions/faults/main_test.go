package faults_test

import (
	"flag"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) {
	// The tests wait more than they work. The command line, which is parsed
	// later, still has the last word.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	testkit.Main(m)
}
