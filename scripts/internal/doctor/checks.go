package doctor

import "context"

// When a check is made.
const (
	before = 1 << iota
	after
	local
)

// The scope of a check.
const (
	once  = iota
	first // once, before the others, which need it
	each  // for each stack
)

// check is one check.
type check struct {
	in       int // before, after, local
	scope    int
	category string
	name     string
	run      func(context.Context, *exam)
	link     string
	proves   string // for the README
	todo     string // what to do if all is not well, unless the check says more
}

// What several checks advise.
const applyAgain = "apply again, with Terraform or scripts/deploy"

// Pages of the links.
const (
	deployment = "infra/README.md#the-first-deployment"
	providers  = "infra/README.md#identity-providers"
	later      = "infra/README.md#later"
	trouble    = "functions/TROUBLESHOOTING.md"
	noLine     = trouble + "#no-line"
	sweeps     = trouble + "#sweeps"
	client     = trouble + "#our-client-is-refused"
	proxy      = "functions/skillproxy/README.md#environment"
	withoutKey = "functions/skillproxy/README.md#no-key"
	localRun   = "README.md#try-it"
)

// checks are all checks, in the order of the output.
var checks = []check{
	{before | after, first, "project", "settings", checkSettings, deployment,
		"the settings obey all rules; without a file of settings, functions are deployed",
		"correct the settings; infra/modules/google and infra/modules/aws describe each"},
	{before | after, first, "project", "project", checkProject, deployment,
		"the project exists and is active, and you may read it",
		"check --project, and gcloud auth application-default login"},
	{before | after, once, "project", "APIs", checkAPIs, deployment,
		"every API that Gatepost uses is enabled",
		"gcloud services enable NAME --project=PROJECT"},
	{before, once, "project", "your rights", checkRights, deployment,
		"you may create each kind of resource",
		"get roles/owner for the deployment, or the roles with these permissions"},
	{before, each, "project", "quotas", checkQuotas, deployment,
		"the quotas of Cloud Run allow each function's max_instances",
		"request an increase of the quota, or lower scaling"},
	{before, each, "project", "builds", checkBuilds, deployment,
		"Cloud Build may build in the location: a new project may not build in all of them",
		"choose another location, or request an increase of the quota"},
	{before, each, "project", "runtime", checkRuntime, deployment,
		"Cloud Functions has the runtime in the location",
		"choose another location, or a version of Gatepost with a newer runtime"},
	{before, once, "project", "organisation policies", checkPolicies, "infra/ORGANISATION.md#policies",
		"no policy of the organisation refuses what Gatepost creates",
		"ask the organisation's administrator for an exception for the project"},
	{before | after, once, "secrets", "client credentials", checkCredentials, deployment,
		"LWA_CREDENTIALS has a client id and a client secret, or several",
		`add a version with {"client_id":"…","client_secret":"…"} of the page Build, Permissions`},
	{before | after, each, "secrets", "keyset", checkKeyset, deployment,
		"the stack's TOKEN_KEYSET opens",
		"if there are tokens, restore the previous version; otherwise gatepost keyset create REF"},
	{before | after, once, "identity provider", "refuses a made-up token", checkProvider, providers,
		"the provider answers, and its discovery document and keys, or the credentials for introspection, are usable",
		"correct grantee.resolver and grantee.jwks: a trailing slash matters"},
	{before | after, once, "identity provider", "audience", checkAudience, providers,
		"tokens that were issued for something else are refused",
		"set grantee.audience to what your provider puts into aud"},
	{after, each, "functions", "active", checkActive, deployment,
		"each function is deployed and its last build succeeded",
		"read the build's log; wait some minutes if it lacks a role in a new deployment; apply again, " +
			"with -replace if Terraform finds nothing to do"},
	{after, each, "functions", "as in the settings", checkFunctions, later,
		"memory, scaling, time-out, account and environment of each function",
		applyAgain},
	{after, each, "functions", "version", checkVersion, later,
		"all functions run one version",
		"build the package again, and " + applyAgain},
	{after, each, "rights", "invokers", checkInvokers, deployment,
		"only its caller may call a function, and only with a token",
		"remove the other members of roles/run.invoker, and " + applyAgain},
	{after, each, "rights", "no entry without a token", checkDoor, deployment,
		"Cloud Run checks IAM for each function, and refuses a call of AcceptGrant and SkillEvent without a token",
		"remove allUsers from the service's policy, and switch on its IAM check"},
	{after, each, "rights", "callers", checkCallers, withoutKey,
		"only the Lambda's role and Pub/Sub may get tokens of the calling accounts",
		applyAgain},
	{after, once, "rights", "federation", checkFederation, withoutKey,
		"Google trusts only the Lambdas' roles of the AWS account",
		applyAgain},
	{after, each, "rights", "of the functions", checkFunctionRights, deployment,
		"each function may use its database, secrets and topics",
		applyAgain},
	{after, each, "events", "subscription of device events", checkDeviceEvents, later,
		"topic, filter, order, push with identity, retry and dead letters",
		applyAgain + "; topic, filter and ordering cannot be changed: see the link"},
	{after, each, "events", "subscription of shards", checkShards, later,
		"the same for the sweep's subscription",
		applyAgain},
	{after, each, "events", "dead letters", checkDeadLetters, trouble + "#dead_letter",
		"Pub/Sub may forward them, and a subscription keeps them; how many there are",
		"gatepost replay lists them; if a right or a subscription is missing, " + applyAgain},
	{after, each, "events", "backlog", checkBacklog, noLine,
		"no device event waits long",
		"look at the log of SendEvent, and at scaling"},
	{after, each, "database", "database", checkDatabase, later,
		"type, location, protection against deletion, point-in-time recovery",
		applyAgain + "; a database cannot move"},
	{after, each, "database", "index", checkIndex, later,
		"the sweep's index is ready",
		"wait while it is CREATING, which takes minutes; otherwise " + applyAgain},
	{after, each, "database", "fields", checkFields, later,
		"Firestore deletes what has expired, and indexes no growing field",
		applyAgain},
	{after, each, "sweep", "job", checkJob, sweeps,
		"the scheduler's job is enabled, calls RefreshTokens, and its last run succeeded",
		"gcloud scheduler jobs resume, if it is paused; wait some minutes after code 7 in a new deployment; " +
			"otherwise look at the log of RefreshTokens"},
	{after, each, "sweep", "keeps up", checkSweep, sweeps,
		"shards are swept, and none leaves more records than before",
		"raise refresh_shards, lwa_max_rate or scaling"},
	{after, each, "sweep", "refreshes", checkRefreshes, trouble + "#alerts",
		"Login with Amazon accepts the client, and the brake is not latched",
		"see the section of the cause; gatepost grants brake shows the brake"},
	{local, once, "local run", "functions", checkLocalFunctions, localRun,
		"each function answers",
		"look at what gatepost local shows, and start it again"},
	{local, once, "local run", "subscriptions", checkLocalSubscriptions, localRun,
		"Pub/Sub has the subscriptions",
		"look at what gatepost local shows, and start it again"},
	{before | after | local, once, "Amazon", "LWA client", checkLWA, client,
		"Login with Amazon knows the client: a made-up code gets invalid_grant",
		"correct the secret: both values are on the page Build, Permissions, and not those of account linking"},
	{after | local, each, "Amazon", "event gateway", checkGateway, noLine,
		"the gateway answers: a made-up token gets a 401",
		"check the network and EVENT_GATEWAY_*; if Amazon has an outage, wait"},
	{before | after, once, "skill proxy", "AWS account", checkAccount, deployment,
		"the credentials of the AWS CLI belong to the account in the settings",
		"aws sts get-caller-identity; set AWS_PROFILE"},
	{after, each, "skill proxy", "Lambda", checkLambda, proxy,
		"it is active in the right AWS region, with the right memory, time-out, role and function addresses",
		applyAgain},
	{after, each, "skill proxy", "triggers", checkTriggers, proxy,
		"only this skill may invoke it, for directives and skill events",
		applyAgain},
	{before | after, once, "manifest", "permission", checkPermission, deployment,
		"the skill may send events: alexa::async_event:write",
		"turn on Send Alexa Events, on the page Build, Permissions"},
	{after, each, "manifest", "endpoint", checkEndpoint, deployment,
		"the skill calls the stack's own Lambda in each region",
		"enter the Lambda's ARN on the page Build, Smart Home"},
	{after, once, "manifest", "skill events", checkSkillEvents, "functions/skillproxy/README.md#skill-events",
		"the skill subscribes to the events about unlinking, in each region with its own Lambda",
		"subscribe, each region with its own Lambda: ask smapi update-skill-manifest"},
	{before | after, once, "discovery", "proactively reported", checkDiscovery, trouble + "#accepted",
		"Alexa takes reports of each property",
		`set "proactivelyReported": true, and send an AddOrUpdateReport`},
}
