package cloudfake

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// SlowAccounts has the first policy refused that names an account created from now on.
// Google refuses policies for some time after an account is created.
func (g *Google) SlowAccounts() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unknown = map[string]bool{}
}

// RolesInForce puts the project's roles in force for builds. From then on a role that is
// granted is in force only after the next call: Google takes minutes for it.
func (g *Google) RolesInForce() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inForce = maps.Clone(g.policies)
}

// buildRoles are the roles that a build's account needs in the project, and what Google
// answers without each.
var buildRoles = []struct{ role, refusal string }{
	{"roles/storage.objectViewer", " and message: failed to Fetch: failed to download archive: Access to bucket denied. " +
		"You must grant Storage Object Viewer permission"},
	{"roles/logging.logWriter", ". Could not build the function due to a missing permission on the build service account"},
	{"roles/artifactregistry.writer", ". Could not build the function due to a missing permission on the build service account"},
}

// buildError returns why the build of a function fails, empty if it succeeds.
func (g *Google) buildError(name string, function Object) string {
	if g.failing[base(name)] {
		return "due to quota restrictions, cannot run builds in this region"
	}
	policies := g.inForce
	if policies == nil {
		policies = g.policies
	}
	bindings, _ := policies[project.FindString(name)]["bindings"].([]any)
	account := "serviceAccount:" + base(fmt.Sprint(function["buildConfig"].(Object)["serviceAccount"]))
	for _, needed := range buildRoles {
		if !slices.ContainsFunc(bindings, func(binding any) bool {
			return binding.(Object)["role"] == needed.role && slices.Contains(binding.(Object)["members"].([]any), any(account))
		}) {
			return "Build failed with status: FAILURE" + needed.refusal
		}
	}
	return ""
}

var (
	member  = regexp.MustCompile(`serviceAccount:([^ \]]+)`)
	project = regexp.MustCompile(`^projects/[^/]+`)
)

func (g *Google) policy(path, action string, body Object) (int, Object) {
	// A Cloud Run service exists if its function does.
	if function := strings.Replace(path, "/services/", "/functions/", 1); function != path && g.resources[function] == nil {
		return refusal(http.StatusNotFound, path)
	}
	if action == "setIamPolicy" {
		for _, account := range member.FindAllStringSubmatch(fmt.Sprint(body), -1) {
			if g.unknown[account[1]] {
				delete(g.unknown, account[1])
				message := "Service account " + account[1] + " does not exist."
				return http.StatusBadRequest, Object{"error": Object{"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
			}
		}
		g.policies[path] = body["policy"].(Object)
	}
	if g.policies[path] == nil {
		return http.StatusOK, Object{"etag": "AAAA", "version": 1}
	}
	return http.StatusOK, g.policies[path]
}
