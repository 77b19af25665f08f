package cloudfake

import (
	"net/url"
	"regexp"
	"strings"
)

// kind is a kind of resource: the path of its collection and how it is created.
type kind struct {
	path   *regexp.Regexp
	list   string // field of a list
	id     string // parameter, or field of the body, with the name of a new one
	inside string // field of the body that contains it
	slow   bool   // changes are operations
	made   func(name string, resource Object)
}

func in(path string) *regexp.Regexp { return regexp.MustCompile("^projects/[^/]+/" + path + "$") }

var kinds = []kind{
	{path: in(`serviceAccounts`), list: "accounts", id: "accountId", inside: "serviceAccount", made: withEmail},
	{path: in(`secrets`), list: "secrets", id: "secretId"},
	{path: in(`secrets/[^/]+/versions`), list: "versions"},
	{path: in(`databases`), list: "databases", id: "databaseId", slow: true},
	{path: in(`databases/[^/]+/collectionGroups/[^/]+/indexes`), list: "indexes", slow: true, made: state("READY")},
	{path: in(`databases/[^/]+/collectionGroups/[^/]+/fields`), list: "fields", slow: true, made: expiring},
	{path: in(`topics`), list: "topics"},
	{path: in(`sinks`), list: "sinks"},
	{path: in(`subscriptions`), list: "subscriptions", made: state("ACTIVE")},
	{path: in(`locations/[^/]+/functions`), list: "functions", id: "functionId", slow: true, made: deployed},
	{path: in(`locations/[^/]+/jobs`), list: "jobs", made: state("ENABLED")},
	{path: in(`alertPolicies`), list: "alertPolicies"},
	{path: in(`dashboards`), list: "dashboards"},
	{path: in(`notificationChannels`), list: "notificationChannels"},
	{path: in(`exclusions`), list: "exclusions", made: withShortName},
	{path: in(`metrics`), list: "metrics", made: withShortName},
	{path: regexp.MustCompile(`^b$`), list: "items", made: bucket},
	{path: regexp.MustCompile(`^b/[^/]+/o$`), list: "items", made: stored},
	{
		path: in(`locations/global/workloadIdentityPools`), list: "workloadIdentityPools",
		id: "workloadIdentityPoolId", slow: true, made: state("ACTIVE"),
	},
	{
		path: in(`locations/global/workloadIdentityPools/[^/]+/providers`), list: "workloadIdentityPoolProviders",
		id: "workloadIdentityPoolProviderId", slow: true, made: state("ACTIVE"),
	},
}

func state(name string) func(string, Object) {
	return func(_ string, resource Object) { resource["state"] = name }
}

func expiring(_ string, resource Object) {
	if resource["ttlConfig"] != nil {
		resource["ttlConfig"] = Object{"state": "ACTIVE"}
	}
}

func withEmail(name string, resource Object) {
	resource["email"], resource["projectId"], resource["uniqueId"] = base(name), strings.Split(name, "/")[1], "1"
}

// withShortName names a resource as Cloud Logging does.
func withShortName(name string, resource Object) { resource["name"] = base(name) }

// bucket and stored name their resources as Cloud Storage does, which is not by the
// whole path.
func bucket(name string, resource Object) { resource["name"], resource["id"] = base(name), base(name) }

func stored(name string, object Object) {
	id, _ := url.PathUnescape(base(name))
	object["name"], object["bucket"], object["generation"] = id, strings.Split(name, "/")[1], "1"
}

func deployed(name string, resource Object) {
	resource["state"], resource["environment"] = "ACTIVE", "GEN_2"
	service := resource["serviceConfig"].(Object)
	service["environmentVariables"].(Object)["LOG_EXECUTION_ID"] = "true" // as Cloud Functions does
	service["uri"] = URL(base(name))
	service["service"] = strings.Replace(name, "/functions/", "/services/", 1)
}

// URL returns the address of a function.
func URL(function string) string { return "https://" + function + "-0123456789-xx.a.run.app" }

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
