package grant

import (
	"context"
	"errors"
	"time"
)

// Errors that every Store returns, wrapped or not.
var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("grant: not found")
	// ErrConflict: the record was changed, created or deleted since it was
	// read. Nothing was written. Read it again and decide anew; whoever changed
	// it may be the same call, when its answer was lost and a client library
	// tried it again.
	ErrConflict = errors.New("grant: changed since it was read")
)

// Revision identifies one stored state of a record, delivery or account. It is opaque:
// compare it for equality, and with zero, which means "not stored". Every
// write gives a revision that no earlier state of the same document had.
type Revision int64

// Store keeps records, delivery records, Amazon accounts and the few documents
// that the processes of a stack share.
//
// A store may be shared by any number of goroutines and processes. Values it
// returns belong to the caller, and it keeps no reference to values it is
// given, so neither side can change the other's by accident. Every method
// returns the context's error, wrapped, when ctx ends first; a write whose
// context ended may or may not have happened. Other errors mean that the
// store is out of order, and that the call may be tried again.
//
// Times are kept in UTC to the microsecond: finer digits are cut off on the
// way in. A zero time, an empty string and a zero number are "absent" and
// read back as such.
type Store interface {
	// Read returns the record of a customer, with its Revision set, or
	// ErrNotFound. A read sees every write that had returned before the read
	// began, by whichever process.
	Read(ctx context.Context, key Key) (Record, error)

	// Write replaces was by now, and returns now as it is stored, with its new
	// Revision. It succeeds only if the stored record still has was.Revision,
	// or, when that is zero, if no record is stored; otherwise it returns
	// ErrConflict and writes nothing. Of several writers that start from one
	// revision exactly one succeeds.
	//
	// Only fields that differ between was and now are written (each field of
	// each grant counts by itself; a grant missing in now is removed whole).
	// All other fields of the stored document stay as they are, the ones this
	// version of the code does not know included. If nothing differs, nothing
	// is written, and was is returned without a look at the store. A record
	// that is not stored yet is created with everything in now.
	//
	// was and now must have one Key: a store does not move records, and returns
	// an error.
	Write(ctx context.Context, was, now Record) (Record, error)

	// Due returns a page of the records whose RefreshDue is set, not before
	// q.From and not after q.Before, in the given buckets, the earliest first. A record changed
	// while the pages are read may be missed or seen twice; each record seen
	// is a consistent state with its Revision, fit for Write. A query outside
	// the limits that DueQuery states is an error.
	Due(ctx context.Context, q DueQuery) (DuePage, error)

	// CountDue counts the records that Due would find with q on all its pages,
	// unreadable ones included, but counts no further than q.Limit. It begins
	// after q.After.
	CountDue(ctx context.Context, q DueQuery) (int, error)

	// Delete removes the record was, if the stored one still has its Revision;
	// otherwise it returns ErrConflict and removes nothing. A record that is not
	// stored cannot be deleted: that is an error.
	Delete(ctx context.Context, was Record) error

	// ReadDelivery returns the delivery record of an event, or ErrNotFound. An
	// expired one may be returned or not: see Delivery.Live.
	ReadDelivery(ctx context.Context, key DeliveryKey) (Delivery, error)

	// WriteDelivery replaces was by now on the terms of Write, whole and
	// without a field mask.
	WriteDelivery(ctx context.Context, was, now Delivery) (Delivery, error)

	// ReadAccount returns the account with an id, or ErrNotFound.
	ReadAccount(ctx context.Context, id string) (Account, error)

	// WriteAccount replaces was by now on the terms of Write, whole and without
	// a field mask. Both must have one ID. An account without a Customer, whom
	// nobody could erase, is an error.
	WriteAccount(ctx context.Context, was, now Account) (Account, error)

	// ReadControl returns the shared document of a name, or ErrNotFound.
	ReadControl(ctx context.Context, name string) (Control, error)

	// WriteControl replaces was by now on the terms of Write, whole and without
	// a field mask. Both must have one Name, and was is as it was read. It looks
	// at the store even if nothing differs; the Revision may stay then.
	WriteControl(ctx context.Context, was, now Control) (Control, error)

	// CountCustomers counts all records.
	CountCustomers(ctx context.Context) (int, error)
}

// Admin is what operators' tools need of a store besides. No deployed function
// has it.
type Admin interface {
	Store

	// List returns a page of all records, at most limit of them and at least
	// one if there are more, ordered by Key.ID, those after the one with the id
	// after; the empty id begins. On the terms of Due, a record that is changed
	// meanwhile is seen once, in its old state or in its new.
	List(ctx context.Context, after string, limit int) (ListPage, error)

	// Erase removes everything that is kept about a customer: the record,
	// whatever its revision, the delivery records of all events, and the Amazon
	// accounts. A customer of whom nothing is kept is no error. When it fails
	// some of it may be gone; call it again.
	Erase(ctx context.Context, key Key) (Erased, error)
}

// ListPage is one page of records. Next is empty on the last page. Unreadable is
// as in DuePage.
type ListPage struct {
	Records    []Record
	Next       string // Key.ID of the last record of the page
	Unreadable []error
}

// Erased says what was removed.
type Erased struct {
	Records    int // 1, or 0 when there was none
	Deliveries int
	Accounts   int
}

// MaxDueBuckets is the largest number of buckets in one DueQuery: Firestore
// takes no more than 30 values in an "in" filter.
const MaxDueBuckets = 30

// DueQuery selects records for the sweep.
type DueQuery struct {
	Buckets []int     // 1 to MaxDueBuckets of them
	From    time.Time // records due at this time or later; zero: however long they are due
	Before  time.Time // records due at this time or earlier
	Limit   int       // at most this many records in a page, at least 1
	After   *DueCursor
}

// DueCursor is a place between two pages.
type DueCursor struct {
	RefreshDue time.Time
	ID         string // Key.ID of the last record of the page
}

// DuePage is one page of records. Next is nil on the last page; a page may be
// shorter than the limit, and empty, without being the last.
type DuePage struct {
	Records []Record
	Next    *DueCursor
	// Unreadable says, for each record that this version of the code cannot
	// decode, which one and why. They are left out of Records, so that one
	// bad record does not hold up the sweep of all the others.
	Unreadable []error
}

// DeliveryKey names the delivery record of one event to one customer.
type DeliveryKey struct {
	Customer string // Key.ID of the customer's record
	EventID  string // identity of the event, as the publisher or Pub/Sub gave it
}

// ID is the document id. It starts with the customer's, so that everything
// kept about a customer can be found without an index.
func (k DeliveryKey) ID() string {
	return DeliveryPrefix(k.Customer) + shortHex(digest(k.EventID))
}

// DeliveryPrefix is what the ids of all delivery records of a customer begin
// with, and no others; hex digits follow.
func DeliveryPrefix(customer string) string { return customer + "." }

// DeliveryState says how far an event that must not be repeated has come.
type DeliveryState string

const (
	// Claimed: a process is about to send the event; until ClaimedUntil nobody
	// else may.
	Claimed DeliveryState = "claimed"
	// Sent: every grant that was to get the event has it.
	Sent DeliveryState = "sent"
)

// Delivery says who accepted an event. It exists only for an event that
// failed for some of a customer's grants, or that must not be repeated.
type Delivery struct {
	Key          DeliveryKey
	State        DeliveryState // empty for an event that may be repeated
	ClaimedUntil time.Time
	Accepted     []string  // ids of the grants whose gateway accepted the event, in no order
	ExpireAt     time.Time // required; from then on the record means nothing
	Revision     Revision  // set by the store, zero for a delivery that is not stored
}

// Live reports whether the record still means something. Stores delete
// expired records late or never, so whoever reads one asks.
func (d Delivery) Live(now time.Time) bool {
	return d.Revision != 0 && now.Before(d.ExpireAt)
}
