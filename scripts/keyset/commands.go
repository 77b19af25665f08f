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

// carryOut carries out a command and says what has happened.
func (p program) carryOut(ctx context.Context, c command) (err error) {
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
	return list + "created. Whoever has it can open every token sealed with it; without it nobody can.\n", err
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
- A process that starts seals with the new key. One that runs loads it by itself when it meets a value
  sealed with it, and otherwise within an hour.
- Values move to the new key as tokens are refreshed.
Still to be done, after that hour:
- scripts/grants reseal moves the values that are left.
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
		"WARNING: what is still sealed with it will not open any more. Such a grant gets no token, and its customer\n"+
		"has to link again.\n", id), err
}

// list shows a keyset as far as it may be shown.
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
