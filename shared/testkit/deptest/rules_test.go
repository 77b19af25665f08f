package deptest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// layers are the packages that imports point down through, from the top. A
// package in no layer may be used by any and may use any, as long as no layer
// reaches a higher one through it. As on the go command's line, "dir/..." is
// dir and everything below it.
var layers = [][]string{
	{"./scripts/..."},
	{"."},
	{"./functions/..."},
	{"./shared/access/...", "./shared/delivery/..."},
	{"./shared/federation/...", "./shared/gateway/...", "./shared/grant/...", "./shared/grantee/...", "./shared/lwa/...", "./shared/seal/..."},
	{"./shared/alexa/..."},
	{"./shared/sensitive/..."},
}

// A rule says which imports there may not be.
type rule struct {
	name   string
	reason string
	// indirect rules also forbid to reach the package through others.
	indirect bool
	broken   func(from, to string) bool
}

var rules = []rule{{
	name: "downward",
	reason: "imports point downward only (root → functions → access, delivery → federation, gateway, grant, grantee, lwa, seal → alexa → " +
		"sensitive): " +
		"a package that knew its callers could be neither understood nor tested without them",
	indirect: true,
	broken: func(from, to string) bool {
		low, lowKnown := layerOf(from)
		high, highKnown := layerOf(to)
		return lowKnown && highKnown && high < low
	},
}, {
	name:     "shared",
	reason:   "shared packages know no function and no program: they are what all of these have in common",
	indirect: true,
	broken: func(from, to string) bool {
		return in(from, "./shared/...") && in(to, ".", "./functions/...", "./scripts/...")
	},
}, {
	name: "functions apart",
	reason: "functions never import each other: each is deployed, scaled and broken by itself, and what two of them need belongs in " +
		"shared or functions/internal",
	broken: func(from, to string) bool {
		own, other := functionOf(from), functionOf(to)
		return own != "" && other != "" && own != other && other != "internal"
	},
}, {
	name: "cloud SDK",
	reason: "only grantfire, secret, wiring and testkit know a cloud SDK: " +
		"everything else runs, and is tested, without a cloud, and would survive a change to another one",
	broken: func(from, to string) bool {
		return inModule(from) && isCloudSDK(to) &&
			!in(from, "./shared/grant/grantfire/...", "./shared/secret/...", "./functions/internal/wiring", "./shared/testkit/...", "./scripts/...")
	},
}, {
	name: "framework",
	reason: "only the root, functions and shared/host import the Functions Framework: " +
		"a function is a plain http.Handler that any server can serve",
	broken: func(from, to string) bool {
		return in(to, "github.com/GoogleCloudPlatform/functions-framework-go/...") && !in(from, ".", "./functions", "./shared/host/...")
	},
}, {
	name: "test doubles",
	reason: "only tests and scripts import simulator and testkit: " +
		"a deployed function must not carry a fake that it could fall back on",
	broken: func(from, to string) bool {
		return isTestDouble(to) && !isTestDouble(from) && !in(from, "./scripts/...")
	},
}, {
	name: "small proxy",
	reason: "skillproxy starts cold while a customer waits, so it carries neither a cloud SDK nor what serves or stores on Google Cloud, " +
		"and what only an AWS Lambda needs is in no other program",
	indirect: true,
	broken: func(from, to string) bool {
		proxy, aws := []string{"./functions/skillproxy/..."}, []string{"github.com/aws/..."}
		heavy := isCloudSDK(to) || in(to, "github.com/GoogleCloudPlatform/...", "./shared/host/...", "./shared/grant/...", "./shared/seal/...",
			"./shared/secret/...")
		return in(from, proxy...) && heavy || inModule(from) && !in(from, proxy...) && in(to, aws...)
	},
}, {
	name: "foundation",
	reason: "alexa and sensitive import the standard library and each other only: they say what Alexa's messages and secrets are, " +
		"whatever they are used for",
	broken: func(from, to string) bool {
		foundation := []string{"./shared/alexa/...", "./shared/sensitive/..."}
		return in(from, foundation...) && !in(to, foundation...) && !isStandard(to)
	},
}}

// in reports whether pkg is one of the patterns.
func in(pkg string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		dir, below := strings.CutSuffix(pattern, "/...")
		return pkg == dir || below && strings.HasPrefix(pkg, dir+"/")
	})
}

func layerOf(pkg string) (int, bool) {
	i := slices.IndexFunc(layers, func(layer []string) bool { return in(pkg, layer...) })
	return i, i >= 0
}

// functionOf is the directory in functions that the package is of, "" for
// every other package, package functions itself included: that one lists them.
func functionOf(pkg string) string {
	below, _ := strings.CutPrefix(pkg, "./functions/")
	if below == pkg {
		return ""
	}
	name, _, _ := strings.Cut(below, "/")
	return name
}

func inModule(pkg string) bool { return pkg == "." || strings.HasPrefix(pkg, "./") }

func isCloudSDK(pkg string) bool {
	return in(pkg, "cloud.google.com/go/...", "google.golang.org/api/...", "google.golang.org/genproto/...", "google.golang.org/grpc/...")
}

func isTestDouble(pkg string) bool {
	return in(pkg, "./shared/simulator/...", "./shared/testkit/...")
}

// isStandard reports whether the package is of the standard library: nothing
// else has an import path whose first element has no dot.
func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

// violation is one import that breaks a rule.
type violation struct {
	rule rule
	how  string
}

func (v violation) String() string { return v.how + ", but " + v.rule.reason }

// violations judges every import of the graph by every rule.
func violations(g graph) []violation {
	var found []violation
	for _, from := range slices.Sorted(maps.Keys(g)) {
		direct, all := g[from], reach(g, from)
		for _, to := range slices.Sorted(maps.Keys(all)) {
			file, isDirect := direct[to]
			for _, r := range rules {
				if isDirect && r.broken(from, to) {
					found = append(found, violation{r, fmt.Sprintf("%s imports %s", file, to)})
				}
				if !isDirect && r.indirect && r.broken(from, to) {
					found = append(found, violation{r, strings.Join(all[to], " imports ")})
				}
			}
		}
	}
	return found
}

// reach returns every package that from imports, itself or through others,
// with the shortest path to it.
func reach(g graph, from string) map[string][]string {
	reached := map[string][]string{}
	queue := [][]string{{from}}
	for len(queue) > 0 {
		trail := queue[0]
		queue = queue[1:]
		for _, to := range slices.Sorted(maps.Keys(g[trail[len(trail)-1]])) {
			if reached[to] == nil {
				reached[to] = append(slices.Clone(trail), to)
				queue = append(queue, reached[to])
			}
		}
	}
	return reached
}
