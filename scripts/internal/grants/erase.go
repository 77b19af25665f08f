package grants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// eraseTime is enough for some thousand delivery records.
const eraseTime = time.Minute

// erasure is the result of erase.
type erasure struct {
	DryRun     bool   `json:"dryRun"`
	Customer   string `json:"customer"` // hash, as in logs
	Records    int    `json:"records"`  // erased; in a dry run, found
	Deliveries *int   `json:"deliveries,omitempty"`
	Accounts   *int   `json:"accounts,omitempty"` // Amazon accounts, learned from skill events
	Grants     *int   `json:"grants,omitempty"`   // of the record, in a dry run
}

// Run runs the command. It does not read the record first, so it erases an
// unreadable record too.
func (c eraseCommand) Run(ctx context.Context, env *cli.Env, in *Commands) error {
	return in.run(ctx, env, func(s *session) (result, error) {
		e := &erasure{DryRun: !c.ForReal, Customer: grant.CustomerHash(string(c.User))}
		if e.DryRun {
			return e.look(ctx, s, c.key())
		}
		ctx, cancel := context.WithTimeout(ctx, eraseTime)
		defer cancel()
		erased, err := s.store.Erase(ctx, c.key())
		e.Records, e.Deliveries, e.Accounts = erased.Records, &erased.Deliveries, &erased.Accounts
		if err != nil {
			return e, fmt.Errorf("erased only in part, run it again: %w", err)
		}
		return e, nil
	})
}

// look counts the records that would be erased.
func (e *erasure) look(ctx context.Context, s *session, key grant.Key) (result, error) {
	switch record, err := s.read(ctx, key); {
	case errors.Is(err, errNoRecord):
		return e, nil
	case err != nil:
		return nil, err
	default:
		grants := len(record.Grants)
		e.Records, e.Grants = 1, &grants
		return e, nil
	}
}

// remains lists the data that erase cannot reach.
const remains = `Data that remains elsewhere, and for how long:
- Firestore: erased documents can be read until the recovery window is over, which is 7 days with point-in-time
  recovery, as infra/ sets it, else 1 hour; and in backups, if there are any, until they expire.
- Dead letters of this customer: up to 7 days in the dead-letter subscription (gatepost replay --user lists them).
- Messages in flight: usually minutes, and at most the retention time of the topics and subscriptions.
- Logs: lines with the hash above and without the id, as long as the log bucket keeps them.
- Running functions: up to 60 seconds in memory. A request in flight may have stored something: erase again after that.
- Amazon: the link, until the customer disables the skill. Another AcceptGrant makes a new record.
Nothing is announced. The device cloud must stop publishing for this customer by itself.
`

// write implements result.
func (e *erasure) write(w io.Writer) {
	cli.Row(w, "customer in logs", "%s", e.Customer)
	if e.DryRun {
		if e.Grants == nil {
			cli.Row(w, "would erase", "no record, and any delivery records and Amazon accounts that are left")
		} else {
			plural := "s"
			if *e.Grants == 1 {
				plural = ""
			}
			cli.Row(w, "would erase", "its record with %d grant%s, the delivery records of its events, and its Amazon accounts", *e.Grants, plural)
		}
		fmt.Fprintln(w, "This was a dry run: nothing was erased. Add --for-real to erase.")
		return
	}
	cli.Row(w, "records erased", "%d", e.Records)
	cli.Row(w, "deliveries erased", "%d", *e.Deliveries)
	cli.Row(w, "accounts erased", "%d", *e.Accounts)
	fmt.Fprint(w, remains)
}
