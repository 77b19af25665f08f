package grant

import (
	"context"
	"errors"
	"time"
)

// Errors that every Store returns, wrapped or not.
var (
	// ErrNotFound: there is no such document.
	ErrNotFound = errors.New("grant: not found")
	// ErrConflict: the document was changed, created or deleted since it was read,
	// and nothing was written. Read it again and start over. The other writer may
	// be the same call, if its response was lost and a client library retried it.
	ErrConflict = errors.New("grant: changed since it was read")
)

// Revision identifies one stored state of a document. It is opaque: compare it for
// equality, and with zero, which means "not stored". Every write gives a revision
// that no earlier state of the same document had.
type Revision int64

// Store keeps records, delivery records, Amazon accounts and the few documents that
// the processes of a stack share.
//
// A store may be used by any number of goroutines and processes. Values that it
// returns belong to the caller, and it keeps no reference to its arguments, so that
// neither side changes the other's values by accident. Every method returns the
// context's error, wrapped, when ctx ends first; a write whose context ended may or
// may not have happened. Unless a method says otherwise, other errors mean that the
// store is unavailable, and the call may be retried.
//
// Times are kept in UTC, truncated to microseconds. A zero time, an empty string
// and a zero number are stored as absent, and read back as zero.
type Store interface {
	// Read returns the record of a customer, with its Revision set, or ErrNotFound.
	// It sees every write of any process that returned before the read began.
	Read(ctx context.Context, key Key) (Record, error)

	// Write replaces old with updated, and returns updated as it is stored, with
	// its new Revision. It succeeds only if the stored record still has
	// old.Revision or, when that is zero, if no record is stored. Otherwise it
	// returns ErrConflict and writes nothing. Of concurrent writers that start from
	// one revision, exactly one succeeds.
	//
	// Only fields that differ between old and updated are written. Each field of
	// each grant counts by itself, and a grant missing from updated is removed
	// whole. All other fields of the stored document stay as they are, including
	// fields that this version of the code does not know. If nothing differs,
	// nothing is written, and old is returned without a call to the database. A
	// record that is not stored yet is created with everything in updated.
	//
	// old and updated must have the same Key: a store does not move records, and
	// returns an error.
	Write(ctx context.Context, old, updated Record) (Record, error)

	// Due returns a page of the records in the given buckets whose RefreshDue is
	// set, not before q.From and not after q.Before, earliest first. A record that
	// changes between two pages may be missed or returned twice. Each returned
	// record is a consistent state with its Revision, and may be passed to Write. A
	// query outside the limits of DueQuery is an error.
	Due(ctx context.Context, q DueQuery) (DuePage, error)

	// CountDue returns the number of records that Due would find with q on all its
	// pages, unreadable ones included, but at most q.Limit. It begins after
	// q.After.
	CountDue(ctx context.Context, q DueQuery) (int, error)

	// Delete removes a record if the stored one still has its Revision. Otherwise
	// it returns ErrConflict and removes nothing. A record without a Revision is an
	// error.
	Delete(ctx context.Context, record Record) error

	// ReadDelivery returns the delivery record of an event, or ErrNotFound. It may
	// return an expired record: see Delivery.Live.
	ReadDelivery(ctx context.Context, key DeliveryKey) (Delivery, error)

	// WriteDelivery replaces old with updated under the rules of Write, but as a
	// whole, without a field mask.
	WriteDelivery(ctx context.Context, old, updated Delivery) (Delivery, error)

	// ReadAccount returns the account with an id, or ErrNotFound.
	ReadAccount(ctx context.Context, id string) (Account, error)

	// WriteAccount replaces old with updated like WriteDelivery. Both must have the
	// same ID. An account without a Customer is an error: it could not be erased.
	WriteAccount(ctx context.Context, old, updated Account) (Account, error)

	// ReadControl returns the shared document with a name, or ErrNotFound.
	ReadControl(ctx context.Context, name string) (Control, error)

	// WriteControl replaces old with updated like WriteDelivery. Both must have the
	// same Name, and old must be as it was read. It checks the stored document even
	// if nothing differs; the Revision may stay the same then.
	WriteControl(ctx context.Context, old, updated Control) (Control, error)

	// CountCustomers returns the number of records.
	CountCustomers(ctx context.Context) (int, error)
}

// Admin is a Store with the methods that only operators' tools need. No deployed
// function uses it.
type Admin interface {
	Store

	// List returns a page of all records, ordered by Key.ID: at most limit of them,
	// and at least one if there are more. It begins after the id after; the empty
	// id is the beginning. A record that changes in the meantime is returned once,
	// in its old or its new state.
	List(ctx context.Context, after string, limit int) (ListPage, error)

	// Erase removes everything that is kept about a customer: the record, at any
	// revision, the delivery records of all events, and the Amazon accounts. It is
	// not an error if nothing is kept. If it fails, some of it may already be gone;
	// call it again.
	Erase(ctx context.Context, key Key) (Erased, error)
}

// ListPage is one page of records. Next is empty on the last page. Unreadable is
// as in DuePage.
type ListPage struct {
	Records    []Record
	Next       string // Key.ID of the last record of the page
	Unreadable []error
}

// Erased counts the documents that were removed.
type Erased struct {
	Records    int // 1, or 0 when there was none
	Deliveries int
	Accounts   int
}

// MaxDueBuckets is the largest number of buckets in one DueQuery: Firestore allows
// at most 30 values in an "in" filter.
const MaxDueBuckets = 30

// DueQuery selects records for the sweep.
type DueQuery struct {
	Buckets []int     // 1 to MaxDueBuckets of them
	From    time.Time // records due at this time or later; zero for no bound
	Before  time.Time // records due at this time or earlier
	Limit   int       // at most this many records in a page, at least 1
	After   *DueCursor
}

// DueCursor is the position after a page.
type DueCursor struct {
	RefreshDue time.Time
	ID         string // Key.ID of the last record of the page
}

// DuePage is one page of records. Next is nil on the last page only: a page may be
// shorter than the limit, or empty, without being the last.
type DuePage struct {
	Records []Record
	Next    *DueCursor
	// Unreadable has an error for each record that this version of the code cannot
	// decode. It names the record, which is left out of Records, so that one bad
	// record does not hold up the sweep of the others.
	Unreadable []error
}

// DeliveryKey identifies the delivery record of one event to one customer.
type DeliveryKey struct {
	Customer string // Key.ID of the customer's record
	EventID  string // identity of the event, as the publisher or Pub/Sub gave it
}

// ID returns the document id. It starts with the customer's, so that everything
// kept about a customer can be found without an index.
func (k DeliveryKey) ID() string {
	return DeliveryPrefix(k.Customer) + shortHex(digest(k.EventID))
}

// DeliveryPrefix returns the prefix of the ids of a customer's delivery records,
// and of no others; hex digits follow it.
func DeliveryPrefix(customer string) string { return customer + "." }

// DeliveryState is the progress of an event that must not be repeated.
type DeliveryState string

const (
	// Claimed: a process is about to send the event. No other process may until
	// ClaimedUntil.
	Claimed DeliveryState = "claimed"
	// Sent: the event must not be sent again, to any grant.
	Sent DeliveryState = "sent"
)

// Delivery records which grants are done with an event. It exists only for an event that
// failed for some of a customer's grants, or that must not be repeated.
type Delivery struct {
	Key          DeliveryKey
	State        DeliveryState // empty for an event that may be repeated
	ClaimedUntil time.Time
	Accepted     []string  // ids of the grants that are done with the event, in any order
	ExpireAt     time.Time // required; from then on the record is ignored
	Revision     Revision  // set by the store, zero for a delivery that is not stored
}

// Live reports whether the record is stored and has not expired. Stores delete
// expired records late or never, so readers must check.
func (d Delivery) Live(now time.Time) bool {
	return d.Revision != 0 && now.Before(d.ExpireAt)
}
