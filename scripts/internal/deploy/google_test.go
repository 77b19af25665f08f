package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// object is a resource as the API has it.
type object = map[string]any

// google is Google Cloud, as far as gcloud looks into it here: resources by
// their paths. A path that it does not know fails the test.
type google struct {
	t   testing.TB
	url string

	mu       sync.Mutex
	store    map[string]object // by full name
	policies map[string]object
	changes  []string          // requests that changed something
	faults   map[string][2]any // status and message, by method and path
	uploads  int
}

// A shelf is where resources of one kind are.
type shelf struct {
	path   *regexp.Regexp // of the collection
	list   string         // the list's name in the answer
	id     string         // parameter, or field of the body, that names a new one
	inside string         // field of the body that the resource is in
	slow   bool           // changes are operations
	made   func(name string, resource object)
}

const projectPath = "projects/maker-prod"

var shelves = []shelf{
	{path: regexp.MustCompile(`^` + projectPath + `/serviceAccounts$`), list: "accounts", id: "accountId", inside: "serviceAccount", made: madeAccount},
	{path: regexp.MustCompile(`^` + projectPath + `/secrets$`), list: "secrets", id: "secretId"},
	{path: regexp.MustCompile(`^` + projectPath + `/secrets/[^/]+/versions$`), list: "versions"},
	{path: regexp.MustCompile(`^` + projectPath + `/databases$`), list: "databases", id: "databaseId", slow: true},
	{path: regexp.MustCompile(`^` + projectPath + `/databases/[^/]+/collectionGroups/[^/]+/indexes$`), list: "indexes", slow: true},
	{path: regexp.MustCompile(`^` + projectPath + `/databases/[^/]+/collectionGroups/[^/]+/fields$`), list: "fields", slow: true},
	{path: regexp.MustCompile(`^` + projectPath + `/topics$`), list: "topics"},
	{path: regexp.MustCompile(`^` + projectPath + `/subscriptions$`), list: "subscriptions"},
	{path: regexp.MustCompile(`^` + projectPath + `/locations/[^/]+/functions$`), list: "functions", id: "functionId", slow: true, made: madeFunction},
	{path: regexp.MustCompile(`^` + projectPath + `/locations/[^/]+/jobs$`), list: "jobs", made: madeJob},
	{path: regexp.MustCompile(`^` + projectPath + `/locations/global/workloadIdentityPools$`), list: "workloadIdentityPools", id: "workloadIdentityPoolId", slow: true, made: madeActive},
	{path: regexp.MustCompile(`^` + projectPath + `/locations/global/workloadIdentityPools/[^/]+/providers$`), list: "workloadIdentityPoolProviders", id: "workloadIdentityPoolProviderId", slow: true, made: madeActive},
}

func madeActive(_ string, resource object) { resource["state"] = "ACTIVE" }

func madeAccount(name string, resource object) {
	resource["email"] = base(name)
}

func madeFunction(name string, resource object) {
	resource["state"], resource["environment"] = "ACTIVE", "GEN_2"
	service := resource["serviceConfig"].(object)
	service["environmentVariables"].(object)["LOG_EXECUTION_ID"] = "true" // as Cloud Functions does
	service["uri"] = urlOf(base(name))
	service["service"] = strings.Replace(name, "/functions/", "/services/", 1)
}

// madeJob: Cloud Scheduler ends an address without a path in a slash.
func madeJob(_ string, resource object) {
	target := resource["httpTarget"].(object)
	target["uri"] = strings.TrimSuffix(target["uri"].(string), "/") + "/"
}

// urlOf is where a function with this name is.
func urlOf(name string) string { return "https://" + name + "-0123456789-xx.a.run.app" }

const number = "123456789012" // of the project

func newGoogle(t testing.TB) *google {
	g := &google{t: t, store: map[string]object{}, policies: map[string]object{}, faults: map[string][2]any{}}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	var body object
	if len(data) > 0 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(data, &body); err != nil {
			g.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/") // without the API's version
	if fault, ok := g.faults[r.Method+" "+path]; ok {
		// As Google says that an API is off.
		info := object{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": apiIsOff, "domain": "googleapis.com"}
		answer(w, fault[0].(int), object{"error": object{"code": fault[0], "message": fault[1], "status": "FAILED", "details": []any{info}}})
		return
	}
	if r.Method != http.MethodGet && !strings.HasSuffix(path, ":getIamPolicy") {
		g.changes = append(g.changes, r.Method+" "+path)
	}
	status, reply := g.serve(r, path, body)
	if reply == nil {
		g.t.Errorf("unknown request: %s %s %s", r.Method, r.URL, data)
		status, reply = http.StatusNotImplemented, object{}
	}
	answer(w, status, reply)
}

func answer(w http.ResponseWriter, status int, reply object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

// serve answers one request, with nil for one that it does not know.
func (g *google) serve(r *http.Request, path string, body object) (int, object) {
	path, action, _ := strings.Cut(path, ":")
	if strings.Contains(path, "serviceAccounts/") {
		path = strings.Replace(path, "projects/-/", projectPath+"/", 1)
	}
	switch {
	case path == projectPath && action == "":
		return http.StatusOK, object{"projectId": "maker-prod", "projectNumber": number, "lifecycleState": "ACTIVE", "name": "maker-prod"}
	case strings.HasPrefix(path, projectPath+"/services"):
		return g.services(r, path, action, body)
	case strings.HasSuffix(action, "IamPolicy"):
		return g.policy(path, action, body)
	case strings.Contains(path, "/operations/") || strings.HasPrefix(path, "operations/"):
		return http.StatusOK, operation(path, object{})
	case strings.HasSuffix(path, "/runtimes"):
		return http.StatusOK, object{"runtimes": []any{object{"name": "go126", "environment": "GEN_2", "stage": "GA"}}}
	case action == "generateUploadUrl":
		return http.StatusOK, object{"uploadUrl": g.url + "/v2/upload/source", "storageSource": object{"bucket": "gcf-v2-uploads", "object": "source.zip"}}
	case path == "upload/source":
		g.uploads++
		return http.StatusOK, object{}
	}
	return g.resource(r, path, action, body)
}

// operation is one that has ended.
func operation(name string, response object) object {
	return object{
		"name": name, "done": true, "response": response,
		"metadata": object{"@type": "type.googleapis.com/google.cloud.functions.v2.OperationMetadata", "stages": []any{}},
	}
}
