package grant_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// at is a time in whole microseconds, different for each n.
func at(n int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC).Add(time.Duration(n) * time.Microsecond)
}

// documented returns a record with every field set, and its document. The field
// names are fixed, because deployed stacks hold them.
func documented() (grant.Record, map[string]any) {
	record := grant.Record{
		Version: 1, UserID: "u-1", Skill: "default", Region: alexa.EU, Bucket: 7, RefreshDue: at(1), UsedAt: at(2),
		Announce: []grant.Announcement{{
			Type: grant.Stale, GrantID: "g1", Region: alexa.FE, Reason: "expired",
			EndpointIDs: []string{"lamp-1"}, Discovery: true, ActiveGrants: 2, At: at(3),
		}},
		Grants: map[string]grant.Grant{"g1": {
			Region: alexa.NA, State: grant.Suspect, Reason: "unauthorized", Since: at(4), ClientID: "client-1",
			AmazonUser: "hash-1", AccessToken: []byte("sealed-1"), RefreshToken: []byte("sealed-2"), ExpiresAt: at(5),
			TokenVersion: 3, Lease: grant.Lease{Owner: "process-1", Until: at(6)}, RefreshDue: at(7), Failures: 4,
			NextTry: at(8), LastForcedRefresh: at(9), CreatedAt: at(10), EraseAt: at(11),
			RefusedAt: at(12), Witness: grant.Witness{By: "relink", At: at(13)}, UnprovenSince: at(14), ToldAt: at(15),
			Behind: grant.Behind{Since: at(16), Due: at(17), Endpoints: []string{"lamp-1", "lamp-2"}, All: true, Discovery: true},
		}},
	}
	doc := map[string]any{
		"v": int64(1), "userId": "u-1", "skill": "default", "region": "EU", "bucket": int64(7),
		"refreshDue": at(1), "usedAt": at(2),
		"announce": []any{map[string]any{
			"type": "stale", "grantId": "g1", "region": "FE", "reason": "expired", "endpointIds": []any{"lamp-1"}, "discovery": true,
			"activeGrants": int64(2), "at": at(3),
		}},
		"grants": map[string]any{"g1": map[string]any{
			"region": "NA", "state": "suspect", "reason": "unauthorized", "since": at(4), "clientId": "client-1",
			"amazonUser": "hash-1", "accessToken": []byte("sealed-1"), "refreshToken": []byte("sealed-2"), "expiresAt": at(5),
			"tokenVersion": int64(3), "lease": map[string]any{"owner": "process-1", "until": at(6)},
			"refreshDue": at(7), "failures": int64(4), "nextTry": at(8), "lastForcedRefresh": at(9),
			"createdAt": at(10), "eraseAt": at(11),
			"refusedAt": at(12), "witness": map[string]any{"by": "relink", "at": at(13)}, "unprovenSince": at(14), "told": at(15),
			"behind": map[string]any{"since": at(16), "due": at(17), "endpoints": []any{"lamp-1", "lamp-2"}, "all": true, "discovery": true},
		}},
	}
	return record, doc
}

func TestRecordDocument(t *testing.T) {
	t.Parallel()
	record, doc := documented()
	expect.Equal(t, "Document()", doc, record.Document())
	got, err := grant.ParseRecord(doc)
	if err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "ParseRecord()", record, got)
}

// TestControlDocuments: the field names are fixed, because deployed stacks hold
// them.
func TestControlDocuments(t *testing.T) {
	t.Parallel()
	brake := grant.Brake{
		Hour: at(1), Refused: 2, Revoked: 3, LastRefused: 4, LastRevoked: 5, Customers: 6, CountedAt: at(7), LatchedAt: at(8),
		ByHand: true, OffUntil: at(9), Since: at(10), Good: 11, Bad: 12, ReportedAt: at(13),
	}
	want := map[string]any{
		"hour": at(1), "refused": int64(2), "revoked": int64(3), "lastRefused": int64(4), "lastRevoked": int64(5),
		"customers": int64(6), "countedAt": at(7), "latchedAt": at(8), "byHand": true, "offUntil": at(9),
		"since": at(10), "good": int64(11), "bad": int64(12), "reportedAt": at(13),
	}
	expect.Equal(t, "brake", want, brake.Document())
	mark := grant.SweepMark{From: at(1), FullAt: at(2)}
	expect.Equal(t, "mark", map[string]any{"from": at(1), "fullAt": at(2)}, mark.Document())
	names := []string{grant.BrakeName, grant.SweepMarkName(0, 15), grant.SweepMarkName(240, 255), grant.RegionName("EU")}
	expect.Equal(t, "names", []string{"brake", "sweep-000-015", "sweep-240-255", "region-EU"}, names)
}

// TestEveryFieldIsKept fails if a struct has a field that its document does not
// have.
func TestEveryFieldIsKept(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		kept(t, r, false, grant.Record.Document, func(was grant.Record, doc map[string]any) (grant.Record, error) {
			now, err := grant.ParseRecord(doc)
			now.Revision = was.Revision // the store's
			return now, err
		})
		kept(t, r, false, grant.Delivery.Document, func(was grant.Delivery, doc map[string]any) (grant.Delivery, error) {
			now, err := grant.ParseDelivery(doc)
			now.Revision = was.Revision
			return now, err
		})
		kept(t, r, false, grant.Account.Document, func(was grant.Account, doc map[string]any) (grant.Account, error) {
			now, err := grant.ParseAccount(was.ID, doc)
			now.Revision = was.Revision
			return now, err
		})
		kept(t, r, true, grant.Brake.Document, parsed(grant.ParseBrake))
		kept(t, r, true, grant.SweepMark.Document, parsed(grant.ParseSweepMark))
		kept(t, r, true, grant.RegionMark.Document, parsed(grant.ParseRegionMark))
	}
}

func parsed[T any](parse func(map[string]any) (T, error)) func(T, map[string]any) (T, error) {
	return func(_ T, doc map[string]any) (T, error) { return parse(doc) }
}

// kept checks that a random value survives its document.
func kept[T any](
	t *testing.T, r *rand.Rand, sparse bool, document func(T) map[string]any, parse func(was T, doc map[string]any) (T, error),
) {
	t.Helper()
	var value T
	fill(r, reflect.ValueOf(&value).Elem(), sparse)
	got, err := parse(value, document(value))
	if diff := cmp.Diff(value, got); diff != "" || err != nil {
		t.Fatalf("%T after its document differs (error %v) (-want +got):\n%s", value, err, diff)
	}
}

func TestZeroValuesAreAbsent(t *testing.T) {
	t.Parallel()
	want := map[string]any{"bucket": int64(0), "grants": map[string]any{"g1": map[string]any{}}}
	got := grant.Record{
		Announce: []grant.Announcement{},
		Grants:   map[string]grant.Grant{"g1": {AccessToken: []byte{}, ExpiresAt: time.Time{}.Add(time.Nanosecond)}},
	}.Document()
	expect.Equal(t, "Document()", want, got)
	expect.Equal(t, "ParseRecord()", grant.Record{Grants: map[string]grant.Grant{"g1": {}}}, mustParse(t, got))
	for _, document := range []struct {
		doc   map[string]any
		names []string
	}{
		{grant.Delivery{Accepted: []string{}}.Document(), []string{"customer", "eventId", "state", "claimedUntil", "accepted", "expireAt"}},
		{grant.Account{}.Document(), []string{"customer", "userId", "skill", "linkedAt"}},
	} {
		for _, name := range document.names {
			if v, ok := document.doc[name]; !ok || v != nil {
				t.Errorf("an empty document has %v (present: %t) as %s, want nil", v, ok, name)
			}
		}
	}
}

func TestTimesAreCutToMicrosecondsUTC(t *testing.T) {
	t.Parallel()
	local := at(0).Add(999).In(time.FixedZone("far", 9*3600))
	record := grant.Record{UsedAt: local, Grants: map[string]grant.Grant{"g1": {Since: local}}}
	got := mustParse(t, record.Document())
	for name, at := range map[string]time.Time{"usedAt": got.UsedAt, "since": got.Grants["g1"].Since} {
		if want := local.UTC().Truncate(time.Microsecond); at != want {
			t.Errorf("%s = %v, want %v", name, at, want)
		}
	}
	if changes := grant.Diff(record, got); len(changes) != 0 {
		t.Errorf("Diff of times that a store cannot tell apart = %v, want none", changes)
	}
}

func TestParseIgnoresUnknownFields(t *testing.T) {
	t.Parallel()
	want, doc := documented()
	doc["later"] = map[string]any{"x": true}
	g1 := doc["grants"].(map[string]any)["g1"].(map[string]any)
	g1["later"] = 1.5
	g1["lease"].(map[string]any)["later"] = []any{}
	g1["reason"] = nil // null, as edited in the console
	g := want.Grants["g1"]
	g.Reason = ""
	want.Grants["g1"] = g
	expect.Equal(t, "ParseRecord()", want, mustParse(t, doc))
}

func TestParseNamesTheBadField(t *testing.T) {
	t.Parallel()
	const secret = "Atza|fake-canary"
	tests := map[string]struct {
		path  []string // of the bad value
		value any
		want  string // named in the error
	}{
		"text":                   {[]string{"userId"}, int64(5), "userId"},
		"number":                 {[]string{"v"}, secret, "field v:"},
		"fraction":               {[]string{"bucket"}, 1.5, "bucket"},
		"time":                   {[]string{"usedAt"}, secret, "usedAt"},
		"list":                   {[]string{"announce"}, secret, "announce"},
		"element of a list":      {[]string{"announce"}, []any{secret}, "announce"},
		"field of an element":    {[]string{"announce"}, []any{map[string]any{"at": secret}}, "announce"},
		"grants":                 {[]string{"grants"}, secret, "field grants:"},
		"a grant":                {[]string{"grants", "g1"}, secret, "field grants.g1:"},
		"field of a grant":       {[]string{"grants", "g1", "since"}, secret, "grants.g1.since"},
		"token of a grant":       {[]string{"grants", "g1", "accessToken"}, secret, "grants.g1.accessToken"},
		"lease":                  {[]string{"grants", "g1", "lease"}, secret, "grants.g1.lease"},
		"field of a grant lease": {[]string{"grants", "g1", "lease", "until"}, secret, "grants.g1.lease.until"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, doc := documented()
			apply(doc, grant.Field{Path: tt.path, Value: tt.value})
			got, err := grant.ParseRecord(doc)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error = %q, want %q in it and no value", err, tt.want)
			}
			if diff := cmp.Diff(grant.Record{}, got); diff != "" {
				t.Errorf("part of a record with the error:\n%s", diff)
			}
		})
	}
	delivery, deliveryErr := grant.ParseDelivery(map[string]any{"accepted": []any{int64(1)}})
	account, accountErr := grant.ParseAccount("a-1", map[string]any{"userId": "u-1", "linkedAt": secret})
	brake, brakeErr := grant.ParseBrake(map[string]any{"lastRefused": int64(5), "byHand": secret})
	mark, markErr := grant.ParseSweepMark(map[string]any{"fullAt": at(1), "from": secret})
	for name, got := range map[string]struct {
		empty bool
		err   error
	}{
		"accepted": {delivery.Key == (grant.DeliveryKey{}), deliveryErr},
		"linkedAt": {account == grant.Account{}, accountErr},
		"byHand":   {brake == grant.Brake{}, brakeErr},
		"from":     {mark == grant.SweepMark{}, markErr},
	} {
		if got.err == nil || !strings.Contains(got.err.Error(), name) || strings.Contains(got.err.Error(), secret) || !got.empty {
			t.Errorf("error = %v, want one that names %s, without a value", got.err, name)
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*grant.Record)
		want   []grant.Field
	}{
		"nothing": {func(*grant.Record) {}, nil},
		"bucket 0": {
			func(r *grant.Record) { r.Bucket = 0 },
			[]grant.Field{{Path: []string{"bucket"}, Value: int64(0)}},
		},
		"published announcements": {
			func(r *grant.Record) { r.Announce = nil },
			[]grant.Field{{Path: []string{"announce"}}},
		},
		"a witness": {
			func(r *grant.Record) {
				edit(r, "g1", func(g *grant.Grant) { g.Witness = grant.Witness{By: "skill_event", At: at(20)} })
			},
			[]grant.Field{
				{Path: []string{"grants", "g1", "witness", "by"}, Value: "skill_event"},
				{Path: []string{"grants", "g1", "witness", "at"}, Value: at(20)},
			},
		},
		"a lease given back": {
			func(r *grant.Record) { edit(r, "g1", func(g *grant.Grant) { g.Lease = grant.Lease{} }) },
			[]grant.Field{{Path: []string{"grants", "g1", "lease", "owner"}}, {Path: []string{"grants", "g1", "lease", "until"}}},
		},
		"one more grant": {
			func(r *grant.Record) { r.Grants["g2"] = grant.Grant{Failures: 1} },
			[]grant.Field{{Path: []string{"grants", "g2"}, Value: map[string]any{"failures": int64(1)}}},
		},
		"a grant less": {
			func(r *grant.Record) { delete(r.Grants, "g1") },
			[]grant.Field{{Path: []string{"grants", "g1"}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			was, _ := documented()
			now := was.Clone()
			tt.change(&now)
			expect.Equal(t, "Diff()", tt.want, grant.Diff(was, now))
		})
	}
}

// TestDiffLeadsFromOneToTheOther applies the difference of two random records to
// the document of the first, which must then equal the second's.
func TestDiffLeadsFromOneToTheOther(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var was, now grant.Record
		fill(r, reflect.ValueOf(&was).Elem(), true)
		fill(r, reflect.ValueOf(&now).Elem(), true)
		now.Revision = 0
		for id := range was.Grants {
			if len(now.Grants) > 0 && r.IntN(2) == 0 { // a grant in both
				now.Grants[id] = now.Grants[slices.Collect(maps.Keys(now.Grants))[0]]
			}
		}
		doc := was.Document()
		for _, f := range grant.Diff(was, now) {
			apply(doc, f)
		}
		if diff := cmp.Diff(mustParse(t, now.Document()), mustParse(t, doc)); diff != "" {
			t.Fatalf("document after the change differs (-want +got):\n%s", diff)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	_, doc := documented()
	seed, err := json.Marshal(doc)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"grants":{"g":{"lease":{"owner":"x"},"failures":1}},"announce":[{"at":"2026-01-02T03:04:05.123456789+09:00"}]}`))
	f.Add([]byte(`{"grants":{"g":[]},"announce":{},"bucket":"0"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var doc map[string]any
		if json.Unmarshal(data, &doc) != nil {
			return
		}
		record, err := grant.ParseRecord(typed("", doc).(map[string]any))
		if err != nil {
			if diff := cmp.Diff(grant.Record{}, record); diff != "" {
				t.Errorf("part of a record with the error:\n%s", diff)
			}
			return
		}
		again := mustParse(t, record.Document())
		if diff := cmp.Diff(record, again); diff != "" {
			t.Errorf("parse, encode, parse (-first +second):\n%s", diff)
		}
		if changes := grant.Diff(record, again); len(changes) != 0 {
			t.Errorf("Diff of equal records = %v, want none", changes)
		}
	})
}

// typed converts JSON values to those of a document: integers, times and, for the
// token fields, bytes.
func typed(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = typed(name, inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = typed("", inner)
		}
	case float64:
		if n := int64(v); float64(n) == v {
			return n
		}
	case string:
		if strings.HasSuffix(name, "Token") {
			return []byte(v)
		}
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at
		}
	}
	return v
}

// fill sets every field below v to a random value that a store keeps, never the
// zero value; with sparse it skips every other field.
func fill(r *rand.Rand, v reflect.Value, sparse bool) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(at(1 + r.IntN(1e9))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text-", r.IntN(1e6)))
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + r.Int64N(250))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1 + r.Uint64N(255))
	case reflect.Struct:
		for i := range v.NumField() {
			if !sparse || r.IntN(2) == 0 {
				fill(r, v.Field(i), sparse)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(4), 4))
		for i := range v.Len() {
			fill(r, v.Index(i), sparse)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + r.IntN(3) {
			element := reflect.New(v.Type().Elem()).Elem()
			fill(r, element, sparse)
			v.SetMapIndex(reflect.ValueOf(fmt.Sprint("key-", r.IntN(1e6))), element)
		}
	default:
		panic("no random " + v.Kind().String())
	}
}

// apply applies a changed field to a document, like a store.
func apply(doc map[string]any, f grant.Field) {
	last := len(f.Path) - 1
	for _, name := range f.Path[:last] {
		if doc[name] == nil {
			doc[name] = map[string]any{}
		}
		doc = doc[name].(map[string]any)
	}
	if f.Value == nil {
		delete(doc, f.Path[last])
		return
	}
	doc[f.Path[last]] = f.Value
}

func edit(r *grant.Record, id string, change func(*grant.Grant)) {
	g := r.Grants[id]
	change(&g)
	r.Grants[id] = g
}

func mustParse(t *testing.T, doc map[string]any) grant.Record {
	t.Helper()
	r, err := grant.ParseRecord(doc)
	if err != nil {
		t.Fatalf("ParseRecord: %v", err)
	}
	return r
}

const amazonUser = "amzn1.ask.account.fake"

// TestAccountDocument: the field names are fixed, because deployed stacks hold
// them, and no id of Amazon's is stored.
func TestAccountDocument(t *testing.T) {
	t.Parallel()
	account := grant.NewAccount(grant.AccountKey{Skill: "default", AmazonUser: amazonUser}, key, start)
	want := map[string]any{"customer": key.ID(), "userId": "u-1", "skill": "default", "linkedAt": start, "expireAt": start.Add(time.Hour)}
	account.ExpireAt = start.Add(time.Hour)
	expect.Equal(t, "Document()", want, account.Document())
	if id := account.ID; len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		t.Errorf("id = %q, want 32 hex digits", id)
	}
	if account.Key() != key {
		t.Errorf("customer = %+v, want %+v", account.Key(), key)
	}
}

// TestAccountIDs: ids never change, because they are computed from each event.
func TestAccountIDs(t *testing.T) {
	t.Parallel()
	seen := make(map[string]grant.AccountKey)
	for _, k := range []grant.AccountKey{
		{Skill: "a", AmazonUser: "bc"}, {Skill: "ab", AmazonUser: "c"}, {AmazonUser: "abc"}, {Skill: "abc"}, {Skill: "a", AmazonUser: "BC"},
	} {
		if other, ok := seen[k.ID()]; ok {
			t.Errorf("%+v and %+v have the same id", k, other)
		}
		seen[k.ID()] = k
	}
	if got, want := (grant.AccountKey{Skill: "default", AmazonUser: amazonUser}).ID(), "b5aa8da8d90efc3c953ba86053fb0cd9"; got != want {
		t.Errorf("id = %s, want %s", got, want)
	}
	if (grant.AccountKey{Skill: "default", AmazonUser: amazonUser}).ID() == grant.AmazonUserHash(amazonUser) {
		t.Error("an account has the id of a grant's Amazon account")
	}
}

func TestAccountLives(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		account grant.Account
		at      time.Time
		want    bool
	}{
		"not stored":            {grant.Account{}, start, false},
		"linked":                {grant.Account{Revision: 1}, start.AddDate(10, 0, 0), true},
		"unlinked":              {grant.Account{Revision: 1, ExpireAt: start}, start.Add(-time.Nanosecond), true},
		"unlinked, and expired": {grant.Account{Revision: 1, ExpireAt: start}, start, false},
	} {
		if got := test.account.Live(test.at); got != test.want {
			t.Errorf("%s: lives = %t", name, got)
		}
	}
}
