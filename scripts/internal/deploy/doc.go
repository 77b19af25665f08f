// Command deploy deploys Gatepost with gcloud and the AWS CLI, for those who use
// no Terraform. scripts/deploy builds and starts it:
//
//	scripts/deploy --dry-run terraform.tfvars.json
//	scripts/deploy terraform.tfvars.json
//
// It makes what infra/ makes, but for the alert policies and the bucket of the
// source: a test compares the two, attribute by attribute, for two sets of
// settings. Its settings are the same file, by the same names, with the same
// defaults and refusals; alert_channels is ignored.
//
// It first asks the cloud what is there: one command for each kind of resource
// and location, and one for each policy. Then it makes what is missing, brings
// in line what differs, and leaves alone what is as it should be; a second run
// changes nothing. Functions are built again only when their source or settings
// have changed; the source's hash is in a label. Whoever deploys one by hand from
// other source leaves that label as it is, and this program does not see it.
//
// It refuses, before it has changed anything but the APIs, what the cloud cannot
// change: a subscription's filter, where a database is, credentials of another
// AWS account, a function that is still being built, a workload identity pool
// that somebody has deleted. It never deletes: of a stack that has moved to
// another location it says at the end what is left in the old one, and how to
// remove it. To the policies of Google's resources it only adds. What it makes
// alone it replaces as a whole, with what others have put there: the proxies'
// roles' trust policies and their inline policies named log, and the functions'
// and proxies' environments. What somebody has disabled or paused it switches on
// again.
//
// No secret's value passes through it: where a secret is empty it says how to
// fill it, and ends with status 3.
//
// Commands that fail are shown with what they said, and end the run with status
// 1. Running again goes on from there. Status 2 is for wrong settings or flags,
// all of which it names. Just after APIs have been switched on, and for a role
// that Lambda does not know yet, it waits and tries again.
//
// The service accounts and roles come first, and the first run ends at the
// secrets: by the second, what has just been made is known everywhere.
package main
