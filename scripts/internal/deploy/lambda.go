package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// proxies are the stacks that get a skill proxy: those whose maker has no
// Lambda already.
func (d *deployment) proxies() []stack {
	return slices.DeleteFunc(slices.Clone(d.stacks), func(one stack) bool { return one.ownLambdaRole != "" })
}

// invokers are the two services of Alexa's that call the skill proxy, by the
// statement that lets them.
var invokers = map[string]string{
	"alexa-directives":   "alexa-connectedhome.amazon.com",
	"alexa-skill-events": "alexa-appkit.amazon.com",
}

const assumePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}`

func logGroup(name string) string { return "/aws/lambda/" + name }

// logPolicy lets the proxy write its log, and nothing else in AWS. The
// asterisk stands for the log's streams, whose names Lambda chooses.
func (s settings) logPolicy(one stack) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:%s:%s:log-group:%s:*"}]}`,
		one.awsRegion(), s.awsAccountID, logGroup(s.proxy(one)))
}

func (s settings) roleARN(one stack) string {
	return "arn:aws:iam::" + s.awsAccountID + ":role/" + s.proxy(one)
}

// roles are the proxies' roles and logs. They are made long before the proxies:
// Lambda cannot use a role in its first seconds, and a Lambda that runs without
// a log makes its own, which is kept for ever.
func (d *deployment) roles() []command {
	s := d.settings
	var all []command
	for _, one := range d.proxies() {
		name, have := s.proxy(one), d.have.lambdas[one.region]
		add := func(args ...string) { all = append(all, s.aws(one, args...).in(name)) }
		if !have.role {
			add("iam", "create-role", "--role-name="+name, "--assume-role-policy-document="+assumePolicy,
				"--description=Of the Lambda that passes on what Alexa sends to the skill in "+one.region+".")
		} else if !sameJSON(have.assume, assumePolicy) {
			add("iam", "update-assume-role-policy", "--role-name="+name, "--policy-document="+assumePolicy)
		}
		if !have.log {
			add("logs", "create-log-group", "--log-group-name="+logGroup(name))
		}
		if have.retention != s.logRetentionDays {
			add("logs", "put-retention-policy", "--log-group-name="+logGroup(name), set("retention-in-days", s.logRetentionDays))
		}
		if !sameJSON(have.logPolicy, s.logPolicy(one)) {
			add("iam", "put-role-policy", "--role-name="+name, "--policy-name=log", "--policy-document="+s.logPolicy(one))
		}
	}
	return all
}

// lambdas are the proxies, and who may invoke them.
func (d *deployment) lambdas() []command {
	s := d.settings
	var all []command
	for _, one := range d.proxies() {
		name, have := s.proxy(one), d.have.lambdas[one.region]
		add := func(args ...string) {
			all = append(all, s.aws(one, append(args, "--function-name="+name)...).in(name))
		}
		// Lambda refuses a change while it is at another.
		wait := func(event string) { add("lambda", "wait", "function-"+event+"-v2") }
		// Of a change that has failed it is not said what of it is in force.
		failed := have.State == "Failed" || have.LastUpdateStatus == "Failed"
		configure, zip := d.lambdaFlags(one), "--zip-file=fileb://"+d.proxyZip
		switch {
		case have.CodeSha256 == "":
			add(slices.Concat([]string{"lambda", "create-function", zip, "--architectures=arm64", "--package-type=Zip"}, configure)...)
			all[len(all)-1] = all[len(all)-1].againIf(roleIsUnknown)
			wait("active")
		default:
			if have.State == "Pending" {
				wait("active")
			}
			if have.LastUpdateStatus == "InProgress" {
				wait("updated")
			}
			if failed || !d.configured(one) {
				add(append([]string{"lambda", "update-function-configuration"}, configure...)...)
				wait("updated")
			}
			if failed || have.CodeSha256 != d.proxyHash || !slices.Equal(have.Architectures, []string{"arm64"}) {
				add("lambda", "update-function-code", zip, "--architectures=arm64")
				wait("updated")
			}
		}
		for _, id := range slices.Sorted(maps.Keys(invokers)) {
			if _, let := have.statements[id]; !let {
				add("lambda", "add-permission", "--statement-id="+id, "--action=lambda:InvokeFunction", "--principal="+invokers[id], "--event-source-token="+s.skillID)
			}
		}
	}
	return all
}

// lambdaFlags are what create and update have in common.
func (d *deployment) lambdaFlags(one stack) []string {
	s := d.settings
	environment := map[string]any{"Variables": s.proxyEnvironment(one)}
	logging := map[string]any{"LogFormat": "Text", "LogGroup": logGroup(s.proxy(one))}
	return []string{
		"--description=" + proxyDescription(one), "--role=" + s.roleARN(one), "--runtime=provided.al2023", "--handler=bootstrap",
		"--memory-size=128", "--timeout=8", "--environment=" + compact(environment), "--logging-config=" + compact(logging),
	}
}

func proxyDescription(one stack) string {
	return "Passes on what Alexa sends to the skill in " + one.region + "."
}

// configured reports whether the proxy is as lambdaFlags would make it.
func (d *deployment) configured(one stack) bool {
	s, have := d.settings, d.have.lambdas[one.region]
	want := s.proxyEnvironment(one)
	for name := range want {
		want[name] = d.known.resolve(want[name])
	}
	return have.Description == proxyDescription(one) && have.Role == s.roleARN(one) && have.Runtime == "provided.al2023" && have.Handler == "bootstrap" &&
		have.MemorySize == 128 && have.Timeout == 8 && maps.Equal(have.Environment.Variables, want) &&
		have.LoggingConfig.LogFormat == "Text" && have.LoggingConfig.LogGroup == logGroup(s.proxy(one))
}

// callingEnvironment is what any Lambda needs to call the stack's functions.
func (s settings) callingEnvironment(one stack) map[string]string {
	return map[string]string{
		"ACCEPT_GRANT_URL":         one.url("AcceptGrant"),
		"SKILL_EVENT_URL":          one.url("SkillEvent"),
		"GOOGLE_WORKLOAD_PROVIDER": "//" + poolPath() + "/providers/" + provider,
		"GOOGLE_SERVICE_ACCOUNT":   s.email(one.named("proxy")),
	}
}

// proxyEnvironment is that of functions/skillproxy.
func (s settings) proxyEnvironment(one stack) map[string]string {
	env := s.callingEnvironment(one)
	if s.directive != nil {
		env["DIRECTIVE_URL"], env["DIRECTIVE_AUTH"] = s.directive.url, s.directive.auth
		if s.directive.audience != "" {
			env["DIRECTIVE_AUDIENCE"] = s.directive.audience
		}
	}
	return env
}

// foreignPermissions says which statements let in another skill: they would
// have to be removed first.
func (d *deployment) foreignPermissions() []string {
	var refusals []string
	for _, one := range d.proxies() {
		name := d.settings.proxy(one)
		for _, id := range slices.Sorted(maps.Keys(invokers)) {
			want := invokers[id] + " " + d.settings.skillID
			if have, let := d.have.lambdas[one.region].statements[id]; let && have != want {
				refusals = append(refusals, fmt.Sprintf("Lambda %s: the permission %s is for %q and should be for %q; see: aws lambda remove-permission --region=%s --function-name=%s --statement-id=%s",
					name, id, have, want, one.awsRegion(), name, id))
			}
		}
	}
	return refusals
}

// compact writes JSON with sorted names on one line.
func compact(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // maps of texts only
	}
	return string(data)
}

// sameJSON reports whether two documents say the same.
func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && compact(x) == compact(y)
}
