package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// get is what an object has at a path such as pushConfig.oidcToken.audience.
func get(o object, path string) string {
	value := any(o)
	for step := range strings.SplitSeq(path, ".") {
		value = inside(value, step)
	}
	if value == false {
		return ""
	}
	return text(value)
}

func pick(o object, paths map[string]string) map[string]string {
	about := map[string]string{}
	for name, path := range paths {
		about[name] = get(o, path)
	}
	return about
}

// madeFacts are those of what the CLIs' requests have made.
func madeFacts(g *google, a *amazon) facts {
	all := facts{}
	for name, o := range g.store {
		parts := strings.Split(strings.TrimPrefix(name, projectPath+"/"), "/")
		if key, about := madeFact(parts, o); key != "" {
			all[key] = about
		}
	}
	for path, policy := range g.policies {
		addBindings(all, policyOn(path), policy)
	}
	for name, o := range a.store {
		addAmazon(all, name, o)
	}
	return all
}

func madeFact(parts []string, o object) (string, map[string]string) {
	last := parts[len(parts)-1]
	switch kind := parts[len(parts)-2]; kind {
	case "services":
		return "api " + last, map[string]string{}
	case "serviceAccounts":
		account, _, _ := strings.Cut(last, "@")
		return "account " + account, map[string]string{}
	case "secrets":
		where := get(o, "replication.userManaged.replicas.0.location")
		if _, automatic := o["replication"].(object)["automatic"]; automatic {
			where = "automatic"
		}
		return "secret " + last, map[string]string{"replication": where}
	case "topics":
		return "topic " + last, pick(o, map[string]string{"retention": "messageRetentionDuration", "storage": "messageStoragePolicy.allowedPersistenceRegions"})
	case "subscriptions":
		return "subscription " + last, madeSubscription(o)
	case "functions":
		return "function " + parts[1] + "/" + last, madeFunctionFacts(o)
	case "jobs":
		about := pick(o, map[string]string{
			"schedule": "schedule", "zone": "timeZone", "deadline": "attemptDeadline", "method": "httpTarget.httpMethod", "url": "httpTarget.uri", "body": "httpTarget.body",
			"account": "httpTarget.oidcToken.serviceAccountEmail", "audience": "httpTarget.oidcToken.audience",
			"retries": "retryConfig.retryCount", "least": "retryConfig.minBackoffDuration", "most": "retryConfig.maxBackoffDuration",
		})
		about["url"] = strings.TrimSuffix(about["url"], "/")
		return "job " + parts[1] + "/" + last, about
	case "databases":
		return "database " + last, pick(o, map[string]string{
			"location": "locationId", "type": "type", "edition": "databaseEdition", "protection": "deleteProtectionState", "recovery": "pointInTimeRecoveryEnablement",
		})
	case "indexes":
		return "index " + parts[1] + "/" + parts[3], map[string]string{"scope": get(o, "queryScope"), "fields": indexFields(o["fields"], "fieldPath")}
	case "fields":
		return "field " + parts[1] + "/" + parts[3] + "/" + last, map[string]string{
			"indexes": get(o, "indexConfig.indexes.0.fields.0.order"), "told": fmt.Sprint(o["indexConfig"] != nil), "expires": fmt.Sprint(o["ttlConfig"] != nil),
		}
	case "workloadIdentityPools":
		return "pool " + last, map[string]string{}
	case "providers":
		return "provider " + parts[3] + "/" + last, pick(o, map[string]string{"account": "aws.accountId", "condition": "attributeCondition", "mapping": "attributeMapping"})
	}
	return "", nil // versions of secrets, which the test put there
}

func madeSubscription(o object) map[string]string {
	about := pick(o, map[string]string{
		"topic": "topic", "ack deadline": "ackDeadlineSeconds", "retention": "messageRetentionDuration", "filter": "filter", "ordering": "enableMessageOrdering",
		"least back-off": "retryPolicy.minimumBackoff", "most back-off": "retryPolicy.maximumBackoff", "dead letters": "deadLetterPolicy.deadLetterTopic",
		"attempts": "deadLetterPolicy.maxDeliveryAttempts", "url": "pushConfig.pushEndpoint", "account": "pushConfig.oidcToken.serviceAccountEmail",
		"audience": "pushConfig.oidcToken.audience", "expiration": "expirationPolicy.ttl",
	})
	about["topic"], about["dead letters"] = base(about["topic"]), base(about["dead letters"])
	about["expires"] = fmt.Sprint(o["expirationPolicy"] == nil)
	return about
}

func madeFunctionFacts(o object) map[string]string {
	environment, _ := inside(o["serviceConfig"], "environmentVariables").(object)
	about := pick(o, map[string]string{
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

func addBindings(all facts, on string, policy object) {
	bindings, _ := policy["bindings"].([]any)
	for _, one := range bindings {
		b := one.(object)
		for _, member := range b["members"].([]any) {
			all[bindingName(on, get(b, "role"), text(member))] = pick(b, map[string]string{"condition": "condition.expression", "title": "condition.title"})
		}
	}
}

func addAmazon(all facts, name string, o object) {
	switch kind, name, _ := strings.Cut(name, " "); kind {
	case "role":
		all["role "+name] = map[string]string{"assume": sorted(get(o, "assume")), "description": get(o, "Description")}
		for attribute := range o {
			if policy, ok := strings.CutPrefix(attribute, "policy "); ok {
				all["role policy "+name+"/"+policy] = map[string]string{"policy": get(o, attribute)}
			}
		}
	case "log":
		all["log "+name] = map[string]string{"retention": get(o, "retentionInDays")}
	case "lambda":
		all["lambda "+name] = pick(o, map[string]string{
			"description": "Description", "handler": "Handler", "runtime": "Runtime", "architecture": "Architectures.0", "memory": "MemorySize", "timeout": "Timeout",
			"package": "PackageType", "log format": "LoggingConfig.LogFormat", "log": "LoggingConfig.LogGroup", "environment": "Environment.Variables", "role": "Role",
		})
	case "policy":
		for _, one := range o["Statement"].([]any) {
			s := one.(object)
			all["permission "+name+"/"+get(s, "Sid")] = map[string]string{
				"action": get(s, "Action"), "principal": get(s, "Principal.Service"),
				"skill": s["Condition"].(object)["StringEquals"].(object)["lambda:EventSourceToken"].(string),
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
