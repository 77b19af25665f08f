package skillevent_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/functions/skillevent"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// notHandled is the answer to an event that Alexa may resend.
const notHandled = `{"error":"the skill event could not be handled"}`

// TestAnswers compares the whole answer and log line of each kind of event.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const (
		providerSays = ": userinfo: as the test wants it"
		linkedKind   = "AlexaSkillEvent.SkillAccountLinked"
		disabledKind = "AlexaSkillEvent.SkillDisabled"
	)
	hash := grant.CustomerHash("u-1")
	unknownTime := time.Time{}
	became := func(outcome, kind, of string) answered {
		return answered{200, `{"outcome":"` + outcome + `"}`, "INFO", outcome, kind, "", "r-1", of}
	}
	refused := func(severity, why string) answered {
		a := became("refused", linkedKind, "")
		a.Severity, a.Error = severity, "finding the customer: grantee: "+why+providerSays
		return a
	}
	malformed := func(why string) answered {
		quoted, _ := json.Marshal("not a skill event: " + why)
		return answered{400, `{"error":` + string(quoted) + `}`, "WARNING", "", "", why, "", ""}
	}
	known := func(t *testing.T, w *world) { w.want(t, "learned", linked("a", "grantee-u-1", w.Now())) }
	granted := func(t *testing.T, w *world) { w.link(t, "u-1", "a") }
	revoked := func(t *testing.T, w *world) {
		id := w.link(t, "u-1", "a")
		w.Change(t, "u-1", func(r *grant.Record) { r.Revoke(id, grant.ReasonInvalidGrant, w.Now()) })
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, w *world)
		body    string
		want    answered
	}{
		{"linked", nil, linked("a", "grantee-u-1", unknownTime), became("learned", linkedKind, hash)},
		{"token rejected", nil, linked("a", "grantee-old", unknownTime), refused("WARNING", "token rejected")},
		{"token of no customer", nil, linked("a", "grantee-nobody", unknownTime), refused("ERROR", "no customer")},
		{"identity provider down", nil, linked("a", "grantee-down", unknownTime), answered{
			503, notHandled, "WARNING", "", linkedKind,
			"finding the customer: grantee: no verdict" + providerSays, "r-1", "",
		}},
		{"disabled", granted, disabled("a", unknownTime), became("proving", disabledKind, hash)},
		{"unlinked", granted, event("SkillAccountUnlinked", "a", unknownTime, "{}"),
			became("proving", "AlexaSkillEvent.SkillAccountUnlinked", hash)},
		{"disabled, unknown account", known, disabled("b", unknownTime), became("unknown", disabledKind, "")},
		{"disabled, customer without a record", known, disabled("a", unknownTime), became("nothing", disabledKind, hash)},
		{"disabled, all revoked", revoked, disabled("a", unknownTime), became("nothing", disabledKind, hash)},
		{"another skill event", nil, event("SkillEnabled", "a", unknownTime, "{}"), became("ignored", "AlexaSkillEvent.SkillEnabled", "")},
		{"unheard of", nil, `{"request":{"type":"Tomorrow.New","requestId":"r-1"}}`, became("ignored", "Tomorrow.New", "")},
		{"a directive", nil, `{"directive":{"header":{"namespace":"Alexa","name":"ReportState"}}}`, malformed("request: missing")},
		{"no user", nil, `{"request":{"type":"AlexaSkillEvent.SkillDisabled"}}`, malformed("context.System.user.userId: missing")},
		{"no token", nil, event("SkillAccountLinked", "a", unknownTime, `{"accessToken":["grantee-u-1"]}`),
			malformed("request.body.accessToken: must be a string")},
		{"not JSON", nil, "grantee-u-1", malformed("not JSON (at byte 1)")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.prepare != nil {
				test.prepare(t, w)
			}
			expect.Equal(t, "answer", test.want, w.handle(t, test.body))
		})
	}
}

// TestLinked handles several events about one account in order.
func TestLinked(t *testing.T) {
	t.Parallel()
	type link struct {
		customer string
		at       time.Duration // from now; never means the event has no time
	}
	const never, ago = time.Duration(-1 << 62), -time.Minute
	tests := []struct {
		name   string
		events []link
		want   link // the stored link
	}{
		{"once", []link{{"u-1", ago}}, link{"u-1", ago}},
		{"twice", []link{{"u-1", ago}, {"u-1", ago}}, link{"u-1", ago}},
		{"another customer later", []link{{"u-1", 3 * ago}, {"u-2", 2 * ago}}, link{"u-2", 2 * ago}},
		{"an older event late", []link{{"u-1", 3 * ago}, {"u-2", ago}, {"u-1", 2 * ago}}, link{"u-2", ago}},
		{"only the late one", []link{{"u-2", ago}, {"u-1", 2 * ago}}, link{"u-2", ago}},
		{"back again", []link{{"u-1", 3 * ago}, {"u-2", 2 * ago}, {"u-1", ago}}, link{"u-1", ago}},
		{"a token that is no good", []link{{"u-1", 2 * ago}, {"old", ago}}, link{"u-1", 2 * ago}},
		{"no time is now", []link{{"u-1", ago}, {"u-2", never}}, link{"u-2", 0}},
		{"late after no time", []link{{"u-1", never}, {"u-2", ago}}, link{"u-1", 0}},
		{"the future is now", []link{{"u-1", time.Hour}, {"u-2", 0}}, link{"u-2", 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, e := range test.events {
				at := w.Now().Add(e.at)
				if e.at == never {
					at = time.Time{}
				}
				if got := w.handle(t, linked("a", "grantee-"+e.customer, at)); got.Status != 200 {
					t.Fatalf("got %+v, want 200", got)
				}
			}
			key := grant.AccountKey{Skill: accesstest.Skill, AmazonUser: amazonID("a")}
			want := grant.NewAccount(key, accesstest.Key(test.want.customer), w.Now().Add(test.want.at))
			got := w.account(t, "a")
			want.Revision = got.Revision
			expect.Equal(t, "account", want, got)
			if _, err := w.Store.Read(t.Context(), accesstest.Key(test.want.customer)); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("reading the customer's record: %v, want ErrNotFound", err)
			}
		})
	}
}

// TestLinkedTwiceIsWrittenOnce: a link that is stored already is not written.
func TestLinkedTwiceIsWrittenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.Now().Add(123 * time.Nanosecond).Add(-time.Second) // finer than a store
	w.want(t, "learned", linked("a", "grantee-u-1", at))
	before := w.account(t, "a")
	w.Forward(time.Hour)
	w.want(t, "learned", linked("a", "grantee-u-1", at))
	if after := w.account(t, "a"); after.Revision != before.Revision {
		t.Error("the second event changed the record")
	}
}

// faulty is a store whose calls can fail.
type faulty struct {
	grant.Store
	fail func(call string) error
}

func (f faulty) ReadAccount(ctx context.Context, id string) (grant.Account, error) {
	if err := f.fail("read account"); err != nil {
		return grant.Account{}, err
	}
	return f.Store.ReadAccount(ctx, id)
}

func (f faulty) WriteAccount(ctx context.Context, was, now grant.Account) (grant.Account, error) {
	if err := f.fail("write account"); err != nil {
		return grant.Account{}, err
	}
	return f.Store.WriteAccount(ctx, was, now)
}

func (f faulty) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	if err := f.fail("read"); err != nil {
		return grant.Record{}, err
	}
	return f.Store.Read(ctx, key)
}

func (f faulty) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if err := f.fail("write"); err != nil {
		return grant.Record{}, err
	}
	return f.Store.Write(ctx, was, now)
}

// TestStoreDown: after each failed call to the store Alexa is asked to resend the
// event.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	link, disable := linked("a", "grantee-u-1", time.Time{}), disabled("a", time.Time{})
	tests := []struct{ name, call, body, says string }{
		{"linked, read", "read account", link, "reading the account"},
		{"linked, write", "write account", link, "saving the account"},
		{"disabled, read the account", "read account", disable, "reading the account"},
		{"disabled, read the record", "read", disable, "reading a record"},
		{"disabled, write", "write", disable, "changing a record"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.link(t, "u-1", "a")
			w.Forward(time.Minute)
			w.function.Store = faulty{w.Store, func(call string) error {
				if call == test.call {
					return errors.New("disk on fire")
				}
				return nil
			}}
			got := w.handle(t, test.body)
			says := test.says + ": disk on fire"
			if got.Status != 503 || got.Body != notHandled || got.Severity != "WARNING" || got.Error != says {
				t.Errorf("got %+v, want 503 and the error %q", got, says)
			}
		})
	}
}

// TestConflicts: another instance writes at the same time.
func TestConflicts(t *testing.T) {
	t.Parallel()
	// conflicts makes a call fail n times with a conflict, after a rival's write.
	conflicts := func(w *world, call string, n int, rival func(*world)) {
		other := &world{w.World, &skillevent.Function{Skill: accesstest.Skill, Grantees: provider{}, Store: w.Store, Now: w.Now}}
		w.function.Store = faulty{w.Store, func(called string) error {
			if called != call || n == 0 {
				return nil
			}
			n--
			rival(other)
			return grant.ErrConflict
		}}
	}
	for _, test := range []struct {
		name   string
		writes int
		rival  string // the customer of a newer event that is handled first
		status int
		of     string // the account's customer afterwards
	}{
		{"passing", 2, "", 200, "u-1"},
		{"a newer event was first", 1, "u-2", 200, "u-2"},
		{"again and again", 1000, "", 503, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			conflicts(w, "write account", test.writes, func(other *world) {
				if test.rival != "" {
					other.want(t, "learned", linked("a", "grantee-"+test.rival, w.Now()))
				}
			})
			if got := w.handle(t, linked("a", "grantee-u-1", w.Now().Add(-time.Minute))); got.Status != test.status {
				t.Errorf("got %+v, want %d", got, test.status)
			}
			if got := w.account(t, "a").UserID; got != test.of {
				t.Errorf("customer = %q, want %q", got, test.of)
			}
		})
	}
	t.Run("the grant was just revoked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id := w.link(t, "u-1", "a")
		conflicts(w, "write", 1, func(*world) {
			w.Change(t, "u-1", func(r *grant.Record) { r.Revoke(id, grant.ReasonInvalidGrant, w.Now()) })
		})
		w.want(t, "nothing", disabled("a", w.Now()))
	})
}
