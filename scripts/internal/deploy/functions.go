package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// function is what is the same of a function in every stack.
type function struct {
	entryPoint  string
	caller      string // account, by its name in the stack, that may call it
	open        bool   // callable from outside of Google Cloud
	concurrency int
	stores      bool     // has the stack's database
	tokens      bool     // opens and seals tokens: has the keyset and the client credentials of Login with Amazon
	customers   bool     // recognizes customers
	publishes   []string // topics, by the environment's names for them
}

// functions are those of a stack. Pub/Sub and Scheduler of the same project
// count as internal at a function's own address:
// https://cloud.google.com/run/docs/securing/ingress#internal-services
var functions = []function{
	{entryPoint: "AcceptGrant", caller: "proxy", open: true, concurrency: 80, stores: true, tokens: true, customers: true, publishes: []string{"GRANT_EVENTS_TOPIC"}},
	{entryPoint: "SkillEvent", caller: "proxy", open: true, concurrency: 80, stores: true, customers: true},
	{entryPoint: "RefreshTokens", caller: "scheduler", concurrency: 80, publishes: []string{"REFRESH_TOPIC"}},
	{entryPoint: "RefreshShard", caller: "push-refreshshard", concurrency: 16, stores: true, tokens: true, publishes: []string{"GRANT_EVENTS_TOPIC"}},
	{entryPoint: "SendEvent", caller: "push-sendevent", concurrency: 80, stores: true, tokens: true, publishes: []string{"GRANT_EVENTS_TOPIC", "DEAD_LETTER_TOPIC"}},
}

// topic is the stack's topic that the environment has by this name.
func (one stack) topic(variable string) string {
	return map[string]string{
		"GRANT_EVENTS_TOPIC": grantEvents,
		"DEAD_LETTER_TOPIC":  deadLetters,
		"REFRESH_TOPIC":      one.refreshTopic(),
	}[variable]
}

// environment is that of the stack's function.
func (s settings) environment(one stack, f function) map[string]string {
	env := map[string]string{
		"ALEXA_REGIONS":        one.region,
		"GOOGLE_CLOUD_PROJECT": s.projectID,
		"SKILL":                s.skill,
	}
	if f.stores {
		env["GRANT_STORE"] = "firestore"
		env["FIRESTORE_DATABASE"] = one.database()
	}
	if f.tokens {
		env["TOKEN_KEYSET"] = s.secretRef(one.keyset())
		env["LWA_CREDENTIALS"] = s.secretRef(lwaSecret)
	}
	if f.customers {
		maps.Copy(env, s.recognition())
	}
	for _, variable := range f.publishes {
		env[variable] = one.topic(variable)
	}
	maps.Copy(env, s.conduct(f.entryPoint))
	return env
}

// recognition says how customers are recognized.
func (s settings) recognition() map[string]string {
	env := map[string]string{"GRANTEE_RESOLVER": s.grantee.resolver}
	if s.grantee.claim != "" {
		env["GRANTEE_CLAIM"] = s.grantee.claim
	}
	if s.grantee.audience != "" {
		env["GRANTEE_AUDIENCE"] = s.grantee.audience
	}
	if s.grantee.jwks != "" {
		env["GRANTEE_JWKS"] = s.grantee.jwks
	}
	if s.needsCredentials() {
		env["GRANTEE_CREDENTIALS"] = s.secretRef(granteeSecret)
	}
	return env
}

// conduct is what the settings say about how one function works.
func (s settings) conduct(entryPoint string) map[string]string {
	switch entryPoint {
	case "RefreshTokens":
		return map[string]string{"REFRESH_SHARDS": fmt.Sprint(s.refreshShards)}
	case "RefreshShard":
		return s.sweep()
	case "SendEvent":
		return map[string]string{"REFRESH_IDLE_AFTER": s.refreshIdleAfter, "MAX_EVENT_AGE": s.maxEventAge, "EVENT_CHECKS": s.eventChecks}
	}
	return nil
}

// sweep is what the settings say to RefreshShard. It acknowledges a message
// unworked that is older than the period, so what it is told has to be what the
// scheduler does.
func (s settings) sweep() map[string]string {
	env := map[string]string{"REFRESH_IDLE_AFTER": s.refreshIdleAfter}
	if period := s.refreshPeriod(); period != "5m" {
		env["REFRESH_PERIOD"] = period
	}
	if s.lwaMaxRate > 0 {
		env["LWA_MAX_RATE"] = fmt.Sprint(s.lwaMaxRate)
	}
	return env
}

// refreshPeriod is the period of the schedule, of which refusals.go allows */N
// with minutes, and every minute.
func (s settings) refreshPeriod() string {
	minutes, _, _ := strings.Cut(strings.TrimPrefix(s.refreshSchedule, "*/"), " ")
	if minutes == "*" {
		minutes = "1"
	}
	return minutes + "m"
}

// deployed is a function as gcloud lists it.
type deployed struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	BuildConfig struct {
		Runtime              string            `json:"runtime"`
		EntryPoint           string            `json:"entryPoint"`
		EnvironmentVariables map[string]string `json:"environmentVariables"`
		ServiceAccount       string            `json:"serviceAccount"`
	} `json:"buildConfig"`
	ServiceConfig struct {
		URI                           string            `json:"uri"`
		AvailableMemory               string            `json:"availableMemory"`
		AvailableCPU                  string            `json:"availableCpu"`
		TimeoutSeconds                int               `json:"timeoutSeconds"`
		MinInstanceCount              int               `json:"minInstanceCount"`
		MaxInstanceCount              int               `json:"maxInstanceCount"`
		MaxInstanceRequestConcurrency int               `json:"maxInstanceRequestConcurrency"`
		EnvironmentVariables          map[string]string `json:"environmentVariables"`
		IngressSettings               string            `json:"ingressSettings"`
		ServiceAccountEmail           string            `json:"serviceAccountEmail"`
		AllTrafficOnLatestRevision    bool              `json:"allTrafficOnLatestRevision"`
	} `json:"serviceConfig"`
	State string `json:"state"`
}

// sourceLabel on a function holds the hash of the source that it was built of:
// Google keeps the source under a name of its own.
const sourceLabel = "gatepost-source"

// functionResources are the stack's functions. One command makes and updates
// them.
func (d *deployment) functionResources(one stack) []resource {
	var all []resource
	for _, f := range functions {
		name := one.function(f.entryPoint)
		have, exists := d.have.functions[one.location+"/"+name]
		line := []string{"functions", "deploy", name, "--gen2", "--region=" + one.location}
		all = append(all, resource{
			name: "function " + name, exists: exists, whole: true,
			create: line, update: line,
			after:  []string{"--source=" + d.sourceDir, "--trigger-http", "--no-allow-unauthenticated", "--serve-all-traffic-latest-revision"},
			facets: d.functionFacets(one, f, have),
		})
	}
	return all
}

// unfinished names the functions that cannot be deployed now.
func (d *deployment) unfinished() []string {
	says := map[string]string{"DEPLOYING": "still being built", "DELETING": "being deleted"}
	var refusals []string
	for _, one := range d.stacks {
		for _, f := range functions {
			name := one.function(f.entryPoint)
			if doing := says[d.have.functions[one.location+"/"+name].State]; doing != "" {
				refusals = append(refusals, fmt.Sprintf("function %s is %s: wait, then run again", name, doing))
			}
		}
	}
	return refusals
}

func (d *deployment) functionFacets(one stack, f function, have deployed) []facet {
	s, size, runs := d.settings, d.settings.scaling[f.entryPoint], have.ServiceConfig
	env := s.environment(one, f)
	ingress := map[bool][2]string{true: {"all", "ALLOW_ALL"}, false: {"internal-only", "ALLOW_INTERNAL_ONLY"}}[f.open]
	account, build := s.email(one.function(f.entryPoint)), "projects/"+s.projectID+"/serviceAccounts/"+s.email(buildAccount)
	hash := d.known.resolve(ref(sourceHash))
	return []facet{
		{what: "state", want: "ACTIVE", have: have.State},
		{what: "source", flags: []string{"--update-labels=" + sourceLabel + "=" + ref(sourceHash)}, want: hash, have: have.Labels[sourceLabel]},
		{what: "runtime", flags: []string{"--runtime=go126"}, want: "go126", have: have.BuildConfig.Runtime},
		{what: "entry point", flags: []string{"--entry-point=" + f.entryPoint}, want: f.entryPoint, have: have.BuildConfig.EntryPoint},
		{
			what: "build environment", flags: []string{"--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w"},
			want: "-s -w", have: have.BuildConfig.EnvironmentVariables["GOOGLE_GOLDFLAGS"],
		},
		{what: "build account", flags: []string{"--build-service-account=" + build}, want: build, have: have.BuildConfig.ServiceAccount},
		{what: "account", flags: []string{"--service-account=" + account}, want: account, have: runs.ServiceAccountEmail},
		{what: "memory", flags: []string{"--memory=" + size.memory}, want: size.memory, have: runs.AvailableMemory},
		{what: "cpu", flags: []string{"--cpu=" + size.cpu}, want: size.cpu, have: runs.AvailableCPU},
		{what: "timeout", flags: []string{"--timeout=60s"}, want: "60", have: fmt.Sprint(runs.TimeoutSeconds)},
		{what: "concurrency", flags: []string{set("concurrency", f.concurrency)}, want: fmt.Sprint(f.concurrency), have: fmt.Sprint(runs.MaxInstanceRequestConcurrency)},
		{what: "least instances", flags: []string{set("min-instances", size.minInstances)}, want: fmt.Sprint(size.minInstances), have: fmt.Sprint(runs.MinInstanceCount)},
		{what: "most instances", flags: []string{set("max-instances", size.maxInstances)}, want: fmt.Sprint(size.maxInstances), have: fmt.Sprint(runs.MaxInstanceCount)},
		{what: "ingress", flags: []string{"--ingress-settings=" + ingress[0]}, want: ingress[1], have: runs.IngressSettings},
		{what: "traffic", want: "true", have: fmt.Sprint(runs.AllTrafficOnLatestRevision)},
		{what: "environment", flags: []string{"--set-env-vars=" + dictionary(env)}, want: dictionary(env), have: dictionary(ours(runs.EnvironmentVariables, env))},
	}
}

// ours leaves out of a function's environment what Cloud Functions has added.
func ours(have, want map[string]string) map[string]string {
	const added = "LOG_EXECUTION_ID"
	have = maps.Clone(have)
	if want[added] == "" {
		delete(have, added)
	}
	return have
}

// dictionary writes a map as gcloud's flags take it: with another separator
// than the comma where a value has one (gcloud topic escaping).
func dictionary(values map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		pairs = append(pairs, name+"="+values[name])
	}
	all := strings.Join(pairs, "")
	if !strings.Contains(all, ",") {
		return strings.Join(pairs, ",")
	}
	for _, separator := range []string{";", "|", "#", "~", "::", "@@", "%%"} {
		if !strings.Contains(all, separator) {
			return "^" + separator + "^" + strings.Join(pairs, separator)
		}
	}
	return "^\x1f^" + strings.Join(pairs, "\x1f")
}
