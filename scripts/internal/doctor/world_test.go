package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/cloudfake"
)

func TestMain(m *testing.M) {
	os.Unsetenv("GOOGLE_CLOUD_PROJECT") // the default of --project
	testkit.Main(m)
}

var now = time.Date(2026, 11, 28, 15, 30, 0, 0, time.UTC)

// What may not be in any output.
const canary = "canary-of-a-secret"

// world is a healthy deployment in EU, as scripts/deploy made it in the fakes of the two
// clouds, with Amazon and the identity provider. A test spoils it.
type world struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	*testing.T
	google    *cloudfake.Google
	resources map[string]object // of both clouds, to be changed before the run
	amazon    *simulator.Simulator
	provider  http.HandlerFunc
	door      int // status of Cloud Run for calls without a token
	secrets   map[string]string
	lines     []object         // of the log
	metrics   map[string]int64 // by subscription and metric
	granted   []string         // permissions of the operator
	cpuQuota  int              // in thousandths
	buildCPUs int
	runtime   object            // of Cloud Functions
	policies  map[string]object // rules of the organisation, by constraint
	forbidden string            // part of the paths at Google that the operator may not read
	disabled  string            // API that is not enabled
	open      string            // function for which Cloud Run does not check IAM
	noAWS     error
	settings  string // files
	manifest  string
	discovery string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	recorded, err := os.ReadFile("testdata/deployed.json")
	w := &world{
		T: t, google: cloudfake.NewGoogle(t), amazon: simulator.New(simulator.Options{}), door: http.StatusForbidden, metrics: map[string]int64{},
		granted: permissions, cpuQuota: 20_000, buildCPUs: 10,
		runtime: object{"name": "go126", "environment": "GEN_2", "stage": "GA"}, policies: map[string]object{},
		settings: settings, manifest: "testdata/manifest.json", discovery: "testdata/discovery.json",
	}
	if err := errors.Join(err, json.Unmarshal(recorded, &w.resources)); err != nil {
		t.Fatal(err)
	}
	w.find("jobs/gatepost-eu-refresh")["httpTarget"].(object)["uri"] = cloudfake.URL("gatepost-eu-refreshtokens") + "/" // as Google has it
	w.set("jobs/gatepost-eu-refresh", "lastAttemptTime", now.Add(-2*time.Minute).Format(time.RFC3339))
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	client := simulator.DefaultClient()
	w.secrets = map[string]string{
		"gatepost-lwa-credentials": fmt.Sprintf(`[{"client_id":%q,"client_secret":%q}]`, client.ID, client.Secret.Reveal()),
		"gatepost-token-keyset-eu": keyset.Reveal(),
	}
	w.provider = func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			// Of RFC 7517, A.1.
			fmt.Fprint(rw, `{"keys":[{"kty":"RSA","kid":"1","use":"sig","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cb`+
				`bfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGj`+
				`QR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3`+
				`XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]}`)
			return
		}
		fmt.Fprint(rw, `{"issuer":"https://id.maker.example","jwks_uri":"https://id.maker.example/keys"}`)
	}
	w.log("sendevent", 5*time.Hour, "INFO", object{"message": "ready", "version": "v1.2.2"}) // until it was deployed again
	for _, function := range []string{"acceptgrant", "refreshshard", "sendevent"} {
		w.log(function, 3*time.Hour, "INFO", object{"message": "ready", "version": "v1.2.3"})
	}
	for minutes := range 30 {
		w.log("refreshshard", time.Duration(minutes)*time.Minute, "INFO", object{"function": "RefreshShard", "refreshed": 3, "remaining": false})
	}
	return w
}

// log adds a line to the log.
func (w *world) log(function string, ago time.Duration, severity string, payload object) {
	w.lines = append(w.lines, object{
		"timestamp": now.Add(-ago).Format(time.RFC3339), "severity": severity, "jsonPayload": payload,
		"resource": object{"labels": object{"service_name": "gatepost-eu-" + function}},
	})
}

// find returns the resource whose name ends so.
func (w *world) find(suffix string) object {
	w.Helper()
	for name, resource := range w.resources {
		if strings.HasSuffix(name, suffix) {
			return resource
		}
	}
	w.Fatalf("there is no %s", suffix)
	return nil
}

// set changes a member of a resource, nil to remove it.
func (w *world) set(resource, path string, value any) {
	w.Helper()
	o := w.find(resource)
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		o = o[step].(object)
	}
	o[steps[len(steps)-1]] = value
	if value == nil {
		delete(o, steps[len(steps)-1])
	}
}

// remove removes a resource.
func (w *world) remove(suffix string) {
	w.find(suffix)
	maps.DeleteFunc(w.resources, func(name string, _ object) bool { return strings.HasSuffix(name, suffix) })
}

// reading are the methods that are not GET and change nothing.
var reading = regexp.MustCompile(`^/(logging/v2/entries:list|cloudresourcemanager/v1/projects/[^/]+:(getIamPolicy|testIamPermissions)|` +
	`iam/v1/projects/-/serviceAccounts/[^/]+:getIamPolicy)$`)

// ServeHTTP is every API of Google's, each in a folder of its name.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && !reading.MatchString(r.URL.Path) {
		w.Errorf("doctor may change something: %s %s", r.Method, r.URL)
	}
	var answer any
	switch api, rest, _ := strings.Cut(r.URL.Path[1:], "/"); {
	case api == w.disabled:
		rw.WriteHeader(http.StatusForbidden)
		answer = object{"error": object{"message": "it has not been used before", "details": []any{object{"reason": "SERVICE_DISABLED"}}}}
	case api == "run" && !strings.Contains(rest, ":"):
		answer = object{"invokerIamDisabled": w.open != "" && strings.HasSuffix(rest, w.open)}
	case strings.HasSuffix(rest, "/services"):
		w.pageOfServices(rw, r)
		return
	case strings.HasSuffix(rest, "projects/maker-test"), w.forbidden != "" && strings.Contains(r.URL.Path, w.forbidden): // or there is none
		rw.WriteHeader(http.StatusForbidden)
		answer = object{"error": object{"message": "the caller does not have permission"}}
	case api == "logging":
		answer = object{"entries": w.selected(r.Body)}
	case api == "monitoring":
		filter := strings.Split(r.URL.Query().Get("filter"), `"`)
		answer = object{}
		if n := w.metrics[filter[3]+" "+path.Base(filter[1])]; n > 0 {
			answer = object{"timeSeries": []any{object{
				"resource": object{"labels": object{"subscription_id": filter[3]}},
				"points":   []any{object{"value": object{"int64Value": fmt.Sprint(n)}}},
			}}}
		}
	case api == "cloudquotas":
		answer = quotas(map[string]int{
			"CpuAllocPerProjectRegion": w.cpuQuota, "MemAllocPerProjectRegion": 40 << 30, "concurrent_public_pool_build_cpus": w.buildCPUs,
		})
	case api == "orgpolicy":
		rule, ok := w.policies[strings.TrimSuffix(path.Base(rest), ":getEffectivePolicy")]
		if !ok {
			rule = object{"allowAll": true}
		}
		answer = object{"spec": object{"rules": []any{rule}}}
	case strings.HasSuffix(rest, "/runtimes"):
		answer = object{"runtimes": []any{object{"name": "go122", "environment": "GEN_2", "stage": "GA"}, w.runtime}}
	case strings.HasSuffix(rest, ":testIamPermissions"):
		answer = object{"permissions": w.granted}
	default:
		r.URL.Path = "/" + rest
		w.google.ServeHTTP(rw, r)
		return
	}
	_ = json.NewEncoder(rw).Encode(answer)
}

// quotas is a list of the quotas that are not negative, each with an id and a metric.
func quotas(values map[string]int) object {
	var all []any
	for name, value := range values {
		if value < 0 {
			continue // not listed
		}
		details := object{"value": fmt.Sprint(value)}
		if value == 0 { // which Google leaves out
			details = object{}
		}
		all = append(all, object{"quotaId": name, "metric": "cloudbuild.googleapis.com/" + name, "dimensionsInfos": []any{
			object{"details": object{"value": "1"}, "applicableLocations": []string{"us-east4"}},
			object{"details": details, "applicableLocations": []string{"europe-west1"}},
		}})
	}
	return object{"quotaInfos": all}
}

// pageOfServices answers with one enabled API a page.
func (w *world) pageOfServices(rw http.ResponseWriter, r *http.Request) {
	var names []string
	for name := range w.resources {
		if strings.HasPrefix(name, "projects/maker-prod/services/") {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	i := slices.Index(names, r.URL.Query().Get("pageToken")) + 1
	answer := object{"services": []any{object{"config": object{"name": names[i]}}}}
	if i < len(names)-1 {
		answer["nextPageToken"] = names[i]
	}
	_ = json.NewEncoder(rw).Encode(answer)
}

// selected returns the lines that a filter of the log selects, no more than a page.
func (w *world) selected(body io.Reader) []object {
	var request struct {
		Filter   string
		PageSize int
	}
	_ = json.NewDecoder(body).Decode(&request)
	all := slices.SortedFunc(slices.Values(w.lines), func(a, b object) int {
		return strings.Compare(at(b, "timestamp"), at(a, "timestamp")) // the newest first
	})
	all = slices.DeleteFunc(all, func(line object) bool {
		for clause := range strings.SplitSeq(request.Filter, " AND ") {
			if !slices.ContainsFunc(strings.Split(strings.Trim(clause, "()"), " OR "), func(one string) bool { return w.holds(line, one) }) {
				return true
			}
		}
		return false
	})
	return all[:min(len(all), request.PageSize)]
}

var comparison = regexp.MustCompile(`^([\w.]+)(=~|>=|=|>|:)"?\^?([^"]+)"?$`)

// holds reports whether a comparison of a filter holds for a line.
func (w *world) holds(line object, compare string) bool {
	parts := comparison.FindStringSubmatch(compare)
	if parts == nil {
		w.Errorf("unknown filter %s", compare)
		return false
	}
	switch value := at(line, parts[1]); {
	case parts[2] == "=~":
		return strings.HasPrefix(value, parts[3])
	case parts[2] == ":":
		return value != ""
	case parts[1] == "severity":
		levels := []string{"INFO", "WARNING", "ERROR"}
		return slices.Index(levels, value) >= slices.Index(levels, parts[3])
	case parts[2] == ">=":
		return value >= parts[3]
	case parts[2] == ">": // than 0
		return value != "" && value != "0" && value[0] != '-'
	default:
		return value == parts[3]
	}
}

// RoundTrip is what else is called: Amazon, the identity provider and Cloud Run.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	rw := httptest.NewRecorder()
	switch host := r.URL.Host; {
	case host == "id.maker.example":
		w.provider(rw, r)
	case host == "api.amazon.com":
		w.amazon.ServeHTTP(rw, r)
	case host == "api.eu.amazonalexa.com":
		w.amazon.GatewayHandler(alexa.EU).ServeHTTP(rw, r)
	case strings.HasSuffix(host, ".a.run.app") && r.Header.Get("Authorization") == "":
		rw.WriteHeader(w.door)
	default:
		return nil, errors.New("no such host: " + host)
	}
	response := rw.Result()
	response.Request = r
	return response, nil
}

// AccessSecretVersion is the method of Secret Manager.
func (w *world) AccessSecretVersion(
	_ context.Context, r *secretmanagerpb.AccessSecretVersionRequest,
) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	value, ok := w.secrets[strings.Split(r.GetName(), "/")[3]]
	switch {
	case !ok:
		return nil, status.Error(codes.NotFound, "no such secret")
	case value == "":
		return nil, status.Error(codes.PermissionDenied, "not for you")
	}
	sum := int64(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli)))
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: r.GetName(), Payload: &secretmanagerpb.SecretPayload{Data: []byte(value), DataCrc32C: &sum},
	}, nil
}

// aws is the AWS CLI.
func (w *world) aws(ctx context.Context, args ...string) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Minute {
		w.Errorf("aws %s has no limit of a minute", args)
	}
	lambda := w.resources["lambda gatepost-skill-proxy-eu"]
	wanted := []string{"--function-name=gatepost-skill-proxy-eu", "--region=eu-west-1"}
	switch command := strings.Join(args[:2], " "); {
	case w.noAWS != nil:
		return nil, w.noAWS
	case command == "sts get-caller-identity":
		return []byte(`{"Account":"` + cloudfake.AccountID + `"}`), nil
	case lambda == nil || !slices.Equal(args[2:], wanted):
		return nil, errors.New("an error occurred (ResourceNotFoundException) when calling the operation: no function")
	case command == "lambda get-function-configuration":
		return json.Marshal(lambda)
	case command == "lambda get-policy":
		policy, _ := json.Marshal(w.resources["policy gatepost-skill-proxy-eu"])
		if string(policy) == "null" {
			return nil, errors.New("an error occurred (ResourceNotFoundException) when calling the operation: no policy")
		}
		return json.Marshal(object{"Policy": string(policy)})
	}
	w.Errorf("doctor may change something: aws %s", args)
	return nil, errors.New("unknown command")
}

// doctor runs the command, and returns its findings too.
func (w *world) doctor(args ...string) (status int, stdout, stderr string) {
	w.Helper()
	w.google.Load(w.resources)
	server := httptest.NewServer(w)
	defer server.Close()
	vault := cloud.Serve(w.T, func(s *grpc.Server) { secretmanagerpb.RegisterSecretManagerServiceServer(s, w) })
	var out, complaints bytes.Buffer
	env := &cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaints, Now: func() time.Time { return now }, GoogleAPI: server.URL,
		Google: []option.ClientOption{cloud.Dial(w.T, vault)},
	}
	grammar := new(struct {
		Doctor Command `cmd:""`
	})
	grammar.Doctor.aws, grammar.Doctor.environ, grammar.Doctor.transport = w.aws, map[string]string{}, w
	status = cli.Run(testkit.Within(w.T, 2*testkit.Patience), env, grammar, append([]string{"doctor"}, args...))
	all := out.String() + complaints.String()
	for _, secret := range append(slices.Collect(maps.Values(w.secrets)), canary, simulator.DefaultClient().Secret.Reveal()) {
		if secret != "" && strings.Contains(all, secret) {
			w.Errorf("the output shows a secret: %s", all)
		}
	}
	return status, out.String(), complaints.String()
}

const settings = "../deploy/testdata/settings.json"

// examine runs the command with everything that can be checked, and returns the findings.
func (w *world) examine(args ...string) (status int, findings []Finding) {
	w.Helper()
	args = append([]string{"--regions=EU", "--manifest=" + w.manifest, "--discovery=" + w.discovery, "--json"}, args...)
	status, stdout, stderr := w.doctor(args...)
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil {
		w.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	return status, findings
}
