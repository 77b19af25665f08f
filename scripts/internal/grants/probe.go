package grants

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// probing is the result of probe.
type probing struct {
	Tally
	Due int `json:"due"` // suspect grants that are due now; in a dry run those that would be
}

// Run runs the command.
func (c probeCommand) Run(ctx context.Context, env *cli.Env, in *Commands) error {
	return in.run(ctx, env, func(s *session) (result, error) {
		p := &probing{Tally: Tally{DryRun: !c.ForReal && c.User == ""}}
		w := &walk{session: s, Tally: &p.Tally}
		key := grant.Key{Skill: c.Skill, UserID: string(c.User)}
		err := w.of(ctx, key, c.After, func(ctx context.Context, record grant.Record) error { return p.probe(ctx, w, record) })
		if err == nil && c.User != "" && p.Due == 0 {
			err = errors.New("there is nothing to probe: no grant is suspect (show lists their states)")
		}
		if err != nil && c.User != "" {
			return nil, err
		}
		return p, err
	})
}

// probe makes the suspect grants of one record due.
func (p *probing) probe(ctx context.Context, w *walk, record grant.Record) error {
	var lines [][]string
	return w.change(ctx, record, func(record *grant.Record) error {
		lines = nil
		for _, id := range byAge(*record) {
			if g := record.Grants[id]; g.State == grant.Suspect {
				lines = append(lines, []string{
					p.verb("probe", "due"), grant.CustomerHash(record.UserID), id, string(g.Region), g.Reason, "suspect " + cli.Moment(g.Since),
				})
			}
		}
		if len(lines) > 0 {
			record.ProbeNow(w.Now())
		}
		return nil
	}, func(changed bool) {
		if !changed {
			return
		}
		for _, line := range lines {
			w.line(line...)
		}
		p.Due += len(lines)
	})
}

// probedSoon explains the effect of probe.
const probedSoon = `The next sweep refreshes these grants, in minutes, unless the customer is idle. The next event to each is
its probe: if the gateway accepts it, the grant is active again, and recovered is announced.
`

// write implements result.
func (p *probing) write(w io.Writer) {
	p.Tally.write(w)
	cli.Row(w, p.verb("probe", "due"), "%d", p.Due)
	switch {
	case p.DryRun:
		fmt.Fprintln(w, "This was a dry run: nothing was made due. Add --for-real to probe.")
	case p.Due > 0:
		fmt.Fprint(w, probedSoon)
	}
}
