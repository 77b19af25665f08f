package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"net"
	"strconv"
	"strings"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// vault is a Secret Manager with one secret. It is asked by one client, one
// call at a time.
type vault struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	versions [][]byte
}

const secretName = "projects/maker-1/secrets/keyset"

func (v *vault) AccessSecretVersion(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	number := len(v.versions)
	if r.GetName() != secretName+"/versions/latest" {
		number, _ = strconv.Atoi(strings.TrimPrefix(r.GetName(), secretName+"/versions/"))
	}
	if number < 1 || number > len(v.versions) {
		return nil, status.Error(codes.NotFound, "no such version")
	}
	data := v.versions[number-1]
	sum := int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: fmt.Sprint(secretName, "/versions/", number), Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	}, nil
}

func (v *vault) AddSecretVersion(_ context.Context, r *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	if r.GetParent() != secretName {
		return nil, status.Error(codes.NotFound, "no such secret")
	}
	v.versions = append(v.versions, r.GetPayload().GetData())
	return &secretmanagerpb.SecretVersion{Name: fmt.Sprint(secretName, "/versions/", len(v.versions))}, nil
}

// run runs the program as a client of the vault.
func (v *vault) run(t *testing.T, args ...string) ran {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, v)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	var stdout, stderr strings.Builder
	p := program{stdout: &stdout, stderr: &stderr, client: []option.ClientOption{
		option.WithEndpoint(listener.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}}
	return ran{p.run(t.Context(), args), stdout.String(), stderr.String()}
}

func (v *vault) keys(t *testing.T, version int) []seal.Key {
	t.Helper()
	keys, err := seal.Keys(sensitive.New(string(v.versions[version-1])))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestSecretManager does what the functions' keyset needs in its life.
func TestSecretManager(t *testing.T) {
	t.Parallel()
	v := &vault{}
	first := func() string { return fmt.Sprint(v.keys(t, 1)[0].ID) }
	for _, step := range []struct {
		name    string
		args    func() []string
		status  int
		says    string
		version int // the newest afterwards
		keys    int // that it has
	}{
		{"rotate nothing", func() []string { return []string{"rotate", secretName} }, exitFailed, "not found", 0, 0},
		{"create", func() []string { return []string{"create", secretName} }, exitOK, "/versions/1\n", 1, 1},
		{"create again", func() []string { return []string{"create", secretName} }, exitFailed, "exists already", 1, 1},
		{"rotate", func() []string { return []string{"rotate", secretName} }, exitOK, "/versions/2\n", 2, 2},
		{"show", func() []string { return []string{"show", secretName} }, exitOK, "/versions/2\n", 2, 2},
		{"show the first", func() []string { return []string{"show", secretName + "/versions/1"} }, exitOK, "/versions/1\n", 2, 2},
		{"remove", func() []string { return []string{"remove", secretName, first()} }, exitOK, "/versions/3\n", 3, 1},
		{"create in a secret that is not there", func() []string { return []string{"create", "projects/p/secrets/s"} }, exitFailed, "not found", 3, 1},
	} {
		got := v.run(t, step.args()...)
		if got.status != step.status || !strings.Contains(got.stdout+got.stderr, step.says) {
			t.Fatalf("%s: %+v, want status %d and %q", step.name, got, step.status, step.says)
		}
		if len(v.versions) != step.version || step.version > 0 && len(v.keys(t, step.version)) != step.keys {
			t.Fatalf("%s: %d versions, want %d, the newest of %d keys", step.name, len(v.versions), step.version, step.keys)
		}
	}
}
