// Package cli runs the commands of gatepost. All of them parse flags, write help,
// errors and progress, and set the exit status in the same way.
//
// A command is a struct whose fields are its flags and arguments, as package kong
// reads them, with a method Run(context.Context, *cli.Env) error. A method Validate
// checks what one field alone cannot show; its errors are wrong usage. A method Example
// returns a command line for the help. The tag secretive is for commands whose arguments
// may be secrets: no message repeats them.
package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/secret"
)

// The exit statuses.
const (
	StatusDone   = 0
	StatusFailed = 1 // the command found something, or failed
	StatusUsage  = 2 // the command line is wrong
)

// Env is the environment of a command.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       bool // Stderr is a terminal: progress is shown
	Version        string
	Now            func() time.Time

	// OpenGrants opens a stack's database.
	OpenGrants func(ctx context.Context, project, database string) (store grant.Admin, closeStore func() error, err error)
	// Local is set in the process of a local run, which runs commands for others.
	Local *Local
	// Google are options for clients of Google's APIs, for tests.
	Google []option.ClientOption
	// GoogleAPI is where a fake of Google's REST APIs is, for tests: see package googleapi.
	GoogleAPI string
	// ParseOnly checks the command line and runs nothing, for tests of pages.
	ParseOnly bool

	command string // for messages
	screen  *screen
}

// Main runs the command line of this process and ends it. An interrupt ends the
// context of the command, a second one the process.
func Main(version string, grammar any) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	// The reader of a list may close the pipe. That interrupts the command, and must
	// not end the process before the command has cleaned up.
	ctx, stop = signal.NotifyContext(ctx, syscall.SIGPIPE)
	status := Run(ctx, process(version), grammar, os.Args[1:])
	stop()
	os.Exit(status)
}

// process returns the environment of this process.
func process(version string) *Env {
	return &Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Terminal: isTerminal(os.Stderr),
		Version: version, Now: time.Now, OpenGrants: openFirestore,
	}
}

func openFirestore(ctx context.Context, project, database string) (grant.Admin, func() error, error) {
	// The connection has to outlive an interrupt.
	store, err := grantfire.Open(context.WithoutCancel(ctx), project, database)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

// Stack are the flags that name a stack's database.
type Stack struct {
	Project  string `placeholder:"P" nolocal:"" help:"Google Cloud project. Default: the one in the credentials."`
	Database string `placeholder:"D" default:"(default)" nolocal:"" help:"Firestore database of the stack (default: ${default})."`
}

// Use opens the database, does something with the store, and closes it.
func (s Stack) Use(ctx context.Context, env *Env, do func(grant.Admin) error) error {
	store, closeStore, err := env.OpenGrants(ctx, s.Project, s.Database)
	if err != nil {
		return err
	}
	defer func() { _ = closeStore() }() // everything was written before
	if err = do(store); status.Code(err) == codes.NotFound && s.Project != "" {
		// Not a missing record: the store has an error of its own for that.
		return Missing("database", s.Database, s.Project, env.databases(ctx, s.Project))
	}
	return err
}

// JSON is the flag of commands that can write their result for programs.
type JSON struct {
	JSON bool `name:"json" help:"Write the result as JSON, and nothing else."`
}

// Name is an argument or flag that must not be empty if it is given.
type Name string

// Validate implements kong's check.
func (n Name) Validate() error {
	if n == "" {
		return errors.New("it is empty")
	}
	return nil
}

// ErrReported ends a command with StatusFailed when it has already written why.
var ErrReported = errors.New("reported")

// usageError is an error of the command line that a command finds when it runs.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks an error as wrong usage: the command ends with StatusUsage.
func Usage(err error) error { return usageError{err} }

// forCommand returns a copy with writers that share a screen.
func (env *Env) forCommand() *Env {
	copied := *env
	copied.command, copied.screen = "gatepost", &screen{stderr: env.Stderr}
	copied.Stdout, copied.Stderr = overwriter{copied.screen, env.Stdout}, overwriter{copied.screen, env.Stderr}
	return &copied
}

// exit is the panic that ends a run which wrote help or the version.
type exit int

// Run parses args as a command of the grammar, a pointer to a struct, runs it, and
// returns the exit status. It writes an error to env.Stderr. The command gets a copy of
// env, whose writers may be used by many goroutines at once.
func Run(ctx context.Context, env *Env, grammar any, args []string) (status int) {
	env = env.forCommand()
	defer env.screen.clear()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exit:
			status = int(r)
		default:
			panic(r)
		}
	}()
	parser, err := kong.New(grammar,
		kong.Name("gatepost"), kong.Writers(env.Stdout, env.Stderr), kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.Vars{"version": env.Version, "local": DefaultLocalRun},
		kong.PostBuild(addExamples), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(env),
		textMapper(env.parseTime), textMapper(alexa.ParseRegion), textMapper(secret.ParseRef),
	)
	if err != nil {
		panic(err) // the grammar is wrong
	}
	parsed, err := parser.Parse(args)
	if wrong, ok := errors.AsType[*kong.ParseError](err); ok {
		parsed = wrong.Context
	}
	node, secretive := env.follow(parsed)
	if err == nil {
		err = checkFlags(parsed)
	}
	local, wrong := localRun(parsed)
	switch {
	case wrong != nil:
		err = wrong
	case err == nil && local == "" && env.Local != nil: // or it could read any file for another user
		err = errors.New("a local run runs only commands with --local")
	}
	if err != nil {
		env.sayUsage(advise(err, args, node, secretive))
		return StatusUsage
	}
	if env.ParseOnly {
		return StatusDone
	}
	if local != "" && env.Local == nil {
		return local.run(ctx, env, parsed)
	}
	err = parsed.Run()
	var usage usageError
	switch {
	case err == nil:
		return StatusDone
	case errors.As(err, &usage):
		env.sayUsage(err)
		return StatusUsage
	case !errors.Is(err, ErrReported):
		env.Say("%v", err)
	}
	return StatusFailed
}

// follow sets the name of the command, as far as it was parsed. It returns the command,
// and whether it is secretive.
func (env *Env) follow(parsed *kong.Context) (command *kong.Node, secretive bool) {
	command = parsed.Model.Node
	for _, step := range parsed.Path {
		if step.Command != nil {
			command = step.Command
			env.command += " " + command.Name
			secretive = secretive || command.Tag.Has("secretive")
		}
	}
	return command, secretive
}

// checkFlags returns an error for a flag that is given twice, because the parser would
// ignore the first, and for one with an empty text, because that would pass for a
// missing flag.
func checkFlags(parsed *kong.Context) error {
	seen := make(map[*kong.Flag]bool)
	for _, step := range parsed.Path {
		if flag := step.Flag; flag != nil {
			if seen[flag] && !flag.IsCumulative() {
				return fmt.Errorf("--%s is given twice", flag.Name)
			}
			if flag.Target.Kind() == reflect.String && flag.Target.String() == "" {
				return fmt.Errorf("--%s: it is empty", flag.Name)
			}
			seen[flag] = true
		}
	}
	return nil
}

// addExamples adds the examples of commands to their help.
func addExamples(k *kong.Kong) error {
	return kong.Visit(k.Model, func(visited kong.Visitable, next kong.Next) error {
		if node, ok := visited.(*kong.Node); ok {
			if command, ok := node.Target.Interface().(interface{ Example() string }); ok {
				node.Detail = strings.TrimSpace(node.Detail + "\n\nExample:\n\n    " + command.Example())
			}
		}
		return next(nil)
	})
}

var (
	oneDash = regexp.MustCompile(`^-([a-z][a-z-]+)(=.*)?$`)
	aFlag   = regexp.MustCompile(`^--?[a-z-]+$`)
)

// advise adds to a parser's error what the parser does not know.
func advise(err error, args []string, command *kong.Node, secretive bool) error {
	for _, arg := range args {
		if found := oneDash.FindStringSubmatch(arg); found != nil {
			return fmt.Errorf("flags have two dashes: --%s", found[1])
		}
	}
	text := strings.TrimPrefix(err.Error(), command.Path()+": ")
	if secretive {
		text = conceal(text, args)
	}
	var names []string
	for _, child := range command.Children {
		names = append(names, child.Name)
	}
	switch {
	case strings.HasSuffix(text, ", ..."): // the parser names five
		text = `expected one of "` + strings.Join(names, `", "`) + `"`
	case len(names) > 0 && strings.HasPrefix(text, "unexpected argument") && !strings.Contains(text, "did you mean"):
		text += ": want " + strings.Join(names, ", ")
	}
	return errors.New(text)
}

// conceal removes from a message what may be a secret: all arguments but the names of
// flags. The parser may have changed the case.
func conceal(text string, args []string) string {
	for _, arg := range args {
		if _, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "-") {
			arg = value
		}
		if arg != "" && !aFlag.MatchString(arg) {
			quoted := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(strconv.Quote(arg)))
			bare := regexp.MustCompile(`(?i) ` + regexp.QuoteMeta(arg) + `( |$)`)
			text = bare.ReplaceAllString(quoted.ReplaceAllLiteralString(text, "another text"), "$1")
		}
	}
	return text
}

// textMapper lets kong parse flags of type T.
func textMapper[T any](parse func(string) (T, error)) kong.Option {
	return kong.TypeMapper(reflect.TypeFor[T](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err
		}
		value, err := parse(text)
		if err == nil {
			target.Set(reflect.ValueOf(value))
		}
		return err
	}))
}

// parseTime parses a time, a time of the last day on this machine's clock, or a duration
// before now.
func (env *Env) parseTime(text string) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return env.Now().Add(-ago), nil
	}
	now := env.Now()
	if clock, err := time.Parse("15:04", text); err == nil {
		t := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
		if t.After(now) {
			t = t.AddDate(0, 0, -1)
		}
		return t, nil
	}
	t, err := alexa.ParseTime(text)
	if err != nil {
		return t, errors.New("want a time like 2026-01-02T15:04:05Z or 18:03, or a duration before now like 2h")
	}
	return t, nil
}

// Say writes a line about the run itself to Stderr.
func (env *Env) Say(format string, a ...any) {
	fmt.Fprintf(env.Stderr, "%s: %s\n", env.command, fmt.Sprintf(format, a...))
}

func (env *Env) sayUsage(err error) {
	env.Say("%v (%s --help shows the usage)", err, env.command)
}

// Line writes one line of a list, its fields separated by tabs. Untrusted text cannot
// control the terminal.
func (env *Env) Line(fields ...string) {
	for i, field := range fields {
		fields[i] = Clean(field)
	}
	fmt.Fprintln(env.Stdout, strings.Join(fields, "\t"))
}

// WriteJSON writes a result for programs.
func (env *Env) WriteJSON(result any) {
	encoder := json.NewEncoder(env.Stdout)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(result) // fails only if the output is closed
}

// Row writes one line of a table.
func Row(w io.Writer, name, format string, a ...any) {
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-20s %s", name, Clean(fmt.Sprintf(format, a...))), " "))
}

// maxRunes is how much of a text Clean keeps.
const maxRunes = 200

// Clean makes untrusted text fit for a line of a terminal. An empty text becomes "-".
func Clean(s string) string {
	if runes := []rune(s); len(runes) > maxRunes {
		s = string(runes[:maxRunes]) + "…"
	}
	return cmp.Or(Graphic(s), "-")
}

// Graphic keeps untrusted text from controlling the terminal.
func Graphic(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return unicode.ReplacementChar
		}
		return c
	}, s)
}

// Moment formats a time as flags accept it.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return alexa.FormatTime(t)
}
