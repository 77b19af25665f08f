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
	cli.JSON
}

// report is the result of a command. It has no key material.
type report struct {
	Reference string `json:"reference"`
	Keys      []key  `json:"keys"`

	told string // what was done, for people
}

type key struct {
	ID      uint32 `json:"id"`
	Primary bool   `json:"primary"`
	Status  string `json:"status"`
	Type    string `json:"type"`
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
	return c.change(env, func(w *secret.Writer) (report, error) { return create(ctx, w, c.Ref) })
}

// Example returns an example for the help.
func (rotateCommand) Example() string {
	return "gatepost keyset rotate projects/maker-prod/secrets/gatepost-token-keyset-eu"
}

// Run runs the command.
func (c rotateCommand) Run(ctx context.Context, env *cli.Env) error {
	return c.change(env, func(w *secret.Writer) (report, error) { return rotate(ctx, w, c.Ref) })
}

// Example returns an example for the help.
func (removeCommand) Example() string {
	return "gatepost keyset remove projects/maker-prod/secrets/gatepost-token-keyset-eu 1111111111"
}

// Run runs the command.
func (c removeCommand) Run(ctx context.Context, env *cli.Env) error {
	return c.change(env, func(w *secret.Writer) (report, error) { return remove(ctx, w, c.Ref, c.KeyID) })
}

// Example returns an example for the help.
func (showCommand) Example() string { return "gatepost keyset show file:keyset.json" }

// Run runs the command.
func (c showCommand) Run(ctx context.Context, env *cli.Env) error {
	return c.read(env, func(r *secret.Reader) (report, error) { return show(ctx, r, c.Ref) })
}

// change runs a command that writes, and writes its report.
func (c keysetRef) change(env *cli.Env, do func(*secret.Writer) (report, error)) error {
	err := c.read(env, func(r *secret.Reader) (report, error) { return do(secret.NewWriter(r)) })
	if errors.Is(err, secret.ErrReadOnly) {
		return cli.Usage(err)
	}
	return err
}

// read runs a command, and writes its report.
func (c keysetRef) read(env *cli.Env, do func(*secret.Reader) (report, error)) (err error) {
	reader := secret.NewReader(os.LookupEnv, env.Google...)
	defer func() { err = errors.Join(err, reader.Close()) }()
	result, err := do(reader)
	switch {
	case err != nil:
	case c.JSON.JSON:
		env.WriteJSON(result)
	default:
		_, err = fmt.Fprint(env.Stdout, result)
	}
	return err
}

func create(ctx context.Context, w *secret.Writer, ref secret.Ref) (report, error) {
	keyset, err := seal.NewKeyset()
	if err != nil {
		return report{}, err
	}
	written, err := w.Create(ctx, ref, keyset)
	if err != nil {
		return report{}, err
	}
	return list(written, keyset, "created. Only it opens the tokens that it seals: if it is lost, they are lost.\n")
}

func show(ctx context.Context, r *secret.Reader, ref secret.Ref) (report, error) {
	keyset, version, err := r.Newest(ctx, ref)
	if err != nil {
		return report{}, err
	}
	return list(version, keyset, "")
}

func rotate(ctx context.Context, w *secret.Writer, ref secret.Ref) (report, error) {
	var keyset sensitive.String
	written, err := w.Replace(ctx, ref, func(old sensitive.String) (_ sensitive.String, err error) {
		keyset, err = seal.Rotate(old)
		return keyset, err
	})
	if err != nil {
		return report{}, err
	}
	return list(written, keyset, `rotated. What happens now:
- A new process seals with the new key. A running process loads the key when it reads a value sealed with
  it, and otherwise within an hour.
- Values move to the new key as tokens are refreshed.
What you have to do after that hour:
- Run gatepost grants reseal, which moves the other values.
- Only then remove the old key.
`)
}

func remove(ctx context.Context, w *secret.Writer, ref secret.Ref, id uint32) (report, error) {
	var keyset sensitive.String
	written, err := w.Replace(ctx, ref, func(old sensitive.String) (_ sensitive.String, err error) {
		keyset, err = seal.Remove(old, id)
		return keyset, err
	})
	if err != nil {
		return report{}, err
	}
	return list(written, keyset, fmt.Sprintf("removed key %d.\n"+
		"WARNING: values still sealed with it cannot be opened any more. Such a grant gets no token, and its customer\n"+
		"has to link again.\n", id))
}

// list returns a report of a keyset's keys.
func list(ref secret.Ref, keyset sensitive.String, told string) (report, error) {
	keys, err := seal.Keys(keyset)
	if err != nil {
		return report{}, fmt.Errorf("%s: %w", ref, err)
	}
	r := report{Reference: ref.String(), told: told}
	for _, k := range keys {
		r.Keys = append(r.Keys, key(k))
	}
	return r, nil
}

// String returns the report for people.
func (r report) String() string {
	var text strings.Builder
	fmt.Fprintln(&text, r.Reference)
	for _, key := range r.Keys {
		primary := ""
		if key.Primary {
			primary = "  primary"
		}
		fmt.Fprintf(&text, "  %10d  %-9s  %s%s\n", key.ID, key.Status, key.Type, primary)
	}
	return text.String() + r.told
}
