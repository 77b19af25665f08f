package deploy

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// flags are the flags of a command line, by name.
type flags map[string]string

// model is both clouds as their CLIs show them: resources with the flags of their
// commands. It is as strict as they are: an existing resource cannot be created,
// and a missing one cannot be described or updated.
type model struct {
	t *testing.T

	mu      sync.Mutex
	made    map[string]flags // by program, kind and name
	calls   []string
	built   []string // functions
	empty   bool     // the secrets have no values
	account string   // of AWS
	fails   string   // prefix of the commands that fail
	nowhere bool     // functions have no addresses
}

func newModel(t *testing.T) *model {
	return &model{t: t, made: map[string]flags{}, account: "123456789012"}
}

// run runs a script.
func (m *model) run(script string) (status int, out string) {
	m.t.Helper()
	m.calls, m.built = nil, nil
	env := programs(m.t, m.answer, "gcloud", "aws", "unzip")
	return shell(m.t, script, env)
}

// deploy deploys settings with given packages, which must succeed.
func (m *model) deploy(args ...string) string {
	m.t.Helper()
	status, out := m.run(scriptOf(m.t, append([]string{"--source", "testdata/own.json", "--proxy", "proxy.zip"}, args...)...))
	if status != exitOK {
		m.t.Fatalf("status = %d\n%s", status, out)
	}
	return out
}

// command is a parsed command line.
type command struct {
	kind, verb, name string
	words            []string // of the name
	flags            flags
}

// inName are the flags that name the resource.
var inName = []string{"database", "collection-group", "role-name", "policy-name", "function-name", "statement-id", "log-group-name"}

// sameKind are the kinds with two names in a CLI.
var sameKind = map[string]string{
	"gcloud firestore indexes fields":   "gcloud firestore fields",
	"gcloud firestore fields ttls":      "gcloud firestore fields",
	"aws lambda function-configuration": "aws lambda function",
	"aws lambda function-code":          "aws lambda function",
	"aws lambda policy":                 "aws lambda permission",
	"aws logs log-streams":              "aws logs log-group",
	"aws logs retention-policy":         "aws logs log-group",
}

var gcloudVerbs = []string{"describe", "create", "create-aws", "update", "update-aws", "deploy", "list", "enable", "add-iam-policy-binding"}

func parseCommand(args []string) command {
	c := command{flags: flags{}}
	var words []string
	for _, arg := range args {
		name, isFlag := strings.CutPrefix(arg, "--")
		if !isFlag {
			words = append(words, arg)
			continue
		}
		name, value, hasValue := strings.Cut(name, "=")
		if !hasValue {
			value = "true"
		}
		c.flags[name] = strings.TrimSpace(c.flags[name] + " " + value)
	}
	if at := slices.IndexFunc(words, func(word string) bool { return slices.Contains(gcloudVerbs, word) }); at >= 0 {
		c.kind, c.verb, c.words = strings.Join(words[:at], " "), strings.TrimSuffix(words[at], "-aws"), words[at+1:]
	} else if words[0] == "aws" {
		verb, noun, _ := strings.Cut(words[2], "-")
		c.kind, c.verb = strings.Join([]string{"aws", words[1], noun}, " "), verb
	}
	if c.kind == "gcloud scheduler jobs" && c.words[0] == "http" {
		c.words = c.words[1:]
	}
	c.kind = cmp.Or(sameKind[c.kind], c.kind)
	var name []string
	for _, flag := range inName {
		if value := c.flags[flag]; value != "" {
			name = append(name, value)
			delete(c.flags, flag)
		}
	}
	c.name = strings.Join(append(name, c.words...), " ")
	return c
}

// answer returns the CLI's output and status.
func (m *model) answer(args []string) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	line := strings.Join(args, " ")
	m.calls = append(m.calls, line)
	c := parseCommand(args)
	key := strings.TrimSuffix(c.kind+" "+canonical(c.name), "@maker-prod.iam.gserviceaccount.com") // of a service account
	have, exists := m.made[key]
	switch {
	case m.fails != "" && strings.HasPrefix(line, m.fails):
		return reply{stderr: "ERROR: the model refuses\n", status: 1}
	case args[0] == "unzip" || c.verb == "wait":
		return reply{}
	case c.kind == "aws sts caller-identity":
		return reply{stdout: m.account}
	case c.kind == "gcloud projects" && c.verb == "describe":
		return reply{stdout: "123456789012\n"}
	case c.kind == "gcloud secrets versions":
		return reply{stdout: map[bool]string{false: "ENABLED\n"}[m.empty]}
	case c.kind == "gcloud logging sinks":
		return m.sink(c)
	case c.verb == "list" || c.kind == "aws lambda permission" && c.verb == "get":
		return reply{stdout: m.list(key)}
	case slices.Contains([]string{"describe", "get"}, c.verb) && exists:
		if m.nowhere && strings.Contains(c.flags["format"], "uri") {
			return reply{stdout: "\n"}
		}
		return reply{stdout: describe(c, have)}
	case c.kind == "gcloud services":
		for _, api := range c.words {
			m.made[c.kind+" "+api] = flags{}
		}
		return reply{}
	case c.verb == "add-iam-policy-binding":
		key = strings.Join([]string{c.kind, "binding", canonical(c.name), c.flags["role"], c.flags["member"]}, " ")
		delete(c.flags, "role")
		delete(c.flags, "member")
		have = nil
	case slices.Contains([]string{"create", "add"}, c.verb) && !exists, c.verb == "update" && exists, c.kind == "gcloud firestore fields":
	case slices.Contains([]string{"put", "deploy"}, c.verb):
		if c.verb == "deploy" {
			m.built = append(m.built, c.name)
		}
	default:
		return reply{stderr: map[bool]string{true: "ALREADY_EXISTS\n", false: "NOT_FOUND\n"}[exists], status: 1}
	}
	all := maps.Clone(have)
	if all == nil {
		all = flags{}
	}
	maps.Copy(all, c.flags)
	m.made[key] = all
	return reply{}
}

// sink shows or changes the exclusions of the sink _Default.
func (m *model) sink(c command) reply {
	const kind = "gcloud logging exclusions "
	for change, value := range c.flags {
		exclusion, name := flags{}, value
		for pair := range strings.SplitSeq(strings.TrimPrefix(value, "^;^"), ";") {
			if field, value, _ := strings.Cut(pair, "="); field == "name" {
				name = value
			} else {
				exclusion[field] = value
			}
		}
		if (m.made[kind+name] == nil) != (change == "add-exclusion") {
			return reply{stderr: "INVALID_ARGUMENT\n", status: 1}
		}
		m.made[kind+name] = exclusion
		if change == "remove-exclusions" {
			delete(m.made, kind+name)
		}
	}
	return reply{stdout: m.list(kind)}
}

// list returns the resources whose keys have a prefix.
func (m *model) list(prefix string) string {
	var all strings.Builder
	for key, about := range m.made {
		if strings.HasPrefix(key, prefix) {
			all.WriteString(key + " " + compact(about) + "\n")
		}
	}
	return all.String()
}

// describe returns what scripts read: a function's address, or state and label.
func describe(c command, have flags) string {
	if strings.Contains(c.flags["format"], "uri") {
		return urlOf(c.name) + "\n"
	}
	_, label, _ := strings.Cut(have["update-labels"], "=")
	return cmp.Or(have["state"], "ACTIVE") + " " + label + "\n"
}

// urlOf returns the address of a function.
func urlOf(name string) string { return "https://" + name + "-0123456789-xx.a.run.app" }

func compact(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // only maps and strings
	}
	return string(data)
}
