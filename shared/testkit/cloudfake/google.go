package cloudfake

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
)

// Object is a resource as an API has it.
type Object = map[string]any

// ProjectNumber is the number of every project, and AccountID is the id of the AWS
// account.
const (
	ProjectNumber = "123456789012"
	AccountID     = "123456789012"
)

// Google is Google Cloud: resources by their full names, and policies.
type Google struct {
	// URL is the address of every API.
	URL string

	t         testing.TB
	mu        sync.Mutex
	resources map[string]Object
	policies  map[string]Object
	contents  map[string][]byte // of secrets' versions and of objects
	upload    []byte            // the object in the current request
	uploads   int
	failing   map[string]bool
	unknown   map[string]bool   // accounts that policies refuse; nil: none are
	inForce   map[string]Object // policies that builds see; nil: the newest
	secrets   http.Handler      // Secret Manager's gRPC API
}

// NewGoogle starts an empty cloud. It is closed after the test.
func NewGoogle(t testing.TB) *Google {
	g := &Google{
		t: t, resources: map[string]Object{}, policies: map[string]Object{}, contents: map[string][]byte{}, failing: map[string]bool{},
	}
	secrets := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(secrets, vault{Google: g})
	g.secrets = secrets
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	g.URL = server.URL
	return g
}

// Resources returns a copy of all resources by their full names. A resource's
// policy is under its name and :policy.
func (g *Google) Resources() map[string]Object {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := copied(g.t, g.resources)
	for name, policy := range copied(g.t, g.policies) {
		all[name+":policy"] = policy
	}
	return all
}

// Load stores resources and policies from a copy that Resources returned.
func (g *Google) Load(all map[string]Object) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, resource := range all {
		if of, isPolicy := strings.CutSuffix(name, ":policy"); isPolicy {
			g.policies[of] = resource
		} else {
			g.resources[name] = resource
		}
	}
}

// Put stores a resource.
func (g *Google) Put(name string, resource Object) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.resources[name] = maps.Clone(resource)
	g.resources[name]["name"] = name
}

// FailBuilds makes every build of a function fail from now on, or succeed again. Like
// Google the fake keeps a function whose build failed, in state FAILED.
func (g *Google) FailBuilds(function string, fail bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failing[function] = fail
}

// Uploads returns how often a function's source was uploaded.
func (g *Google) Uploads() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.uploads
}

// copied returns a deep copy.
func copied(t testing.TB, all map[string]Object) map[string]Object {
	data, err := json.Marshal(all)
	var copied map[string]Object
	if err == nil {
		err = json.Unmarshal(data, &copied)
	}
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

// ServeHTTP implements every API.
func (g *Google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		g.secrets.ServeHTTP(w, r)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.download(w, r) {
		return
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	var body Object
	if len(data) > 0 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(data, &body); err != nil {
			g.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}
	if kind, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/related" {
		body, g.upload = object(g.t, multipart.NewReader(bytes.NewReader(data), parameters["boundary"]))
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/") // without the API's version
	if _, after, ok := strings.Cut(r.URL.EscapedPath(), "storage/v1/"); ok {
		path = after // the name of an object has its slashes escaped
	}
	status, reply := g.serve(r, path, body)
	if reply == nil {
		g.t.Errorf("unknown request: %s %s %s", r.Method, r.URL, data)
		status, reply = http.StatusNotImplemented, Object{}
	}
	answer(w, status, reply)
}

// object returns the description of an object that is uploaded, with its hash, and its
// contents.
func object(t testing.TB, upload *multipart.Reader) (about Object, contents []byte) {
	for i := 0; i < 2; i++ {
		part, err := upload.NextPart()
		if err != nil {
			t.Error(err)
			return Object{}, nil
		}
		contents, err = io.ReadAll(part)
		if i == 0 && err == nil {
			err = json.Unmarshal(contents, &about)
		}
		if err != nil {
			t.Error(err)
			return Object{}, nil
		}
		hash := md5.Sum(contents)
		about["md5Hash"] = base64.StdEncoding.EncodeToString(hash[:])
	}
	return about, contents
}

func answer(w http.ResponseWriter, status int, reply any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

// refusal returns an error as Google's APIs write it.
func refusal(status int, name string) (int, Object) {
	reason := map[int]string{http.StatusNotFound: "NOT_FOUND", http.StatusConflict: "ALREADY_EXISTS"}[status]
	return status, Object{"error": Object{"code": status, "message": name + ": " + reason, "status": reason}}
}

// serve answers one request, or returns nil for an unknown one.
func (g *Google) serve(r *http.Request, path string, body Object) (int, Object) {
	path, action, _ := strings.Cut(path, ":")
	if email, ok := strings.CutPrefix(path, "projects/-/serviceAccounts/"); ok {
		_, domain, _ := strings.Cut(email, "@")
		project, _, _ := strings.Cut(domain, ".")
		path = "projects/" + project + "/serviceAccounts/" + email
	}
	switch {
	case strings.HasSuffix(path, "/billingInfo"), action == "listAttestationRules":
		return http.StatusOK, Object{"projectId": strings.Split(path, "/")[1]}
	case strings.HasPrefix(path, "projects/") && strings.Count(path, "/") == 1 && action == "":
		return http.StatusOK, Object{"projectId": base(path), "projectNumber": ProjectNumber, "lifecycleState": "ACTIVE", "name": base(path)}
	case regexp.MustCompile(`^projects/[^/]+/services\b`).MatchString(path):
		return g.services(path, action, body)
	case strings.HasSuffix(action, "IamPolicy"):
		return g.policy(path, action, body)
	case action == "addVersion":
		payload, _ := body["payload"].(Object)
		data, _ := base64.StdEncoding.DecodeString(fmt.Sprint(payload["data"]))
		code, version := g.addVersion(path, data)
		version["clientSpecifiedPayloadChecksum"] = true // gcloud sends one
		return code, version
	case strings.Contains(path, "operations/"):
		return http.StatusOK, operation(path, Object{})
	case strings.HasSuffix(path, "/runtimes"):
		return http.StatusOK, Object{"runtimes": []any{Object{"name": "go126", "environment": "GEN_2", "stage": "GA"}}}
	case (action == "resume" || action == "pause") && g.resources[path] != nil:
		g.resources[path]["state"] = map[string]string{"resume": "ENABLED", "pause": "PAUSED"}[action]
		return http.StatusOK, g.resources[path]
	case action == "generateUploadUrl":
		source := Object{"bucket": "gcf-v2-uploads", "object": "source.zip"}
		return http.StatusOK, Object{"uploadUrl": g.URL + "/v2/upload/source", "storageSource": source}
	case path == "upload/source":
		g.uploads++
		return http.StatusOK, Object{}
	}
	for _, k := range kinds {
		if k.path.MatchString(path) {
			return g.collection(r, k, path, body)
		}
		if last := strings.LastIndexByte(path, '/'); last > 0 && k.path.MatchString(path[:last]) {
			return g.single(r, k, path, body)
		}
	}
	return 0, nil
}

// operation returns a finished operation.
func operation(name string, response Object) Object {
	metadata := Object{"@type": "type.googleapis.com/google.cloud.functions.v2.OperationMetadata", "stages": []any{}}
	return Object{"name": name, "done": true, "response": response, "metadata": metadata}
}

// services implements the project's list of enabled APIs.
func (g *Google) services(path, action string, body Object) (int, Object) {
	ids := []any{base(path)}
	switch action {
	case "":
		if base(path) == "services" {
			return http.StatusOK, Object{"services": g.all(path)}
		}
		if g.resources[path] == nil {
			return refusal(http.StatusNotFound, path)
		}
		return http.StatusOK, g.resources[path]
	case "batchEnable":
		ids = body["serviceIds"].([]any)
	case "enable":
		path = path[:strings.LastIndexByte(path, '/')]
	default:
		return 0, nil
	}
	for _, id := range ids {
		name := fmt.Sprintf("%s/%s", path, id)
		g.resources[name] = Object{"name": name, "state": "ENABLED", "config": Object{"name": id}}
	}
	return http.StatusOK, operation("operations/enable", Object{})
}

// collection lists resources, or creates one.
func (g *Google) collection(r *http.Request, k kind, path string, body Object) (int, Object) {
	if r.Method == http.MethodGet {
		return http.StatusOK, Object{k.list: g.all(path)}
	}
	id := r.URL.Query().Get(k.id)
	switch k.list {
	case "accounts":
		id = body[k.id].(string) + "@" + strings.Split(path, "/")[1] + ".iam.gserviceaccount.com"
	case "indexes":
		id = fmt.Sprintf("index%d", len(g.all(path)))
	case "alertPolicies", "dashboards", "notificationChannels":
		id = fmt.Sprintf("%s%d", k.list, len(g.all(path)))
	case "exclusions", "jobs", "metrics":
		id = base(body["name"].(string))
	case "items":
		id = url.PathEscape(cmp.Or(r.URL.Query().Get("name"), fmt.Sprint(body["name"])))
	}
	if k.inside != "" {
		body, _ = body[k.inside].(Object)
	}
	name := path + "/" + id
	upload := strings.HasSuffix(path, "/o")
	if g.resources[name] != nil && !(upload && !r.URL.Query().Has("ifGenerationMatch")) {
		return refusal(http.StatusConflict, name)
	}
	if k.list == "accounts" && g.unknown != nil {
		g.unknown[id] = true
	}
	if upload {
		g.contents[name] = g.upload
	}
	return g.put(k, name, body)
}

// put stores a resource.
func (g *Google) put(k kind, name string, body Object) (int, Object) {
	kept := Object{"name": name}
	for field, value := range body {
		if field != "name" {
			kept[field] = value
		}
	}
	if k.made != nil {
		k.made(name, kept)
	}
	g.resources[name] = kept
	if !k.slow {
		return http.StatusOK, kept
	}
	done := operation(operationOf.FindString(name)+"/operations/op", maps.Clone(kept))
	done["response"].(Object)["@type"] = "type.googleapis.com/google." + k.list
	if k.list == "functions" {
		if why := g.buildError(name, kept); why != "" {
			kept["state"] = "FAILED"
			delete(done, "response")
			done["error"] = Object{"code": 3, "message": why}
		}
	}
	return http.StatusOK, done
}

// operationOf matches the part of a resource's name that contains its operations.
var operationOf = regexp.MustCompile(
	`^projects/[^/]+(/locations/[^/]+/workloadIdentityPools/[^/]+(/providers/[^/]+)?|/locations/[^/]+|/databases/[^/]+)`)

func (g *Google) single(r *http.Request, k kind, path string, body Object) (int, Object) {
	have := g.resources[path]
	switch {
	case r.Method == http.MethodPut && (have == nil || k.list == "metrics"):
		return g.put(k, path, body)
	case r.Method == http.MethodPut:
		return refusal(http.StatusConflict, path)
	case r.Method == http.MethodPatch && (have != nil || k.list == "fields"): // every field exists
		return g.patch(r, k, path, body)
	case have == nil:
		return refusal(http.StatusNotFound, path)
	case r.Method == http.MethodGet:
		return http.StatusOK, have
	case r.Method == http.MethodDelete:
		return g.delete(k, path)
	}
	return 0, nil
}

// delete removes a resource and its policy.
func (g *Google) delete(k kind, path string) (int, Object) {
	delete(g.resources, path)
	delete(g.contents, path)
	delete(g.policies, path)
	delete(g.policies, strings.Replace(path, "/functions/", "/services/", 1))
	if k.slow {
		return http.StatusOK, operation(operationOf.FindString(path)+"/operations/op", Object{})
	}
	return http.StatusOK, Object{}
}

// patch changes the fields in the mask.
func (g *Google) patch(r *http.Request, k kind, path string, body Object) (int, Object) {
	changed := Object{}
	maps.Copy(changed, g.resources[path])
	mask := r.URL.Query().Get("updateMask")
	if resource, ok := body[strings.TrimSuffix(k.list, "s")].(Object); ok { // Pub/Sub; Terraform has the mask in the query
		if wrapped, ok := body["updateMask"].(string); ok {
			mask = wrapped
		}
		body = resource
	}
	if mask == "" { // Cloud Scheduler
		maps.Copy(changed, body)
		return g.put(k, path, changed)
	}
	for field := range strings.SplitSeq(mask, ",") {
		outer, inner, nested := strings.Cut(camel(field), ".")
		if !nested {
			changed[outer] = body[outer]
			continue
		}
		values := Object{}
		if have, ok := changed[outer].(Object); ok {
			maps.Copy(values, have)
		}
		given, _ := body[outer].(Object)
		values[inner] = given[inner]
		changed[outer] = values
	}
	return g.put(k, path, changed)
}

// camel converts a_b to aB: masks have either form.
func camel(name string) string {
	return regexp.MustCompile(`_[a-z]`).ReplaceAllStringFunc(name, func(s string) string { return strings.ToUpper(s[1:]) })
}

// all returns the resources of a collection; "-" in its path matches any name.
func (g *Google) all(path string) []any {
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(path), "/-/", "/[^/]+/") + "/[^/]+$")
	found := []any{}
	for _, name := range slices.Sorted(maps.Keys(g.resources)) {
		if pattern.MatchString(name) {
			found = append(found, g.resources[name])
		}
	}
	return found
}
