package grants

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// restoration is the result of restore.
type restoration struct {
	Tally
	Restored  int `json:"restored"`  // grants; in a dry run those that would be
	Tokenless int `json:"tokenless"` // grants whose refresh token is gone
}

// Run runs the command.
func (c restoreCommand) Run(ctx context.Context, env *cli.Env, in *Commands) error {
	return in.run(ctx, env, func(s *session) (result, error) {
		r := &restoration{Tally: Tally{DryRun: !c.ForReal && c.User == ""}}
		w := &walk{session: s, Tally: &r.Tally}
		key := grant.Key{Skill: c.Skill, UserID: string(c.User)}
		err := w.of(ctx, key, c.After, func(ctx context.Context, record grant.Record) error {
			return c.restore(ctx, w, r, record)
		})
		if c.User == "" {
			return r, err
		}
		switch {
		case err != nil:
		case r.Restored > 0:
			return r, nil
		case r.Tokenless > 0:
			err = errors.New("nothing was restored: no refresh token is left, so the customer has to link again (disable and enable the skill)")
		default:
			err = errors.New("nothing was restored: no such grant is revoked (show lists their states)")
		}
		return nil, err
	})
}

// restore restores the selected grants of one record.
func (c restoreCommand) restore(ctx context.Context, w *walk, r *restoration, record grant.Record) error {
	var done, tokenless [][]string // lines
	return w.change(ctx, record, func(record *grant.Record) error {
		if c.Grant != "" && record.Grants[string(c.Grant)].State == "" {
			return fmt.Errorf("the customer has no grant %q: show lists them", c.Grant)
		}
		done, tokenless = nil, nil
		for _, id := range byAge(*record) {
			g := record.Grants[id]
			line := []string{grant.CustomerHash(record.UserID), id, string(g.Region), g.Reason, "revoked " + cli.Moment(g.Since)}
			switch {
			case !c.selects(id, g):
			case record.Restore(id, w.Now()):
				done = append(done, append([]string{w.verb("restore", "restored")}, line...))
			default:
				tokenless = append(tokenless, append([]string{"no token left"}, line...))
			}
		}
		return nil
	}, func(changed bool) {
		if !changed {
			return
		}
		for _, line := range append(done, tokenless...) {
			w.line(line...)
		}
		r.Restored += len(done)
		r.Tokenless += len(tokenless)
	})
}

// selects reports whether the command line selects the grant.
func (c restoreCommand) selects(id string, g grant.Grant) bool {
	return g.State == grant.Revoked && (c.Grant == "" || id == string(c.Grant)) &&
		!g.Since.Before(c.RevokedSince) && (c.RevokedUntil.IsZero() || g.Since.Before(c.RevokedUntil))
}

// provenLater explains the effect of restore.
const provenLater = `A restored grant is suspect until a refresh has proved it. The customer's next event refreshes it, or the
next sweep, in minutes, unless the customer is idle. If Login with Amazon refuses that refresh and another one an hour
later, the grant is revoked again, and the customer has to link again. The sweep announces the outcome.
`

// write implements result.
func (r *restoration) write(w io.Writer) {
	r.Tally.write(w)
	cli.Row(w, r.verb("restore", "restored"), "%d", r.Restored)
	if r.Tokenless > 0 {
		cli.Row(w, "no token left", "%d", r.Tokenless)
	}
	switch {
	case r.DryRun:
		fmt.Fprintln(w, "This was a dry run: nothing was restored. Add --for-real to restore.")
	case r.Restored > 0:
		fmt.Fprint(w, provenLater)
	}
}
