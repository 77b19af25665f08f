package cutover

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
)

const (
	// concurrent is how many rows are imported in parallel: some 300 a second, below
	// the 500 writes with which a new Firestore database may begin
	// (https://cloud.google.com/firestore/docs/best-practices#ramping_up_traffic).
	concurrent = 8
	rowTime    = 10 * time.Second
	maxLine    = 64 << 10
	maxFaults  = 20 // that are listed
)

// result counts rows: Read is the sum of the counts from Invalid to Refused, unless the
// store failed.
type result struct {
	DryRun      bool `json:"dryRun"`
	Interrupted bool `json:"interrupted"`

	Read      int `json:"read"`
	Invalid   int `json:"invalid"`
	Elsewhere int `json:"elsewhere"`    // of another region
	Duplicate int `json:"duplicate"`    // of an earlier row
	Imported  int `json:"imported"`     // in a dry run, those that would be
	There     int `json:"alreadyThere"` // imported by an earlier run
	Kept      int `json:"newerKept"`    // the customer has another proven grant in the region, or no room
	Refused   int `json:"refused"`      // imported by an earlier run, and suspect or revoked by now

	Customers int `json:"customers"` // that these rows name
	Proven    int `json:"proven"`    // customers who have a proven grant in the region

	Rate    int       `json:"rate"`             // of the first refreshes, a second
	LastDue time.Time `json:"lastDue,omitzero"` // the last of the first refreshes of Imported
}

// mark stands for a text in a set: ten million rows must fit into memory.
type mark [16]byte

func markOf(text string) (m mark) {
	sum := sha256.Sum256([]byte(text))
	copy(m[:], sum[:])
	return m
}

// run is one run of the command.
type run struct {
	*Command
	*cli.Env
	store       grant.Store
	sealer      *seal.Sealer
	credentials []lwa.Credentials
	began       time.Time
	slots       int // first refreshes that have a time

	mu        sync.Mutex
	result    result
	grants    map[mark]owner // by the ids of the rows' grants
	customers map[mark]bool  // whether the customer has a proven grant
}

// owner is the customer of the first row of a grant.
type owner struct {
	customer mark
	judged   bool // whether next has had the row
}

func newRun(c *Command, env *cli.Env, store grant.Store, sealer *seal.Sealer, credentials []lwa.Credentials) *run {
	return &run{
		Command: c, Env: env, store: store, sealer: sealer, credentials: credentials, began: env.Now(),
		result: result{DryRun: !c.ForReal, Rate: c.Rate},
		grants: make(map[mark]owner), customers: make(map[mark]bool),
	}
}

// all imports all rows. When ctx ends it finishes those in flight. An error of one row
// ends the run.
func (r *run) all(ctx context.Context, input io.Reader, size int64) error {
	if file, ok := input.(io.ReadSeeker); ok && size > 0 {
		if err := r.ahead(ctx, file); err != nil {
			return err
		}
	}
	again := "run it again"
	if r.ForReal {
		again += ": rows that are stored are not imported twice"
	}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	lines := scanner(input)
	progress := r.Progress("rows")
	number, read, share := 0, 0, 0.0
	for working.Err() == nil && lines.Scan() {
		number++
		if read += len(lines.Bytes()) + 1; size > 0 {
			share = float64(read) / float64(size)
		}
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if row, due, ok := r.next(number, lines.Bytes()); ok {
			group.Go(func() error {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rowTime)
				defer cancel()
				return r.put(ctx, row, due)
			})
		}
		progress.Show(r.result.Read, share)
	}
	switch err := errors.Join(group.Wait(), lines.Err()); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d: longer than %d bytes; %s", number+1, maxLine, again)
	case err != nil:
		return fmt.Errorf("after line %d: %w; %s", number, err, again)
	case ctx.Err() != nil:
		r.result.Interrupted = true
		return fmt.Errorf("interrupted after line %d; %s", number, again)
	case r.result.Read == 0:
		return errors.New("there are no rows")
	case r.result.Invalid > 0:
		return fmt.Errorf("%d rows are invalid: see above", r.result.Invalid)
	}
	return nil
}

// scanner returns the lines of the input.
func scanner(input io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, maxLine)
	return lines
}

// ahead notes the grants of all rows, so that judge knows them before their turn.
func (r *run) ahead(ctx context.Context, file io.ReadSeeker) error {
	for lines := scanner(file); ctx.Err() == nil && lines.Scan(); {
		row, err := parse(lines.Bytes())
		if err != nil || row.region != r.Region || row.checkClient(r.credentials) != nil {
			continue // next says so
		}
		id := markOf(grant.ID(row.region, r.Skill, row.token.RefreshToken.Reveal()))
		if _, known := r.grants[id]; !known {
			r.grants[id] = owner{customer: markOf(row.userID)}
		}
	}
	_, err := file.Seek(0, io.SeekStart)
	return err
}

// next judges a line without the store. It returns the row if it is to be imported, and
// when the first refresh is due.
//
// Each row has its own time, in the order of the input and at the rate that is allowed.
// Rows that are stored already take their times too. So after an interrupted run, whose
// rows have the earlier times, a later run does not add to their refreshes.
func (r *run) next(number int, line []byte) (row, time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Read++
	row, err := parse(line)
	if err == nil && row.region != r.Region {
		r.result.Elsewhere++
		return row, time.Time{}, false
	}
	if err == nil {
		err = row.checkClient(r.credentials)
	}
	row.id = grant.ID(row.region, r.Skill, row.token.RefreshToken.Reveal())
	id, customer := markOf(row.id), markOf(row.userID)
	first, known := r.grants[id]
	if err == nil && known && first.customer != customer {
		err = errors.New("refreshToken: want one that no other customer has: an earlier line gives it to another userId")
	}
	if err != nil {
		r.fault(number, err)
		return row, time.Time{}, false
	}
	if first.judged {
		r.result.Duplicate++
		return row, time.Time{}, false
	}
	r.grants[id] = owner{customer, true}
	if _, known := r.customers[customer]; !known {
		r.customers[customer] = false
		r.result.Customers++
	}
	due := r.began.Add(time.Duration(r.slots) * time.Second / time.Duration(r.Rate))
	r.slots++
	return row, due, true
}

// fault counts an invalid row, and lists it unless there are many.
func (r *run) fault(number int, err error) {
	switch r.result.Invalid++; {
	case r.result.Invalid <= maxFaults:
		r.Say("line %d: %v", number, err)
	case r.result.Invalid == maxFaults+1:
		r.Say("more rows are invalid; they are only counted")
	}
}

// errUnchanged ends a change that leaves the record as it is.
var errUnchanged = errors.New("unchanged")

// put imports a row, unless the customer has a grant already, and counts it.
func (r *run) put(ctx context.Context, row row, due time.Time) error {
	key := grant.Key{Skill: r.Skill, UserID: row.userID}
	now := r.Now()
	if due.Before(now) { // storing is slower than the rate
		due = now
	}
	tokens, err := access.Seal(r.sealer, key, row.id, row.token, now)
	if err != nil {
		return err
	}
	tokens.RefreshDue = due
	var count *int
	var proven bool
	_, err = grant.Change(ctx, r.store, key, func(record *grant.Record) error {
		proven = false
		for _, g := range record.Grants {
			proven = proven || g.Region == r.Region && g.Proven()
		}
		if count = r.judge(*record, row.id, tokens); count != nil {
			return errUnchanged
		}
		if count = &r.result.Imported; !r.ForReal {
			return errUnchanged
		}
		record.Import(row.id, r.Region, tokens, r.Now())
		return nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if *count++; count == &r.result.Imported && r.result.LastDue.Before(due) {
		r.result.LastDue = due
	}
	if customer := markOf(row.userID); proven && !r.customers[customer] {
		r.customers[customer] = true
		r.result.Proven++
	}
	return nil
}

// judge returns what a row counts as that is not to be imported, or nil.
func (r *run) judge(record grant.Record, id string, tokens grant.Tokens) *int {
	if g, ok := record.Grants[id]; ok {
		switch {
		case bytes.Equal(g.RefreshToken, tokens.RefreshToken):
			return &r.result.Imported // by this call, and the answer to its write was lost
		case g.State != grant.Active:
			return &r.result.Refused
		}
		return &r.result.There
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, g := range record.Grants {
		// Two rows may be links of one customer to two Amazon accounts.
		if _, ours := r.grants[markOf(other)]; !ours && g.Region == r.Region && g.Proven() {
			return &r.result.Kept
		}
	}
	if len(record.Grants) >= grant.MaxGrants {
		return &r.result.Kept
	}
	return nil
}

// write writes the result for people.
func (c result) write(w io.Writer) {
	imported := "imported"
	if c.DryRun {
		imported = "would import"
	}
	for _, row := range []struct {
		name string
		n    int
	}{
		{"read", c.Read}, {"invalid", c.Invalid}, {"of other regions", c.Elsewhere}, {"duplicate", c.Duplicate},
		{imported, c.Imported}, {"already there", c.There}, {"newer kept", c.Kept}, {"refused", c.Refused},
	} {
		cli.Row(w, row.name, "%d", row.n)
	}
	cli.Row(w, "proven", "%d of %d customers have a proven grant", c.Proven, c.Customers)
	if c.Imported > 0 {
		cli.Row(w, "first refreshes", "at most %d a second, until %s", c.Rate, cli.Moment(c.LastDue))
		cli.Row(w, "later refreshes", "%.1f a second", float64(c.Imported)/grant.RefreshCycle.Seconds())
	}
	if c.DryRun {
		fmt.Fprintln(w, "This was a dry run: nothing was imported. Add --for-real to import.")
	}
}
