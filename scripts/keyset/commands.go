package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// runCommand runs a command and reports the result.
func (p program) runCommand(ctx context.Context, c command) (err error) {
	reader := secret.NewReader(os.LookupEnv, p.client...)
	defer func() { err = errors.Join(err, reader.Close()) }()
	var report string
	switch c.name {
	case "create":
		report, err = create(ctx, secret.NewWriter(reader), c.ref)
	case "rotate":
		report, err = rotate(ctx, secret.NewWriter(reader), c.ref)
	case "show":
		report, err = show(ctx, reader, c.ref)
	case "remove":
		report, err = remove(ctx, secret.NewWriter(reader), c.ref, c.id)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(p.stdout, report)
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
- Run scripts/grants reseal, which moves the other values.
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
