package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// eraseTime is enough for some thousand delivery records.
const eraseTime = time.Minute

// erasure is what erase has to tell.
type erasure struct {
	DryRun     bool   `json:"dryRun"`
	Customer   string `json:"customer"` // as logs name it
	Records    int    `json:"records"`  // removed; in a dry run, there
	Deliveries *int   `json:"deliveries,omitempty"`
	Accounts   *int   `json:"accounts,omitempty"` // of Amazon's, as skill events have told them
	Grants     *int   `json:"grants,omitempty"`   // of the record, in a dry run
}

// erase is the command of that name. It does not read the record first: one
// that cannot be read is erased too.
func erase(ctx context.Context, _ *program, store grant.Admin, o options) (result, error) {
	e := &erasure{DryRun: !o.forReal, Customer: grant.CustomerHash(o.key.UserID)}
	if e.DryRun {
		return e.look(ctx, store, o.key)
	}
	ctx, cancel := context.WithTimeout(ctx, eraseTime)
	defer cancel()
	erased, err := store.Erase(ctx, o.key)
	e.Records, e.Deliveries, e.Accounts = erased.Records, &erased.Deliveries, &erased.Accounts
	if err != nil {
		return e, fmt.Errorf("not all was erased, run it again: %w", err)
	}
	return e, nil
}

// look looks at what would be erased.
func (e *erasure) look(ctx context.Context, store grant.Store, key grant.Key) (result, error) {
	switch record, err := read(ctx, store, key); {
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

// remains is what erase cannot reach.
const remains = `Elsewhere there remains, and for how long:
- Firestore: what was erased can be read until the recovery window is over, which is 7 days with point-in-time
  recovery, as infra/ sets it, else 1 hour; and in backups, if there are any, until they expire.
- Dead letters of this customer: up to 7 days in the dead-letter subscription (scripts/replay -user lists them).
- Messages on their way: minutes as a rule, and as long as the topics and subscriptions keep them at most.
- Logs: lines with the hash above and no id, as long as the log bucket keeps them.
- Running functions: up to 60 seconds in memory. What was under way may have left something: erase again after that.
- Amazon: the link, until the customer disables the skill. Another AcceptGrant makes a new record.
Nothing is announced. The device cloud must stop publishing for this customer by itself.
`

// write implements result.
func (e *erasure) write(w io.Writer) {
	row(w, "customer in logs", "%s", e.Customer)
	if e.DryRun {
		if e.Grants == nil {
			row(w, "would erase", "no record, and what is left of delivery records and Amazon accounts")
		} else {
			row(w, "would erase", "its record with %d grants, the delivery records of its events, and its Amazon accounts", *e.Grants)
		}
		fmt.Fprintln(w, "This was a dry run: nothing was erased. With -for-real it is.")
		return
	}
	row(w, "records erased", "%d", e.Records)
	row(w, "deliveries erased", "%d", *e.Deliveries)
	row(w, "accounts erased", "%d", *e.Accounts)
	fmt.Fprint(w, remains)
}
