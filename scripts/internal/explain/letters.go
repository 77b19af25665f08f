package explain

import (
	"context"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/story"
)

func (c Command) letters(context.Context, *cli.Env, story.Question) ([]story.Letter, error) {
	return nil, nil
}
