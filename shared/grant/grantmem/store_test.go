package grantmem_test

import (
	"testing"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	granttest.Run(t, func(*testing.T) grant.Admin { return grantmem.New() })
}
