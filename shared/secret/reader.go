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

// Ref is a reference to a secret. The zero Ref is none; only ParseRef makes others.
// Equal references are ==.
type Ref = reference.Ref

// ParseRef parses a reference to a secret. The error shows nothing of s.
func ParseRef(s string) (Ref, error) { return reference.Parse(s) }

// Errors that mean that the configuration is wrong.
var (
	// ErrNotFound: there is no such secret, version, file or variable.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the process may not read the secret, or not write it.
	ErrDenied = errors.New("access denied")
)

// Reader reads secrets. It is safe for concurrent use.
type Reader struct {
	lookupEnv func(string) (string, bool)
	options   []option.ClientOption

	mu     sync.Mutex
	client *secretmanager.Client // nil until the first call of Secret Manager
	closed bool
}

// NewReader returns a Reader that looks variables up with lookupEnv, usually
// os.LookupEnv. It opens no connection: the client of Secret Manager is created,
// with the given options, by the first call that needs it.
func NewReader(lookupEnv func(string) (string, bool), options ...option.ClientOption) *Reader {
	return &Reader{lookupEnv: lookupEnv, options: options}
}

// Read returns the current secret. A call of Secret Manager ends with ctx, or after
// 5 seconds if ctx has no deadline.
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

// Close closes the client of Secret Manager, if there is one. After that only files
// and variables can be read.
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
