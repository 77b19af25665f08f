package main

import "slices"

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

// switchOn switches on the APIs that are not, in one command.
func (d *deployment) switchOn() []command {
	off := slices.DeleteFunc(slices.Clone(apis), func(api string) bool { return d.have.apis[api] })
	if len(off) == 0 {
		return nil
	}
	return []command{d.settings.gcloud(append([]string{"services", "enable"}, off...)...)}
}

// accounts are the service accounts: of what builds, and of each stack's
// functions and their callers.
func (d *deployment) accounts() []command {
	names := []string{buildAccount}
	for _, one := range d.stacks {
		for _, f := range functions {
			names = append(names, one.function(f.entryPoint))
			if caller := one.named(f.caller); !slices.Contains(names, caller) {
				names = append(names, caller)
			}
		}
	}
	var all []command
	for _, name := range names {
		if !d.have.accounts[d.settings.email(name)] {
			all = append(all, d.settings.gcloud("iam", "service-accounts", "create", name))
		}
	}
	return all
}

// secrets are containers without a value. A keyset opens the tokens of one
// region, and stays there as they do.
func (d *deployment) secrets() []resource {
	var all []resource
	for _, name := range d.settings.secretNames(nil) {
		all = append(all, d.secret(name, "automatic", "--replication-policy=automatic"))
	}
	for _, one := range d.stacks {
		all = append(all, d.secret(one.keyset(), one.location, "--replication-policy=user-managed", "--locations="+one.location))
	}
	return all
}

func (d *deployment) secret(name, replication string, flags ...string) resource {
	have, exists := d.have.secrets[name]
	return resource{
		name: "secret " + name, exists: exists,
		create: []string{"secrets", "create", name},
		facets: []facet{{what: "replication", flags: flags, want: replication, have: have.replication(), fixed: true}},
	}
}

// emptySecrets are those of the stacks without a version that can be used.
func (d *deployment) emptySecrets() []string {
	return slices.DeleteFunc(d.settings.secretNames(d.stacks), func(name string) bool { return d.have.filled[name] })
}
