package main

import (
	"fmt"
	"io"
)

// A dry run's variables beside those that refer to functions.
const workDir = "WORK"

// goOn is the script's argument with which it starts behind the secrets.
const goOn = "go-on"

// dryRun prints what a first deployment runs, as a script for the root of
// Gatepost's tree. It asks nothing of anybody.
func (d *deployment) dryRun(w io.Writer, o options) {
	fmt.Fprintf(w, `#!/usr/bin/env bash
#
# A first deployment: to be run from the root of Gatepost's tree, in which it
# writes nothing. It ends at the first command that fails; go on by hand from
# there, or with scripts/deploy, which finds out what is there already.

set -euo pipefail
%s=$(mktemp -d)
trap 'rm -rf "$%s"' EXIT

`, workDir, workDir)
	d.printChecks(w)
	stages := append([]stage{{"APIs", d.switchOn, nil}}, d.stages()...)
	for i, next := range stages {
		if i == 0 {
			fmt.Fprintf(w, "\nif [ \"${1:-}\" != %s ]; then\n", goOn)
		}
		d.printStage(w, next)
		switch next.title {
		case stageSecrets:
			fmt.Fprintln(w, "fi")
			d.printNeedSecrets(w)
			d.printPackages(w, o)
		case stageFunctions:
			d.printURLs(w)
		}
	}
	fmt.Fprintln(w, "\n# Next")
	for _, line := range d.next() {
		fmt.Fprintln(w, command{args: []string{"echo", line}})
	}
}

func (d *deployment) printStage(w io.Writer, next stage) {
	due := next.commands()
	if len(due) == 0 {
		return
	}
	fmt.Fprintf(w, "\n# %s\n", next.title)
	for _, c := range due {
		if c.again == roleIsUnknown {
			fmt.Fprintln(w, "# Its role has been there for some minutes. If Lambda does not know it yet, go on from here a minute later.")
		}
		fmt.Fprintln(w, c)
	}
}

// printChecks has the script look at whose credentials there are, and learn the
// project's number.
func (d *deployment) printChecks(w io.Writer) {
	s := d.settings
	if len(d.proxies()) > 0 {
		account := command{args: append(s.whose().args[:len(s.whose().args)-1], "--output=text", "--query=Account")}
		fmt.Fprintf(w, "[ \"$(%s)\" = %s ] || { echo 'the AWS credentials are not of account %s' >&2; exit 1; }\n", account, s.awsAccountID, s.awsAccountID)
	}
	fmt.Fprintf(w, "%s=$(gcloud projects describe %s --format='value(projectNumber)')\n", projectNumber, s.projectID)
}

// printNeedSecrets has the script stop where a secret has no version that can
// be used.
func (d *deployment) printNeedSecrets(w io.Writer) {
	s := d.settings
	fmt.Fprintf(w, `
# Nothing starts before each secret has a value: without one this stops, with
# status 3. Then give it one, and run this again with the argument %s.
empty=
need() {
  [ -n "$(gcloud secrets versions list "$1" --project=%s --filter=state=ENABLED --limit=1 --format='value(name)')" ] || empty="$empty
$2"
}
`, goOn, s.projectID)
	for _, name := range s.secretNames(d.stacks) {
		fmt.Fprintf(w, "need %s %s\n", name, quote(s.fill(name).String()))
	}
	fmt.Fprintf(w, `if [ -n "$empty" ]; then
  printf '%%s%%s\n' %s "$empty" >&2
  exit %d
fi
`, quote(secretAdvice), exitSecrets)
}

// printPackages has the script build what is not given, and unpack the source.
func (d *deployment) printPackages(w io.Writer, o options) {
	source, proxy := firstOf(o.source, d.settings.sourcePackage), firstOf(o.proxy, d.settings.proxyPackage)
	fmt.Fprintln(w, "\n# Packages")
	if source == "" {
		source = ref(workDir) + "/source.zip"
		fmt.Fprintln(w, command{args: []string{"scripts/package", source}})
	}
	if proxy == "" && len(d.proxies()) > 0 {
		proxy = ref(workDir) + "/skillproxy.zip"
		fmt.Fprintln(w, command{args: []string{"scripts/build-proxy", proxy}})
	}
	d.sourceDir, d.proxyZip = ref(workDir)+"/source", proxy
	fmt.Fprintln(w, command{args: []string{"unzip", "-q", source, "-d", d.sourceDir}})
	fmt.Fprintf(w, "%s=$(%s | cut -c1-%d)\n", sourceHash, command{args: []string{"sha256sum", source}}, hashLength)
}

// printURLs sets the variables that later commands refer to.
func (d *deployment) printURLs(w io.Writer) {
	for _, one := range d.stacks {
		for _, f := range functions {
			line := command{args: []string{
				"gcloud", "functions", "describe", one.function(f.entryPoint), "--gen2", "--region=" + one.location, "--project=" + d.settings.projectID,
			}}
			fmt.Fprintf(w, "%s=$(%s --format='value(serviceConfig.uri)')\n", one.urlName(f.entryPoint), line)
		}
	}
}
