package main

import (
	"fmt"
	"slices"
	"strings"
)

// A facet is one thing about a resource that the settings decide.
type facet struct {
	what  string
	flags []string // of create and update
	want  string
	have  string // in the form of want
	// fixed is set for what the cloud never changes. The resource would have to
	// be deleted, with all that is in it, which this program does not do.
	fixed bool
}

// A resource is what is to be there, held against what is.
type resource struct {
	name   string // for people, "subscription dead-letters"
	exists bool
	create []string // command line up to the facets' flags
	update []string // the same; empty if only create can write facets
	after  []string // flags of create and update that decide nothing
	facets []facet
	queue  string
}

// command returns what makes the resource, or brings it in line. It reports
// false if there is nothing to do.
func (r resource) command(s settings) (command, bool) {
	var flags []string
	for _, f := range r.facets {
		if !r.exists || f.have != f.want {
			flags = append(flags, f.flags...)
		}
	}
	switch {
	case !r.exists:
		return s.gcloud(slices.Concat(r.create, flags, r.after)...).in(r.queue), true
	case len(flags) > 0:
		return s.gcloud(slices.Concat(r.update, flags, r.after)...).in(r.queue), true
	}
	return command{}, false
}

// refusals says what is not as it should be and cannot be changed.
func (r resource) refusals() []string {
	var refusals []string
	for _, f := range r.facets {
		if r.exists && f.fixed && f.have != f.want {
			refusals = append(refusals, fmt.Sprintf("%s: the %s is %q and should be %q, which cannot be changed", r.name, f.what, f.have, f.want))
		}
	}
	return refusals
}

// commands returns those of the resources, in their order.
func commands(s settings, resources []resource) []command {
	var all []command
	for _, r := range resources {
		if c, ok := r.command(s); ok {
			all = append(all, c)
		}
	}
	return all
}

// base is the last element of a resource's full name.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
