package main

import (
	"fmt"
	"slices"
	"strings"
)

// subjectMapping takes the session, which for a Lambda is the function's name,
// off the ARN of an assumed role: the role alone is what can be granted
// something.
const subjectMapping = "google.subject=assertion.arn.extract('{account_arn}assumed-role/') + 'assumed-role/' + assertion.arn.extract('assumed-role/{role_name}/')"

// subjectCondition turns away everybody in the AWS account but the roles of
// the Lambdas, of all stacks in the settings.
func (s settings) subjectCondition() string {
	var roles []string
	for _, one := range s.stacks {
		roles = append(roles, "'"+s.assumedRole(one)+"'")
	}
	slices.Sort(roles)
	return fmt.Sprintf("google.subject in [%s]", strings.Join(roles, ", "))
}

// federation is how the Lambdas prove to Google who they are without a key:
// the pool, and the provider in it, which has to come after.
func (d *deployment) federation() []resource {
	s, have := d.settings, d.have.provider
	line := []string{provider, "--workload-identity-pool=" + pool, "--location=global"}
	return []resource{{
		name: "workload identity pool " + pool, exists: d.have.pool.Name != "", queue: "federation",
		create: []string{"iam", "workload-identity-pools", "create", pool, "--location=global", "--display-name=Gatepost", "--description=The AWS roles of the Lambdas that Alexa calls."},
		update: []string{"iam", "workload-identity-pools", "update", pool, "--location=global"},
		facets: []facet{enabled(d.have.pool.Disabled)},
	}, {
		name: "workload identity provider " + provider, exists: have.Name != "", queue: "federation",
		create: append([]string{"iam", "workload-identity-pools", "providers", "create-aws"}, append(line, "--display-name=AWS Lambda")...),
		update: append([]string{"iam", "workload-identity-pools", "providers", "update-aws"}, line...),
		facets: []facet{
			enabled(have.Disabled),
			{what: "AWS account", flags: []string{"--account-id=" + s.awsAccountID}, want: s.awsAccountID, have: have.AWS.AccountID},
			{
				what: "mapping", flags: []string{"--attribute-mapping=" + subjectMapping},
				want: subjectMapping, have: "google.subject=" + have.AttributeMapping["google.subject"],
			},
			{
				what: "condition", flags: []string{"--attribute-condition=" + s.subjectCondition()},
				want: s.subjectCondition(), have: have.AttributeCondition,
			},
		},
	}}
}

// enabled is about what somebody has switched off: nothing from AWS gets in then.
func enabled(disabled bool) facet {
	f := facet{what: "disabled", want: "false", have: fmt.Sprint(disabled)}
	if disabled {
		f.flags = []string{"--no-disabled"}
	}
	return f
}

// deleted is the state of what Google keeps for 30 days, and its name as long.
const deleted = "DELETED"

// deletedFederation says how to have back what is deleted. Why it was, nobody
// knows here.
func (d *deployment) deletedFederation() []string {
	var refusals []string
	refuse := func(what, line string) {
		refusals = append(refusals, fmt.Sprintf("%s is deleted, and its name is taken for 30 days; to have it back: gcloud iam workload-identity-pools %s --location=global --project=%s", what, line, d.settings.projectID))
	}
	if d.have.pool.State == deleted {
		refuse("workload identity pool "+pool, "undelete "+pool)
	}
	if d.have.provider.State == deleted {
		refuse("workload identity provider "+provider, "providers undelete "+provider+" --workload-identity-pool="+pool)
	}
	return refusals
}
