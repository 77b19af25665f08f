package skillevent

import (
	"context"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/handler"
)

// Config is the configuration of SkillEvent.
type Config struct {
	Grantees wiring.GranteesConfig
	Store    wiring.StoreConfig
}

// ReadConfig reads the configuration. Faults go to s.
func ReadConfig(s *config.Source) wiring.Config {
	return Config{Grantees: wiring.ReadGrantees(s), Store: wiring.ReadStore(s)}
}

// Build implements [wiring.Config].
func (c Config) Build(ctx context.Context, p *wiring.Process) (handler.Func, handler.Limits) {
	f := &Function{Skill: p.Skill, Grantees: p.Grantees(ctx, c.Grantees), Store: p.Store(ctx, c.Store), Now: p.Now}
	return f.Handle, Limits
}
