// Package doctor is the command gatepost doctor: it checks a deployment, or its
// prerequisites. Its README lists the checks of the table in checks.go.
//
// It changes nothing, and calls only those methods of Google's APIs that read. What it
// sends to Amazon, to the identity provider and to the functions is made up, and must
// be refused.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/deploy"
	"github.com/gatepostdev/gatepost/scripts/internal/googleapi"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// Command is the command line.
type Command struct {
	Before    bool           `nolocal:"" help:"Check the prerequisites of a deployment, before there is one."`
	Local     cli.LocalRun   `placeholder:"ADDR" help:"Check the local run at ${local} or --local=ADDR instead."`
	Settings  string         `placeholder:"FILE" nolocal:"" help:"Settings of the deployment, terraform.tfvars.json, to compare with."`
	Project   string         `placeholder:"P" nolocal:"" env:"GOOGLE_CLOUD_PROJECT" help:"Google Cloud project. Default: the settings'."`
	Regions   []alexa.Region `placeholder:"NA,EU,FE" help:"Alexa regions to check. Default: all that have a stack."`
	Manifest  string         `placeholder:"FILE" nolocal:"" help:"Check the skill's manifest, which ask smapi get-skill-manifest writes."`
	Discovery string         `placeholder:"FILE" nolocal:"" help:"Check what an answer to Discover declares as proactively reported."`
	cli.JSON

	// Instead of the real ones, for tests.
	environ   config.Env
	aws       awsCLI
	transport http.RoundTripper
}

// Help implements [kong.HelpProvider].
func (Command) Help() string {
	return `It changes nothing. Each finding is √ (fine), ‼ (look at it), × (broken) or - (not checked), with what to do and a link.
The exit status is 1 if one is ×. LWA_TOKEN_URL and EVENT_GATEWAY_NA, _EU and _FE are honoured.`
}

// Example returns an example for the help.
func (Command) Example() string { return "gatepost doctor --settings infra/terraform.tfvars.json" }

// Validate implements kong's check.
func (c Command) Validate() error {
	switch {
	case c.Before && c.Settings == "":
		return errors.New("--before needs --settings")
	case c.Local == "" && c.Settings == "" && c.Project == "":
		return errors.New("give --settings or --project")
	}
	return nil
}

// doctor is one run of the command. Its methods may be used by many goroutines at once.
type doctor struct {
	Command
	env      *cli.Env
	google   *googleapi.Client
	secrets  *secret.Reader
	http     *http.Client
	lwaURL   *url.URL
	gateways map[alexa.Region]*url.URL

	// The first checks set these.
	settings *deploy.Settings
	project  string
	number   string // of the project
	stacks   []deploy.Stack

	mu   sync.Mutex
	memo map[string]func() (any, error)
}

// maxParallel is how many checks run at once.
const maxParallel = 12

// Run runs the checks.
func (c Command) Run(ctx context.Context, env *cli.Env) (err error) {
	d := &doctor{Command: c, env: env, project: c.Project, http: transport.NewClient(maxParallel), memo: map[string]func() (any, error){}}
	switch {
	case c.Local != "":
		d.environ = env.Local.Amazon
	case d.environ == nil:
		d.environ = config.Environ()
	}
	if d.aws == nil {
		d.aws = runAWS
	}
	if d.transport != nil {
		d.http.Transport = d.transport
	}
	if err := d.readEnvironment(); err != nil {
		return cli.Usage(err)
	}
	if c.Local == "" {
		if d.google, err = googleapi.New(ctx, env.GoogleAPI); err != nil {
			return err
		}
	}
	d.secrets = secret.NewReader(d.environ.Lookup, env.Google...)
	defer func() { _ = d.secrets.Close() }() // it only read
	findings := d.examine(ctx)
	if c.JSON.JSON {
		env.WriteJSON(findings)
	} else {
		fmt.Fprint(env.Stdout, text(findings))
	}
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Broken }) {
		return cli.ErrReported
	}
	return nil
}

// readEnvironment reads where Amazon is, as the functions do.
func (d *doctor) readEnvironment() error {
	source := config.NewSource(d.environ)
	d.lwaURL, d.gateways = source.URL("LWA_TOKEN_URL", "https://api.amazon.com/auth/o2/token"), make(map[alexa.Region]*url.URL)
	for _, region := range alexa.Regions() {
		d.gateways[region] = source.BaseURL("EVENT_GATEWAY_"+string(region), region.GatewayURL())
	}
	return source.Err()
}

// examine runs the checks and returns their findings in the order of the table. If one of
// the first checks fails, the others are pointless.
func (d *doctor) examine(ctx context.Context) []Finding {
	rest := d.chosen()
	var findings []Finding
	for len(rest) > 0 && rest[0].scope == first {
		findings = append(findings, d.make(ctx, rest[0], deploy.Stack{}))
		if findings[len(findings)-1].Severity == Broken {
			return findings
		}
		rest = rest[1:]
	}
	if d.Local != "" {
		d.stacks = localStacks(d.Regions)
	}
	var made []*Finding
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for _, c := range rest {
		stacks := make([]deploy.Stack, 1)
		if c.scope == each {
			stacks = d.stacks
		}
		for _, stack := range stacks {
			finding := new(Finding)
			made = append(made, finding)
			group.Go(func() error { *finding = d.make(ctx, c, stack); return nil })
		}
	}
	_ = group.Wait() // no function fails
	for _, finding := range made {
		findings = append(findings, *finding)
	}
	return findings
}

// localStacks returns the stacks of the local run, which has all regions.
func localStacks(regions []alexa.Region) []deploy.Stack {
	locations := make(map[string]string)
	if len(regions) == 0 {
		regions = alexa.Regions()
	}
	for _, region := range regions {
		locations[string(region)] = "local"
	}
	stacks, _ := deploy.Deployed("", locations, nil).Stacks(nil) // all
	return stacks
}

// chosen returns the checks of this run.
func (d *doctor) chosen() []check {
	in := after
	switch {
	case d.Local != "":
		in = local
	case d.Before:
		in = before
	}
	return slices.DeleteFunc(slices.Clone(checks), func(c check) bool {
		return c.in&in == 0 || c.category == "manifest" && d.Manifest == "" || c.category == "discovery" && d.Discovery == ""
	})
}

func (d *doctor) make(ctx context.Context, c check, stack deploy.Stack) Finding {
	e := &exam{doctor: d, scope: c.scope, stack: stack, todo: c.todo}
	c.run(ctx, e)
	f := Finding{Category: c.category, Check: c.name, Region: string(stack.Region), Severity: Well, Found: e.found}
	switch bad := strings.Join(slices.Concat(e.broken, e.odd), "; "); {
	case len(e.broken) > 0:
		f.Severity, f.Found = Broken, bad
	case len(e.odd) > 0:
		f.Severity, f.Found = Odd, bad
	case e.skipped != "":
		f.Severity, f.Found = Unchecked, e.skipped
	}
	if f.Severity != Well {
		f.Do, f.Link = e.todo, c.link
	}
	return f
}

// The severities.
const (
	Well      = "ok"
	Odd       = "warning"
	Broken    = "broken"
	Unchecked = "unchecked"
)

var marks = map[string]string{Well: "√", Odd: "‼", Broken: "×", Unchecked: "-"}

// Finding is the result of a check.
type Finding struct {
	Category string `json:"category"`
	Check    string `json:"check"`
	Region   string `json:"region,omitempty"` // of the stack, empty for all
	Severity string `json:"severity"`
	Found    string `json:"found,omitempty"`
	Do       string `json:"do,omitempty"`
	Link     string `json:"link,omitempty"`
}

// text returns findings for people.
func text(findings []Finding) string {
	var out strings.Builder
	category, n := "", map[string]int{}
	for _, f := range findings {
		if f.Category != category {
			category = f.Category
			fmt.Fprintf(&out, "%s\n%s\n", category, strings.Repeat("-", len(category)))
		}
		n[f.Severity]++
		name := f.Check
		if f.Region != "" {
			name += " (" + f.Region + ")"
		}
		fmt.Fprintf(&out, "%s %s: %s\n", marks[f.Severity], name, strings.ReplaceAll(f.Found, "; ", "\n    "))
		if f.Severity == Broken || f.Severity == Odd {
			fmt.Fprintf(&out, "    do:  %s\n    see: %s\n", f.Do, f.Link)
		}
	}
	return out.String() + fmt.Sprintf("\n%d √, %d ‼, %d ×, %d not checked\n", n[Well], n[Odd], n[Broken], n[Unchecked])
}

// exam is one check of one stack, or of the whole deployment.
type exam struct {
	*doctor
	scope int
	stack deploy.Stack

	broken, odd    []string
	skipped, found string
	todo           string // what to do if all is not well
}

// fail notes what is broken, warn what should be looked at, skip why a check cannot be
// made, and ok what was found if there is nothing else.
func (e *exam) fail(format string, a ...any) { e.broken = append(e.broken, clean(format, a...)) }
func (e *exam) warn(format string, a ...any) { e.odd = append(e.odd, clean(format, a...)) }
func (e *exam) skip(format string, a ...any) { e.skipped = clean(format, a...) }
func (e *exam) ok(format string, a ...any)   { e.found = clean(format, a...) }

func clean(format string, a ...any) string { return cli.Clean(fmt.Sprintf(format, a...)) }

// memorize returns the result of do, which is called once in a run for a key.
func memorize[T any](d *doctor, key string, do func() (T, error)) (T, error) {
	d.mu.Lock()
	if d.memo[key] == nil {
		d.memo[key] = sync.OnceValues(func() (any, error) { return do() })
	}
	get := d.memo[key]
	d.mu.Unlock()
	got, err := get()
	return got.(T), err
}

// object is a JSON object.
type object = map[string]any

// try calls a method of Google's that reads, a GET if there is no body.
func (e *exam) try(ctx context.Context, api, path string, body any) (object, error) {
	return memorize(e.doctor, fmt.Sprint(api, path, body), func() (object, error) {
		answer := object{}
		if body == nil {
			return answer, e.google.Get(ctx, api, path, nil, &answer)
		}
		return answer, e.google.Post(ctx, api, path, body, &answer)
	})
}

// read is try for a check that fails without the answer, or is skipped where the operator
// may not read it. The first checks fail then too: the others need what they read. Before
// a deployment an API may be disabled: scripts/deploy enables it.
func (e *exam) read(ctx context.Context, api, path string, body any) (object, bool) {
	answer, err := e.try(ctx, api, path, body)
	return answer, e.got(api, path, err)
}

// got reports whether a call succeeded. If not, the check fails or is skipped, as for read.
func (e *exam) got(api, path string, err error) bool {
	what, _, _ := strings.Cut(path, "?")
	what, method, _ := strings.Cut(what, ":")
	parts := strings.Split(what, "/")
	what = strings.Join(parts[max(0, len(parts)-2):], "/") // such as topics/T
	switch {
	case googleapi.IsStatus(err, http.StatusNotFound):
		e.fail("there is no %s", what)
	case e.Before && googleapi.IsDisabled(err):
		e.disabled(api)
	case googleapi.IsStatus(err, http.StatusForbidden) && e.scope != first && !googleapi.IsDisabled(err):
		right := map[bool]string{true: "roles/iam.securityReviewer", false: "roles/viewer"}[method == "getIamPolicy"]
		e.skip("you may not read %s, which takes %s: %v", what, right, err)
	case err != nil:
		e.fail("%s could not be read: %v", what, err)
	}
	return err == nil
}

// disabled warns that an API is not enabled.
func (e *exam) disabled(api string) {
	e.todo = "gcloud services enable " + api + ".googleapis.com --project=" + e.project
	e.warn("%s.googleapis.com is not enabled: enable it to check this", api)
}

// at returns the text of the member of an object at a path, such as fields.0.order.
func at(o object, path string) string {
	var value any = o
	for step := range strings.SplitSeq(path, ".") {
		switch inside := value.(type) {
		case object:
			value = inside[step]
		case []any:
			i, err := strconv.Atoi(step)
			if value = nil; err == nil && i < len(inside) {
				value = inside[i]
			}
		default:
			return ""
		}
	}
	switch value := value.(type) {
	case nil:
		return ""
	case float64: // without an exponent
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// items returns the objects of a list in an object.
func items(o object, name string) []object {
	list, _ := o[name].([]any)
	all := make([]object, len(list))
	for i := range list {
		all[i], _ = list[i].(object)
	}
	return all
}

// sorted returns the keys of a map.
func sorted[V any](all map[string]V) []string { return slices.Sorted(maps.Keys(all)) }

// want compares members of a resource with what they should be: pairs of path and value.
// Google adds a slash to some addresses. What a query holds may be secret.
func (e *exam) want(name string, o object, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if got := at(o, pairs[i]); strings.TrimSuffix(got, "/") != pairs[i+1] {
			got, _, _ = strings.Cut(got, "?")
			e.fail("%s: %s is %s, want %s", name, pairs[i], cmp.Or(got, "not set"), cmp.Or(pairs[i+1], "not set"))
		}
	}
}

// awsCLI runs the AWS CLI, and returns its output.
type awsCLI func(ctx context.Context, args ...string) ([]byte, error)

// runAWS runs the AWS CLI of this machine.
func runAWS(ctx context.Context, args ...string) ([]byte, error) {
	aws := exec.CommandContext(ctx, "aws", append(args, "--output=json")...)
	aws.Env = append(os.Environ(), "AWS_PAGER=")
	aws.WaitDelay = time.Second // for a process that it started
	output, err := aws.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = errors.New(cli.Clean(strings.TrimSpace(string(failed.Stderr))))
	}
	return output, err
}
