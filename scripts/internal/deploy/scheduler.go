package main

import (
	"fmt"
	"strings"
)

const jobDescription = "Begins a sweep, which refreshes the access tokens that will soon expire."

// running is whether a job is, for all that somebody has done.
func running(state string) string {
	if state == "PAUSED" {
		return "paused"
	}
	return "running"
}

// jobs begin the sweeps, one for each stack.
func (d *deployment) jobs() []resource {
	s := d.settings
	var all []resource
	for _, one := range d.stacks {
		name, url, account := one.named("refresh"), one.url("RefreshTokens"), s.email(one.named("scheduler"))
		have, exists := d.have.jobs[one.location+"/"+name]
		retry, target := have.RetryConfig, have.HTTPTarget
		all = append(all, resource{
			name: "scheduler job " + name, exists: exists,
			create: []string{"scheduler", "jobs", "create", "http", name, "--location=" + one.location, "--description=" + jobDescription},
			update: []string{"scheduler", "jobs", "update", "http", name, "--location=" + one.location},
			facets: []facet{
				{what: "state", want: "running", have: running(have.State), mend: []string{"scheduler", "jobs", "resume", name, "--location=" + one.location}},
				{what: "schedule", flags: []string{"--schedule=" + s.refreshSchedule}, want: s.refreshSchedule, have: have.Schedule},
				{what: "time zone", flags: []string{"--time-zone=Etc/UTC"}, want: "Etc/UTC", have: have.TimeZone},
				{
					what:  "target", // Cloud Scheduler ends an address without a path in a slash
					flags: []string{"--uri=" + url, "--http-method=POST", "--oidc-service-account-email=" + account, "--oidc-token-audience=" + url},
					want:  fmt.Sprint(d.known.resolve(url), " POST ", account, " ", d.known.resolve(url)),
					have:  fmt.Sprint(strings.TrimSuffix(target.URI, "/"), " ", target.HTTPMethod, " ", target.OidcToken.ServiceAccountEmail, " ", target.OidcToken.Audience),
				},
				{what: "attempt deadline", flags: []string{"--attempt-deadline=60s"}, want: "60s", have: have.AttemptDeadline},
				{
					what: "retries", flags: []string{"--max-retry-attempts=3", "--min-backoff=5s", "--max-backoff=30s"},
					want: "3 5s 30s", have: fmt.Sprint(retry.RetryCount, " ", retry.MinBackoffDuration, " ", retry.MaxBackoffDuration),
				},
			},
		})
	}
	return all
}
