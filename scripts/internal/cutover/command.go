package cutover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
)

// Command is the command line.
type Command struct {
	File cli.Name `arg:"" name:"file|-" help:"The rows, one JSON object a line; - is standard input."`

	cli.Stack
	Skill       string       `placeholder:"S" default:"default" help:"Skill, as SKILL names it to the functions (${default})."`
	Region      alexa.Region `required:"" placeholder:"R" help:"Region of the stack: NA, EU or FE. Rows of other regions are left out."`
	Keyset      secret.Ref   `required:"" placeholder:"REF" help:"TOKEN_KEYSET of the functions: projects/P/secrets/S, file:PATH or env:NAME."`
	Credentials secret.Ref   `required:"" placeholder:"REF" help:"LWA_CREDENTIALS of the functions."`
	Rate        int          `placeholder:"N" default:"50" help:"First refreshes a second; the sweep must have room for them (${default})."`

	ForReal bool `help:"Import. Without it this is a dry run, which shows how many of the rows are imported and proven already."`
	cli.JSON
}

// Help implements [kong.HelpProvider].
func (Command) Help() string {
	return "A row has userId, region, refreshToken, clientId, and optionally accessToken and expiry. A second run of the same rows imports " +
		"nothing twice, and no stored grant is changed. Stop the former sender of these customers first."
}

// Example returns an example for the help.
func (Command) Example() string {
	return "gatepost import --project maker-prod --database gatepost-eu --region EU " +
		"--keyset projects/maker-prod/secrets/gatepost-token-keyset-eu " +
		"--credentials projects/maker-prod/secrets/gatepost-lwa-credentials cohort.jsonl"
}

// Validate implements kong's check.
func (c Command) Validate() error {
	if c.Rate < 1 {
		return errors.New("--rate: want at least 1")
	}
	return nil
}

// Run runs the command.
func (c *Command) Run(ctx context.Context, env *cli.Env) error {
	input, size, err := c.open(env)
	if err != nil {
		return cli.Usage(err)
	}
	defer func() { _ = input.Close() }()
	sealer, credentials, err := c.secrets(ctx, env)
	if err != nil {
		return err
	}
	return c.Use(ctx, env, func(store grant.Admin) error {
		run := newRun(c, env, store, sealer, credentials)
		err := run.all(ctx, input, size)
		if c.JSON.JSON {
			env.WriteJSON(run.result)
		} else {
			run.result.write(env.Stdout)
		}
		return err
	})
}

// open opens the input, and returns its size, 0 if that is unknown. An error does not
// repeat the argument, which may be a row.
func (c *Command) open(env *cli.Env) (io.ReadCloser, int64, error) {
	if c.File == "-" {
		return io.NopCloser(env.Stdin), 0, nil
	}
	file, err := os.Open(string(c.File))
	if wrong, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, 0, fmt.Errorf("<file|->: %w", wrong.Err)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return file, 0, nil
	}
	return file, info.Size(), nil
}

// secrets reads the functions' keyset and credentials.
func (c *Command) secrets(ctx context.Context, env *cli.Env) (*seal.Sealer, []lwa.Credentials, error) {
	reader := secret.NewReader(os.LookupEnv, env.Google...)
	defer func() { _ = reader.Close() }()
	keyset, _, err := reader.Newest(ctx, c.Keyset) // the alias "latest" may lag
	if err != nil {
		return nil, nil, fmt.Errorf("--keyset: %w", err)
	}
	sealer, err := seal.New(keyset)
	if err != nil {
		return nil, nil, fmt.Errorf("--keyset: %w", err)
	}
	text, _, err := reader.Newest(ctx, c.Credentials)
	if err != nil {
		return nil, nil, fmt.Errorf("--credentials: %w", err)
	}
	credentials, err := lwa.ParseCredentials(text)
	if err != nil {
		return nil, nil, fmt.Errorf("--credentials: %w", err)
	}
	return sealer, credentials, nil
}
