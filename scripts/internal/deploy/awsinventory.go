package main

import (
	"encoding/json"
	"net/url"
)

// askAWS asks for the proxies, their roles and their logs, and whose the
// credentials are.
func (d *deployment) askAWS() []question {
	s := d.settings
	var all []question
	for _, one := range d.proxies() {
		name := s.proxy(one)
		all = append(all,
			ask(s.aws(one, "lambda", "get-function-configuration", "--function-name="+name), func(got listedLambda) {
				d.noteLambda(one, func(have *listedLambda) {
					// The other questions' answers may be here already.
					got.role, got.assume, got.log, got.retention = have.role, have.assume, have.log, have.retention
					*have = got
				})
			}).orMissing("(ResourceNotFoundException)"),
			ask(s.aws(one, "iam", "get-role", "--role-name="+name), func(got struct {
				Role struct{ AssumeRolePolicyDocument json.RawMessage }
			}) {
				d.noteLambda(one, func(have *listedLambda) { have.role, have.assume = true, document(got.Role.AssumeRolePolicyDocument) })
			}).orMissing("(NoSuchEntity)"),
			ask(s.aws(one, "logs", "describe-log-groups", "--log-group-name-prefix="+logGroup(name)), func(got struct{ LogGroups []listedLog }) {
				for _, log := range got.LogGroups {
					if log.LogGroupName == logGroup(name) {
						d.noteLambda(one, func(have *listedLambda) { have.log, have.retention = true, log.RetentionInDays })
					}
				}
			}),
		)
	}
	if len(all) > 0 {
		all = append(all, ask(s.whose(), func(got struct{ Account string }) { d.awsAccount = got.Account }))
	}
	return all
}

// whose asks of which account the credentials are. Any region knows.
func (s settings) whose() command {
	return s.aws(stack{region: "NA"}, "sts", "get-caller-identity")
}

// askAWSDetails asks what roles may do, and who may invoke the proxies.
func (d *deployment) askAWSDetails() []question {
	s := d.settings
	var all []question
	for _, one := range d.proxies() {
		name, have := s.proxy(one), d.have.lambdas[one.region]
		if have.role {
			all = append(all, ask(s.aws(one, "iam", "get-role-policy", "--role-name="+name, "--policy-name=log"), func(got struct{ PolicyDocument json.RawMessage }) {
				d.noteLambda(one, func(have *listedLambda) { have.logPolicy = document(got.PolicyDocument) })
			}).orMissing("(NoSuchEntity)"))
		}
		if have.CodeSha256 != "" {
			all = append(all, ask(s.aws(one, "lambda", "get-policy", "--function-name="+name), func(got struct{ Policy string }) {
				d.noteLambda(one, func(have *listedLambda) { have.statements = statements(got.Policy) })
			}).orMissing("(ResourceNotFoundException)"))
		}
	}
	return all
}

// noteLambda adds to what is known of the stack's proxy.
func (d *deployment) noteLambda(one stack, change func(*listedLambda)) {
	have := d.have.lambdas[one.region]
	change(&have)
	d.have.lambdas[one.region] = have
}

type listedLog struct {
	LogGroupName    string `json:"logGroupName"`
	RetentionInDays int    `json:"retentionInDays"`
}

// orMissing takes the CLI's error with this text as the answer that nothing is
// there.
func (q question) orMissing(text string) question {
	q.missing = text
	return q
}

// document is a policy as the AWS CLI shows it: decoded, or as the API has it,
// a text in the form of a URL's.
func document(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return string(raw)
	}
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// statements reads who may invoke a Lambda: principal and skill, by the
// statement's id. Only those of this program's ids are read: others may be of
// any form.
func statements(policy string) map[string]string {
	var read struct{ Statement []json.RawMessage }
	all := map[string]string{}
	if json.Unmarshal([]byte(policy), &read) != nil {
		return all
	}
	for _, raw := range read.Statement {
		var named struct{ Sid string }
		if json.Unmarshal(raw, &named) == nil && invokers[named.Sid] != "" {
			all[named.Sid] = whoInvokes(raw)
		}
	}
	return all
}

// whoInvokes is the principal and the skill of a statement as add-permission
// writes it, and the whole statement where it is another.
func whoInvokes(raw json.RawMessage) string {
	var one struct {
		Effect, Action string
		Principal      struct{ Service string }
		Condition      map[string]map[string]string
	}
	skill := ""
	if json.Unmarshal(raw, &one) == nil {
		skill = one.Condition["StringEquals"]["lambda:EventSourceToken"]
	}
	if skill == "" || one.Effect != "Allow" || one.Action != "lambda:InvokeFunction" || len(one.Condition) != 1 || len(one.Condition["StringEquals"]) != 1 {
		return string(raw)
	}
	return one.Principal.Service + " " + skill
}
