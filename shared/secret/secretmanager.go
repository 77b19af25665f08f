package secret

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// managerTimeout bounds a call without a deadline. The library retries as long as
// it may, a minute by default.
const managerTimeout = 5 * time.Second

func (r *Reader) readManager(ctx context.Context, name string) (sensitive.String, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	value, _, err := r.access(ctx, name)
	return value, err
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, managerTimeout)
}

// access returns the payload of a version, and its full name.
func (r *Reader) access(ctx context.Context, name string) (sensitive.String, string, error) {
	client, err := r.managerClient()
	if err != nil {
		return sensitive.String{}, "", err
	}
	answer, err := client.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: name})
	if err != nil {
		return sensitive.String{}, "", managerError(ctx, err)
	}
	value, err := verified(answer.GetPayload())
	return value, answer.GetName(), err
}

// managerClient returns the client, and makes it first if there is none. It does
// not cache a failure.
func (r *Reader) managerClient() (*secretmanager.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("the reader is closed")
	}
	if r.client == nil {
		// Not the context of the call: the client's credentials may keep it, and
		// would fail once the call has ended.
		client, err := secretmanager.NewClient(context.Background(), r.options...)
		if err != nil {
			return nil, fmt.Errorf("making a Secret Manager client: %w", err)
		}
		r.client = client
	}
	return r.client, nil
}

// verified returns the payload if it matches its checksum. Secret Manager stores
// one with every version, so a payload without one is refused too.
func verified(payload *secretmanagerpb.SecretPayload) (sensitive.String, error) {
	if payload == nil || payload.DataCrc32C == nil || *payload.DataCrc32C != checksum(payload.GetData()) {
		return sensitive.String{}, errors.New("payload does not match its checksum")
	}
	return sensitive.New(string(payload.GetData())), nil
}

// checksum returns the CRC-32C of data in the form of Secret Manager.
func checksum(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

func managerError(ctx context.Context, err error) error {
	// gRPC's own deadline error is not context.DeadlineExceeded.
	if ctx.Err() != nil {
		return fmt.Errorf("calling Secret Manager: %w", ctx.Err())
	}
	answer := status.Convert(err)
	switch answer.Code() {
	case codes.NotFound:
		return fmt.Errorf("%w: %s", ErrNotFound, answer.Message())
	case codes.DeadlineExceeded:
		// The server's clock may be ahead of ours.
		return fmt.Errorf("calling Secret Manager: %w", context.DeadlineExceeded)
	case codes.PermissionDenied, codes.Unauthenticated:
		return fmt.Errorf("%w: %s", ErrDenied, answer.Message())
	default:
		return fmt.Errorf("calling Secret Manager: %w", err)
	}
}
