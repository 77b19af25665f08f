package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/gatepostdev/gatepost/scripts/internal/deploy"
	"github.com/gatepostdev/gatepost/scripts/internal/lint"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// checkLWA redeems a made-up code with each of the credentials.
func checkLWA(ctx context.Context, e *exam) {
	var list []lwa.Credentials
	if e.Local != "" {
		client := simulator.DefaultClient()
		list = []lwa.Credentials{{ClientID: client.ID, ClientSecret: client.Secret}}
	} else {
		var ok bool
		if list, ok = e.credentials(ctx, "LWA_CREDENTIALS"); !ok {
			return
		}
	}
	for i, one := range list {
		_, err := lwa.New(e.lwaURL, e.http, []lwa.Credentials{one}, e.env.Now).Exchange(ctx, sensitive.New(madeUp))
		switch {
		case errors.Is(err, lwa.ErrInvalidGrant):
		case errors.Is(err, lwa.ErrClientRefused) && i > 0:
			e.warn("client %s, credentials %d: %v", shorten(one.ClientID), i+1, err)
		case err == nil:
			e.fail("client %s: a made-up code was accepted", shorten(one.ClientID))
		case !errors.Is(err, lwa.ErrClientRefused):
			e.todo = "check the network and LWA_TOKEN_URL; if Amazon has an outage, wait"
			fallthrough
		default:
			e.fail("client %s: %v", shorten(one.ClientID), err)
		}
	}
	e.ok("invalid_grant for a made-up code")
}

// checkGateway sends an event that is well formed, with a made-up token.
func checkGateway(ctx context.Context, e *exam) {
	region := alexa.Region(e.stack.Region)
	sample := alexa.FormatTime(e.env.Now())
	event := fmt.Sprintf(`{"context":{"properties":[]},"event":{`+
		`"header":{"namespace":"Alexa","name":"ChangeReport","messageId":%[1]q,"payloadVersion":"3"},`+
		`"endpoint":{"scope":{"type":"BearerToken","token":%[1]q},"endpointId":%[1]q},`+
		`"payload":{"change":{"cause":{"type":"PERIODIC_POLL"},"properties":[{"namespace":"Alexa.EndpointHealth","name":"connectivity",`+
		`"value":{"value":"OK"},"timeOfSample":%[2]q,"uncertaintyInMilliseconds":0}]}}}}`, madeUp, sample)
	_, err := gateway.New(region, e.gateways[region], e.http).Send(ctx, sensitive.New(madeUp), []byte(event))
	switch {
	case errors.Is(err, gateway.ErrInvalidAccessToken):
	case err == nil:
		e.fail("it accepted a made-up token")
	case errors.Is(err, gateway.ErrUnavailable):
		e.fail("%v", err)
	default:
		e.warn("%v; want a 401", err)
	}
	e.ok("401 for a made-up token")
}

// awsTime bounds a call of the AWS CLI, which retries for minutes where there is no network.
const awsTime = time.Minute

// awsCall calls the AWS CLI, once in a run for the same arguments. Where it cannot be
// used the check is skipped.
func (e *exam) awsCall(ctx context.Context, args ...string) (object, bool) {
	answer, err := memorize(e.doctor, "aws "+strings.Join(args, " "), func() (object, error) {
		ctx, cancel := context.WithTimeout(ctx, awsTime)
		defer cancel()
		answer := object{}
		output, err := e.aws(ctx, args...)
		if err == nil {
			err = json.Unmarshal(output, &answer)
		}
		return answer, err
	})
	switch {
	case err == nil:
	case errors.Is(err, exec.ErrNotFound):
		e.skip("the AWS CLI is not installed here")
	case strings.Contains(err.Error(), "ResourceNotFoundException") && slices.Contains(args, "get-policy"): // it has none
		e.fail("nothing may invoke %s for the skill", string(e.stack.Proxy()))
	case strings.Contains(err.Error(), "ResourceNotFoundException"):
		e.fail("there is no Lambda %s in %s", string(e.stack.Proxy()), string(e.stack.AWSRegion()))
	default:
		e.skip("the AWS CLI could not be used: %v", err)
	}
	return answer, err == nil
}

func checkAccount(ctx context.Context, e *exam) {
	if e.Settings == "" {
		e.skip("give --settings, which names the account")
		return
	}
	if identity, ok := e.awsCall(ctx, "sts", "get-caller-identity"); ok {
		e.want("the credentials", identity, "Account", string(e.settings.AWSAccountID))
		e.ok("%s", at(identity, "Account"))
	}
}

// lambda calls a method of Lambda about the stack's Lambda, unless it is the maker's own.
func (e *exam) lambda(ctx context.Context, method string) (object, bool) {
	switch {
	case e.Settings == "":
		e.skip("give --settings, which names the Lambda")
	case e.stack.OwnLambdaRole != "":
		e.skip("the Lambda is your own")
	default:
		name, region := "--function-name="+string(e.stack.Proxy()), "--region="+string(e.stack.AWSRegion())
		return e.awsCall(ctx, "lambda", method, name, region)
	}
	return nil, false
}

func checkLambda(ctx context.Context, e *exam) {
	lambda, ok := e.lambda(ctx, "get-function-configuration")
	acceptGrant, known := e.uri(ctx, "AcceptGrant")
	skillEvent, knownToo := e.uri(ctx, "SkillEvent")
	if !ok || !known || !knownToo {
		return
	}
	name, rolePath := string(e.stack.Proxy()), "/"
	if path, ok := e.settings.RolePath.(string); ok {
		rolePath = path
	}
	e.want(name, lambda, "State", "Active", "LastUpdateStatus", "Successful", "Timeout", "8",
		"Role", "arn:aws:iam::"+string(e.settings.AWSAccountID)+":role"+rolePath+name)
	if memory, _ := lambda["MemorySize"].(float64); memory < 128 {
		e.fail("%s: MemorySize is %v, want 128 or more", name, memory)
	}
	provider := fmt.Sprintf("//iam.googleapis.com/projects/%s/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda", e.number)
	for variable, value := range map[string]string{
		"ACCEPT_GRANT_URL": acceptGrant, "SKILL_EVENT_URL": skillEvent, "GOOGLE_SERVICE_ACCOUNT": e.email("proxy"),
		"GOOGLE_WORKLOAD_PROVIDER": provider,
	} {
		if at(lambda, "Environment.Variables."+variable) != value {
			e.fail("%s: %s is not %s", name, variable, cmp.Or(value, "set"))
		}
	}
	slices.Sort(e.broken)
	e.ok("%s in %s", name, string(e.stack.AWSRegion()))
}

func checkTriggers(ctx context.Context, e *exam) {
	answer, ok := e.lambda(ctx, "get-policy")
	if !ok {
		return
	}
	policy := object{}
	if err := json.Unmarshal([]byte(at(answer, "Policy")), &policy); err != nil {
		e.fail("the policy of %s is not JSON", string(e.stack.Proxy()))
		return
	}
	found := map[string]bool{}
	for _, statement := range items(policy, "Statement") {
		service := cmp.Or(at(statement, "Principal.Service"), at(statement, "Principal.AWS"), at(statement, "Principal"))
		if at(statement, "Condition.StringEquals.lambda:EventSourceToken") == string(e.settings.SkillID) {
			found[service] = true
		} else {
			e.fail("%s may invoke it for another skill, or for any", service)
		}
	}
	for service, what := range map[string]string{"alexa-connectedhome.amazon.com": "directives", "alexa-appkit.amazon.com": "skill events"} {
		if !found[service] {
			e.fail("%s may not invoke it for the skill, so it gets no %s", service, what)
		}
	}
	slices.Sort(e.broken)
	e.ok("directives and skill events of %s", string(e.settings.SkillID))
}

// manifest reads the file of the skill's manifest.
func (e *exam) manifest() (object, bool) {
	file := object{}
	data, err := os.ReadFile(e.Manifest)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	switch {
	case err != nil:
		e.fail("%s: %v", e.Manifest, err)
	case at(file, "manifest.apis.smartHome") == "":
		e.fail("%s is not the manifest of a smart home skill: want manifest.apis.smartHome", e.Manifest)
	default:
		manifest, ok := file["manifest"].(object)
		return manifest, ok
	}
	e.todo = "write it with ask smapi get-skill-manifest -s SKILL -g development"
	return nil, false
}

// uriOf returns where Alexa sends what is below path in a manifest from a region.
func uriOf(manifest object, path, region string) string {
	return cmp.Or(at(manifest, path+".regions."+region+".endpoint.uri"), at(manifest, path+".endpoint.uri"))
}

func checkPermission(_ context.Context, e *exam) {
	const sends = "alexa::async_event:write"
	manifest, ok := e.manifest()
	has := func(permission object) bool { return at(permission, "name") == sends }
	if ok && !slices.ContainsFunc(items(manifest, "permissions"), has) {
		e.fail("%s is not among its permissions", sends)
	}
	e.ok("%s", sends)
}

// wantLambda fails unless an address is that of the stack's Lambda, or of one of its
// aliases. Of a Lambda of the maker's own only the AWS region is known.
func (e *exam) wantLambda(uri string, stack deploy.Stack) {
	arn := "arn:aws:lambda:" + string(stack.AWSRegion()) + ":"
	if e.Settings != "" && stack.OwnLambdaRole == "" {
		arn += string(e.settings.AWSAccountID) + ":function:" + string(stack.Proxy())
	}
	if uri != arn && !strings.HasPrefix(uri, strings.TrimSuffix(arn, ":")+":") {
		e.fail("%s: it calls %s, want %s", string(stack.Region), cmp.Or(uri, "nothing"), arn)
	}
}

func checkEndpoint(_ context.Context, e *exam) {
	if manifest, ok := e.manifest(); ok {
		uri := uriOf(manifest, "apis.smartHome", string(e.stack.Region))
		e.wantLambda(uri, e.stack)
		e.ok("%s", uri)
	}
}

func checkSkillEvents(_ context.Context, e *exam) {
	manifest, ok := e.manifest()
	if !ok {
		return
	}
	events, _ := manifest["events"].(object)
	for _, name := range []string{"SKILL_ACCOUNT_LINKED", "SKILL_DISABLED"} {
		subscribed := func(subscription object) bool { return at(subscription, "eventName") == name }
		if !slices.ContainsFunc(items(events, "subscriptions"), subscribed) {
			e.warn("it does not subscribe to %s, so unlinking is noticed later", name)
		}
	}
	for _, stack := range e.stacks {
		if len(e.odd) == 0 {
			e.wantLambda(uriOf(manifest, "events", string(stack.Region)), stack)
		}
	}
	e.ok("it subscribes to SKILL_ACCOUNT_LINKED and SKILL_DISABLED")
}

func checkDiscovery(_ context.Context, e *exam) {
	declared, missing, err := lint.Unreported(e.Discovery, e.env.Stdin)
	if err != nil {
		e.fail("%v", err)
		return
	}
	for _, name := range missing[:min(len(missing), 10)] {
		e.fail("%s is not proactivelyReported", name)
	}
	if n := len(missing) - 10; n > 0 {
		e.fail("and %d more", n)
	}
	e.ok("all %d interfaces with properties", declared)
}

// checkLocalFunctions gets, which every function refuses with a 405.
func checkLocalFunctions(ctx context.Context, e *exam) {
	names := []string{"AcceptGrant", "SkillEvent", "RefreshTokens", "RefreshShard", "SendEvent"}
	for _, name := range names {
		switch status, err := e.get(ctx, e.env.Local.Functions+"/"+name); {
		case err != nil:
			e.fail("%v", err)
			return
		case status != http.StatusMethodNotAllowed:
			e.fail("%s answers %d to a GET, want 405", name, status)
		}
	}
	e.ok("%d, at %s", len(names), e.env.Local.Functions)
}

// checkLocalSubscriptions looks at the subscriptions of the local run.
func checkLocalSubscriptions(ctx context.Context, e *exam) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	address := e.env.Local.PubSub
	client, err := pubsub.NewSubscriptionAdminClient(ctx, oneprocess.Emulator(address)...)
	if err != nil {
		e.fail("Pub/Sub at %s: %v", address, err)
		return
	}
	defer func() { _ = client.Close() }() // nothing was sent
	for _, name := range e.env.Local.Subscriptions {
		if _, err := client.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: name}); err != nil {
			e.fail("%s at %s: %v", path.Base(name), address, err)
			break
		}
	}
	e.ok("%d, at %s", len(e.env.Local.Subscriptions), address)
}
