package main

import (
	"fmt"
	"io"
)

// dryRun prints what a first deployment runs, for a shell in the root of
// Gatepost's tree. It asks nothing of anybody.
func (d *deployment) dryRun(w io.Writer, o options) {
	source, proxy := firstOf(o.source, d.settings.sourcePackage), firstOf(o.proxy, d.settings.proxyPackage)
	fmt.Fprintln(w, "# Packages")
	if source == "" {
		source = "source.zip"
		fmt.Fprintln(w, "scripts/package source.zip")
	}
	if proxy == "" && len(d.proxies()) > 0 {
		proxy = "skillproxy.zip"
		fmt.Fprintln(w, "scripts/build-proxy skillproxy.zip")
	}
	d.sourceDir, d.proxyZip = "gatepost-source", proxy
	fmt.Fprintf(w, "unzip -o -q %s -d %s\n", quote(source), d.sourceDir)
	fmt.Fprintf(w, "%s=$(sha256sum %s | cut -c1-%d)\n", sourceHash, quote(source), hashLength)
	fmt.Fprintf(w, "%s=$(gcloud projects describe %s --format='value(projectNumber)')\n", projectNumber, d.settings.projectID)

	for _, next := range append([]stage{{"APIs", d.switchOn, nil}}, d.stages()...) {
		due := next.commands()
		if len(due) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n# %s\n", next.title)
		for _, c := range due {
			fmt.Fprintln(w, c)
		}
		switch next.title {
		case stageSecrets:
			d.tellSecrets(w, d.settings.secretNames(d.stacks))
		case stageFunctions:
			d.printURLs(w)
		}
	}
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
