package secret

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/gatepostdev/gatepost/shared/secret/internal/reference"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Why a Writer has not written, or not what it should have.
var (
	// ErrReadOnly: the reference names what cannot be written, a variable or
	// one version of a secret.
	ErrReadOnly = errors.New("cannot be written: only file:PATH and projects/P/secrets/S can")
	// ErrExists: Create was to replace a secret.
	ErrExists = errors.New("exists already")
	// ErrChanged: somebody else wrote the secret at the same time.
	ErrChanged = errors.New("somebody else wrote at the same time")
)

// Writer writes secrets. It is for the programs of operators: a deployed
// function has no use for one, and its service account may not do what a Writer
// does.
type Writer struct{ reader *Reader }

// NewWriter returns a Writer that reads, and connects, as reader does.
func NewWriter(reader *Reader) *Writer { return &Writer{reader} }

// Create writes a secret that has no value yet, or returns ErrExists. Of a
// secret in Secret Manager it writes the first version; the secret itself must
// be there. Create returns the reference of what was written, see
// [Reader.Newest].
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

// Replace writes what change makes of the newest value. When change fails
// nothing is written, and its error is returned with the reference before it.
//
// A file is replaced as a whole, and belongs to the caller's user from then on;
// a secret in Secret Manager gets a new version, whose reference is returned.
// ErrChanged means that what others wrote at the same time has no part in it.
func (w *Writer) Replace(ctx context.Context, ref Ref, change func(sensitive.String) (sensitive.String, error)) (Ref, error) {
	return w.write(ctx, ref, func(old sensitive.String, err error) (sensitive.String, error) {
		if err != nil {
			return sensitive.String{}, err
		}
		return change(old)
	})
}

// successor makes the value to be written of the one that is there, or of the error
// with which it was read.
type successor func(old sensitive.String, err error) (sensitive.String, error)

// write writes a value and reads it back.
func (w *Writer) write(ctx context.Context, ref Ref, next successor) (Ref, error) {
	var value sensitive.String
	written := ref
	checked := func(old sensitive.String, err error) (sensitive.String, error) {
		value, err = next(old, err)
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
		return Ref{}, fmt.Errorf("reading back what was written: %w", err)
	}
	if !found.Equal(value) {
		return Ref{}, fmt.Errorf("secret %s: %w: what was read back is not what was written", written, ErrChanged)
	}
	return written, nil
}

// addVersion adds a version to a secret in Secret Manager. There is no call
// that adds one only if there is no other since, but the new version's number
// tells.
func (w *Writer) addVersion(ctx context.Context, ref Ref, next successor) (Ref, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	old, number, err := w.reader.newest(ctx, ref)
	value, err := next(old, err)
	if err != nil {
		return Ref{}, err
	}
	added, err := w.add(ctx, ref, value)
	if err != nil {
		return Ref{}, fmt.Errorf("adding a version: %w", err)
	}
	if added != number+1 {
		return Ref{}, fmt.Errorf("%w: version %d was made from version %d, and knows nothing of those between", ErrChanged, added, number)
	}
	return ref.Version(added), nil
}

// add returns the number of the new version. The library does not repeat this
// call, or there might be two.
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
