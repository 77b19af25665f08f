package secret_test

import (
	"cmp"
	"context"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/secret"
)

// vault is the one secret of a Secret Manager, whose versions are its values.
type vault struct {
	*secretManager

	mu       sync.Mutex
	versions []string
	latest   int    // which one "latest" is, as Secret Manager has not noticed yet; 0 for none
	disabled int    // version, 0 for none
	between  func() // is called before a version is added
	instead  string // is stored instead of every value, unless empty
	refused  error  // of every addition
}

func newVault(t *testing.T, versions ...string) *vault {
	t.Helper()
	v := &vault{versions: versions, latest: len(versions)}
	v.secretManager = start(t, &secretManager{access: v.access, add: v.add})
	return v
}

func (v *vault) access(_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
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

// fullName is a version's name as Secret Manager gives it.
func fullName(number int) string {
	return "projects/123456/secrets/lwa/versions/" + strconv.Itoa(number)
}

func (v *vault) add(_ context.Context, r *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
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

func (v *vault) writer(t *testing.T) *secret.Writer {
	t.Helper()
	return secret.NewWriter(v.reader(t))
}
