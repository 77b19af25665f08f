package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// facts are what matters of resources, attribute by attribute, in a form that
// a Terraform plan and the requests of gcloud and aws can both be brought into.
// What is not set, or false, is "".
type facts map[string]map[string]string

// leftOut are the types of Terraform's that scripts/deploy does not make.
var leftOut = map[string]string{
	"google_monitoring_alert_policy": "told by the help text",
	"google_storage_bucket":          "gcloud uploads the source to a bucket of Google's",
	"google_storage_bucket_object":   "as above",
}

// planFacts are those of a plan.
func planFacts(t *testing.T, plan []planned) facts {
	t.Helper()
	all := facts{}
	for _, p := range plan {
		if leftOut[p.Type] != "" {
			continue
		}
		p.Read = reads{}
		name, about := planFact(p)
		if project := p.at("project"); project != "" && project != "maker-prod" {
			t.Errorf("%s is in project %s", p.Address, project)
		}
		for _, path := range append(p.Read.unread(p.Values, ""), p.Read.unread(p.Unknown, "")...) {
			if !slices.Contains(notCompared[p.Type], path) {
				t.Errorf("%s: %s is compared with nothing", p.Address, path)
			}
		}
		if name == "" {
			t.Errorf("%s: there is no comparison for this type", p.Address)
		}
		if all[name] != nil {
			t.Errorf("%s: there is another %s", p.Address, name)
		}
		all[name] = about
	}
	return all
}

// value returns what is there by this name, all of which counts as asked for.
func (p planned) value(name string) any {
	if p.Read != nil {
		p.Read[name] = true
	}
	return p.Values[name]
}

// notCompared are the attributes that no command could set, by type: the cloud
// gives them, or the provider makes them of others. What else shows up in a plan
// has to be compared.
var notCompared = map[string][]string{
	"google_cloud_scheduler_job": {"state", "paused", "retry_config.0.max_doublings", "retry_config.0.max_retry_duration"}, // the last three with the cloud's defaults
	"google_cloudfunctions2_function": {
		"build_config.0.automatic_update_policy", "build_config.0.build", "build_config.0.docker_repository", "environment", "service_config.0.direct_vpc_egress",
		"service_config.0.gcf_uri", "service_config.0.service", "service_config.0.uri", "state", "update_time", "url",
	},
	"google_firestore_database": {
		"app_engine_integration_mode", "concurrency_mode", "create_time", "earliest_version_time", "firestore_data_access_mode", "key_prefix",
		"mongodb_compatible_data_access_mode", "realtime_updates_mode", "uid", "update_time", "version_retention_period",
	},
	"google_firestore_field":                     {"name"},
	"google_firestore_index":                     {"name", "api_scope", "density", "unique"}, // a standard database has one of each
	"google_iam_workload_identity_pool":          {"name", "mode", "state"},
	"google_iam_workload_identity_pool_provider": {"name", "state"},
	"google_secret_manager_secret":               {"name", "create_time", "effective_annotations", "expire_time"},
	"google_service_account":                     {"name", "email", "member", "unique_id"},
	"aws_cloudwatch_log_group":                   {"arn", "log_group_class", "name_prefix"},
	"aws_iam_role":                               {"arn", "create_date", "inline_policy", "managed_policy_arns", "max_session_duration", "name_prefix", "path", "unique_id"},
	"aws_iam_role_policy":                        {"name_prefix", "role"}, // the role's name is in the resource's
	"aws_lambda_function": {
		"arn", "code_sha256", "ephemeral_storage", "invoke_arn", "last_modified", "qualified_arn", "qualified_invoke_arn", "reserved_concurrent_executions",
		"signing_job_arn", "signing_profile_version_arn", "source_code_size", "tracing_config", "version",
	},
	"aws_lambda_permission": {"statement_id_prefix"},
}

// pick returns some attributes under names of their own.
func (p planned) pick(paths map[string]string) map[string]string {
	about := map[string]string{}
	for name, path := range paths {
		about[name] = p.at(path)
	}
	return about
}

func planFact(p planned) (string, map[string]string) {
	if strings.HasSuffix(p.Type, "_iam_member") {
		return planBinding(p)
	}
	switch p.Type {
	case "google_project_service":
		return "api " + p.at("service"), map[string]string{}
	case "google_service_account":
		return "account " + p.at("account_id"), map[string]string{"title": p.at("display_name")}
	case "google_secret_manager_secret":
		where := p.at("replication.0.user_managed.0.replicas.0.location")
		if where == "" && p.at("replication.0.auto") != "" {
			where = "automatic"
		}
		return "secret " + p.at("secret_id"), map[string]string{"replication": where}
	case "google_pubsub_topic":
		about := p.pick(map[string]string{"retention": "message_retention_duration", "storage": "message_storage_policy.0.allowed_persistence_regions"})
		if about["storage"] == later {
			about["storage"] = "" // not given
		}
		return "topic " + p.at("name"), about
	case "google_pubsub_subscription":
		return "subscription " + p.at("name"), planSubscription(p)
	case "google_cloudfunctions2_function":
		return "function " + p.at("location") + "/" + p.at("name"), planFunction(p)
	case "google_cloud_scheduler_job":
		return "job " + p.at("region") + "/" + p.at("name"), p.pick(map[string]string{
			"description": "description", "schedule": "schedule", "zone": "time_zone", "deadline": "attempt_deadline", "method": "http_target.0.http_method", "url": "http_target.0.uri",
			"body": "http_target.0.body", "account": "http_target.0.oidc_token.0.service_account_email", "audience": "http_target.0.oidc_token.0.audience",
			"retries": "retry_config.0.retry_count", "least": "retry_config.0.min_backoff_duration", "most": "retry_config.0.max_backoff_duration",
		})
	}
	return planOther(p)
}

func planOther(p planned) (string, map[string]string) {
	switch p.Type {
	case "google_firestore_database":
		return "database " + p.at("name"), p.pick(map[string]string{
			"location": "location_id", "type": "type", "edition": "database_edition", "protection": "delete_protection_state", "recovery": "point_in_time_recovery_enablement",
		})
	case "google_firestore_index":
		return "index " + p.at("database") + "/" + p.at("collection"), map[string]string{"scope": p.at("query_scope"), "fields": indexFields(p.value("fields"), "field_path")}
	case "google_firestore_field":
		return "field " + p.at("database") + "/" + p.at("collection") + "/" + p.at("field"), map[string]string{
			"indexes": p.at("index_config.0.indexes.0.order"), "scope": p.at("index_config.0.indexes.0.query_scope"), "told": fmt.Sprint(p.value("index_config") != nil), "expires": fmt.Sprint(p.value("ttl_config") != nil),
		}
	case "google_iam_workload_identity_pool":
		return "pool " + p.at("workload_identity_pool_id"), p.pick(map[string]string{"title": "display_name", "description": "description"})
	case "google_iam_workload_identity_pool_provider":
		return "provider " + p.at("workload_identity_pool_id") + "/" + p.at("workload_identity_pool_provider_id"), p.pick(map[string]string{
			"title": "display_name", "account": "aws.0.account_id", "condition": "attribute_condition", "mapping": "attribute_mapping",
		})
	}
	return planAmazon(p)
}

func planSubscription(p planned) map[string]string {
	about := p.pick(map[string]string{
		"topic": "topic", "ack deadline": "ack_deadline_seconds", "retention": "message_retention_duration", "filter": "filter", "ordering": "enable_message_ordering",
		"least back-off": "retry_policy.0.minimum_backoff", "most back-off": "retry_policy.0.maximum_backoff", "dead letters": "dead_letter_policy.0.dead_letter_topic",
		"attempts": "dead_letter_policy.0.max_delivery_attempts", "url": "push_config.0.push_endpoint", "account": "push_config.0.oidc_token.0.service_account_email",
		"audience": "push_config.0.oidc_token.0.audience", "expiration": "expiration_policy.0.ttl",
	})
	about["topic"], about["dead letters"] = base(about["topic"]), base(about["dead letters"])
	about["expires"] = fmt.Sprint(p.value("expiration_policy") == nil) // in 31 days, by default
	return about
}

func planFunction(p planned) map[string]string {
	return p.pick(map[string]string{
		"runtime": "build_config.0.runtime", "entry point": "build_config.0.entry_point", "build environment": "build_config.0.environment_variables",
		"memory": "service_config.0.available_memory", "cpu": "service_config.0.available_cpu", "timeout": "service_config.0.timeout_seconds",
		"concurrency": "service_config.0.max_instance_request_concurrency", "least instances": "service_config.0.min_instance_count",
		"most instances": "service_config.0.max_instance_count", "ingress": "service_config.0.ingress_settings", "account": "service_config.0.service_account_email",
		"traffic": "service_config.0.all_traffic_on_latest_revision", "environment": "service_config.0.environment_variables",
		"secrets": "service_config.0.secret_environment_variables", "build account": "build_config.0.service_account", "trigger": "event_trigger",
	})
}

// planBinding is a member's role on one resource. All of it is in the name.
func planBinding(p planned) (string, map[string]string) {
	on := ""
	switch p.Type {
	case "google_project_iam_member":
		on = "project " + p.at("project")
	case "google_secret_manager_secret_iam_member":
		on = "secret " + p.at("secret_id")
	case "google_pubsub_topic_iam_member":
		on = "topic " + p.at("topic")
	case "google_pubsub_subscription_iam_member":
		on = "subscription " + p.at("subscription")
	case "google_service_account_iam_member":
		on = "account " + base(p.at("service_account_id"))
	case "google_cloud_run_v2_service_iam_member":
		on = "service " + p.at("location") + "/" + p.at("name")
	default:
		return "", nil
	}
	return bindingName(on, p.at("role"), p.at("member")), p.pick(map[string]string{"condition": "condition.0.expression", "title": "condition.0.title"})
}

func bindingName(on, role, member string) string {
	return "binding of " + member + " as " + role + " on " + on
}

func planAmazon(p planned) (string, map[string]string) {
	switch p.Type {
	case "aws_iam_role":
		return "role " + p.at("name"), map[string]string{"assume": sorted(p.at("assume_role_policy")), "description": p.at("description")}
	case "aws_iam_role_policy":
		// The role is a resource whose name the plan shows only there.
		module, _, _ := strings.Cut(p.Address, "[")
		return "role policy gatepost-skill-proxy-" + strings.TrimPrefix(module, "module.proxy_") + "/" + p.at("name"), map[string]string{"policy": p.at("policy")}
	case "aws_cloudwatch_log_group":
		return "log " + p.at("name"), map[string]string{"retention": p.at("retention_in_days")}
	case "aws_lambda_function":
		return "lambda " + p.at("function_name"), p.pick(map[string]string{
			"description": "description", "handler": "handler", "runtime": "runtime", "architecture": "architectures.0", "memory": "memory_size", "timeout": "timeout",
			"package": "package_type", "log format": "logging_config.0.log_format", "log": "logging_config.0.log_group", "environment": "environment.0.variables", "role": "role",
		})
	case "aws_lambda_permission":
		return "permission " + p.at("function_name") + "/" + p.at("statement_id"), p.pick(map[string]string{
			"action": "action", "principal": "principal", "skill": "event_source_token",
		})
	}
	return "", nil
}

// sorted writes JSON with its names in alphabetical order.
func sorted(document string) string {
	var value any
	if json.Unmarshal([]byte(document), &value) != nil {
		return document
	}
	return compact(value)
}

func indexFields(value any, path string) string {
	var all []string
	for _, one := range value.([]any) {
		if name := text(inside(one, path)); name != "__name__" { // every index ends with it
			all = append(all, name+" "+text(inside(one, "order")))
		}
	}
	return strings.Join(all, ", ")
}

// otherStacks finds what belongs to the stacks of NA and FE only.
var otherStacks = regexp.MustCompile(`gatepost-(na|fe)\b|gatepost-(token-keyset|skill-proxy)-(na|fe)\b|(lights-proxy|device-events)-(na|fe)\b`)

// onlyEU leaves what is shared and what is of the stack of EU.
func (f facts) onlyEU() facts {
	f = maps.Clone(f)
	maps.DeleteFunc(f, func(name string, _ map[string]string) bool { return otherStacks.MatchString(name) })
	return f
}

// unknowable are the attributes that a plan may leave open: addresses of
// functions, and what is made of them or of other names that the cloud gives.
var unknowable = []string{"url", "audience", "environment", "policy", "role", "build account"}

// settle takes what the plan leaves open out of both, and returns it as the
// requests have it.
func settle(t *testing.T, plan, made facts) facts {
	t.Helper()
	open := facts{}
	for name, about := range plan {
		for attribute, value := range about {
			if value != later {
				continue
			}
			if !slices.Contains(unknowable, attribute) {
				t.Errorf("%s: the plan leaves the %s open, so that it cannot be compared", name, attribute)
			}
			if open[name] == nil {
				open[name] = map[string]string{}
			}
			open[name][attribute] = made[name][attribute]
			delete(about, attribute)
			delete(made[name], attribute)
		}
	}
	return open
}

// TestPlanFacts: every attribute of every resource of the plans can be compared,
// and none stands for two.
func TestPlanFacts(t *testing.T) {
	t.Parallel()
	for file, least := range map[string]int{planFile: 80, planOwnFile: 70} {
		all := planFacts(t, readPlanIn(t, file))
		if eu := all.onlyEU(); len(eu) == len(all) || len(eu) < least {
			t.Errorf("%s: %d of %d resources are shared or of EU", file, len(eu), len(all))
		}
	}
}
