package secret

import (
	"context"
	"errors"
	"fmt"
	"sync"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"google.golang.org/api/option"

	"github.com/gatepostdev/gatepost/shared/secret/internal/reference"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Ref says where a secret is. The zero Ref is nowhere; only ParseRef makes others.
// Equal references are ==.
type Ref = reference.Ref

// ParseRef reads a reference to a secret. The error shows nothing of s.
func ParseRef(s string) (Ref, error) { return reference.Parse(s) }

// What a failed call may mean for the configuration.
var (
	// ErrNotFound: there is no such secret, version, file or variable.
	ErrNotFound = errors.New("not found")
	// ErrDenied: this process may not read it, or not write it.
	ErrDenied = errors.New("access denied")
)

// Reader reads secrets. It may be used by any number of goroutines.
type Reader struct {
	lookupEnv func(string) (string, bool)
	options   []option.ClientOption

	mu     sync.Mutex
	client *secretmanager.Client // nil until the first reference into Secret Manager
	closed bool
}

// NewReader returns a Reader that looks variables up with lookupEnv, as a rule
// os.LookupEnv. It connects to nobody: a client for Secret Manager is made,
// with the given options, when the first reference asks for it.
func NewReader(lookupEnv func(string) (string, bool), options ...option.ClientOption) *Reader {
	return &Reader{lookupEnv: lookupEnv, options: options}
}

// Read returns the secret as it is now. A call of Secret Manager ends with
// ctx, and after 5 seconds if ctx has no deadline.
func (r *Reader) Read(ctx context.Context, ref Ref) (sensitive.String, error) {
	value, err := r.read(ctx, ref)
	if err == nil && value.Empty() {
		err = errors.New("is empty")
	}
	if err != nil {
		return sensitive.String{}, fmt.Errorf("secret %s: %w", ref, err)
	}
	return value, nil
}

func (r *Reader) read(ctx context.Context, ref Ref) (sensitive.String, error) {
	switch ref.Source {
	case reference.Manager:
		return r.readManager(ctx, ref.Name)
	case reference.File:
		return readFile(ref.Name)
	case reference.Env:
		value, ok := r.lookupEnv(ref.Name)
		if !ok {
			return sensitive.String{}, ErrNotFound
		}
		return sensitive.New(value), nil
	default:
		return sensitive.String{}, errors.New("no reference given")
	}
}

// Close closes the client of Secret Manager, if one was made. After it only
// files and variables can be read.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.client == nil {
		return nil
	}
	client := r.client
	r.client = nil
	if err := client.Close(); err != nil {
		return fmt.Errorf("closing the Secret Manager client: %w", err)
	}
	return nil
}
