package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// quota returns a quota in the stack's location, by its metric or id: see
// https://cloud.google.com/docs/quotas/reference/rest/v1/projects.locations.services.quotaInfos.
// Without it the check is skipped.
func (e *exam) quota(ctx context.Context, service, name string) (limit int, ok bool) {
	path := fmt.Sprintf("v1/projects/%s/locations/global/services/%s.googleapis.com/quotaInfos?pageSize=1000", e.project, service)
	list, err := e.try(ctx, "cloudquotas", path, nil)
	for _, quota := range items(list, "quotaInfos") {
		if name != at(quota, "quotaId") && name != at(quota, "metric") {
			continue
		}
		for _, info := range items(quota, "dimensionsInfos") {
			if locations, _ := info["applicableLocations"].([]any); slices.Contains(locations, any(string(e.stack.Location))) {
				if limit, err = strconv.Atoi(cmp.Or(at(info, "details.value"), "0")); err == nil { // Google leaves a 0 out
					return limit, true
				}
			}
		}
		err = cmp.Or(err, fmt.Errorf("%s has none in %s", name, string(e.stack.Location)))
	}
	if err == nil {
		err = fmt.Errorf("%s is not listed", name)
	}
	e.skip("the quotas could not be read; enable cloudquotas.googleapis.com, or look at them in the console: %v", err)
	return 0, false
}

// checkQuotas compares what Cloud Run compares: of each function, all instances.
func checkQuotas(ctx context.Context, e *exam) {
	const cpu, memory = "CpuAllocPerProjectRegion", "MemAllocPerProjectRegion" // in thousandths, in bytes
	for _, id := range []string{cpu, memory} {
		limit, ok := e.quota(ctx, "run", id)
		if !ok {
			return
		}
		for _, f := range e.stack.Functions() {
			instances, _ := strconv.Atoi(string(f.Size.MaxInstances)) // the settings have been checked
			processors, _ := strconv.Atoi(string(f.Size.CPU))
			need := map[string]int{cpu: instances * processors * 1000, memory: instances * bytesOf(string(f.Size.Memory))}[id]
			if need > limit {
				e.fail("%d instances of %s need %d of %s in %s, but the limit is %d", instances, string(f.EntryPoint), need, id,
					string(e.stack.Location), limit)
			}
		}
	}
	e.ok("the max_instances of each function is within them")
}

// bytesOf returns the bytes of a memory such as 512Mi.
func bytesOf(memory string) int {
	n, _ := strconv.Atoi(strings.TrimRight(memory, "GMi"))
	if strings.HasSuffix(memory, "Gi") {
		n <<= 10
	}
	return n << 20
}

// checkBuilds looks whether Cloud Build may build in the location: see
// https://cloud.google.com/build/docs/locations#restricted_regions_for_some_projects.
func checkBuilds(ctx context.Context, e *exam) {
	limit, ok := e.quota(ctx, "cloudbuild", "cloudbuild.googleapis.com/concurrent_public_pool_build_cpus")
	if !ok {
		return
	}
	if limit == 0 {
		e.fail("the quota Concurrent Build CPUs is 0 in %s", string(e.stack.Location))
	}
	e.ok("%d CPUs at once in %s", limit, string(e.stack.Location))
}

// goRuntime is the runtime of the functions.
const goRuntime = "go126"

// checkRuntime looks for the runtime among those of the location.
func checkRuntime(ctx context.Context, e *exam) {
	list, ok := e.read(ctx, "cloudfunctions", "v2/projects/"+e.project+"/locations/"+string(e.stack.Location)+"/runtimes", nil)
	if !ok {
		return
	}
	for _, runtime := range items(list, "runtimes") {
		if at(runtime, "name") != goRuntime || at(runtime, "environment") != "GEN_2" {
			continue
		}
		switch stage := at(runtime, "stage"); stage {
		case "DECOMMISSIONED":
			e.fail("%s is %s", goRuntime, stage)
		case "DEPRECATED":
			e.warn("%s is %s", goRuntime, stage)
		default:
			e.ok("%s in %s", goRuntime, string(e.stack.Location))
		}
		return
	}
	e.fail("there is no %s in %s", goRuntime, string(e.stack.Location))
}

// policy is a policy of an organisation, and what it would have to allow. Builds run in
// the default pool, and functions use no VPC, which only a policy that allows all allows.
type policy struct {
	constraint string
	values     []string
}

func (e *exam) policies() []policy {
	return []policy{
		{"iam.workloadIdentityPoolProviders", []string{"https://sts.amazonaws.com"}},
		{"iam.workloadIdentityPoolAwsAccounts", []string{string(e.settings.AWSAccountID)}},
		{"run.allowedIngress", []string{"all", "internal"}},
		{"run.allowedVPCEgress", []string{"services without a VPC"}},
		{"cloudfunctions.requireVPCConnector", []string{"functions without a VPC"}},
		{"cloudbuild.allowedWorkerPools", []string{"the default pool"}},
		{"gcp.restrictNonCmekServices", e.keyless()},
	}
}

// keyless are the services with a resource that has no key of the maker's own.
func (e *exam) keyless() []string {
	keys, _ := e.settings.KMSKeys.(object)
	databases, _ := keys["databases"].(object)
	keysets, _ := keys["keysets"].(object)
	lacks := map[string]bool{
		"artifactregistry": true, "cloudfunctions": true, "firestore": false, "pubsub": keys["topics"] == nil, "run": true,
		"secretmanager": keys["secrets"] == nil,
	}
	for _, stack := range e.stacks {
		lacks["firestore"] = lacks["firestore"] || databases[string(stack.Region)] == nil
		lacks["secretmanager"] = lacks["secretmanager"] || keysets[string(stack.Region)] == nil
	}
	var services []string
	for _, service := range sorted(lacks) {
		if lacks[service] {
			services = append(services, service+".googleapis.com")
		}
	}
	return services
}

// checkPolicies reads the policies that hold for the project. Rules with a condition are
// for resources with tags, which Gatepost does not set.
func checkPolicies(ctx context.Context, e *exam) {
	all := e.policies()
	for _, p := range all {
		effective, err := e.try(ctx, "orgpolicy", "v2/projects/"+e.project+"/policies/"+p.constraint+":getEffectivePolicy", nil)
		if err != nil {
			e.skip("the policies could not be read: enable orgpolicy.googleapis.com, with roles/orgpolicy.policyViewer: %v", err)
			return
		}
		spec, _ := effective["spec"].(object)
		for _, rule := range items(spec, "rules") {
			if refused := slices.DeleteFunc(slices.Clone(p.values), func(value string) bool { return allowed(rule, value) }); len(refused) > 0 {
				e.fail("%s does not allow %s", p.constraint, strings.Join(refused, ", "))
			}
		}
	}
	e.ok("%d allow what Gatepost needs", len(all))
}

// allowed reports whether a rule of a policy allows a value: see
// https://cloud.google.com/resource-manager/docs/reference/orgpolicy/rest/v2/PolicySpec#PolicyRule.
func allowed(rule object, value string) bool {
	values, _ := rule["values"].(object)
	has := func(list string) bool {
		all, _ := values[list].([]any)
		return slices.ContainsFunc(all, func(v any) bool { return strings.TrimPrefix(fmt.Sprint(v), "is:") == value })
	}
	switch {
	case rule["condition"] != nil:
		return true
	case rule["denyAll"] == true, rule["enforce"] == true, has("deniedValues"):
		return false
	}
	return values["allowedValues"] == nil || has("allowedValues")
}
