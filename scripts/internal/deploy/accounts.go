package main

import (
	"fmt"
	"maps"
	"slices"
)

// apis are what has to be switched on in the project.
var apis = []string{
	"artifactregistry.googleapis.com", "cloudbuild.googleapis.com", "cloudfunctions.googleapis.com", "cloudresourcemanager.googleapis.com",
	"cloudscheduler.googleapis.com", "firestore.googleapis.com", "iam.googleapis.com", "iamcredentials.googleapis.com", "logging.googleapis.com",
	"monitoring.googleapis.com", "pubsub.googleapis.com", "run.googleapis.com", "secretmanager.googleapis.com", "storage.googleapis.com", "sts.googleapis.com",
}

// buildRoles are what Cloud Build needs. They are on the project, since Cloud
// Functions itself names the log, the images and the bucket that they are for:
// https://cloud.google.com/functions/docs/securing/build-custom-sa
var buildRoles = []string{"roles/artifactregistry.writer", "roles/logging.logWriter", "roles/storage.objectViewer"}

// switchOn switches on the APIs that are not, in one command. Google needs some
// minutes until it knows of it everywhere.
func (d *deployment) switchOn() []command {
	off := slices.DeleteFunc(slices.Clone(apis), func(api string) bool { return d.have.apis[api] })
	if len(off) == 0 {
		return nil
	}
	d.runner.fresh = true
	return []command{d.settings.gcloud(append([]string{"services", "enable"}, off...)...)}
}

// accounts are the service accounts: of what builds, and of each stack's
// functions and their callers.
func (d *deployment) accounts() []resource {
	all := []resource{d.account(buildAccount, "Builds Gatepost's functions")}
	for _, one := range d.stacks {
		for _, f := range functions {
			all = append(all, d.account(one.function(f.entryPoint), "Gatepost "+one.region+": "+f.entryPoint))
		}
		for _, name := range slices.Sorted(maps.Keys(callers)) {
			all = append(all, d.account(one.named(name), "Gatepost "+one.region+": "+callers[name]))
		}
	}
	return all
}

// callers is what the accounts do that call functions, by name in the stack.
var callers = map[string]string{
	"proxy":             "calls AcceptGrant and SkillEvent from AWS",
	"scheduler":         "calls RefreshTokens",
	"push-refreshshard": "pushes to RefreshShard",
	"push-sendevent":    "pushes to SendEvent",
}

// account is made under a title, which anybody may change. One that somebody
// has disabled stops what runs as it, and is enabled.
func (d *deployment) account(name, title string) resource {
	have, exists := d.have.accounts[d.settings.email(name)]
	return resource{
		name: "account " + name, exists: exists,
		create: []string{"iam", "service-accounts", "create", name, "--display-name=" + title},
		facets: []facet{{
			what: "disabled", want: "false", have: fmt.Sprint(have.Disabled),
			mend: []string{"iam", "service-accounts", "enable", d.settings.email(name)},
		}},
	}
}

// secrets are containers without a value. A keyset opens the tokens of one
// region, and stays there as they do: when the stack moves to another location
// it is read from where it is, since another secret would have no value.
func (d *deployment) secrets() []resource {
	var all []resource
	for _, name := range d.settings.secretNames(nil) {
		all = append(all, d.secret(name, "--replication-policy=automatic"))
	}
	for _, one := range d.stacks {
		all = append(all, d.secret(one.keyset(), "--replication-policy=user-managed", "--locations="+one.location))
	}
	return all
}

func (d *deployment) secret(name string, replication ...string) resource {
	return resource{
		name: "secret " + name, exists: d.have.secrets[name],
		create: slices.Concat([]string{"secrets", "create", name}, replication),
	}
}

// emptySecrets are those of the stacks without a version that can be used.
func (d *deployment) emptySecrets() []string {
	return slices.DeleteFunc(d.settings.secretNames(d.stacks), func(name string) bool { return d.have.filled[name] })
}
