package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/googleapi"
)

// location returns the path of a resource in the stack's location.
func (e *exam) location(kind, name string) string {
	return fmt.Sprintf("v2/projects/%s/locations/%s/%s/%s", e.project, string(e.stack.Location), kind, name)
}

// uri returns the address of a function of the stack, empty if there is no function: that
// is for another check. It is false if the operator may not read the function.
func (e *exam) uri(ctx context.Context, entryPoint string) (string, bool) {
	function, err := e.try(ctx, "cloudfunctions", e.location("functions", e.name(strings.ToLower(entryPoint))), nil)
	if googleapi.IsStatus(err, http.StatusForbidden) {
		e.skip("you may not read the function %s, which takes roles/viewer", entryPoint)
		return "", false
	}
	return at(function, "serviceConfig.uri"), true
}

// name returns the name of a resource of the stack, such as gatepost-eu-refresh.
func (e *exam) name(suffix string) string { return string(e.stack.Database()) + "-" + suffix }

// account returns a service account of the stack as policies name it.
func (e *exam) account(suffix string) string {
	return "serviceAccount:" + e.email(suffix)
}

func (e *exam) email(suffix string) string {
	return e.name(suffix) + "@" + e.project + ".iam.gserviceaccount.com"
}

func checkActive(ctx context.Context, e *exam) {
	functions := e.stack.Functions()
	for _, f := range functions {
		function, ok := e.read(ctx, "cloudfunctions", e.location("functions", string(f.Name())), nil)
		if state := at(function, "state"); ok && state != "ACTIVE" {
			e.fail("%s is %s: %s", string(f.EntryPoint), state, at(function, "stateMessages.0.message"))
		}
	}
	e.ok("%d functions", len(functions))
}

// checkFunctions shows no value of the environment: a secret may be there by mistake.
func checkFunctions(ctx context.Context, e *exam) {
	for _, f := range e.stack.Functions() {
		function, ok := e.read(ctx, "cloudfunctions", e.location("functions", string(f.Name())), nil)
		if !ok {
			continue
		}
		name := string(f.EntryPoint)
		ingress := map[bool]string{true: "ALLOW_ALL", false: "ALLOW_INTERNAL_ONLY"}[f.Ingress == "all"]
		e.want(name, function, "buildConfig.entryPoint", name, "serviceConfig.ingressSettings", ingress,
			"serviceConfig.timeoutSeconds", "60", "serviceConfig.maxInstanceRequestConcurrency", string(f.Concurrency),
			"serviceConfig.serviceAccountEmail", string(f.Email()))
		if e.Settings != "" {
			e.want(name, function, "serviceConfig.availableMemory", string(f.Size.Memory), "serviceConfig.availableCpu", string(f.Size.CPU),
				"serviceConfig.maxInstanceCount", string(f.Size.MaxInstances))
			if f.Size.MinInstances != "0" { // which is left out of answers
				e.want(name, function, "serviceConfig.minInstanceCount", string(f.Size.MinInstances))
			}
		}
		config, _ := function["serviceConfig"].(object)
		deployed, _ := config["environmentVariables"].(object)
		for _, variable := range sorted(f.Env) {
			own := strings.HasSuffix(variable, "_REGIONS") || strings.HasPrefix(variable, "FIRESTORE") || strings.HasSuffix(variable, "_PROJECT")
			switch value, set := deployed[variable]; {
			case e.Settings == "" && !own:
			case !set:
				e.fail("%s: %s is not set", name, variable)
			case value != string(f.Env[variable]):
				e.fail("%s: %s is not as in the settings", name, variable)
			}
		}
		for _, variable := range sorted(deployed) {
			if _, set := f.Env[variable]; !set && variable != "LOG_EXECUTION_ID" && e.Settings != "" {
				e.warn("%s: %s is set, and not in the settings", name, variable)
			}
		}
	}
	e.ok("memory, scaling, accounts and environments")
	if e.Settings == "" {
		e.ok("as far as can be told without --settings")
	}
}

// log reads the newest lines, up to a number, of the stack's functions that a filter selects.
func (e *exam) log(ctx context.Context, filter string, since time.Duration, number int) ([]object, bool) {
	filter = fmt.Sprintf(`resource.labels.service_name=~"^%s-" AND %s AND timestamp>=%q`, string(e.stack.Database()), filter,
		e.env.Now().Add(-since).UTC().Format(time.RFC3339))
	page, ok := e.read(ctx, "logging", "v2/entries:list", object{
		"resourceNames": []string{"projects/" + e.project}, "filter": filter, "orderBy": "timestamp desc", "pageSize": number,
	})
	return items(page, "entries"), ok
}

// checkVersion reads the lines that processes write at their start.
func checkVersion(ctx context.Context, e *exam) {
	lines, ok := e.log(ctx, `jsonPayload.message="ready"`, 30*24*time.Hour, 1000)
	versions, seen := map[string][]string{}, map[string]bool{} // functions by version
	for _, line := range lines {
		service := strings.TrimPrefix(at(line, "resource.labels.service_name"), e.name(""))
		if version := at(line, "jsonPayload.version"); !seen[service] { // the newest
			seen[service], versions[version] = true, append(versions[version], service)
		}
	}
	for _, version := range sorted(versions) {
		slices.Sort(versions[version])
		e.ok("%s", version)
		if len(versions) > 1 {
			e.warn("%s: %s", version, strings.Join(versions[version], ", "))
		}
	}
	if ok && len(versions) == 0 {
		e.skip("no function has started in 30 days")
	}
}

// members returns the members of the role in a policy, whose condition has to contain a
// text.
func members(policy object, role, condition string) []string {
	var all []string
	for _, binding := range items(policy, "bindings") {
		list, _ := binding["members"].([]any)
		for _, member := range list {
			if at(binding, "role") == role && strings.Contains(at(binding, "condition.expression"), condition) {
				all = append(all, fmt.Sprint(member))
			}
		}
	}
	return all
}

// granted fails unless the policy of a resource of Pub/Sub, Secret Manager or IAM grants
// a role to a member. It returns all members of the role.
func (e *exam) granted(ctx context.Context, api, resource, role, member string) []string {
	var body any
	if api == "iam" { // which wants a POST
		body = object{}
	}
	policy, ok := e.read(ctx, api, "v1/"+resource+":getIamPolicy", body)
	all := members(policy, role, "")
	if ok && !slices.Contains(all, member) {
		e.fail("%s lacks %s on %s", bare(member), role, path.Base(path.Dir(resource))+"/"+path.Base(resource))
	}
	return all
}

// bare returns a member without its kind and domain.
func bare(member string) string {
	_, member, _ = strings.Cut(member, ":")
	member, _, _ = strings.Cut(member, "@")
	return member
}

func checkInvokers(ctx context.Context, e *exam) {
	const role = "roles/run.invoker"
	for _, f := range e.stack.Functions() {
		policy, ok := e.read(ctx, "run", e.location("services", string(f.Name()))+":getIamPolicy", nil)
		all, caller := members(policy, role, ""), e.account(string(f.Caller))
		if ok && !slices.Contains(all, caller) {
			e.fail("%s may not call %s", bare(caller), string(f.EntryPoint))
		}
		for _, member := range all {
			switch {
			case member == "allUsers" || member == "allAuthenticatedUsers":
				e.fail("%s may call %s", member, string(f.EntryPoint))
			case member != caller:
				e.warn("%s may call %s", member, string(f.EntryPoint))
			}
		}
	}
	e.ok("only the callers")
}

// checkDoor reads whether Cloud Run checks IAM. It calls the functions that the internet
// reaches with a GET, which none allows: one that is called answers 405.
func checkDoor(ctx context.Context, e *exam) {
	for _, f := range e.stack.Functions() {
		service, ok := e.read(ctx, "run", e.location("services", string(f.Name())), nil)
		if ok && at(service, "invokerIamDisabled") == "true" {
			e.fail("%s: the IAM check is off", string(f.EntryPoint))
		}
	}
	for _, name := range []string{"AcceptGrant", "SkillEvent"} {
		address, ok := e.uri(ctx, name)
		if !ok {
			continue
		}
		if address == "" {
			e.fail("%s has no address", name)
			continue
		}
		switch status, err := e.get(ctx, address); {
		case err != nil:
			e.fail("%s could not be called: %v", name, err)
		case status != http.StatusForbidden && status != http.StatusUnauthorized:
			e.fail("%s answers %d, want 403", name, status)
		}
	}
	e.ok("IAM is checked: 403")
}

// get returns the status of an address.
func (e *exam) get(ctx context.Context, address string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	response, err := e.http.Do(request)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, response.Body.Close()
}

// pubsubAgent returns Pub/Sub's own account in the project.
func (e *exam) pubsubAgent() string {
	return "serviceAccount:service-" + e.number + "@gcp-sa-pubsub.iam.gserviceaccount.com"
}

func checkCallers(ctx context.Context, e *exam) {
	account := func(suffix string) string { return "projects/-/serviceAccounts/" + e.email(suffix) }
	pool := "//iam.googleapis.com/projects/" + e.number + "/locations/global/workloadIdentityPools/gatepost"
	lambda := "principal:" + pool + "/subject/" + string(e.stack.AssumedRole())
	const openID = "roles/iam.serviceAccountOpenIdTokenCreator"
	if e.Settings != "" {
		for _, member := range e.granted(ctx, "iam", account("proxy"), openID, lambda) {
			if member != lambda {
				e.warn("%s may get tokens of %s", member, e.name("proxy"))
			}
		}
	}
	for _, suffix := range []string{"push-sendevent", "push-refreshshard"} {
		e.granted(ctx, "iam", account(suffix), "roles/iam.serviceAccountTokenCreator", e.pubsubAgent())
	}
	e.ok("the Lambda's role and Pub/Sub")
	if e.Settings == "" {
		e.ok("Pub/Sub; the Lambda's role is checked only with --settings")
	}
}

func checkFederation(ctx context.Context, e *exam) {
	if e.Settings == "" {
		e.skip("give --settings, which names the AWS account")
		return
	}
	const pool = "/locations/global/workloadIdentityPools/gatepost"
	if provider, ok := e.read(ctx, "iam", "v1/projects/"+e.project+pool+"/providers/aws-lambda", nil); ok {
		e.want("aws-lambda", provider, "state", "ACTIVE", "aws.accountId", string(e.settings.AWSAccountID),
			"attributeCondition", string(e.settings.Condition()))
		if at(provider, "disabled") == "true" {
			e.fail("aws-lambda is disabled")
		}
	}
	e.ok("the roles of %d Lambdas", len(e.settings.Regions))
}

func checkFunctionRights(ctx context.Context, e *exam) {
	everything := object{"options": object{"requestedPolicyVersion": 3}} // with conditions
	policy, ok := e.read(ctx, "cloudresourcemanager", "v1/projects/"+e.project+":getIamPolicy", everything)
	may := members(policy, "roles/datastore.user", "/databases/"+string(e.stack.Database())+`"`)
	project := "projects/" + e.project
	for _, f := range e.stack.Functions() {
		member := "serviceAccount:" + string(f.Email())
		if ok && f.Env.Stores() && !slices.Contains(may, member) {
			e.fail("%s lacks roles/datastore.user on the database", bare(member))
		}
		for _, name := range f.Env.Secrets() {
			e.granted(ctx, "secretmanager", project+"/secrets/"+string(name), "roles/secretmanager.secretAccessor", member)
		}
		for _, topic := range f.Env.Topics() {
			e.granted(ctx, "pubsub", project+"/topics/"+string(topic), "roles/pubsub.publisher", member)
		}
	}
	e.ok("on database, secrets and topics")
}
