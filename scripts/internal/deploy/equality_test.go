package deploy

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// commands are the resources of a plan as command lines of gcloud and aws: the
// model's kind and name, and flags. <path> is an attribute's value; a flag is
// omitted if its attributes have no value.
var commands = map[string]string{
	"google_project_service": "gcloud services <service>",
	"google_service_account": "gcloud iam service-accounts <account_id> --display-name=<display_name>",
	"google_secret_manager_secret": `gcloud secrets <secret_id> --replication-policy=<replication.0.auto>
		--locations=<replication.0.user_managed.0.replicas.0.location>`,
	"google_pubsub_topic": `gcloud pubsub topics <name> --message-retention-duration=<message_retention_duration>
		--message-storage-policy-allowed-regions=<message_storage_policy.0.allowed_persistence_regions.0>`,
	"google_pubsub_subscription": `gcloud pubsub subscriptions <name> --topic=<topic> --ack-deadline=<ack_deadline_seconds>
		--message-retention-duration=<message_retention_duration> --message-filter=<filter>
		--enable-message-ordering=<enable_message_ordering>
		--min-retry-delay=<retry_policy.0.minimum_backoff> --max-retry-delay=<retry_policy.0.maximum_backoff>
		--expiration-period=<expiration_policy>
		--dead-letter-topic=<dead_letter_policy.0.dead_letter_topic> --max-delivery-attempts=<dead_letter_policy.0.max_delivery_attempts>
		--push-endpoint=<push_config.0.push_endpoint> --push-auth-token-audience=<push_config.0.oidc_token.0.audience>
		--push-auth-service-account=<push_config.0.oidc_token.0.service_account_email>`,
	"google_cloudfunctions2_function": `gcloud functions <name> --region=<location> --runtime=<build_config.0.runtime>
		--entry-point=<build_config.0.entry_point> --set-build-env-vars=<build_config.0.environment_variables>
		--build-service-account=<build_config.0.service_account> --service-account=<service_config.0.service_account_email>
		--memory=<service_config.0.available_memory> --cpu=<service_config.0.available_cpu> --timeout=<service_config.0.timeout_seconds>s
		--concurrency=<service_config.0.max_instance_request_concurrency> --min-instances=<service_config.0.min_instance_count>
		--max-instances=<service_config.0.max_instance_count> --ingress-settings=<service_config.0.ingress_settings>
		--serve-all-traffic-latest-revision=<service_config.0.all_traffic_on_latest_revision>
		--set-env-vars=<service_config.0.environment_variables>`,
	"google_cloud_scheduler_job": `gcloud scheduler jobs <name> --location=<region> --description=<description> --schedule=<schedule>
		--time-zone=<time_zone> --uri=<http_target.0.uri> --http-method=<http_target.0.http_method> --attempt-deadline=<attempt_deadline>
		--oidc-service-account-email=<http_target.0.oidc_token.0.service_account_email>
		--oidc-token-audience=<http_target.0.oidc_token.0.audience> --max-retry-attempts=<retry_config.0.retry_count>
		--min-backoff=<retry_config.0.min_backoff_duration> --max-backoff=<retry_config.0.max_backoff_duration>`,
	"google_logging_project_exclusion": "gcloud logging exclusions <name> --description=<description> --filter=<filter>",
	"google_firestore_database": `gcloud firestore databases <name> --location=<location_id> --type=<type> --edition=<database_edition>
		--delete-protection=<delete_protection_state> --enable-pitr=<point_in_time_recovery_enablement>`,
	"google_firestore_index": `gcloud firestore indexes composite <database> <collection> --query-scope=<query_scope>
		--field-config=field-path=<fields.0.field_path>,order=<fields.0.order>
		--field-config=field-path=<fields.1.field_path>,order=<fields.1.order>`,
	"google_firestore_field": `gcloud firestore fields <database> <collection> <field> --disable-indexes=<index_config>
		--index=order=<index_config.0.indexes.0.order> --enable-ttl=<ttl_config>`,
	"google_iam_workload_identity_pool": `gcloud iam workload-identity-pools <workload_identity_pool_id> --display-name=<display_name>
		--description=<description>`,
	"google_iam_workload_identity_pool_provider": `gcloud iam workload-identity-pools providers <workload_identity_pool_provider_id>
		--workload-identity-pool=<workload_identity_pool_id> --display-name=<display_name> --account-id=<aws.0.account_id>
		--attribute-condition=<attribute_condition> --attribute-mapping=<attribute_mapping>`,

	"google_project_iam_member": `gcloud projects binding <project> <role> <member>
		--condition=title=<condition.0.title>,expression=<condition.0.expression>`,
	"google_secret_manager_secret_iam_member": "gcloud secrets binding <secret_id> <role> <member>",
	"google_pubsub_topic_iam_member":          "gcloud pubsub topics binding <topic> <role> <member>",
	"google_pubsub_subscription_iam_member":   "gcloud pubsub subscriptions binding <subscription> <role> <member>",
	"google_service_account_iam_member":       "gcloud iam service-accounts binding <service_account_id> <role> <member>",
	"google_cloud_run_v2_service_iam_member":  "gcloud run services binding <name> <role> <member> --region=<location>",

	"aws_iam_role":             "aws iam role <name> --description=<description> --assume-role-policy-document=<assume_role_policy>",
	"aws_iam_role_policy":      "aws iam role-policy <role> <name> --policy-document=<policy>",
	"aws_cloudwatch_log_group": "aws logs log-group <name> --retention-in-days=<retention_in_days>",
	"aws_lambda_function": `aws lambda function <function_name> --description=<description> --role=<role> --handler=<handler>
		--runtime=<runtime> --architectures=<architectures.0> --memory-size=<memory_size> --timeout=<timeout>
		--package-type=<package_type> --logging-config={"LogFormat":"<logging_config.0.log_format>","LogGroup":"<logging_config.0.log_group>"}
		--environment=<environment.0.variables>`,
	"aws_lambda_permission": `aws lambda permission <function_name> <statement_id> --action=<action> --principal=<principal>
		--event-source-token=<event_source_token>`,

	// Not made by scripts/deploy: gcloud uploads the source to a bucket of Google's.
	"google_storage_bucket": "", "google_storage_bucket_object": "",
}

// notCompared are the attributes, by type, that no flag can set: the cloud or the
// provider computes them. All other attributes are compared.
var notCompared = map[string][]string{
	// The last three have the cloud's defaults.
	"google_cloud_scheduler_job": {"state", "paused", "retry_config.0.max_doublings", "retry_config.0.max_retry_duration"},
	"google_cloudfunctions2_function": {
		"build_config.0.automatic_update_policy", "build_config.0.build", "build_config.0.docker_repository", "environment",
		"service_config.0.direct_vpc_egress", "service_config.0.gcf_uri", "service_config.0.service", "service_config.0.uri",
		"state", "update_time", "url",
	},
	"google_firestore_database": {
		"app_engine_integration_mode", "concurrency_mode", "create_time", "earliest_version_time", "firestore_data_access_mode", "key_prefix",
		"mongodb_compatible_data_access_mode", "realtime_updates_mode", "uid", "update_time", "version_retention_period",
	},
	"google_firestore_index": {"name", "api_scope", "density", "unique", "fields.2.field_path", "fields.2.order"}, // equal in every index
	"aws_iam_role": {
		"arn", "create_date", "inline_policy", "managed_policy_arns", "max_session_duration", "name_prefix", "path", "unique_id",
	},
	"aws_lambda_function": {
		"arn", "code_sha256", "ephemeral_storage", "invoke_arn", "last_modified", "qualified_arn", "qualified_invoke_arn",
		"reserved_concurrent_executions", "signing_job_arn", "signing_profile_version_arn", "source_code_size", "tracing_config", "version",
	},
	"google_firestore_field": {"name"}, "google_iam_workload_identity_pool": {"name", "mode", "state"},
	"google_iam_workload_identity_pool_provider": {"name", "state"},
	"google_secret_manager_secret":               {"name", "create_time", "effective_annotations", "expire_time"},
	"google_service_account":                     {"name", "email", "member", "unique_id"},
	"aws_cloudwatch_log_group":                   {"arn", "log_group_class", "name_prefix"},
	"aws_iam_role_policy":                        {"name_prefix"}, "aws_lambda_permission": {"statement_id_prefix"},
}

// notPlanned are the flags without an attribute: how gcloud deploys and from where.
var notPlanned = []string{"gen2", "trigger-http", "no-allow-unauthenticated", "source", "update-labels", "zip-file"}

var placeholder = regexp.MustCompile(`<([^>]+)>`)

// plannedFlags returns the resources of a plan in the model's form.
func plannedFlags(t *testing.T, file string) map[string]flags {
	t.Helper()
	all := map[string]flags{}
	for _, p := range readPlan(t, file) {
		line, known := commands[p.Type]
		if !known {
			t.Errorf("%s: no command for this type", p.Address)
		}
		if line == "" {
			continue
		}
		p.read = reads{"project": true}
		if project, given := p.Values["project"]; given && project != "maker-prod" {
			t.Errorf("%s is in project %s, want", p.Address, project)
		}
		var key []string
		about := flags{}
		for word := range strings.FieldsSeq(line) {
			empty := true
			filled := placeholder.ReplaceAllStringFunc(word, func(path string) string {
				value := p.at(strings.Trim(path, "<>"))
				empty = empty && (value == "" || value == "false")
				return value
			})
			flag, value, isFlag := strings.Cut(strings.TrimPrefix(filled, "--"), "=")
			value = canonical(value)
			notGiven := empty || strings.HasPrefix(value, `[{"`) || value == later && p.Type == "google_pubsub_topic"
			if !strings.HasPrefix(word, "--") {
				key = append(key, filled)
			} else if isFlag && !notGiven {
				about[flag] = strings.TrimSpace(about[flag] + " " + value)
			}
		}
		if module, ok := strings.CutPrefix(p.Address, "module.aws.module.proxy_"); ok {
			about["region"] = map[string]string{"na": "us-east-1", "eu": "eu-west-1", "fe": "us-west-2"}[module[:2]]
		}
		for _, path := range append(p.read.unread(p.Values, ""), p.read.unread(p.Unknown, "")...) {
			if !slices.Contains(notCompared[p.Type], path) {
				t.Errorf("%s: %s is not compared", p.Address, path)
			}
		}
		name := canonical(strings.Join(key, " "))
		if all[name] != nil {
			t.Errorf("%s: second resource %s", p.Address, name)
		}
		all[name] = about
	}
	return all
}

// words are values for which the CLIs have another word than Terraform. An empty
// block, such as index_config {}, is a flag without a value.
var words = map[string]string{
	"[{}]": "true", "automatic": "true", `[{"ttl":""}]`: "never", "ALLOW_ALL": "all", "ALLOW_INTERNAL_ONLY": "internal-only",
	"FIRESTORE_NATIVE": "firestore-native", "STANDARD": "standard", "COLLECTION": "collection",
	"DELETE_PROTECTION_ENABLED": "true", "POINT_IN_TIME_RECOVERY_ENABLED": "true",
}

var shorter = strings.NewReplacer(
	"projects/maker-prod/topics/", "", "projects/maker-prod/serviceAccounts/", "", "order=ASCENDING", "order=ascending",
)

// canonical returns a value in a form common to plans and flags.
func canonical(value string) string {
	if word, ok := words[value]; ok {
		return word
	}
	var document any
	if strings.HasPrefix(value, "{") && json.Unmarshal([]byte(value), &document) == nil {
		return compact(document)
	}
	return shorter.Replace(value)
}

// madeFlags returns the model's resources without the flags that no plan has.
func madeFlags(m *model) map[string]flags {
	all := map[string]flags{}
	for key, given := range m.made {
		about := flags{}
		for name, value := range given {
			switch {
			case slices.Contains(notPlanned, name), name == "condition" && value == "None", value == "global":
				continue
			case name == "replication-policy" && given["locations"] != "": // implied by locations
				continue
			case strings.HasSuffix(name, "env-vars") || name == "attribute-mapping":
				value = dictionary(value)
			}
			about[name] = canonical(value)
		}
		all[key] = about
	}
	return all
}

// dictionary parses a map as gcloud does.
func dictionary(value string) string {
	separator := ","
	if rest, ok := strings.CutPrefix(value, "^"); ok {
		separator, value, _ = strings.Cut(rest, "^")
	}
	all := map[string]string{}
	for pair := range strings.SplitSeq(value, separator) {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	return compact(all)
}

// TestSameAsTerraform runs the scripts of two settings, and compares each flag with
// the attribute in Terraform's plan.
func TestSameAsTerraform(t *testing.T) {
	t.Parallel()
	for file, settings := range plans {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			m := newModel(t)
			out := m.deploy(settings)
			if settings == ownFile {
				wantOutput(t, out)
			}
			want, got := plannedFlags(t, file), madeFlags(m)
			open := settle(want, got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("resources of Terraform and scripts/deploy differ (-terraform +deploy):\n%s", diff)
			}
			if diff := cmp.Diff(openFlags(want), open); diff != "" {
				t.Errorf("values that Terraform knows only after the apply differ (-want +deploy):\n%s", diff)
			}
		})
	}
}

// settle removes the values that a plan does not know from both sides, and returns
// the script's.
func settle(plan, made map[string]flags) map[string]flags {
	open := map[string]flags{}
	for key, about := range plan {
		for name, value := range about {
			if value != later {
				continue
			}
			if open[key] == nil {
				open[key] = flags{}
			}
			open[key][name] = made[key][name]
			delete(about, name)
			delete(made[key], name)
		}
	}
	return open
}

// openFlags are the values known only after the apply: addresses of functions, and
// names that providers take from other resources.
func openFlags(all map[string]flags) map[string]flags {
	open := map[string]flags{}
	push := func(key, function string) {
		open[key] = flags{"push-endpoint": urlOf(function), "push-auth-token-audience": urlOf(function)}
	}
	for key := range all {
		words := strings.Fields(key)
		name := words[len(words)-1]
		stack := name[:min(len(name), len("gatepost-eu"))]
		switch kind := strings.Join(words[:len(words)-1], " "); {
		case kind == "gcloud functions":
			open[key] = flags{"build-service-account": "gatepost-build@maker-prod.iam.gserviceaccount.com"}
		case kind == "gcloud scheduler jobs":
			open[key] = flags{"uri": urlOf(stack + "-refreshtokens"), "oidc-token-audience": urlOf(stack + "-refreshtokens")}
		case kind == "gcloud pubsub subscriptions" && strings.HasSuffix(name, "-device-events"):
			push(key, stack+"-sendevent")
		case kind == "gcloud pubsub subscriptions" && strings.HasSuffix(name, "-refresh"):
			push(key, stack+"-refreshshard")
		case kind == "aws lambda function":
			open[key] = lambdaFlags(name)
		case words[2] == "role-policy":
			region := map[string]string{"na": "us-east-1", "eu": "eu-west-1", "fe": "us-west-2"}[words[3][len(words[3])-2:]]
			open[key] = flags{"policy-document": canonical(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
				`"Action":["logs:CreateLogStream","logs:PutLogEvents"],` +
				`"Resource":"arn:aws:logs:` + region + `:123456789012:log-group:/aws/lambda/` + words[3] + `:*"}]}`)}
		}
	}
	return open
}

func lambdaFlags(name string) flags {
	stack := "gatepost-" + name[len(name)-2:]
	variables := map[string]string{
		"ACCEPT_GRANT_URL": urlOf(stack + "-acceptgrant"), "SKILL_EVENT_URL": urlOf(stack + "-skillevent"),
		"GOOGLE_SERVICE_ACCOUNT": stack + "-proxy@maker-prod.iam.gserviceaccount.com",
		"GOOGLE_WORKLOAD_PROVIDER": "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/" +
			"gatepost/providers/aws-lambda",
	}
	if strings.HasPrefix(name, "lights-") { // own.json has a directive
		maps.Copy(variables, map[string]string{
			"DIRECTIVE_URL": "https://maker.example/directives", "DIRECTIVE_AUTH": "google", "DIRECTIVE_AUDIENCE": "https://maker.example",
		})
	}
	return flags{"role": "arn:aws:iam::123456789012:role/" + name, "environment": compact(map[string]any{"Variables": variables})}
}
