package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// next is what is left for somebody to do once everything is there, as the
// outputs of infra/ say: lines, which may hold references.
func (d *deployment) next() []string {
	s := d.settings
	var all, topics []string
	for _, one := range d.stacks {
		topics = append(topics, s.deviceEventsTopic(one))
		if one.ownLambdaRole == "" {
			all = append(all, "# The skill's endpoint for "+one.region+", to enter in the developer console:",
				fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", one.awsRegion(), s.awsAccountID, s.proxy(one)))
			continue
		}
		all = append(all, "# The environment of your own Lambda for "+one.region+":")
		env := s.callingEnvironment(one)
		for _, name := range slices.Sorted(maps.Keys(env)) {
			all = append(all, name+"="+env[name])
		}
	}
	all = append(all, "# To let your cloud publish device events; its account in place of PUBLISHER:")
	slices.Sort(topics)
	for _, topic := range slices.Compact(topics) {
		all = append(all, "gcloud pubsub topics add-iam-policy-binding "+topic+" --project="+s.projectID+" --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER")
	}
	return all
}

// leftBehind are the commands that remove what a stack has left in a location
// that it was moved from. This program deletes nothing.
func (d *deployment) leftBehind() []command {
	var all []command
	for _, one := range d.stacks {
		for _, location := range d.formerLocations(one) {
			job := one.named("refresh")
			if _, exists := d.have.jobs[location+"/"+job]; exists {
				all = append(all, command{args: []string{"gcloud", "scheduler", "jobs", "delete", job, "--location=" + location, "--project=" + d.settings.projectID}})
			}
			for _, f := range functions {
				name := one.function(f.entryPoint)
				if _, exists := d.have.functions[location+"/"+name]; exists {
					all = append(all, command{args: []string{"gcloud", "functions", "delete", name, "--gen2", "--region=" + location, "--project=" + d.settings.projectID}})
				}
			}
		}
	}
	return all
}

// tellLeftBehind writes them, if there are any.
func (d *deployment) tellLeftBehind(w io.Writer) {
	left := d.leftBehind()
	if len(left) == 0 {
		return
	}
	fmt.Fprintln(w, "\n# Left behind in another location: its scheduler job goes on starting a second sweep. To remove it:")
	for _, c := range left {
		fmt.Fprintln(w, c)
	}
}

// formerLocations are those with a function of the stack's where the stack is
// not.
func (d *deployment) formerLocations(one stack) []string {
	var locations []string
	for key := range d.have.functions {
		location, name, _ := strings.Cut(key, "/")
		if location != one.location && slices.ContainsFunc(functions, func(f function) bool { return one.function(f.entryPoint) == name }) {
			locations = append(locations, location)
		}
	}
	slices.Sort(locations)
	return slices.Compact(locations)
}
