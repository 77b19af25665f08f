package doctor

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gatepostdev/gatepost/scripts/internal/deploy"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// checkSettings reads the settings. Without a file, what is deployed tells them.
func checkSettings(ctx context.Context, e *exam) {
	var err error
	if e.Settings == "" {
		e.deployed(ctx)
	} else if e.settings, err = deploy.ReadSettings(e.Settings); err != nil {
		for line := range strings.Lines(err.Error()) { // one a setting
			e.fail("%s", strings.TrimSpace(line))
		}
	}
	if len(e.broken) > 0 {
		return
	}
	var names []string
	for _, region := range e.Regions {
		names = append(names, string(region))
	}
	if e.stacks, err = e.settings.Stacks(names); err != nil {
		e.fail("%v", err)
		return
	}
	of := string(e.settings.ProjectID)
	if e.project = cmp.Or(e.Project, of); e.project != of {
		e.fail("they are for the project %s, not for %s", of, e.project)
	}
	var regions []string
	for _, stack := range e.stacks {
		regions = append(regions, fmt.Sprintf("%s in %s", string(stack.Region), string(stack.Location)))
	}
	e.ok("%s", strings.Join(regions, ", "))
}

// deployed finds the stacks by their AcceptGrant. The settings that bear on other checks
// are in its environment.
func (e *exam) deployed(ctx context.Context) {
	list, ok := e.read(ctx, "cloudfunctions", "v2/projects/"+e.project+"/locations/-/functions?pageSize=1000", nil)
	locations, environment := map[string]string{}, object{}
	for _, function := range items(list, "functions") {
		parts := strings.Split(at(function, "name"), "/") // projects/P/locations/L/functions/F
		region, found := strings.CutSuffix(strings.TrimPrefix(parts[len(parts)-1], "gatepost-"), "-acceptgrant")
		if known, err := alexa.ParseRegion(strings.ToUpper(region)); found && err == nil {
			locations[string(known)] = parts[3]
			config, _ := function["serviceConfig"].(object)
			environment, _ = config["environmentVariables"].(object)
		}
	}
	if ok && len(locations) == 0 {
		e.todo = "deploy Gatepost, or give --settings and --before"
		e.fail("no function gatepost-REGION-acceptgrant is deployed in %s", e.project)
	}
	e.settings = deploy.Deployed(e.project, locations, environment)
}

func checkProject(ctx context.Context, e *exam) {
	if project, ok := e.read(ctx, "cloudresourcemanager", "v1/projects/"+e.project, nil); ok {
		e.want(e.project, project, "lifecycleState", "ACTIVE")
		e.number = at(project, "projectNumber")
		e.ok("%s, number %s", e.project, e.number)
	}
}

// apis are the APIs that scripts/deploy enables.
var apis = []string{
	"artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "firestore", "iam", "iamcredentials",
	"logging", "monitoring", "pubsub", "run", "secretmanager", "storage", "sts",
}

// enabled returns the enabled APIs of the project, from all pages of the list.
func (e *exam) enabled(ctx context.Context) (map[string]bool, bool) {
	all := map[string]bool{}
	for page, more := "", true; more; more = page != "" {
		path := "v1/projects/" + e.project + "/services?filter=state:ENABLED&pageSize=200"
		if page != "" {
			path += "&pageToken=" + url.QueryEscape(page)
		}
		list, ok := e.read(ctx, "serviceusage", path, nil)
		if !ok {
			return nil, false
		}
		for _, service := range items(list, "services") {
			all[strings.TrimSuffix(at(service, "config.name"), ".googleapis.com")] = true
		}
		page = at(list, "nextPageToken")
	}
	return all, true
}

// lacks reports whether the project is known not to have an API enabled.
func (e *exam) lacks(ctx context.Context, api string) bool {
	enabled, ok := (&exam{doctor: e.doctor}).enabled(ctx) // what cannot be read is for another check
	return ok && !enabled[api]
}

func checkAPIs(ctx context.Context, e *exam) {
	enabled, ok := e.enabled(ctx)
	if !ok {
		return
	}
	e.todo = "gcloud services enable --project=" + e.project
	for _, api := range apis {
		if !enabled[api] {
			e.fail("%s.googleapis.com is not enabled", api)
			e.todo += " " + api + ".googleapis.com"
		}
	}
	if e.Before && len(e.broken) > 0 {
		e.odd, e.broken, e.todo = e.broken, nil, "go on: step 5 of the guide, or scripts/deploy, enables them"
	}
	e.ok("%d are enabled", len(apis))
}

// permissions are those that creating the resources takes.
var permissions = []string{
	"serviceusage.services.enable", "resourcemanager.projects.setIamPolicy",
	"iam.serviceAccounts.create", "iam.serviceAccounts.setIamPolicy", "iam.serviceAccounts.actAs",
	"iam.workloadIdentityPools.create", "iam.workloadIdentityPoolProviders.create",
	"secretmanager.secrets.create", "secretmanager.secrets.setIamPolicy", "secretmanager.versions.add",
	"datastore.databases.create", "datastore.indexes.create", "datastore.indexes.update",
	"pubsub.topics.create", "pubsub.topics.setIamPolicy", "pubsub.subscriptions.create", "pubsub.subscriptions.setIamPolicy",
	"cloudfunctions.functions.create", "cloudfunctions.functions.update", "run.services.setIamPolicy", "cloudscheduler.jobs.create",
	"logging.logMetrics.create", "monitoring.dashboards.create",
	"storage.buckets.create", "storage.objects.create", "monitoring.alertPolicies.create",
}

func checkRights(ctx context.Context, e *exam) {
	asked := object{"permissions": permissions}
	answer, ok := e.read(ctx, "cloudresourcemanager", "v1/projects/"+e.project+":testIamPermissions", asked)
	if !ok {
		return
	}
	granted, _ := answer["permissions"].([]any)
	for _, permission := range permissions {
		if !slices.Contains(granted, any(permission)) {
			e.fail("you lack %s", permission)
		}
	}
	e.ok("you have %d of %d permissions", len(granted), len(permissions))
}

// secret reads the secret that a variable of a stack's AcceptGrant refers to. If it
// cannot, the check fails, or is skipped where the operator may not read it.
func (e *exam) secret(ctx context.Context, stack deploy.Stack, variable string) (sensitive.String, bool) {
	ref, err := secret.ParseRef(string(stack.Functions()[0].Env[variable]))
	if err != nil {
		e.fail("%s: %v", variable, err)
		return sensitive.String{}, false
	}
	value, err := memorize(e.doctor, ref.String(), func() (sensitive.String, error) { return e.secrets.Read(ctx, ref) })
	switch {
	case errors.Is(err, secret.ErrDenied) && e.Before && e.lacks(ctx, "secretmanager"):
		e.disabled("secretmanager")
	case errors.Is(err, secret.ErrDenied):
		e.skip("you may not read %s: it takes roles/secretmanager.secretAccessor", path.Base(ref.String()))
	case err != nil:
		e.fail("%v", err)
	}
	return value, err == nil
}

// credentials reads the client credentials that a variable refers to.
func (e *exam) credentials(ctx context.Context, variable string) ([]lwa.Credentials, bool) {
	text, ok := e.secret(ctx, e.stacks[0], variable)
	if !ok {
		return nil, false
	}
	list, err := lwa.ParseCredentials(text)
	if err != nil {
		e.fail("%s: %v", variable, err)
	}
	return list, err == nil
}

func checkCredentials(ctx context.Context, e *exam) {
	list, ok := e.credentials(ctx, "LWA_CREDENTIALS")
	if !ok {
		return
	}
	for i, one := range list {
		if !strings.HasPrefix(one.ClientID, clientID) {
			e.warn("credentials %d: client_id is not a client id, which begins %s", i+1, clientID)
		}
	}
	e.ok("%d, of the client %s", len(list), shorten(list[0].ClientID))
}

// clientID begins each client id of Login with Amazon.
const clientID = "amzn1.application-oa2-client."

// shorten returns the end of a client id, which is enough to compare it. What is no client
// id may be the secret.
func shorten(id string) string {
	if !strings.HasPrefix(id, clientID) {
		return "?"
	}
	return "…" + id[max(len(clientID), len(id)-6):]
}

func checkKeyset(ctx context.Context, e *exam) {
	text, ok := e.secret(ctx, e.stack, "TOKEN_KEYSET")
	if !ok {
		return
	}
	_, err := seal.New(text)
	keys, keysErr := seal.Keys(text)
	if err := cmp.Or(err, keysErr); err != nil {
		e.fail("%s: %v", string(e.stack.Keyset()), err)
		return
	}
	e.ok("%s opens, keys: %d", string(e.stack.Keyset()), len(keys))
}

// checkProvider resolves a made-up token as AcceptGrant does. Any refusal of the token
// proves that the provider works.
func checkProvider(ctx context.Context, e *exam) {
	set := e.settings.Grantee
	method, err := grantee.ParseMethod(string(set.Resolver))
	if err != nil {
		e.fail("%v", err)
		return
	}
	options := grantee.Options{
		Claim: string(set.Claim), JWKS: string(set.JWKS), Audience: string(set.Audience), HTTPClient: e.http, Now: e.env.Now,
	}
	if method.NeedsCredentials() {
		list, ok := e.credentials(ctx, "GRANTEE_CREDENTIALS")
		if !ok {
			return
		}
		options.Credentials = func(context.Context) (grantee.Credentials, error) { return grantee.Credentials(list[0]), nil }
	}
	resolver, err := grantee.New(method, options)
	if err != nil {
		e.fail("%v", err)
		return
	}
	_, err = resolver.Resolve(ctx, sensitive.New(madeUpJWT()))
	switch {
	case err == nil:
		e.fail("%s vouches for a made-up token", method)
	case !errors.Is(err, grantee.ErrRejected):
		e.fail("%s: %v", method, err)
	}
	e.ok("%s", method)
}

// madeUp is a code and a token that was never issued.
const madeUp = "gatepost-doctor-made-up"

// madeUpJWT returns a token that has the form of a JWT, so that its signature is looked at.
func madeUpJWT() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","kid":"`+madeUp+`"}`)) + "." + part([]byte(`{"sub":"`+madeUp+`"}`)) + "." + part(make([]byte, 256))
}

func checkAudience(_ context.Context, e *exam) {
	method, _ := grantee.ParseMethod(string(e.settings.Grantee.Resolver)) // which another check judges
	_, issuer, _ := strings.Cut(string(e.settings.Grantee.Resolver), ":")
	address, err := url.Parse(issuer)
	switch cognito := err == nil && strings.HasPrefix(address.Host, "cognito-idp."); {
	case !method.TrustsSignature():
		e.ok("%s accepts only tokens for its client", method)
	case e.settings.Grantee.Audience == "" && cognito:
		e.ok("none: access tokens of Cognito have none")
	case e.settings.Grantee.Audience == "":
		e.warn("any token of the issuer is accepted, including ID tokens and tokens for other APIs")
	default:
		e.ok("%s", string(e.settings.Grantee.Audience))
	}
}
