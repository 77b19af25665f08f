package deploy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Secrets that the stacks share.
const (
	lwaSecret     = "gatepost-lwa-credentials"
	granteeSecret = "gatepost-grantee-credentials"
)

// awsRegions is where Alexa calls a smart home skill, by Alexa region:
// https://developer.amazon.com/en-US/docs/alexa/smarthome/develop-smart-home-skills-in-multiple-languages.html
var awsRegions = map[text]text{"NA": "us-east-1", "EU": "eu-west-1", "FE": "us-west-2"}

// Email returns the address of a service account.
func (s *Settings) Email(account text) text {
	return account + "@" + s.ProjectID + ".iam.gserviceaccount.com"
}

// Introspects reports whether customers are recognized by introspection, which
// needs client credentials.
func (s *Settings) Introspects() bool {
	return strings.HasPrefix(string(s.Grantee.Resolver), "introspection:")
}

// Regional reports whether each stack has a topic for device events of its own.
func (s *Settings) Regional() bool { return s.DeviceEvents == "regional" }

// Condition returns the provider's condition, which admits only the roles of the Lambdas,
// including those of stacks that are not deployed in this run.
func (s *Settings) Condition() text {
	var roles []string
	for _, one := range s.Regions {
		roles = append(roles, "'"+string(one.AssumedRole())+"'")
	}
	slices.Sort(roles)
	return text("google.subject in [" + strings.Join(roles, ", ") + "]")
}

// exclusion is a part of the log that the sink _Default does not store.
type exclusion struct{ Name, description, filter text }

// Exclusions returns those of all stacks, including those that are not deployed in this
// run. One without a filter is not wanted.
func (s *Settings) Exclusions() []exclusion {
	services := func(functions ...text) text {
		var names []string
		for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
			for _, function := range functions {
				names = append(names, `"`+string(s.Regions[region].Name(function))+`"`)
			}
		}
		return text("resource.labels.service_name=(" + strings.Join(names, " OR ") + ") AND ")
	}
	pushes := exclusion{"gatepost-pushes", "Cloud Run's own lines about the calls of Pub/Sub, except errors.",
		services("refreshshard", "sendevent") + `log_id("run.googleapis.com/requests") AND severity<WARNING AND httpRequest.status<500`}
	accepted := exclusion{"gatepost-accepted", "Lines of accepted events, of a share of the customers.", ""}
	if s.ExcludeAccepted != "0" {
		accepted.filter = services("sendevent") +
			`jsonPayload.outcome="accepted" AND severity<WARNING AND sample(jsonPayload.customer, ` + s.ExcludeAccepted + `)`
	}
	return []exclusion{pushes, accepted}
}

// Flag returns the exclusion in the form of gcloud's flags, or "" if it is not wanted.
func (e exclusion) Flag() text {
	if e.filter == "" {
		return ""
	}
	return "^;^name=" + e.Name + ";description=" + e.description + ";filter=" + e.filter
}

func (s *Settings) secret(name text) text { return "projects/" + s.ProjectID + "/secrets/" + name }

// Database returns the name of the stack's database.
func (one Stack) Database() text { return text("gatepost-" + strings.ToLower(string(one.Region))) }

// Name returns the name of another resource of the stack, for example
// gatepost-eu-refresh.
func (one Stack) Name(suffix text) text { return one.Database() + "-" + suffix }

// Email returns the address of an account of the stack.
func (one Stack) Email(suffix text) text { return one.settings.Email(one.Name(suffix)) }

// Keyset returns the name of the secret with the stack's keyset.
func (one Stack) Keyset() text {
	return text("gatepost-token-keyset-" + strings.ToLower(string(one.Region)))
}

// DeviceEvents returns the topic that makers publish to.
func (one Stack) DeviceEvents() text {
	if one.settings.Regional() {
		return text("device-events-" + strings.ToLower(string(one.Region)))
	}
	return "device-events"
}

// Filter returns the subscription's filter. It excludes the other two Alexa regions, even
// those without a stack, so that an event without the attribute, or with a misspelt one,
// reaches all stacks.
func (one Stack) Filter() text {
	var terms []string
	for _, other := range []text{"EU", "FE", "NA"} {
		if other != one.Region {
			terms = append(terms, `NOT attributes.region = "`+string(other)+`"`)
		}
	}
	return text(strings.Join(terms, " AND "))
}

// AWSRegion returns the AWS region of the stack's Lambda.
func (one Stack) AWSRegion() text { return awsRegions[one.Region] }

// Proxy returns the name of the stack's skill proxy.
func (one Stack) Proxy() text {
	return one.settings.ProxyName + "-" + text(strings.ToLower(string(one.Region)))
}

// role returns the role of the stack's Lambda.
func (one Stack) role() text { return cmp.Or(one.OwnLambdaRole, one.Proxy()) }

// AssumedRole returns the stack's Lambda as the provider's mapping names it.
func (one Stack) AssumedRole() text {
	return "arn:aws:sts::" + one.settings.AWSAccountID + ":assumed-role/" + one.role()
}

// function is one function of one stack.
type function struct {
	EntryPoint  text
	Caller      text // account of the stack that may call it
	Ingress     text
	Concurrency text
	Size        scaling
	Env         environment
	stack       Stack
}

// Functions returns the stack's functions. Pub/Sub and Cloud Scheduler of the same
// project are internal:
// https://cloud.google.com/run/docs/securing/ingress#internal-services
func (one Stack) Functions() []function {
	s := one.settings
	every := environment{"ALEXA_REGIONS": one.Region, "GOOGLE_CLOUD_PROJECT": s.ProjectID, "SKILL": s.Skill}
	store := environment{"GRANT_STORE": "firestore", "FIRESTORE_DATABASE": one.Database()}
	tokens := environment{"TOKEN_KEYSET": s.secret(one.Keyset()), "LWA_CREDENTIALS": s.secret(lwaSecret)}
	customers := environment{
		"GRANTEE_RESOLVER": s.Grantee.Resolver, "GRANTEE_CLAIM": s.Grantee.Claim, "GRANTEE_AUDIENCE": s.Grantee.Audience,
		"GRANTEE_JWKS": s.Grantee.JWKS,
	}
	if s.Introspects() {
		customers["GRANTEE_CREDENTIALS"] = s.secret(granteeSecret)
	}
	grants := environment{"GRANT_EVENTS_TOPIC": "grant-events"}
	sweep := environment{"REFRESH_SHARDS": s.RefreshShards, "REFRESH_TOPIC": one.Name("refresh")}
	shard := environment{
		"REFRESH_IDLE_AFTER": s.RefreshIdleAfter, "REFRESH_PERIOD": unless("5m", s.refreshPeriod()), "LWA_MAX_RATE": unless("0", s.LWAMaxRate),
	}
	send := environment{
		"REFRESH_IDLE_AFTER": s.RefreshIdleAfter, "MAX_EVENT_AGE": s.MaxEventAge, "EVENT_CHECKS": s.EventChecks,
		"DEAD_LETTER_TOPIC": "dead-letters",
	}
	return []function{
		{"AcceptGrant", "proxy", "all", "80", s.Scaling.AcceptGrant, join(every, store, tokens, customers, grants), one},
		{"SkillEvent", "proxy", "all", "80", s.Scaling.SkillEvent, join(every, store, customers), one},
		{"RefreshTokens", "scheduler", "internal-only", "80", s.Scaling.RefreshTokens, join(every, sweep), one},
		{"RefreshShard", "push-refreshshard", "internal-only", "16", s.Scaling.RefreshShard, join(every, store, tokens, grants, shard), one},
		{"SendEvent", "push-sendevent", "internal-only", "80", s.Scaling.SendEvent, join(every, store, tokens, grants, send), one},
	}
}

// refreshPeriod returns the period of the schedule, which is every minute or every N
// minutes. RefreshShard acknowledges messages that are older than the period.
func (s *Settings) refreshPeriod() text {
	minutes, _, _ := strings.Cut(strings.TrimPrefix(string(s.RefreshSchedule), "*/"), " ")
	return text(strings.Replace(minutes, "*", "1", 1) + "m")
}

// unless returns value, or "" if it is the function's own default.
func unless(standard, value text) text {
	if value == standard {
		return ""
	}
	return value
}

// suffix returns the function's part of names.
func (f function) suffix() text { return text(strings.ToLower(string(f.EntryPoint))) }

// Name returns the name of the function, of its service and of its account.
func (f function) Name() text { return f.stack.Name(f.suffix()) }

// Email returns the address of the account that the function runs as.
func (f function) Email() text { return f.stack.Email(f.suffix()) }

// URL returns the shell variable for the function's address.
func (f function) URL() text {
	return f.stack.Region + "_" + text(strings.ToUpper(string(f.EntryPoint))) + "_URL"
}

// environment is the environment of a function. The function's rights follow from the
// database, secrets and topics that it names.
type environment map[string]text

// join joins environments. It leaves out empty variables, since the functions
// have defaults for them.
func join(parts ...environment) environment {
	all := environment{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	maps.DeleteFunc(all, func(_ string, value text) bool { return value == "" })
	return all
}

// Stores reports whether the function uses the database.
func (e environment) Stores() bool { return e["FIRESTORE_DATABASE"] != "" }

// Secrets returns the names of the secrets that the function reads.
func (e environment) Secrets() []text {
	var all []text
	for _, value := range e {
		if _, name, ok := strings.Cut(string(value), "/secrets/"); ok && strings.HasPrefix(string(value), "projects/") {
			all = append(all, text(name))
		}
	}
	slices.Sort(all)
	return all
}

// Topics returns the topics that the function publishes to.
func (e environment) Topics() []text {
	var all []text
	for name, value := range e {
		if strings.HasSuffix(name, "_TOPIC") {
			all = append(all, value)
		}
	}
	slices.Sort(all)
	return all
}

// Flag returns the environment in the form of gcloud's flags, with a separator that is in
// no value (gcloud topic escaping). No setting contains the last separator.
func (e environment) Flag() text {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(e)) {
		pairs = append(pairs, name+"="+string(e[name]))
	}
	all := strings.Join(pairs, "")
	for _, separator := range []string{",", ";", "|", "\x1f"} {
		if !strings.Contains(all, separator) {
			return text("^" + separator + "^" + strings.Join(pairs, separator))
		}
	}
	panic("a control character in a setting")
}
