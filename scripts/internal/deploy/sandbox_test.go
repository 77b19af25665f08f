//go:build !race

package deploy

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/cloudfake"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
	"github.com/gatepostdev/gatepost/shared/testkit/process"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// sandbox has every host that a deployment calls on this machine: the fakes of both
// clouds, the simulator as Amazon, and an identity provider. Programs with its shell's
// environment reach each host under its real name, through a proxy. A function and the
// Lambda run with the environment that the fakes were sent.
type sandbox struct {
	*testing.T
	google      *cloudfake.Google
	aws         *cloudfake.Amazon
	amazon      *simulator.Simulator
	federation  *federationtest.Google
	front       *httptest.Server  // plain: the proxy, and where Pub/Sub pushes
	inside      *httptest.Server  // TLS: every host
	env         map[string]string // of what is deployed, in addition to its own
	shell       []string          // environment of the shell that deploys
	credentials string            // for lwa.json

	mu        sync.Mutex
	processes map[string]*binary.Process // by function and environment
}

func startSandbox(t *testing.T, dir string) *sandbox {
	t.Helper()
	client := simulator.DefaultClient()
	s := &sandbox{
		T: t, google: cloudfake.NewGoogle(t), aws: cloudfake.NewAmazon(t), amazon: simulator.New(simulator.Options{}),
		federation: federationtest.New(time.Now), processes: map[string]*binary.Process{},
		credentials: fmt.Sprintf(`{"client_id":%q,"client_secret":%q}`, client.ID, client.Secret.Reveal()),
	}
	own := certificate(t)
	s.inside = httptest.NewUnstartedServer(http.HandlerFunc(s.host))
	s.inside.EnableHTTP2, s.inside.TLS = true, &tls.Config{Certificates: []tls.Certificate{own}}
	s.inside.StartTLS()
	t.Cleanup(s.inside.Close)
	s.front = httptest.NewServer(http.HandlerFunc(s.serveFront))
	t.Cleanup(s.front.Close)
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.processes {
			p.Kill()
		}
	})
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]})))
	s.env = map[string]string{
		"HTTPS_PROXY": s.front.URL, "SSL_CERT_FILE": ca, "GOOGLE_APPLICATION_CREDENTIALS": file("adc.json",
			`{"type":"authorized_user","client_id":"fake","client_secret":"fake","refresh_token":"fake"}`),
		"FIRESTORE_EMULATOR_HOST": emulator.Firestore(t), "PUBSUB_EMULATOR_HOST": emulator.PubSub(t),
	}
	s.shell = append(os.Environ(), "https_proxy="+s.front.URL, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
		"AWS_CA_BUNDLE="+ca, "REQUESTS_CA_BUNDLE="+ca, "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE="+ca,
		"CLOUDSDK_CONFIG="+dir, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="+file("token", "fake"), "CLOUDSDK_CORE_CHECK_GCE_METADATA=false",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"AWS_ACCESS_KEY_ID=AKIAFAKEFAKEFAKEFAKE", "AWS_SECRET_ACCESS_KEY=fake", "AWS_CONFIG_FILE="+file("aws", "[default]\n"),
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"CHECKPOINT_DISABLE=1", "TF_CLI_ARGS_apply=-parallelism=64")
	for name, value := range s.env {
		s.shell = append(s.shell, name+"="+value)
	}
	return s
}

// certificate returns the certificate of every host, which is its own authority.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sandbox"}, NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{
			"*.googleapis.com", "*.a.run.app",
			"*.amazonaws.com", "*.us-east-1.amazonaws.com", "*.eu-west-1.amazonaws.com", "*.us-west-2.amazonaws.com",
			"api.amazon.com", "*.amazonalexa.com", "*.eu.amazonalexa.com", "*.fe.amazonalexa.com", "id.maker.example",
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{PrivateKey: key, Certificate: [][]byte{der}}
}

// serveFront connects the hosts of the certificate to the server inside, and pushes a
// message of a subscription to its function as the account that the subscription names.
func (s *sandbox) serveFront(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		push := s.google.Resources()[strings.TrimPrefix(r.URL.Path, "/push/")]["pushConfig"].(object)
		token := push["oidcToken"].(object)
		r.URL.Path = "/"
		if token["audience"] != push["pushEndpoint"] {
			http.Error(w, "another audience", http.StatusUnauthorized)
			return
		}
		s.call(w, r, push["pushEndpoint"].(string), token["serviceAccountEmail"].(string))
		return
	}
	address := s.inside.Listener.Addr().String()
	if host, _, _ := net.SplitHostPort(r.Host); s.inside.Certificate().VerifyHostname(host) != nil {
		address = r.Host // such as the registry of Terraform's providers
	}
	to, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.Error(err)
		return
	}
	_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
	for a, b := range map[net.Conn]net.Conn{from: to, to: from} {
		go func() {
			_, _ = io.Copy(a, b)
			_ = a.Close()
		}()
	}
}

// always are the APIs that a new project has. It has to enable every other.
var always = []string{"oauth2.googleapis.com", "serviceusage.googleapis.com", "storage.googleapis.com", "www.googleapis.com"}

// known are Google's answers that do not depend on the deployment, by the end of the path.
var known = map[string]object{
	"/token":              {"access_token": "fake", "token_type": "Bearer", "expires_in": 3600},
	"/userinfo":           {"email": "owner@maker.example"},
	"/timeSeries":         {},
	":getEffectivePolicy": {"spec": object{"rules": []any{object{"allowAll": true}}}},
	"/quotaInfos": {"quotaInfos": []any{
		quota("CpuAllocPerProjectRegion", 20_000), quota("MemAllocPerProjectRegion", 40<<30), quota("ConcurrentBuildCpus", 10),
	}},
}

func quota(id string, value int) object {
	return object{"quotaId": id, "metric": "cloudbuild.googleapis.com/concurrent_public_pool_build_cpus", "dimensionsInfos": []any{
		object{"details": object{"value": fmt.Sprint(value)}, "applicableLocations": []string{"us-central1", "europe-west1"}},
	}}
}

// host serves every host.
func (s *sandbox) host(w http.ResponseWriter, r *http.Request) {
	r.Host = strings.TrimSuffix(r.Host, ":443")
	if strings.HasSuffix(r.Host, ".googleapis.com") && !slices.Contains(always, r.Host) &&
		s.google.Resources()["projects/maker-prod/services/"+r.Host] == nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `{"error":{"code":403,"message":"%s is not enabled",`+
			`"errors":[{"reason":"accessNotConfigured"}],"details":[{"reason":"SERVICE_DISABLED"}]}}`, r.Host)
		return
	}
	for path, answer := range known {
		if strings.HasSuffix(r.Host, ".googleapis.com") && r.Host != "sts.googleapis.com" && strings.HasSuffix(r.URL.Path, path) {
			writeJSON(w, answer)
			return
		}
	}
	switch {
	case strings.HasSuffix(r.Host, ".run.app"):
		address, caller := "https://"+r.Host, ""
		if s.federation.Accepts(r.Header.Get("Authorization"), address) {
			caller = s.federation.ServiceAccount
		}
		s.call(w, r, address, caller)
	case r.Host == "sts.googleapis.com", r.Host == "iamcredentials.googleapis.com":
		s.federation.ServeHTTP(w, r)
	case r.Host == "pubsub.googleapis.com" && strings.HasSuffix(r.URL.Path, ":publish"):
		s.mirror()
		to(s.env["PUBSUB_EMULATOR_HOST"]).ServeHTTP(w, r)
	case r.Host == "logging.googleapis.com" && r.URL.Path == "/v2/entries:list":
		s.entries(w, r)
	case r.Host == "run.googleapis.com" && !strings.Contains(r.URL.Path, ":"):
		writeJSON(w, object{}) // the IAM check is on
	case strings.HasSuffix(r.URL.Path, ":testIamPermissions"):
		_, _ = io.Copy(w, r.Body) // all that is asked for
	case strings.HasSuffix(r.Host, ".googleapis.com"):
		s.google.ServeHTTP(w, r)
	case strings.HasSuffix(r.Host, ".amazonaws.com"):
		s.aws.ServeHTTP(w, r)
	case strings.HasSuffix(r.Host, "amazonalexa.com"), r.Host == "api.amazon.com":
		s.amazon.ServeHTTP(w, r)
	case r.Host == "id.maker.example":
		simulator.IdentityProvider{}.ServeHTTP(w, r)
	default:
		s.Errorf("nothing serves %s%s", r.Host, r.URL)
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func to(address string) *httputil.ReverseProxy {
	return httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: strings.TrimPrefix(address, "http://")})
}

// call calls the function at an address as Cloud Run does: only if its policy names the
// caller.
func (s *sandbox) call(w http.ResponseWriter, r *http.Request, address, caller string) {
	all := s.google.Resources()
	for name, resource := range all {
		service, _ := resource["serviceConfig"].(object)
		if service["uri"] != address {
			continue
		}
		if policy := compact(all[service["service"].(string)+":policy"]); !strings.Contains(policy, `"serviceAccount:`+caller+`"`) {
			http.Error(w, "the IAM check refuses "+caller, http.StatusForbidden)
			return
		}
		p, err := s.start(name, resource)
		if err != nil {
			s.Logf("%s does not start: %v", name, err)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		to(p.URL()).ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

// start starts a function, unless it runs with this environment.
func (s *sandbox) start(name string, resource object) (*binary.Process, error) {
	s.mirror()
	s.mu.Lock()
	defer s.mu.Unlock()
	env := map[string]string{"FUNCTION_TARGET": resource["buildConfig"].(object)["entryPoint"].(string), "K_SERVICE": filepath.Base(name)}
	for variable, value := range resource["serviceConfig"].(object)["environmentVariables"].(object) {
		env[variable] = value.(string)
	}
	key := name + compact(env)
	if p := s.processes[key]; p != nil {
		return p, nil
	}
	program, err := testkit.Program()
	if err != nil {
		return nil, err
	}
	for variable, value := range s.env {
		env[variable] = value
	}
	p, err := binary.Start(program, env)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		return nil, err
	}
	s.processes[key] = p
	return p, nil
}

// wrote waits until a function has written a text.
func (s *sandbox) wrote(function, text string) {
	s.Helper()
	for name, resource := range s.google.Resources() {
		if strings.HasSuffix(name, "/functions/"+function) {
			p, err := s.start(name, resource)
			if err == nil {
				err = p.WaitOutput(testkit.Context(s.T), text, 1)
			}
			if err != nil {
				s.Fatal(err)
			}
			return
		}
	}
	s.Fatalf("there is no function %s", function)
}

// tick runs the scheduler's jobs.
func (s *sandbox) tick() {
	for name, job := range s.google.Resources() {
		if target, ok := job["httpTarget"].(object); ok && job["state"] == "ENABLED" {
			uri, token := strings.TrimSuffix(target["uri"].(string), "/"), target["oidcToken"].(object)
			answer := httptest.NewRecorder()
			s.call(answer, httptest.NewRequest(http.MethodPost, "/", nil), uri, token["serviceAccountEmail"].(string))
			if answer.Code != http.StatusOK {
				s.Errorf("%s is answered %d: %s", name, answer.Code, answer.Body)
			}
			job["lastAttemptTime"] = time.Now().UTC().Format(time.RFC3339)
			s.google.Put(name, job)
		}
	}
}

// mirror creates topics and subscriptions of the fake in the emulator, where their
// messages are.
func (s *sandbox) mirror() {
	all := s.google.Resources()
	for _, kind := range []string{"topics", "subscriptions"} {
		for name, resource := range all {
			if !regexp.MustCompile(`^projects/[^/]+/` + kind + `/[^/:]+$`).MatchString(name) {
				continue
			}
			if push, ok := resource["pushConfig"].(object); ok && push["pushEndpoint"] != nil {
				push["pushEndpoint"] = s.front.URL + "/push/" + name
			}
			request, _ := http.NewRequest(http.MethodPut, "http://"+s.env["PUBSUB_EMULATOR_HOST"]+"/v1/"+name, strings.NewReader(compact(resource)))
			request.Header.Set("Content-Type", "application/json")
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				s.Error(err)
				continue
			}
			if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusConflict {
				s.Errorf("the emulator refuses %s: %s", name, text)
			}
			_ = answer.Body.Close()
		}
	}
}

// clause is a comparison in a filter of the log, and levels order the severities, both as
// far as the guide and gatepost doctor use them.
var (
	clause = regexp.MustCompile(`([\w.]+)(=~|!=|>=|=|:)"?([^" )]*)`)
	levels = map[string]string{"INFO": "1", "WARNING": "2", "ERROR": "3"}
)

// entries selects lines of the functions, the newest first.
func (s *sandbox) entries(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Filter   string
		PageSize int
	}
	_ = json.NewDecoder(r.Body).Decode(&request)
	found := []any{}
	for _, entry := range s.lines() {
		holds := true
		for _, c := range clause.FindAllStringSubmatch(request.Filter, -1) {
			got := (planned{Values: entry}).at(c[1])
			matches, _ := regexp.MatchString(c[3], got)
			holds = holds && map[string]bool{
				"=": got == c[3], "!=": got != c[3], "=~": matches, ":": got != "", ">=": cmp.Or(levels[got], got) >= cmp.Or(levels[c[3]], c[3]),
			}[c[2]]
		}
		if holds {
			found = append(found, entry)
		}
	}
	writeJSON(w, object{"entries": found[:min(len(found), cmp.Or(request.PageSize, len(found)))]})
}

// lines returns the entries that the functions have written.
func (s *sandbox) lines() []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []object
	for key, p := range s.processes {
		name, _, _ := strings.Cut(key, "{")
		for text := range strings.Lines(p.Output()) {
			payload := object{}
			if json.Unmarshal([]byte(text), &payload) != nil {
				continue
			}
			all = append(all, object{
				"timestamp": payload["time"], "severity": payload["severity"], "jsonPayload": payload, "insertId": fmt.Sprint(len(all)),
				"logName":  "projects/maker-prod/logs/run.googleapis.com%2Fstdout",
				"resource": object{"type": "cloud_run_revision", "labels": object{"service_name": filepath.Base(name)}},
			})
		}
	}
	slices.SortFunc(all, func(a, b object) int { return strings.Compare(b["timestamp"].(string), a["timestamp"].(string)) })
	return all
}

// link has a customer of the identity provider enable the skill in a region: Alexa sends
// AcceptGrant to the Lambda. The federation knows the deployed provider and account.
func (s *sandbox) link(lambda string, region alexa.Region, user string) (string, error) {
	deployed := s.aws.Resources()["lambda gatepost-skill-proxy-"+strings.ToLower(string(region))]
	if deployed == nil {
		return "", fmt.Errorf("there is no Lambda for %s", region)
	}
	for name, resource := range s.google.Resources() {
		if strings.Contains(name, "/providers/") {
			s.federation.Provider = "//iam.googleapis.com/" + strings.Replace(name, "maker-prod", cloudfake.ProjectNumber, 1)
		}
		account, isPolicy := strings.CutSuffix(name, ":policy")
		if isPolicy && strings.Contains(compact(resource), ":assumed-role/"+filepath.Base(deployed["Role"].(string))+`"`) {
			s.federation.ServiceAccount = filepath.Base(account)
		}
	}
	directive := world.Directive(s.amazon.Code(region, "amzn-"+user).Reveal(), "grantee-"+user)
	answer, queued := make(chan string, 1), make(chan string, 1)
	queued <- directive
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			answer <- string(body)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		select {
		case text := <-queued:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(8*time.Second).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", deployed["FunctionArn"].(string))
			_, _ = io.WriteString(w, text)
		case <-r.Context().Done():
		}
	}))
	defer api.Close()
	env := []string{"AWS_REGION=" + deployed["region"].(string), "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://")}
	for _, variables := range []map[string]string{s.env, federationtest.Role()} {
		for name, value := range variables {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range deployed["Environment"].(object)["Variables"].(object) {
		env = append(env, name+"="+value.(string))
	}
	p, err := process.Start(env, lambda)
	if err != nil {
		return "", err
	}
	defer p.Kill()
	select {
	case text := <-answer:
		return text, nil
	case <-p.Ended():
		return "", fmt.Errorf("the Lambda ended: %s", p.Output())
	case <-time.After(testkit.Patience):
		return "", fmt.Errorf("the Lambda does not answer: %s", p.Output())
	}
}
