package cloudfake

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// SlowAccounts has the first policy refused that names an account created from now on.
// Google refuses policies for some time after an account is created.
func (g *Google) SlowAccounts() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unknown = map[string]bool{}
}

var member = regexp.MustCompile(`serviceAccount:([^ \]]+)`)

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
