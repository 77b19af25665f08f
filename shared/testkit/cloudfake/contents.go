package cloudfake

import (
	"context"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// vault is Secret Manager's gRPC API, which Google's client library calls.
type vault struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	*Google
}

// AccessSecretVersion returns the value of a version.
func (v vault) AccessSecretVersion(
	_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest,
) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := r.GetName()
	if v.resources["projects/"+strings.Split(name, "/")[1]+"/services/secretmanager.googleapis.com"] == nil {
		return nil, status.Error(codes.PermissionDenied, "Secret Manager is not enabled")
	}
	if versions, latest := strings.CutSuffix(name, "/latest"); latest {
		name = fmt.Sprint(versions, "/", len(v.all(versions)))
	}
	data, ok := v.contents[name]
	if !ok {
		return nil, status.Error(codes.NotFound, "there is no "+name)
	}
	sum := int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: name, Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	}, nil
}

// AddSecretVersion adds a version.
func (v vault) AddSecretVersion(
	_ context.Context, r *secretmanagerpb.AddSecretVersionRequest,
) (*secretmanagerpb.SecretVersion, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	code, version := v.addVersion(r.GetParent(), r.GetPayload().GetData())
	if code != http.StatusOK {
		return nil, status.Error(codes.NotFound, "there is no "+r.GetParent())
	}
	return &secretmanagerpb.SecretVersion{Name: version["name"].(string)}, nil
}

func (g *Google) addVersion(secret string, data []byte) (int, Object) {
	if g.resources[secret] == nil {
		return refusal(http.StatusNotFound, secret)
	}
	name := fmt.Sprint(secret, "/versions/", len(g.all(secret+"/versions"))+1)
	g.resources[name], g.contents[name] = Object{"name": name, "state": "ENABLED"}, data
	return http.StatusOK, g.resources[name]
}

// download answers a request for the contents of an object in a bucket, /BUCKET/OBJECT.
// It returns false for any other request.
func (g *Google) download(w http.ResponseWriter, r *http.Request) bool {
	bucket, object, _ := strings.Cut(r.URL.Path[1:], "/")
	if r.Method != http.MethodGet || g.resources["b/"+bucket] == nil {
		return false
	}
	data, ok := g.contents["b/"+bucket+"/o/"+url.PathEscape(object)]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = w.Write(data)
	return true
}
