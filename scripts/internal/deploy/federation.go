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
		create: []string{"iam", "workload-identity-pools", "create", pool, "--location=global", "--display-name=Gatepost"},
		facets: []facet{{what: "state", want: "ACTIVE", have: d.have.pool.State, fixed: true}},
	}, {
		name: "workload identity provider " + provider, exists: have.Name != "", queue: "federation",
		create: append([]string{"iam", "workload-identity-pools", "providers", "create-aws"}, line...),
		update: append([]string{"iam", "workload-identity-pools", "providers", "update-aws"}, line...),
		facets: []facet{
			{what: "state", want: "ACTIVE", have: have.State, fixed: true},
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
