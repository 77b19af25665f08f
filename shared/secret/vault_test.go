package secret_test

import (
	"cmp"
	"context"
	"hash/crc32"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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

// Messages of Secret Manager.
type (
	accessRequest = secretmanagerpb.AccessSecretVersionRequest
	accessed      = secretmanagerpb.AccessSecretVersionResponse
	addRequest    = secretmanagerpb.AddSecretVersionRequest
)

// vault is a real gRPC server on the loopback interface: a Secret Manager with one
// secret, whose versions are its values.
type vault struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	net.Listener
	connections atomic.Int32
	answer      func(context.Context, *accessRequest) (*accessed, error) // replaces access unless nil

	mu       sync.Mutex
	versions []string
	latest   int    // the stale number of "latest"; 0 for the true one
	disabled int    // number of a disabled version, 0 for none
	between  func() // called before a version is added
	instead  string // stored instead of every value, unless empty
	refused  error  // error of every addition
}

func newVault(t *testing.T, versions ...string) *vault {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &vault{Listener: listener, versions: versions, latest: len(versions)}
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, v)
	go func() { _ = server.Serve(v) }()
	t.Cleanup(server.Stop)
	return v
}

// answering returns a vault with the given answers.
func answering(t *testing.T, answer func(context.Context, *accessRequest) (*accessed, error)) *vault {
	t.Helper()
	v := newVault(t)
	v.answer = answer
	return v
}

// Accept implements net.Listener.
func (v *vault) Accept() (net.Conn, error) {
	conn, err := v.Listener.Accept()
	if err == nil {
		v.connections.Add(1)
	}
	return conn, err
}

func (v *vault) reader(t *testing.T) *secret.Reader {
	t.Helper()
	return newReader(t,
		option.WithEndpoint(v.Addr().String()),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
}

func (v *vault) writer(t *testing.T) *secret.Writer {
	t.Helper()
	return secret.NewWriter(v.reader(t))
}

func (v *vault) AccessSecretVersion(ctx context.Context, r *accessRequest) (*accessed, error) {
	if v.answer != nil {
		return v.answer(ctx, r)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	number, err := strconv.Atoi(strings.TrimPrefix(r.GetName(), base+"/versions/"))
	if r.GetName() == latest {
		number, err = v.latest, nil
	}
	switch {
	case err != nil:
		return nil, status.Error(codes.InvalidArgument, "no such name")
	case number < 1 || number > len(v.versions):
		return nil, status.Error(codes.NotFound, "no such version")
	case number == v.disabled:
		return nil, status.Error(codes.FailedPrecondition, "version is disabled")
	}
	return version(fullName(number), v.versions[number-1]), nil
}

// fullName returns a version's name in Secret Manager's form.
func fullName(number int) string {
	return "projects/123456/secrets/lwa/versions/" + strconv.Itoa(number)
}

func (v *vault) AddSecretVersion(_ context.Context, r *addRequest) (*secretmanagerpb.SecretVersion, error) {
	if v.between != nil {
		v.between()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	payload := r.GetPayload()
	sum := crc32.Checksum(payload.GetData(), crc32.MakeTable(crc32.Castagnoli))
	switch {
	case v.refused != nil:
		return nil, v.refused
	case r.GetParent() != base:
		return nil, status.Error(codes.NotFound, "no such secret")
	case payload.DataCrc32C == nil || payload.GetDataCrc32C() != int64(sum):
		return nil, status.Error(codes.InvalidArgument, "checksum")
	}
	v.versions = append(v.versions, cmp.Or(v.instead, string(payload.GetData())))
	return &secretmanagerpb.SecretVersion{Name: fullName(len(v.versions))}, nil
}

// version returns a valid answer.
func version(name, value string) *accessed {
	sum := int64(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli)))
	return &accessed{Name: name, Payload: &secretmanagerpb.SecretPayload{Data: []byte(value), DataCrc32C: &sum}}
}
