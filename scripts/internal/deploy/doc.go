// Command deploy deploys Gatepost with gcloud and the AWS CLI, for those who use
// no Terraform. scripts/deploy builds and starts it:
//
//	scripts/deploy --dry-run terraform.tfvars.json
//	scripts/deploy terraform.tfvars.json
//
// It makes what infra/ makes, but for the alert policies and the bucket of the
// source: a test compares the two, attribute by attribute. Its settings are the
// same file, by the same names, with the same defaults and refusals.
//
// It first asks the cloud what is there: one command for each kind of resource
// and location, and one for each policy. Then it makes what is missing, brings
// in line what differs, and leaves alone what is as it should be; a second run
// changes nothing. Functions are built again only when their source or settings
// have changed; the source's hash is in a label.
//
// It refuses, before it has changed anything but the APIs, what the cloud cannot
// change: a subscription's filter, where a database is, credentials of another
// AWS account. It never deletes, never replaces a policy as a whole, and no
// secret's value passes through it: where a secret is empty it says how to fill
// it, and ends with status 3.
//
// A command that fails is shown with what it said, and ends the run with status
// 1. Running again goes on from there. Status 2 is for wrong settings or flags,
// all of which it names.
//
// The service accounts and roles come first, and the first run ends at the
// secrets: by the second, what has just been made is known everywhere.
package main
