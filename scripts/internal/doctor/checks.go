package doctor

import "context"

// When a check is made.
const (
	before = 1 << iota
	after
	local
)

// check is one check. The README lists all of them.
type check struct {
	in       int // before, after, local
	category string
	name     string
	proves   string // for the README
	todo     string // what to do if all is not well, unless the check says more
	link     string
	first    bool // the others need it
	each     bool // it is made for each stack
	run      func(context.Context, *exam)
}

// What several checks advise.
const (
	applyAgain = "apply again, with Terraform or scripts/deploy"
	reads      = "; to read it you need roles/viewer and roles/iam.securityReviewer"
)

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
	{
		before | after, "project", "settings", "the file of settings keeps all rules; without a file, that functions are deployed",
		"correct the settings; infra/variables.tf and infra/settings.tf describe each", deployment, true, false, checkSettings,
	},
	{
		before | after, "project", "project", "the project exists, is active, and you may read it",
		"check --project, and gcloud auth application-default login", deployment, true, false, checkProject,
	},
	{
		before | after, "project", "APIs", "every API that Gatepost uses is enabled",
		"gcloud services enable NAME --project=PROJECT", deployment, false, false, checkAPIs,
	},
	{
		before, "project", "your rights", "you may create each kind of resource",
		"have roles/owner for the deployment, or the roles with these permissions", deployment, false, false, checkRights,
	},
	{
		before, "project", "quotas", "the quotas of Cloud Run allow each function's max_instances",
		"request an increase of the quota, or lower scaling", deployment, false, true, checkQuotas,
	},
	{
		before | after, "secrets", "client credentials", "LWA_CREDENTIALS has a client id and a client secret, or several",
		`add a version with {"client_id":"…","client_secret":"…"} of the page Build, Permissions`, deployment, false, false, checkCredentials,
	},
	{
		before | after, "secrets", "keyset", "the stack's TOKEN_KEYSET opens",
		"gatepost keyset create REF; restore the version before, if there are tokens", deployment, false, true, checkKeyset,
	},
	{
		before | after, "identity provider", "refuses a made-up token",
		"the provider answers, its discovery document and keys are usable, and its credentials if it introspects",
		"correct grantee.resolver and grantee.jwks: a slash at the end counts", providers, false, false, checkProvider,
	},
	{
		before | after, "identity provider", "audience", "tokens that were issued for something else are refused",
		"set grantee.audience to what your provider puts into aud", providers, false, false, checkAudience,
	},
	{
		after, "functions", "active", "each function is deployed and its last build succeeded",
		"read the build's log, and " + applyAgain, deployment, false, true, checkActive,
	},
	{
		after, "functions", "as in the settings", "memory, scaling, time-out, account and environment of each function",
		applyAgain, later, false, true, checkFunctions,
	},
	{
		after, "functions", "version", "all functions run one version",
		"build the package again, and " + applyAgain, later, false, true, checkVersion,
	},
	{
		after, "rights", "invokers", "only its caller may call a function, and nobody without a token",
		"remove the other members of roles/run.invoker, and " + applyAgain, deployment, false, true, checkInvokers,
	},
	{
		after, "rights", "no entry without a token", "Cloud Run refuses a call of AcceptGrant and SkillEvent without a token",
		"remove allUsers from the service's policy, and switch on its IAM check", deployment, false, true, checkDoor,
	},
	{
		after, "rights", "callers", "the Lambda's role and Pub/Sub may have tokens of the calling accounts, and no one else",
		applyAgain + reads, withoutKey, false, true, checkCallers,
	},
	{
		after, "rights", "federation", "Google trusts the AWS account, and of it only the Lambdas' roles",
		applyAgain + reads, withoutKey, false, false, checkFederation,
	},
	{
		after, "rights", "of the functions", "each function may use its database, secrets and topics",
		applyAgain + reads, deployment, false, true, checkFunctionRights,
	},
	{
		after, "events", "subscription of device events", "topic, filter, order, push with identity, retry and dead letters",
		applyAgain + "; topic, filter and ordering cannot be changed: see the link", later, false, true, checkDeviceEvents,
	},
	{
		after, "events", "subscription of shards", "the same of the sweep's subscription",
		applyAgain, later, false, true, checkShards,
	},
	{
		after, "events", "dead letters", "Pub/Sub may forward them, and a subscription keeps them; how many there are",
		"gatepost replay lists them; if a right or a subscription is missing, " + applyAgain, trouble + "#dead_letter", false, true, checkDeadLetters,
	},
	{
		after, "events", "backlog", "no device event waits long",
		"look at the log of SendEvent, and at scaling", noLine, false, true, checkBacklog,
	},
	{
		after, "database", "database", "type, location, protection against deletion, point-in-time recovery",
		applyAgain + "; a database cannot move", later, false, true, checkDatabase,
	},
	{
		after, "database", "index", "the sweep's index is ready",
		"wait while it is CREATING, which takes minutes; otherwise " + applyAgain, later, false, true, checkIndex,
	},
	{
		after, "database", "fields", "Firestore deletes what has expired, and indexes no growing field",
		applyAgain, later, false, true, checkFields,
	},
	{
		after, "sweep", "job", "the scheduler's job is enabled, calls RefreshTokens, and its last run succeeded",
		"gcloud scheduler jobs resume, if it is paused; otherwise look at the log of RefreshTokens", sweeps, false, true, checkJob,
	},
	{
		after, "sweep", "keeps up", "shards are swept, and none leaves more records than before",
		"raise refresh_shards, lwa_max_rate or scaling", sweeps, false, true, checkSweep,
	},
	{
		after, "sweep", "refreshes", "Login with Amazon accepts the client, and the brake is not latched",
		"see the section of the cause; gatepost grants brake shows the brake", trouble + "#alerts", false, true, checkRefreshes,
	},
	{
		before | after | local, "Amazon", "LWA client", "Login with Amazon knows the client: a made-up code is an invalid_grant",
		"correct the secret: both values are on the page Build, Permissions, and not those of account linking", client, false, false, checkLWA,
	},
	{
		after | local, "Amazon", "event gateway", "the gateway answers: a made-up token gets a 401",
		"look at the network, and at EVENT_GATEWAY_*; if it is Amazon's outage, wait", noLine, false, true, checkGateway,
	},
	{
		before | after, "skill proxy", "AWS account", "the credentials of the AWS CLI are of the settings' account",
		"aws sts get-caller-identity; set AWS_PROFILE", deployment, false, false, checkAccount,
	},
	{
		after, "skill proxy", "Lambda", "it is active in the right AWS region, with memory, time-out, role and addresses of the functions",
		applyAgain, proxy, false, true, checkLambda,
	},
	{
		after, "skill proxy", "triggers", "only this skill may invoke it, for directives and skill events",
		applyAgain, proxy, false, true, checkTriggers,
	},
	{
		before | after, "manifest", "permission", "the skill may send events: alexa::async_event:write",
		"turn on Send Alexa Events, on the page Build, Permissions", deployment, false, false, checkPermission,
	},
	{
		before | after, "manifest", "endpoint", "the skill calls the stack's own Lambda in each region",
		"enter the Lambda's ARN on the page Build, Smart Home", deployment, false, true, checkEndpoint,
	},
	{
		before | after, "manifest", "skill events", "the skill tells of unlinking, and to one of the Lambdas",
		"subscribe: ask smapi update-skill-manifest", "functions/skillproxy/README.md", false, false, checkSkillEvents,
	},
	{
		before | after, "discovery", "proactively reported", "Alexa takes reports of each property",
		`set "proactivelyReported": true, and send an AddOrUpdateReport`, trouble + "#accepted", false, false, checkDiscovery,
	},
	{
		local, "local run", "functions", "each function answers",
		"start gatepost local, or give --functions as it shows them", localRun, false, false, checkLocalFunctions,
	},
	{
		local, "local run", "subscriptions", "Pub/Sub has the subscriptions that are delivered",
		"start gatepost local; set PUBSUB_EMULATOR_HOST if it shows another address", localRun, false, false, checkLocalSubscriptions,
	},
}
