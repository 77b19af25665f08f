package main

import (
	"fmt"
	"slices"
	"strings"
)

// command is one command line of gcloud or aws, or of another program that it
// needs. Its arguments may hold references, see [ref].
type command struct {
	args []string
	// queue orders commands: of those with the same queue, one runs after the
	// other. The cloud refuses a change to what is being changed. Commands
	// without one run beside all others.
	queue string
	// again is what the cloud says for a while after something else was made,
	// "" if nothing is worth another try.
	again string
}

// mark encloses the name of a reference. No setting has this character, see
// [reader.text].
const mark = "\x7f"

// ref refers to what is known only once the cloud has been asked, in an
// argument. A dry run prints it as a shell variable that another command has
// set; a real run puts the value in its place.
func ref(name string) string { return mark + name + mark }

// known are the values of references, by name.
type known map[string]string

// resolve puts the values in the place of references. What is not known stays.
func (k known) resolve(text string) string {
	if !strings.Contains(text, mark) {
		return text
	}
	var pairs []string
	for name, value := range k {
		pairs = append(pairs, ref(name), value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func (k known) resolveAll(args []string) []string {
	args = slices.Clone(args)
	for i := range args {
		args[i] = k.resolve(args[i])
	}
	return args
}

// gcloud returns a command of gcloud in the project. It never asks.
func (s settings) gcloud(args ...string) command {
	return command{args: slices.Concat([]string{"gcloud"}, args, []string{"--project=" + s.projectID, "--quiet"})}
}

// aws returns a command of the AWS CLI, in the AWS region of the stack. IAM and
// STS have no regions, but nobody's default region decides anything this way.
func (s settings) aws(one stack, args ...string) command {
	return command{args: slices.Concat([]string{"aws"}, args, []string{"--region=" + one.awsRegion(), "--output=json"})}
}

// in puts the command in a queue.
func (c command) in(queue string) command {
	c.queue = queue
	return c
}

// againIf has the command tried again, for a while, when it is refused with
// this text.
func (c command) againIf(text string) command {
	c.again = text
	return c
}

func set(name string, value any) string { return fmt.Sprintf("--%s=%v", name, value) }
