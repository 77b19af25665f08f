package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// made is something as the CLIs' requests have made it, and what was asked of it.
type made struct {
	object
	read reads
}

// at is what it has at a path such as pushConfig.oidcToken.audience.
func (m made) at(path string) string {
	m.read[path] = true
	value := any(m.object)
	for step := range strings.SplitSeq(path, ".") {
		value = inside(value, step)
	}
	if value == false {
		return ""
	}
	return text(value)
}

func (m made) pick(paths map[string]string) map[string]string {
	about := map[string]string{}
	for name, path := range paths {
		about[name] = m.at(path)
	}
	return about
}

// value returns what is there by this name, all of which counts as asked for.
func (m made) value(name string) any {
	m.read[name] = true
	return m.object[name]
}

// check fails the test for what was asked for by nobody, but for what is in the
// list of that kind.
func (m made) check(t *testing.T, kind, name string) {
	t.Helper()
	for _, path := range m.read.unread(m.object, "") {
		if !slices.Contains(notAsked[kind], path) {
			t.Errorf("%s: the requests have set %s to %s, and Terraform's is not compared with it", name, path, m.at(path))
		}
	}
}

// notAsked is, by kind, what the comparison does not look at: names, which it
// goes by, and what the fakes give as the clouds would. The others say why.
var notAsked = map[string][]string{
	"services":        {"name", "state", "config.name"},
	"serviceAccounts": {"name", "email"},
	"secrets":         {"name"},
	"topics":          {"name"},
	"subscriptions":   {"name"},
	"functions": {
		"name", "state", "environment", "serviceConfig.service", "serviceConfig.uri",
		"buildConfig.source.storageSource.bucket", "buildConfig.source.storageSource.object", // where gcloud uploads to
		"labels.deployment-tool", "labels.gatepost-source", // of gcloud, and of this program: Terraform has the object's name
	},
	"jobs":                  {"name", "retryConfig.maxDoublings"}, // gcloud sends the default, which Terraform leaves to the cloud
	"databases":             {"name"},
	"indexes":               {"name", "apiScope", "multikey"}, // defaults, which gcloud sends
	"fields":                {"name"},
	"workloadIdentityPools": {"name", "state", "disabled"}, // false, which gcloud sends
	"providers":             {"name", "state", "disabled"},
	"role":                  {"RoleName"},
	"log":                   {"logGroupName", "region"},
	"lambda":                {"FunctionName", "CodeSha256", "State", "LastUpdateStatus", "region"},
	"policy":                {"Version"},
}

// madeFacts are those of what the CLIs' requests have made.
func madeFacts(t *testing.T, g *google, a *amazon) facts {
	t.Helper()
	all := facts{}
	for name, o := range g.store {
		parts := strings.Split(strings.TrimPrefix(name, projectPath+"/"), "/")
		m := made{o, reads{}}
		if key, about := madeFact(parts, m); key != "" {
			all[key] = about
			m.check(t, parts[len(parts)-2], name)
		}
	}
	for path, policy := range g.policies {
		addBindings(t, all, policyOn(path), policy)
	}
	for name, o := range a.store {
		addAmazon(t, all, name, made{o, reads{}})
	}
	return all
}

func madeFact(parts []string, o made) (string, map[string]string) {
	last := parts[len(parts)-1]
	switch kind := parts[len(parts)-2]; kind {
	case "services":
		return "api " + last, map[string]string{}
	case "serviceAccounts":
		account, _, _ := strings.Cut(last, "@")
		return "account " + account, o.pick(map[string]string{"title": "displayName"})
	case "secrets":
		where := o.at("replication.userManaged.replicas.0.location")
		if _, automatic := o.value("replication").(object)["automatic"]; automatic {
			where = "automatic"
		}
		return "secret " + last, map[string]string{"replication": where}
	case "topics":
		return "topic " + last, o.pick(map[string]string{"retention": "messageRetentionDuration", "storage": "messageStoragePolicy.allowedPersistenceRegions"})
	case "subscriptions":
		return "subscription " + last, madeSubscription(o)
	case "functions":
		return "function " + parts[1] + "/" + last, madeFunctionFacts(o)
	case "jobs":
		about := o.pick(map[string]string{
			"description": "description", "schedule": "schedule", "zone": "timeZone", "deadline": "attemptDeadline", "method": "httpTarget.httpMethod", "url": "httpTarget.uri", "body": "httpTarget.body",
			"account": "httpTarget.oidcToken.serviceAccountEmail", "audience": "httpTarget.oidcToken.audience",
			"retries": "retryConfig.retryCount", "least": "retryConfig.minBackoffDuration", "most": "retryConfig.maxBackoffDuration",
		})
		about["url"] = strings.TrimSuffix(about["url"], "/")
		return "job " + parts[1] + "/" + last, about
	case "databases":
		return "database " + last, o.pick(map[string]string{
			"location": "locationId", "type": "type", "edition": "databaseEdition", "protection": "deleteProtectionState", "recovery": "pointInTimeRecoveryEnablement",
		})
	case "indexes":
		return "index " + parts[1] + "/" + parts[3], map[string]string{"scope": o.at("queryScope"), "fields": indexFields(o.value("fields"), "fieldPath")}
	case "fields":
		return "field " + parts[1] + "/" + parts[3] + "/" + last, map[string]string{
			"indexes": o.at("indexConfig.indexes.0.fields.0.order"), "scope": o.at("indexConfig.indexes.0.queryScope"), "told": fmt.Sprint(o.object["indexConfig"] != nil), "expires": fmt.Sprint(o.value("ttlConfig") != nil),
		}
	case "workloadIdentityPools":
		return "pool " + last, o.pick(map[string]string{"title": "displayName", "description": "description"})
	case "providers":
		return "provider " + parts[3] + "/" + last, o.pick(map[string]string{"title": "displayName", "account": "aws.accountId", "condition": "attributeCondition", "mapping": "attributeMapping"})
	}
	return "", nil // versions of secrets, which the test put there
}

func madeSubscription(o made) map[string]string {
	about := o.pick(map[string]string{
		"topic": "topic", "ack deadline": "ackDeadlineSeconds", "retention": "messageRetentionDuration", "filter": "filter", "ordering": "enableMessageOrdering",
		"least back-off": "retryPolicy.minimumBackoff", "most back-off": "retryPolicy.maximumBackoff", "dead letters": "deadLetterPolicy.deadLetterTopic",
		"attempts": "deadLetterPolicy.maxDeliveryAttempts", "url": "pushConfig.pushEndpoint", "account": "pushConfig.oidcToken.serviceAccountEmail",
		"audience": "pushConfig.oidcToken.audience", "expiration": "expirationPolicy.ttl",
	})
	about["topic"], about["dead letters"] = base(about["topic"]), base(about["dead letters"])
	about["expires"] = fmt.Sprint(o.value("expirationPolicy") == nil)
	return about
}

func madeFunctionFacts(o made) map[string]string {
	environment, _ := inside(o.object["serviceConfig"], "environmentVariables").(object)
	about := o.pick(map[string]string{
		"runtime": "buildConfig.runtime", "entry point": "buildConfig.entryPoint", "build environment": "buildConfig.environmentVariables",
		"memory": "serviceConfig.availableMemory", "cpu": "serviceConfig.availableCpu", "timeout": "serviceConfig.timeoutSeconds",
		"concurrency": "serviceConfig.maxInstanceRequestConcurrency", "least instances": "serviceConfig.minInstanceCount",
		"most instances": "serviceConfig.maxInstanceCount", "ingress": "serviceConfig.ingressSettings", "account": "serviceConfig.serviceAccountEmail",
		"traffic": "serviceConfig.allTrafficOnLatestRevision", "environment": "serviceConfig.environmentVariables",
		"secrets": "serviceConfig.secretEnvironmentVariables", "build account": "buildConfig.serviceAccount", "trigger": "eventTrigger",
	})
	environment = maps.Clone(environment)
	delete(environment, "LOG_EXECUTION_ID")
	about["environment"] = compact(environment)
	return about
}

// policyOn names the resource of a policy.
func policyOn(path string) string {
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	switch parts[len(parts)-2] {
	case "projects":
		return "project " + last
	case "services":
		return "service " + parts[3] + "/" + last
	case "serviceAccounts":
		return "account " + last
	}
	return strings.TrimSuffix(parts[len(parts)-2], "s") + " " + last
}

func addBindings(t *testing.T, all facts, on string, policy object) {
	bindings, _ := policy["bindings"].([]any)
	for _, one := range bindings {
		b := made{one.(object), reads{}}
		for _, member := range b.value("members").([]any) {
			all[bindingName(on, b.at("role"), text(member))] = b.pick(map[string]string{"condition": "condition.expression", "title": "condition.title"})
		}
		b.check(t, "binding", on)
	}
}

func addAmazon(t *testing.T, all facts, name string, o made) {
	t.Helper()
	kind, name, _ := strings.Cut(name, " ")
	defer o.check(t, kind, name)
	switch kind {
	case "role":
		all["role "+name] = map[string]string{"assume": sorted(o.at("assume")), "description": o.at("Description")}
		for attribute := range o.object {
			if policy, ok := strings.CutPrefix(attribute, "policy "); ok {
				all["role policy "+name+"/"+policy] = map[string]string{"policy": o.at(attribute)}
			}
		}
	case "log":
		all["log "+name] = map[string]string{"retention": o.at("retentionInDays")}
	case "lambda":
		all["lambda "+name] = o.pick(map[string]string{
			"description": "Description", "handler": "Handler", "runtime": "Runtime", "architecture": "Architectures.0", "memory": "MemorySize", "timeout": "Timeout",
			"package": "PackageType", "log format": "LoggingConfig.LogFormat", "log": "LoggingConfig.LogGroup", "environment": "Environment.Variables", "role": "Role",
		})
	case "policy":
		for _, one := range o.value("Statement").([]any) {
			s := made{one.(object), reads{}}
			all["permission "+name+"/"+s.at("Sid")] = map[string]string{
				"action": s.at("Action"), "principal": s.at("Principal.Service"),
				"skill": s.value("Condition").(object)["StringEquals"].(object)["lambda:EventSourceToken"].(string),
			}
		}
	}
}

// decode reads an object, nil if it is none.
func decode(document string) object {
	var o object
	_ = json.Unmarshal([]byte(document), &o)
	return o
}
