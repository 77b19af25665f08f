package main

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func (g *google) services(r *http.Request, path, action string, body object) (int, object) {
	switch {
	case action == "batchEnable":
		for _, id := range body["serviceIds"].([]any) {
			g.store[projectPath+"/services/"+id.(string)] = object{"name": "projects/" + number + "/services/" + id.(string), "state": "ENABLED", "config": object{"name": id}}
		}
		return http.StatusOK, operation("operations/enable", object{})
	case action == "enable":
		id := base(path)
		g.store[path] = object{"name": "projects/" + number + "/services/" + id, "state": "ENABLED", "config": object{"name": id}}
		return http.StatusOK, operation("operations/enable", object{})
	case r.Method == http.MethodGet && path == projectPath+"/services":
		return http.StatusOK, object{"services": g.all(path)}
	case r.Method == http.MethodGet && g.store[path] != nil:
		return http.StatusOK, g.store[path]
	}
	return 0, nil
}

func (g *google) policy(path, action string, body object) (int, object) {
	if action == "setIamPolicy" {
		g.policies[path] = body["policy"].(object)
	}
	// A Cloud Run service is there once its function has been built.
	if function := strings.Replace(path, "/services/", "/functions/", 1); function != path && g.store[function] == nil {
		return http.StatusNotFound, object{"error": object{"code": 404, "message": path + " not found", "status": "NOT_FOUND"}}
	}
	if g.policies[path] == nil {
		return http.StatusOK, object{"etag": "AAAA", "version": 1}
	}
	return http.StatusOK, g.policies[path]
}

// resource serves the shelves.
func (g *google) resource(r *http.Request, path, action string, body object) (int, object) {
	if action == "" || action == "resume" || strings.Contains(path, "serviceAccounts") {
		collection := path
		if i := strings.LastIndexByte(path, '/'); i > 0 && shelfOf(path) == nil {
			collection = path[:i]
		}
		if s := shelfOf(collection); s != nil {
			if collection == path {
				return g.collection(r, s, path, body)
			}
			return g.single(r, s, path, body)
		}
	}
	return 0, nil
}

func shelfOf(path string) *shelf {
	i := slices.IndexFunc(shelves, func(s shelf) bool { return s.path.MatchString(path) })
	if i < 0 {
		return nil
	}
	return &shelves[i]
}

func (g *google) collection(r *http.Request, s *shelf, path string, body object) (int, object) {
	if r.Method == http.MethodGet {
		return http.StatusOK, object{s.list: g.filtered(path, r.URL.Query().Get("filter"))}
	}
	id := r.URL.Query().Get(s.id)
	if s.id == "accountId" {
		id = body[s.id].(string) + "@maker-prod.iam.gserviceaccount.com"
	}
	if s.list == "indexes" {
		id = fmt.Sprintf("index%d", len(g.all(path)))
	}
	name := path + "/" + id
	if s.list == "jobs" {
		name = body["name"].(string)
	}
	if s.inside != "" {
		body, _ = body[s.inside].(object)
		if body == nil {
			body = object{}
		}
	}
	if g.store[name] != nil {
		return http.StatusConflict, object{"error": object{"code": 409, "message": name + " already exists", "status": "ALREADY_EXISTS"}}
	}
	return g.put(s, name, body)
}

// put stores a new resource.
func (g *google) put(s *shelf, name string, body object) (int, object) {
	body = maps.Clone(body)
	body["name"] = name
	if s.made != nil {
		s.made(name, body)
	}
	g.store[name] = body
	if s.slow {
		return http.StatusOK, operation(name[:strings.LastIndexByte(name, '/')][:strings.Index(name, "maker-prod")+len("maker-prod")]+g.between(name)+"/operations/op", withType(s, body))
	}
	return http.StatusOK, body
}

// between is the part of the name in which the resource's operations are.
func (g *google) between(name string) string {
	for _, part := range []string{`/locations/[^/]+/workloadIdentityPools/[^/]+/providers/[^/]+`, `/locations/[^/]+/workloadIdentityPools/[^/]+`, `/locations/[^/]+`, `/databases/[^/]+`} {
		if found := regexp.MustCompile(part).FindString(name); found != "" {
			return found
		}
	}
	return ""
}

func withType(s *shelf, body object) object {
	body = maps.Clone(body)
	body["@type"] = "type.googleapis.com/google." + s.list
	return body
}

func (g *google) single(r *http.Request, s *shelf, path string, body object) (int, object) {
	have := g.store[path]
	action := r.URL.Path[strings.LastIndexByte(r.URL.Path, ':')+1:]
	switch {
	case have != nil && action == "enable":
		delete(have, "disabled")
		return http.StatusOK, object{}
	case have != nil && action == "resume":
		have["state"] = "ENABLED"
		return http.StatusOK, have
	case r.Method == http.MethodPut && have == nil:
		return g.put(s, path, body)
	case r.Method == http.MethodPut:
		return http.StatusConflict, object{"error": object{"code": 409, "message": path + " already exists", "status": "ALREADY_EXISTS"}}
	case r.Method == http.MethodPatch && s.list == "fields":
		return g.patch(r, s, path, body)
	case have == nil:
		return http.StatusNotFound, object{"error": object{"code": 404, "message": path + " not found", "status": "NOT_FOUND"}}
	case r.Method == http.MethodGet:
		return http.StatusOK, have
	case r.Method == http.MethodPatch:
		return g.patch(r, s, path, body)
	}
	return 0, nil
}

// patch changes the fields that the mask names.
func (g *google) patch(r *http.Request, s *shelf, path string, body object) (int, object) {
	have := maps.Clone(g.store[path])
	if have == nil {
		have = object{}
	}
	mask := r.URL.Query().Get("updateMask")
	if wrapped, ok := body["updateMask"].(string); ok { // Pub/Sub
		mask, body = wrapped, body[strings.TrimSuffix(s.list, "s")].(object)
	}
	for field := range strings.SplitSeq(mask, ",") {
		outer, inner, nested := strings.Cut(camel(field), ".")
		if !nested {
			have[outer] = body[outer]
			continue
		}
		values, _ := have[outer].(object)
		values = maps.Clone(values)
		if values == nil {
			values = object{}
		}
		given, _ := body[outer].(object)
		values[inner] = given[inner]
		have[outer] = values
	}
	return g.put(s, path, have)
}

// camel writes a_b as aB, which masks may be in either of.
func camel(name string) string {
	return regexp.MustCompile(`_[a-z]`).ReplaceAllStringFunc(name, func(s string) string { return strings.ToUpper(s[1:]) })
}

// all are the resources on a shelf; "-" in the path stands for any name.
func (g *google) all(path string) []any {
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(path), "/-/", "/[^/]+/") + "/[^/]+$")
	found := []any{}
	for _, name := range slices.Sorted(maps.Keys(g.store)) {
		if pattern.MatchString(name) {
			found = append(found, g.store[name])
		}
	}
	return found
}

// filtered knows the two filters by which gcloud lists fields.
func (g *google) filtered(path, filter string) []any {
	if !strings.HasSuffix(path, "/fields") {
		return g.all(path)
	}
	want := map[string]string{"ttlConfig:*": "ttlConfig", "indexConfig.usesAncestorConfig:false": "indexConfig"}[filter]
	return slices.DeleteFunc(g.all(path), func(one any) bool { return one.(object)[want] == nil })
}
