package acceptgrant

import (
	"context"
	"net/url"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/handler"
)

// Config is the configuration of AcceptGrant. Each field names its variable.
type Config struct {
	Regions   []alexa.Region // ALEXA_REGIONS
	Grantees  wiring.GranteesConfig
	Tokens    wiring.TokensConfig
	TokenInfo *url.URL // LWA_TOKENINFO_URL
}

// ReadConfig reads the configuration. Faults go to s.
func ReadConfig(s *config.Source) wiring.Config {
	c := Config{Regions: wiring.ReadRegions(s), Grantees: wiring.ReadGrantees(s), Tokens: wiring.ReadTokens(s)}
	c.TokenInfo = c.Tokens.ReadTokenInfo(s)
	return c
}

// Build implements [wiring.Config].
func (c Config) Build(ctx context.Context, p *wiring.Process) (handler.Func, handler.Limits) {
	t := p.Tokens(ctx, c.Tokens)
	f := &Function{
		Skill: p.Skill, Regions: c.Regions, Grantees: p.Grantees(ctx, c.Grantees), LWA: t.LWA, TokenInfoURL: c.TokenInfo, Store: t.Store,
		Sealer: t.Sealer, Announce: t.Announcer, Now: p.Now,
	}
	return f.Handle, Limits
}
