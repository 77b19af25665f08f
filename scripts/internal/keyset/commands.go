package keyset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Commands are the subcommands.
type Commands struct {
	Create createCommand `cmd:"" help:"Create a keyset with one key, if there is none."`
	Rotate rotateCommand `cmd:"" help:"Add a key, and seal new values with it."`
	Show   showCommand   `cmd:"" help:"List the keys."`
	Remove removeCommand `cmd:"" help:"Remove a key. Values that are still sealed with it are lost."`
}

// keysetRef is the argument of every command.
type keysetRef struct {
	Ref secret.Ref `arg:"" help:"The keyset: file:PATH or projects/P/secrets/S."`
}

type (
	createCommand struct{ keysetRef }
	rotateCommand struct{ keysetRef }
	showCommand   struct{ keysetRef }
	removeCommand struct {
		keysetRef
		KeyID uint32 `arg:"" name:"keyid" help:"Id of the key, as show lists it."`
	}
)

// Example returns an example for the help.
func (createCommand) Example() string {
	return "gatepost keyset create projects/maker-prod/secrets/gatepost-token-keyset-eu"
}

// Run runs the command.
func (c createCommand) Run(ctx context.Context, env *cli.Env) error {
	return c.change(env, func(w *secret.Writer) (string, error) { return create(ctx, w, c.Ref) })
}

// Example returns an example for the help.
func (rotateCommand) Example() string {
	return "gatepost keyset rotate projects/maker-prod/secrets/gatepost-token-keyset-eu"
}

// Run runs the command.
func (c rotateCommand) Run(ctx context.Context, env *cli.Env) error {
	return c.change(env, func(w *secret.Writer) (string, error) { return rotate(ctx, w, c.Ref) })
}

// Example returns an example for the help.
func (removeCommand) Example() string {
	return "gatepost keyset remove projects/maker-prod/secrets/gatepost-token-keyset-eu 1111111111"
}

// Run runs the command.
func (c removeCommand) Run(ctx context.Context, env *cli.Env) error {
	return c.change(env, func(w *secret.Writer) (string, error) { return remove(ctx, w, c.Ref, c.KeyID) })
}

// Example returns an example for the help.
func (showCommand) Example() string { return "gatepost keyset show file:keyset.json" }

// Run runs the command.
func (c showCommand) Run(ctx context.Context, env *cli.Env) error {
	return c.read(env, func(r *secret.Reader) (string, error) { return show(ctx, r, c.Ref) })
}

// change runs a command that writes, and writes its report.
func (c keysetRef) change(env *cli.Env, do func(*secret.Writer) (string, error)) error {
	err := c.read(env, func(r *secret.Reader) (string, error) { return do(secret.NewWriter(r)) })
	if errors.Is(err, secret.ErrReadOnly) {
		return cli.Usage(err)
	}
	return err
}

// read runs a command, and writes its report.
func (c keysetRef) read(env *cli.Env, do func(*secret.Reader) (string, error)) (err error) {
	reader := secret.NewReader(os.LookupEnv, env.Google...)
	defer func() { err = errors.Join(err, reader.Close()) }()
	report, err := do(reader)
	if err == nil {
		_, err = fmt.Fprint(env.Stdout, report)
	}
	return err
}

func create(ctx context.Context, w *secret.Writer, ref secret.Ref) (string, error) {
	keyset, err := seal.NewKeyset()
	if err != nil {
		return "", err
	}
	written, err := w.Create(ctx, ref, keyset)
	if err != nil {
		return "", err
	}
	list, err := list(written, keyset)
	return list + "created. It opens every token that it seals. If it is lost, the tokens are lost.\n", err
}

func show(ctx context.Context, r *secret.Reader, ref secret.Ref) (string, error) {
	keyset, version, err := r.Newest(ctx, ref)
	if err != nil {
		return "", err
	}
	return list(version, keyset)
}

func rotate(ctx context.Context, w *secret.Writer, ref secret.Ref) (string, error) {
	var keyset sensitive.String
	written, err := w.Replace(ctx, ref, func(old sensitive.String) (_ sensitive.String, err error) {
		keyset, err = seal.Rotate(old)
		return keyset, err
	})
	if err != nil {
		return "", err
	}
	list, err := list(written, keyset)
	return list + `rotated. What happens now:
- A new process seals with the new key. A running process loads the key when it reads a value sealed with
  it, and otherwise within an hour.
- Values move to the new key as tokens are refreshed.
What you have to do after that hour:
- Run gatepost grants reseal, which moves the other values.
- Only then remove the old key.
`, err
}

func remove(ctx context.Context, w *secret.Writer, ref secret.Ref, id uint32) (string, error) {
	var keyset sensitive.String
	written, err := w.Replace(ctx, ref, func(old sensitive.String) (_ sensitive.String, err error) {
		keyset, err = seal.Remove(old, id)
		return keyset, err
	})
	if err != nil {
		return "", err
	}
	list, err := list(written, keyset)
	return list + fmt.Sprintf("removed key %d.\n"+
		"WARNING: values still sealed with it cannot be opened any more. Such a grant gets no token, and its customer\n"+
		"has to link again.\n", id), err
}

// list returns a table of a keyset's keys, without key material.
func list(ref secret.Ref, keyset sensitive.String) (string, error) {
	keys, err := seal.Keys(keyset)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", ref)
	for _, key := range keys {
		primary := ""
		if key.Primary {
			primary = "  primary"
		}
		fmt.Fprintf(&text, "  %10d  %-9s  %s%s\n", key.ID, key.Status, key.Type, primary)
	}
	return text.String(), nil
}
