package secret_test

import (
	"context"
	"errors"
	"hash/crc32"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/secret"
)

const (
	base   = "projects/maker-1/secrets/lwa"
	latest = base + "/versions/latest"
)

// access answers one AccessSecretVersion.
type access func(context.Context, *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error)

// add answers one AddSecretVersion.
type add func(context.Context, *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error)

// secretManager is a real gRPC server on the loopback interface.
type secretManager struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	net.Listener
	access      access
	add         add
	connections atomic.Int32
}

func (m *secretManager) AccessSecretVersion(ctx context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	return m.access(ctx, r)
}

func (m *secretManager) AddSecretVersion(ctx context.Context, r *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	return m.add(ctx, r)
}

// Accept implements net.Listener.
func (m *secretManager) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if err == nil {
		m.connections.Add(1)
	}
	return conn, err
}

func startManager(t *testing.T, a access) *secretManager {
	t.Helper()
	return start(t, &secretManager{access: a})
}

func start(t *testing.T, m *secretManager) *secretManager {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.Listener = listener
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, m)
	go func() { _ = server.Serve(m) }()
	t.Cleanup(server.Stop)
	return m
}

func (m *secretManager) reader(t *testing.T) *secret.Reader {
	t.Helper()
	return newReader(t,
		option.WithEndpoint(m.Addr().String()),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
}

// version is a good answer.
func version(name, value string) *secretmanagerpb.AccessSecretVersionResponse {
	sum := int64(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli)))
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name:    name,
		Payload: &secretmanagerpb.SecretPayload{Data: []byte(value), DataCrc32C: &sum},
	}
}

func TestReadManager(t *testing.T) {
	t.Parallel()
	// The checksum of every answer that version makes hangs on this one, which
	// is the check value of CRC-32C.
	if sum := version("", "123456789").Payload.GetDataCrc32C(); sum != 0xE3069283 {
		t.Fatalf("CRC-32C of 123456789 = %#x, want 0xe3069283", sum)
	}
	m := startManager(t, func(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		return version(r.GetName(), canary+" of "+r.GetName()+"\n"), nil
	})
	r := m.reader(t)
	for in, want := range map[string]string{base: latest, latest: latest, base + "/versions/7": base + "/versions/7"} {
		if got, err := read(t.Context(), t, r, in); err != nil || got != canary+" of "+want+"\n" {
			t.Errorf("Read(%s) = %q, %v, want the payload of %s, byte for byte", in, got, err, want)
		}
	}
}

func TestReadManagerRotated(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[string]
	m := startManager(t, func(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		return version(r.GetName(), *current.Load()), nil
	})
	r := m.reader(t)
	for _, want := range []string{"fake-old", "fake-new"} {
		current.Store(&want)
		if got, err := read(t.Context(), t, r, base); err != nil || got != want {
			t.Errorf("Read() = %q, %v, want %q", got, err, want)
		}
	}
	if got := m.connections.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

func TestReadManagerRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code codes.Code
		want error
	}{
		"no such secret":   {codes.NotFound, secret.ErrNotFound},
		"not allowed":      {codes.PermissionDenied, secret.ErrDenied},
		"unknown caller":   {codes.Unauthenticated, secret.ErrDenied},
		"version disabled": {codes.FailedPrecondition, nil},
		"internal":         {codes.Internal, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startManager(t, func(context.Context, *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				return nil, status.Error(tt.code, "because of the moon")
			})
			_, err := read(t.Context(), t, m.reader(t), base)
			if err == nil {
				t.Fatal("Read() gave no error")
			}
			for _, kind := range []error{secret.ErrNotFound, secret.ErrDenied} {
				if errors.Is(err, kind) != (kind == tt.want) {
					t.Errorf("errors.Is(%v, %v) = %t", err, kind, kind != tt.want)
				}
			}
			if !strings.Contains(err.Error(), "moon") {
				t.Errorf("error = %v, want Secret Manager's own reason", err)
			}
		})
	}
}

func TestReadManagerBadPayload(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*secretmanagerpb.AccessSecretVersionResponse){
		"byte changed":    func(v *secretmanagerpb.AccessSecretVersionResponse) { v.Payload.Data[0] ^= 1 },
		"cut":             func(v *secretmanagerpb.AccessSecretVersionResponse) { v.Payload.Data = v.Payload.Data[1:] },
		"no checksum":     func(v *secretmanagerpb.AccessSecretVersionResponse) { v.Payload.DataCrc32C = nil },
		"no payload":      func(v *secretmanagerpb.AccessSecretVersionResponse) { v.Payload = nil },
		"empty, and fine": func(v *secretmanagerpb.AccessSecretVersionResponse) { v.Payload = version("", "").Payload },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startManager(t, func(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				v := version(r.GetName(), canary)
				spoil(v)
				return v, nil
			})
			if got, err := read(t.Context(), t, m.reader(t), base); err == nil {
				t.Errorf("Read() = %q, want an error", got)
			}
		})
	}
}

func TestReadManagerDeadline(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	m := startManager(t, func(ctx context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return version(r.GetName(), canary), nil
	})
	r := m.reader(t)
	if _, err := read(t.Context(), t, r, base); err != nil {
		t.Fatal(err)
	}
	if got := <-left; got <= 0 || got > 5*time.Second {
		t.Errorf("without a deadline the call has %v left, want at most 5 s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := read(ctx, t, r, base); err != nil {
		t.Fatal(err)
	}
	if got := <-left; got <= 5*time.Second || got > time.Minute {
		t.Errorf("with a deadline in a minute the call has %v left", got)
	}
}

func TestReadManagerEnds(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 2)
	m := startManager(t, func(ctx context.Context, _ *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		called <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r := m.reader(t)

	cancelled, cancel := context.WithCancel(t.Context())
	go func() {
		<-called
		cancel()
	}()
	if _, err := read(cancelled, t, r, base); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: Read() = %v, want context.Canceled", err)
	}

	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := read(short, t, r, base); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too slow: Read() = %v, want context.DeadlineExceeded", err)
	}
}

// The client is made once, however many ask for it at the same time, and not
// before a reference asks for it.
func TestManagerClientMadeOnce(t *testing.T) {
	t.Parallel()
	m := startManager(t, func(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		return version(r.GetName(), canary), nil
	})
	r := m.reader(t)
	if _, err := read(t.Context(), t, r, "env:FULL"); err != nil {
		t.Fatal(err)
	}
	if got := m.connections.Load(); got != 0 {
		t.Errorf("%d connections for a variable, want none", got)
	}
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			if got, err := read(t.Context(), t, r, base); err != nil || got != canary {
				t.Errorf("Read() = %q, %v", got, err)
			}
		})
	}
	calls.Wait()
	if got := m.connections.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

func TestManagerClientCannotBeMade(t *testing.T) {
	t.Parallel()
	r := newReader(t, option.WithAuthCredentialsFile(option.ServiceAccount, write(t, "no JSON")))
	if _, err := read(t.Context(), t, r, base); err == nil {
		t.Error("Read() gave no error")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	m := startManager(t, func(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		return version(r.GetName(), canary), nil
	})
	r := m.reader(t)
	if _, err := read(t.Context(), t, r, base); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if _, err := read(t.Context(), t, r, base); err == nil {
		t.Error("Secret Manager is still read after Close")
	}
	if _, err := read(t.Context(), t, r, "env:FULL"); err != nil {
		t.Errorf("a variable cannot be read after Close: %v", err)
	}
}
