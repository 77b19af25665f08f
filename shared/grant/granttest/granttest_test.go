package granttest_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/grant/granttest"
)

// mistakes names the checks that each wrong store must fail; it may fail
// others.
var mistakes = map[string]struct {
	make  func(grant.Admin) grant.Admin
	fails []string
}{
	"reads a missing record as new": {readsMissingAsNew, []string{"a record never written is not found"}},
	"keeps no revision": {
		func(s grant.Admin) grant.Admin { return onRecords(s, func(r *grant.Record) { r.Revision = 0 }) },
		[]string{"a created record reads back", "an update reads back with a new revision"},
	},
	"loses a field": {
		func(s grant.Admin) grant.Admin {
			return onGrants(s, func(g *grant.Grant) { g.LastForcedRefresh = time.Time{} })
		},
		[]string{"a created record reads back", "an update reads back with a new revision"},
	},
	"overwrites on create": {
		overwritesOnCreate,
		[]string{"a second create conflicts", "of several creates one wins", "a second create of a delivery conflicts", "a second create of an account conflicts", "a second create of a control document conflicts"},
	},
	"ignores the revision": {ignoresRevision, []string{
		"a stale revision conflicts and writes nothing", "of several updates from one revision one wins",
		"a stale revision of a delivery conflicts", "of several claims of an event one wins",
		"a stale revision of a control document conflicts",
		"a stale revision of an account conflicts", "of several writers of an account one wins",
	}},
	"creates on update": {createsOnUpdate, []string{
		"an update of a record that is not stored conflicts", "an update of a delivery that is not stored conflicts",
		"an update of an account that is not stored conflicts", "an update of a control document that is not stored conflicts",
	}},
	"looks, then writes": {looksThenWrites, []string{
		"of several creates one wins", "of several updates from one revision one wins", "a lease has one holder",
		"of several claims of an event one wins", "of several writers of an account one wins", "of a delete and updates from one revision one wins", "no update is lost",
	}},
	"gives a state its old revision": {countsByContent, []string{"a revision never returns"}},
	"looks at the store for nothing": {looksBeforeNothing, []string{
		"nothing is written when nothing differs", "a delivery is not written when nothing differs",
		"an account is not written when nothing differs",
	}},
	"takes nanoseconds for a change": {comparesExactly, []string{"less than a microsecond is no difference"}},
	"moves records": {movesRecords, []string{
		"a record does not move to another key", "a delivery does not move to another key", "an account does not move to another id",
		"a control document does not move to another name",
	}},
	"joins the parts of a key": {joinsKeys, []string{"skill and userId together are the key", "customer and event together are a delivery's key"}},
	"writes the whole record": {writesAll, []string{
		"only differing fields of the record are written", "only differing fields of a grant are written",
		"a new grant leaves the others alone", "a removed grant goes whole",
	}},
	"writes whole grants":   {writesWholeGrants, []string{"only differing fields of a grant are written"}},
	"empties removed grant": {emptiesGrants, []string{"a removed grant goes whole"}},
	"drops empty grants":    {dropsEmptyGrants, []string{"zero values read back as zero"}},
	"keeps what it is given": {
		func(s grant.Admin) grant.Admin { return remembers(s, func(r grant.Record) grant.Record { return r }) },
		[]string{"values given are not kept", "values returned are not kept"},
	},
	"keeps tokens and nanoseconds that it is given": {
		func(s grant.Admin) grant.Admin { return remembers(s, grant.Record.Clone) },
		[]string{"values given are not kept", "values returned are not kept", "times are cut to microseconds in UTC"},
	},
	"keeps what it returns": {cachesReads, []string{"values returned are not kept"}},
	"returns local times": {returnsLocalTimes, []string{
		"times are cut to microseconds in UTC", "a delivery's times are cut to microseconds in UTC", "an account's time is cut to microseconds in UTC",
	}},
	"cuts big tokens":         {cutsBigTokens, []string{"a record may be big"}},
	"sorts announcements":     {sortsAnnouncements, []string{"announcements keep their order"}},
	"folds case":              {foldsCase, []string{"any userId will do"}},
	"refuses slashes":         {refusesSlashes, []string{"any userId will do"}},
	"ignores the context":     {ignoresContext, []string{"an ended context is the error"}},
	"hides the context's end": {hidesContextError, []string{"an ended context is the error"}},

	"finds something in nothing": {findsSomethingInNothing, []string{"no record is due in an empty store"}},
	"forgets the order":          {forgetsOrder, []string{"due records come the earliest first, then by id"}},
	"forgets ties":               {forgetsTies, []string{"due records come the earliest first, then by id"}},
	"forgets the next page":      {forgetsNextPage, []string{"pages of any size hold the same records"}},
	"ignores the cursor":         {ignoresCursor, []string{"pages of any size hold the same records"}},
	"skips ties":                 {skipsTies, []string{"pages of any size hold the same records"}},
	"ignores the limit":          {ignoresLimit, []string{"pages of any size hold the same records"}},
	"pages by number":            {pagesByNumber, []string{"a change between pages does not move the place"}},
	"finds all buckets":          {findsAllBuckets, []string{"only buckets asked for are searched"}},
	"loses bucket 0":             {losesBucket0, []string{"only buckets asked for are searched"}},
	"finds a record twice":       {findsTwice, []string{"only buckets asked for are searched"}},
	"finds less":                 {findsEarlier, []string{"only records due by then are due"}},
	"finds more":                 {findsLater, []string{"only records due by then are due"}},
	"finds all until then":       {findsFromTheBeginning, []string{"only records due from then on are due"}},
	"finds what is due later":    {findsAfterFrom, []string{"only records due from then on are due"}},
	"indexes once":               {indexesOnce, []string{"a change moves a record among the due"}},
	"finds without revision":     {findsWithoutRevision, []string{"a due record is whole and fit for Write"}},
	"answers anything":           {answersImpossibleQueries, []string{"an impossible query is refused"}},

	"reads a missing delivery as new": {readsMissingDeliveryAsNew, []string{"a delivery never written is not found"}},
	"loses who accepted": {
		func(s grant.Admin) grant.Admin { return onDeliveries(s, func(d *grant.Delivery) { d.Accepted = nil }) },
		[]string{"a created delivery reads back"},
	},
	"masks a delivery's fields":   {masksDeliveries, []string{"an update of a delivery replaces it whole"}},
	"hides expired deliveries":    {hidesExpired, []string{"an expired delivery can be replaced"}},
	"keeps deliveries for ever":   {keepsDeliveriesForEver, []string{"a delivery without ExpireAt is refused"}},
	"keeps the list it was given": {remembersDeliveries, []string{"a delivery is not shared with the caller"}},

	"reads a missing account as new": {readsMissingAccountAsNew, []string{"an account never written is not found"}},
	"loses when an account was linked": {
		func(s grant.Admin) grant.Admin {
			return onAccounts(s, func(a *grant.Account) { a.LinkedAt = time.Time{} })
		},
		[]string{"a created account reads back"},
	},
	"masks an account's fields": {masksAccounts, []string{"an update of an account replaces it whole"}},
	"keeps one account":         {keepsOneAccount, []string{"skill and Amazon's id together are an account's key"}},
	"keeps nobody's accounts":   {keepsNobodysAccounts, []string{"an account without a customer is refused"}},

	"reads a missing control document as new": {readsMissingControlAsNew, []string{"a control document never written is not found"}},
	"loses what is false":                     {losesFalse, []string{"a created control document reads back"}},
	"keeps numbers as text":                   {keepsText, []string{"a created control document reads back"}},
	"merges control documents":                {mergesControls, []string{"an update of a control document replaces it whole"}},
	"compares control documents":              {comparesControls, []string{"a stale revision of a control document conflicts"}},
	"keeps the document it was given":         {remembersControls, []string{"a control document is not shared with the caller"}},

	"counts beyond the limit":    {countsAll, []string{"no more are counted than the limit"}},
	"counts from the beginning":  {countsFromTheBeginning, []string{"only those after the cursor are counted"}},
	"counts the future":          {countsTheFuture, []string{"as many are counted as are due by then"}},
	"counts until then":          {countsUntil, []string{"as many are counted as are due by then"}},
	"counts all until then":      {countsPastFrom, []string{"only those due from then on are counted"}},
	"counts who is due":          {countsWhoIsDue, []string{"all customers are counted"}},
	"counts all documents":       {countsControls, []string{"all customers are counted"}},
	"counts all buckets":         {countsAllBuckets, []string{"only buckets asked for are counted"}},
	"counts a bucket twice":      {countsEachBucket, []string{"only buckets asked for are counted"}},
	"counts anything":            {countsImpossibleQueries, []string{"an impossible count is refused"}},
	"deletes nothing":            {deletesNothing, []string{"a deleted record is gone", "a delete of a record that is gone conflicts"}},
	"deletes any revision":       {deletesAnyRevision, []string{"a delete from a stale revision conflicts and removes nothing"}},
	"deletes what is gone":       {deletesWhatIsGone, []string{"a delete of a record that is gone conflicts"}},
	"deletes without revision":   {deletesWithoutRevision, []string{"a record that is not stored cannot be deleted"}},
	"conflicts without revision": {conflictsWithoutRevision, []string{"a record that is not stored cannot be deleted"}},
	"looks, then deletes":        {looksThenDeletes, []string{"of a delete and updates from one revision one wins"}},
	"deletes deliveries too":     {deletesDeliveriesToo, []string{"a delete leaves everything else"}},
	"empties a deleted record":   {emptiesRecords, []string{"a deleted record is gone", "a deleted record can be created anew"}},
	"sweeps what is deleted":     {sweepsDeleted, []string{"a deleted record is gone"}},
	"keeps tombstones":           {keepsTombstones, []string{"a deleted record can be created anew", "an erased customer can come back"}},
	"counts each life anew":      {countsEachLife, []string{"a deleted record can be created anew"}},

	"lists what is no record": {listsDeliveries, []string{"nothing is listed of an empty store"}},
	"lists by userId":         {listsByUserID, []string{"all records are listed in the order of their ids"}},
	"lists only what is due":  {listsDue, []string{"all records are listed in the order of their ids"}},
	"lists one page":          {listsOnePage, []string{"pages of a list of any size hold the same records"}},
	"lists beyond the limit":  {listsMore, []string{"pages of a list of any size hold the same records"}},
	"skips at borders":        {skipsAtBorders, []string{"pages of a list of any size hold the same records"}},
	"repeats at borders":      {repeatsAtBorders, []string{"pages of a list of any size hold the same records"}},
	"lists by number":         {listsByNumber, []string{"a change between pages of a list does not move the place"}},
	"lists without revision":  {listsWithoutRevision, []string{"a listed record is whole and fit for Write"}},
	"lists anything":          {listsImpossible, []string{"an impossible list is refused"}},

	"erases only the record":       {erasesOnlyTheRecord, []string{"of an erased customer nothing is left", "deliveries are erased without a record"}},
	"erases only with a record":    {erasesOnlyWithRecord, []string{"deliveries are erased without a record"}},
	"erases only deliveries":       {erasesOnlyDeliveries, []string{"of an erased customer nothing is left", "an erased customer can come back"}},
	"erases once":                  {erasesOnce, []string{"erasing nobody is no error"}},
	"erases without counting":      {erasesWithoutCounting, []string{"of an erased customer nothing is left", "deliveries are erased without a record"}},
	"erases a user of all skills":  {erasesTheWholeUser, []string{"an erased customer's neighbours stay"}},
	"erases by the prefix":         {erasesByPrefix, []string{"an erased customer's neighbours stay"}},
	"erases from there on":         {erasesFrom, []string{"an erased customer's neighbours stay"}},
	"erases up to there":           {erasesUpTo, []string{"an erased customer's neighbours stay"}},
	"erases what is written later": {erasesForEver, []string{"an erased customer can come back"}},
	"erases no accounts":           {forgetsAccounts, []string{"of an erased customer nothing is left", "accounts are erased without a record"}},
	"erases accounts by prefix":    {erasesAccountsByPrefix, []string{"an erased customer's neighbours stay"}},
	"erases accounts from there":   {erasesAccountsFrom, []string{"an erased customer's neighbours stay"}},
	"erases accounts linked later": {erasesAccountsForEver, []string{"an erased customer can come back"}},
	"erases former accounts":       {erasesFormerAccounts, []string{"an account that went to another customer is that one's"}},
}

// TestMistakesAreFound is the proof of the suite: no wrong store passes.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	for name, mistake := range mistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, want := range mistake.fails {
				i := slices.IndexFunc(granttest.Checks(), func(c granttest.Check) bool { return c.Name == want })
				if i < 0 {
					t.Fatalf("there is no check %q", want)
				}
				if err := run(t, granttest.Checks()[i], mistake.make(grantmem.New())); err == nil {
					t.Errorf("%q found nothing wrong", want)
				}
			}
		})
	}
}

// TestEveryCheckFindsAMistake keeps out checks that prove nothing, and a right
// store that would fail.
func TestEveryCheckFindsAMistake(t *testing.T) {
	t.Parallel()
	var found []string
	for _, mistake := range mistakes {
		found = append(found, mistake.fails...)
	}
	for _, check := range granttest.Checks() {
		if !slices.Contains(found, check.Name) {
			t.Errorf("no mistake is made that %q finds", check.Name)
		}
		if err := run(t, check, grantmem.New()); err != nil {
			t.Errorf("%q finds a mistake in a right store: %v", check.Name, err)
		}
	}
}

// run runs a check in a bubble, where a store that waits lets all others come
// as far as they can: races are lost every time.
func run(t *testing.T, check granttest.Check, store grant.Admin) (err error) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = check.Test(ctx, store)
	})
	return err
}
