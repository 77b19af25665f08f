package secret

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Newest returns the newest value of the secret. If the reference is to the latest
// version, it also returns the reference of the version that has the value;
// otherwise it returns ref.
//
// It is for a caller that knows that Read's value is stale. "latest" may be stale
// too, for minutes and in the worst case hours after a version was added. Only a
// version that is read by its number is consistent: see
// https://cloud.google.com/secret-manager/docs/reference/consistency. Newest
// therefore reads the numbers that follow. It makes at least two calls where Read
// makes one, and has 5 seconds for them if ctx has no deadline.
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
	value, number, err := r.accessLatest(ctx, ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return sensitive.String{}, 0, err
	}
	// "Not found" may be as stale as "latest": try the first version too.
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

// accessLatest returns the latest version and its number.
func (r *Reader) accessLatest(ctx context.Context, ref Ref) (sensitive.String, uint64, error) {
	value, name, err := r.access(ctx, ref.Name)
	if err != nil {
		return sensitive.String{}, 0, err
	}
	number, err := versionNumber(name)
	return value, number, err
}

// versionNumber returns the number in a version's full name. Secret Manager counts
// from 1 without gaps. The start of the name may differ from that in the request:
// it has the project's number.
func versionNumber(name string) (uint64, error) {
	_, text, _ := strings.Cut(name, "/versions/")
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("the version has no number: Secret Manager named it %.200q", name)
	}
	return number, nil
}
