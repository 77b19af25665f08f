package secret

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/gatepostdev/gatepost/shared/secret/internal/reference"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Errors of a Writer.
var (
	// ErrReadOnly: the reference is to a variable, or to one version of a secret.
	ErrReadOnly = errors.New("cannot be written: only file:PATH and projects/P/secrets/S can")
	// ErrExists: the secret that Create should write has a value.
	ErrExists = errors.New("exists already")
	// ErrChanged: another writer wrote the secret at the same time.
	ErrChanged = errors.New("another writer wrote at the same time")
)

// Writer writes secrets. It is for operators' programs: no deployed function uses
// one, or has a service account that may write.
type Writer struct{ reader *Reader }

// NewWriter returns a Writer that uses the connections of reader.
func NewWriter(reader *Reader) *Writer { return &Writer{reader} }

// Create writes a secret that has no value yet, or returns ErrExists. In Secret
// Manager it adds the first version; the secret itself must exist. It returns the
// reference of the new value: see [Reader.Newest].
func (w *Writer) Create(ctx context.Context, ref Ref, value sensitive.String) (Ref, error) {
	return w.write(ctx, ref, func(_ sensitive.String, err error) (sensitive.String, error) {
		switch {
		case err == nil:
			return sensitive.String{}, ErrExists
		case errors.Is(err, ErrNotFound):
			return value, nil
		}
		return sensitive.String{}, err
	})
}

// Replace replaces the newest value with the result of change. If change fails,
// Replace writes nothing and returns its error, prefixed with the reference.
//
// A file is replaced as a whole, and belongs to the caller's user from then on. A
// secret in Secret Manager gets a new version, whose reference is returned.
// ErrChanged means that the new value lacks the changes of another writer.
func (w *Writer) Replace(ctx context.Context, ref Ref, change func(sensitive.String) (sensitive.String, error)) (Ref, error) {
	return w.write(ctx, ref, func(old sensitive.String, err error) (sensitive.String, error) {
		if err != nil {
			return sensitive.String{}, err
		}
		return change(old)
	})
}

// changeFunc returns the value to write. It gets the current value, or the error of
// reading it.
type changeFunc func(old sensitive.String, err error) (sensitive.String, error)

// write writes a value and reads it back.
func (w *Writer) write(ctx context.Context, ref Ref, change changeFunc) (Ref, error) {
	var value sensitive.String
	written := ref
	checked := func(old sensitive.String, err error) (sensitive.String, error) {
		value, err = change(old, err)
		if err == nil && value.Empty() {
			err = errors.New("would be empty")
		}
		return value, err
	}
	var err error
	switch {
	case ref.Source == reference.File:
		err = rewriteFile(ref.Name, checked)
	case ref.Latest():
		written, err = w.addVersion(ctx, ref, checked)
	default:
		err = ErrReadOnly
	}
	if err != nil {
		return Ref{}, fmt.Errorf("secret %s: %w", ref, err)
	}
	found, err := w.reader.Read(ctx, written)
	if err != nil {
		return Ref{}, fmt.Errorf("reading the value back: %w", err)
	}
	if !found.Equal(value) {
		return Ref{}, fmt.Errorf("secret %s: %w: the value read back differs from the value written", written, ErrChanged)
	}
	return written, nil
}

// addVersion adds a version to a secret in Secret Manager. No call adds a version
// only if there is no newer one, but the number of the new version shows whether
// there was.
func (w *Writer) addVersion(ctx context.Context, ref Ref, change changeFunc) (Ref, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	old, number, err := w.reader.newest(ctx, ref)
	value, err := change(old, err)
	if err != nil {
		return Ref{}, err
	}
	added, err := w.add(ctx, ref, value)
	if err != nil {
		return Ref{}, fmt.Errorf("adding a version: %w", err)
	}
	if added != number+1 {
		return Ref{}, fmt.Errorf("%w: version %d was made from version %d, and lacks the changes of those between", ErrChanged, added, number)
	}
	return ref.Version(added), nil
}

// add adds a version and returns its number. The library does not retry this call,
// or there might be two.
func (w *Writer) add(ctx context.Context, ref Ref, value sensitive.String) (uint64, error) {
	client, err := w.reader.managerClient()
	if err != nil {
		return 0, err
	}
	data := []byte(value.Reveal())
	sum := checksum(data)
	version, err := client.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{
		Parent:  ref.Secret(),
		Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	})
	if err != nil {
		return 0, managerError(ctx, err)
	}
	return versionNumber(version.GetName())
}
