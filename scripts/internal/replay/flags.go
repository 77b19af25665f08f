package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// options are the values of the flags.
type options struct {
	project, subscription, topic string

	filter  filter
	revival revival
	max     int // 0 for all
	idle    time.Duration
	forReal bool

	json, progress bool
}

// parse parses the flags. Times are relative to now. For -h it writes the help and
// returns flag.ErrHelp.
func parse(args []string, help io.Writer, now time.Time) (options, error) {
	var o options
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error has the text
	flags.StringVar(&o.project, "project", "", "`project` of Google Cloud (default: that of the credentials)")
	flags.StringVar(&o.subscription, "subscription", "", "`subscription` of the dead-letter topic, by id or full name")
	flags.StringVar(&o.topic, "topic", "", "`topic` of device events, by id or full name")
	o.filter.register(flags, now)
	flags.IntVar(&o.max, "max", 0, "replay at most this `number` of messages (default: no limit)")
	flags.DurationVar(&o.idle, "idle", 5*time.Second, "end when no new message has arrived for this `time`")
	flags.BoolVar(&o.forReal, "for-real", false, "replay; the default is a dry run")
	o.revival.register(flags)
	flags.BoolVar(&o.json, "json", false, "write the counts as JSON, and no list")
	flags.BoolVar(&o.progress, "progress", false, "show progress even if standard error is not a terminal")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(help)
		flags.PrintDefaults()
		return o, err
	}
	if err != nil {
		return o, err
	}
	return o, errors.Join(unexpected(flags.Args()), o.fault())
}

func unexpected(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

// fault returns an error for missing, invalid or contradictory options.
func (o options) fault() error {
	switch {
	case o.subscription == "":
		return errors.New("-subscription is missing")
	case o.topic == "":
		return errors.New("-topic is missing")
	case o.max < 0:
		return errors.New("-max is negative")
	case o.idle <= 0:
		return errors.New("-idle is not positive")
	case !o.filter.until.IsZero() && !o.filter.since.Before(o.filter.until):
		return errors.New("-since is not before -until")
	}
	return nil
}

// register adds the flags of the filter.
func (f *filter) register(flags *flag.FlagSet, now time.Time) {
	flags.StringVar(&f.reason, "reason", "", "only with this `reason`: dead_letter, or "+undelivered+" for messages that Pub/Sub moved itself")
	flags.StringVar(&f.code, "code", "", "only with this `code`, for example INVALID_REQUEST_EXCEPTION")
	flags.Func("region", "only of this `region`: NA, EU or FE", regionInto(&f.region))
	flags.Func("customer", "only of the customer with this `hash`, as in logs", func(text string) error {
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(text) {
			return errors.New("want 16 hex digits; -user takes the user's id")
		}
		return f.only(text)
	})
	flags.Func("user", "only of the customer with this user `id`", func(text string) error {
		if text == "" {
			return errors.New("want the id of a user")
		}
		return f.only(grant.CustomerHash(text))
	})
	flags.Func("since", "only events first published at this `time` or later: RFC 3339, or as long ago as 2h", timeInto(&f.since, now))
	flags.Func("until", "only events first published before this `time`", timeInto(&f.until, now))
}

// only selects one customer.
func (f *filter) only(customer string) error {
	if f.customer != "" && f.customer != customer {
		return errors.New("another customer was given before")
	}
	f.customer = customer
	return nil
}

// register adds the flags that allow messages to be replayed, or change them.
func (r *revival) register(flags *flag.FlagSet) {
	flags.BoolVar(&r.force, "force", false, "also replay DeleteReports older than an hour: they remove endpoints that were added again since")
	flags.BoolVar(&r.asNew, "as-new", false,
		"deliver old events as if they had happened now: Alexa will announce and show old states, and routines will run")
	flags.Func("set-region", "replay messages with an invalid attribute region to this `region`", regionInto(&r.region))
}

func regionInto(region *alexa.Region) func(string) error {
	return func(text string) (err error) {
		*region, err = alexa.ParseRegion(text)
		return err
	}
}

// timeInto returns a flag's parser of a time or a duration before now.
func timeInto(t *time.Time, now time.Time) func(string) error {
	return func(text string) (err error) {
		if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
			*t = now.Add(-ago)
			return nil
		}
		if *t, err = alexa.ParseTime(text); err != nil {
			return errors.New("want a time like 2026-01-02T15:04:05Z, or a duration like 2h")
		}
		return nil
	}
}
