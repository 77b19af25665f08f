package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// report writes the list and the tally to out, and everything else to err.
type report struct {
	out, err      io.Writer
	json          bool // the tally as JSON, and no list
	showsProgress bool
	forReal       bool

	mu    sync.Mutex // of err, which keepLeases writes to as well
	shown time.Time  // when progress was last shown
}

// line lists one selected message with everything that helps to decide about it, but
// without its data.
func (r *report) line(l letter, f fate, reason error) {
	if r.json {
		return
	}
	fields := []string{
		r.verb(f), alexa.FormatTime(l.published), l.region, cmp.Or(l.code, l.reason), l.customer, l.kind, l.endpoint, l.description,
	}
	if reason != nil {
		fields = append(fields, reason.Error())
	}
	for i, field := range fields {
		fields[i] = cmp.Or(clean(field), "-")
	}
	fmt.Fprintln(r.out, strings.Join(fields, "\t"))
}

func (r *report) verb(f fate) string {
	switch f {
	case untried:
		if !r.forReal {
			return "would replay"
		}
		return "not reached"
	case staleDeletes, wrongRegions:
		return "refused"
	case replayed:
		return "replayed"
	case unacknowledged:
		return "published, but not acknowledged"
	}
	return "failed"
}

// clean makes untrusted text fit for a line of a terminal.
func clean(s string) string {
	const most = 200
	runes := []rune(s)
	if len(runes) > most {
		runes = append(runes[:most], '…')
	}
	return strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return unicode.ReplacementChar
		}
		return c
	}, string(runes))
}

// progress writes the counts so far, at most once a second.
func (r *report) progress(now time.Time, l *ledger) {
	if !r.showsProgress || now.Sub(r.shown) < time.Second {
		return
	}
	r.shown = now
	t := l.tally()
	r.say("read %d, selected %d, replayed %d, refused %d, failed %d", t.Read, t.Selected, t.Replayed, t.Refused, t.Failed)
}

// say writes one line about the run itself.
func (r *report) say(format string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.err, "replay: "+format+"\n", a...)
}
