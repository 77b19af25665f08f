package secret

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Newest returns the secret and the version that it is of: a reference that
// goes on to mean this value, where the kind of secret has such.
//
// It is for who knows that Read's answer is old. "latest" may be, for minutes
// and in the worst case hours after a version was added; only a version that is
// asked for by its number is there at once, see
// https://cloud.google.com/secret-manager/docs/reference/consistency. So Newest
// asks for the numbers that come after it. It takes two calls where Read takes
// one, and has 5 seconds for them if ctx has no deadline.
func (r *Reader) Newest(ctx context.Context, ref Ref) (sensitive.String, Ref, error) {
	if !ref.Latest() {
		value, err := r.Read(ctx, ref)
		return value, ref, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	value, number, err := r.newest(ctx, ref)
	if err != nil {
		return sensitive.String{}, Ref{}, fmt.Errorf("secret %s: %w", ref, err)
	}
	if value.Empty() {
		return sensitive.String{}, Ref{}, fmt.Errorf("secret %s: is empty", ref)
	}
	return value, ref.Version(number), nil
}

// newest returns the newest version and its number, or ErrNotFound.
func (r *Reader) newest(ctx context.Context, ref Ref) (sensitive.String, uint64, error) {
	value, number, err := r.numbered(ctx, ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return sensitive.String{}, 0, err
	}
	// That there is no version is no more certain than which one is the latest.
	missing := err
	for {
		next, _, err := r.access(ctx, ref.Version(number+1).Name)
		switch {
		case errors.Is(err, ErrNotFound) && number == 0:
			return sensitive.String{}, 0, missing
		case errors.Is(err, ErrNotFound):
			return value, number, nil
		case err != nil:
			return sensitive.String{}, 0, fmt.Errorf("version %d: %w", number+1, err)
		}
		value, number = next, number+1
	}
}

// numbered returns the latest version and its number.
func (r *Reader) numbered(ctx context.Context, ref Ref) (sensitive.String, uint64, error) {
	value, name, err := r.access(ctx, ref.Name)
	if err != nil {
		return sensitive.String{}, 0, err
	}
	number, err := versionNumber(name)
	return value, number, err
}

// versionNumber is the number in a version's full name. Secret Manager counts
// from 1 without gaps. What comes before may differ from what was asked for:
// it names the project by its number.
func versionNumber(name string) (uint64, error) {
	_, text, _ := strings.Cut(name, "/versions/")
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("the version has no number: Secret Manager named it %.200q", name)
	}
	return number, nil
}
