package grant

import "time"

// AccountKey identifies an Amazon account as skill events do: by an id that Amazon
// makes for each skill. No directive and no token has it.
type AccountKey struct {
	Skill      string
	AmazonUser string
}

// ID returns the document id of the account: a hash, so that the database does not
// hold Amazon's id.
func (k AccountKey) ID() string { return shortHex(digest("account", k.Skill, k.AmazonUser)) }

// Account maps an Amazon account to the customer that it is linked to. One customer
// may have several accounts, for example those of a household.
type Account struct {
	ID       string // AccountKey.ID
	Customer string // required: Key.ID of the customer's record, by which the account is erased
	UserID   string // the maker's id of the customer
	Skill    string
	LinkedAt time.Time // of the event that reported the link
	// ExpireAt is zero while the account is linked. An expired account is ignored:
	// Amazon makes a new id for each enablement, so this one is not used again.
	ExpireAt time.Time
	Revision Revision // set by the store, zero for one that is not stored
}

// NewAccount returns the account of a customer.
func NewAccount(key AccountKey, customer Key, linkedAt time.Time) Account {
	return Account{ID: key.ID(), Customer: customer.ID(), UserID: customer.UserID, Skill: customer.Skill, LinkedAt: linkedAt}
}

// Live reports whether the account is stored and has not expired. Stores delete
// expired documents late or never, so readers must check.
func (a Account) Live(now time.Time) bool {
	return a.Revision != 0 && (a.ExpireAt.IsZero() || now.Before(a.ExpireAt))
}

// Key returns the key of the customer's record.
func (a Account) Key() Key { return Key{Skill: a.Skill, UserID: a.UserID} }

// Document returns the account as a document, like [Delivery.Document].
func (a Account) Document() map[string]any {
	doc := make(map[string]any, len(accountFields))
	for _, f := range accountFields {
		put(doc, f.path, f.value(&a))
	}
	return doc
}

// ParseAccount is the inverse of [Account.Document] for the document with the given
// id, under the rules of [ParseRecord].
func ParseAccount(id string, doc map[string]any) (Account, error) {
	a := Account{ID: id}
	if err := decode("", accountFields, doc, &a); err != nil {
		return Account{}, err
	}
	return a, nil
}

var accountFields = []field[Account]{
	text(func(a *Account) *string { return &a.Customer }, "customer"),
	text(func(a *Account) *string { return &a.UserID }, "userId"),
	text(func(a *Account) *string { return &a.Skill }, "skill"),
	moment(func(a *Account) *time.Time { return &a.LinkedAt }, "linkedAt"),
	moment(func(a *Account) *time.Time { return &a.ExpireAt }, "expireAt"),
}
