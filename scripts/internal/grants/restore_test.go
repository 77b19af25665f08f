package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

func TestRestoreOne(t *testing.T) {
	t.Parallel()
	const unchanged = "a revoked, b revoked, c revoked, d active"
	for _, test := range []struct {
		name   string
		args   string
		status int
		want   string // states of u-1's grants, of which d is active, and c has no refresh token
		says   string
	}{
		{"all", "u-1", cli.StatusDone, "a suspect, b suspect, c revoked, d active", "restored\t"},
		{"all, as for all customers", "--for-real u-1", cli.StatusDone, "a suspect, b suspect, c revoked, d active", "is suspect until"},
		{"a grant", "u-1 b", cli.StatusDone, "a revoked, b suspect, c revoked, d active", "restored             1"},
		{"without refresh token", "u-1 c", cli.StatusFailed, unchanged, "link again"},
		{"active", "u-1 d", cli.StatusFailed, unchanged, "no such grant is revoked"},
		{"unknown grant", "u-1 e", cli.StatusFailed, unchanged, `no grant "e"`},
		{"unknown user", "u-2", cli.StatusFailed, unchanged, "the customer has no record"},
		{"other skill", "--skill other u-1", cli.StatusFailed, unchanged, "the customer has no record"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			s.link(key("u-1"), s.both, "a", "b", "c", "d")
			s.link(key("u-3"), s.both, "e")
			for _, id := range []string{"a", "b", "c"} {
				s.revoke(key("u-1"), id, start)
			}
			s.change(key("u-1"), func(r *grant.Record) {
				g := r.Grants["c"]
				g.RefreshToken = nil
				r.Grants["c"] = g
			})
			other := s.revoke(key("u-3"), "e", start)
			s.says(test.status, "restore "+test.args, test.says)
			if got := s.states(key("u-1")); got != test.want {
				t.Errorf("the grants are %s, want %s", got, test.want)
			}
			s.same(other)
		})
	}
}

// TestRestoreAll restores what was revoked in some time.
func TestRestoreAll(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		elsewhere := grant.Key{Skill: "other", UserID: "u-1"}
		keys := []grant.Key{key("u-1"), key("u-2"), key("u-3"), key("u-4"), elsewhere}
		for i, k := range keys {
			s.link(k, s.both, "a", "b")
			s.revoke(k, "a", start.Add(time.Duration(i)*time.Minute))
		}
		s.revoke(key("u-2"), "b", start.Add(3*time.Minute))
		s.revoke(elsewhere, "b", start.Add(2*time.Minute))
		at := func(minutes int) string { return alexa.FormatTime(start.Add(time.Duration(minutes) * time.Minute)) }
		args := " --revoked-since " + at(1) + " --revoked-until " + at(3)
		shows(s, restoration{Tally{DryRun: true, Customers: 4}, 2, 0}, "restore"+args, ignored)
		line := func(user string, minutes int) string {
			return "would restore\t" + grant.CustomerHash(user) + "\ta\tEU\tinvalid_grant\trevoked " + at(minutes) + "\n"
		}
		if stdout := s.says(cli.StatusDone, "restore"+args, line("u-2", 1), line("u-3", 2), "a dry run"); strings.Contains(stdout, "u-2") {
			t.Errorf("it names a customer:\n%s", stdout)
		}
		slices.SortFunc(keys, func(a, b grant.Key) int { return strings.Compare(a.ID(), b.ID()) })
		for _, at := range []int{2, 4} {
			left := slices.DeleteFunc(slices.Clone(keys[at+1:]), func(k grant.Key) bool { return k == elsewhere })
			var got restoration
			if s.json(cli.StatusDone, &got, strings.Fields("restore --after "+keys[at].ID()+args)...); got.Customers != len(left) {
				t.Errorf("it looked at %d customers after the one of %d, want %d", got.Customers, at, len(left))
			}
		}
		s.says(cli.StatusFailed, "restore --skill=absent"+args, "no customer of skill absent: there are default, other\n")
		s.says(cli.StatusFailed, "probe --skill=absent", "no customer of skill absent: there are default, other\n")
		if got := s.states(key("u-2")); got != "a revoked, b revoked" {
			t.Errorf("after the dry runs the grants are %s", got)
		}
		shows(s, restoration{Tally{Customers: 4}, 2, 0}, "restore --for-real"+args, ignored)
		for k, want := range map[grant.Key]string{
			key("u-1"): "a revoked, b active", key("u-2"): "a suspect, b revoked", key("u-3"): "a suspect, b active",
			key("u-4"): "a revoked, b active", elsewhere: "a revoked, b revoked",
		} {
			if got := s.states(k); got != want {
				t.Errorf("the grants of %v are %s, want %s", k, got, want)
			}
		}
	})
}

// TestRestoreDecidesAnew has a grant recover, and another be revoked, between
// reading and writing.
func TestRestoreDecidesAnew(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.both, "a", "b")
	s.revoke(key("u-1"), "a", start)
	s.meddleOnce(func(r *grant.Record) {
		r.Refreshed("a", r.Grants["a"], s.tokens(s.both, key("u-1"), "a", 2), start)
		r.Revoke("b", grant.ReasonInvalidGrant, start)
	})
	if stdout := s.says(cli.StatusDone, "restore u-1"); strings.Count(stdout, "restored\t") != 1 {
		t.Errorf("want one restored:\n%s", stdout)
	}
	if got := s.states(key("u-1")); got != "a active, b suspect" {
		t.Errorf("the grants are %s", got)
	}
}

// TestRestoreCannotChange gives up a record that changes all the time.
func TestRestoreCannotChange(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.both, "a")
	s.revoke(key("u-1"), "a", start)
	s.meddle(func(int, grant.Key) error { return grant.ErrConflict })
	for _, line := range []string{"restore u-1", "restore --for-real --revoked-since 2h"} {
		if stdout := s.says(cli.StatusFailed, line, grant.CustomerHash("u-1")); strings.Contains(stdout, "restored\t") {
			t.Errorf("%s: it was restored:\n%s", line, stdout)
		}
	}
}

// TestRestoredGrantProvesItself goes on where the program ends: with a refresh,
// which Login with Amazon takes or refuses.
func TestRestoredGrantProvesItself(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		gone      bool // the customer has really disabled the skill
		want      grant.State
		announced []grant.AnnouncementType
		err       error
	}{
		{"a mistake", false, grant.Active, []grant.AnnouncementType{grant.BecameSuspect, grant.Recovered}, nil},
		// An hour later the next refusal revokes it, as if it had been refused for the first time.
		{"no mistake", true, grant.Suspect, []grant.AnnouncementType{grant.BecameSuspect}, access.ErrSuspect},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			id := w.Link(t, "u-1", alexa.EU, "amzn-1")
			w.Change(t, "u-1", func(r *grant.Record) {
				r.Revoke(id, grant.ReasonInvalidGrant, w.Now())
				r.Announced(r.Announce, w.Now())
			})
			if test.gone {
				w.Sim.Disable(alexa.EU, "amzn-1")
			}
			w.Forward(2 * time.Hour)
			s := newStack(t)
			s.store, s.now = w.Store.(grant.Admin), w.Now
			s.says(cli.StatusDone, "restore u-1")
			record := w.Read(t, "u-1")
			if record.RefreshDue.After(w.Now()) || record.RefreshDue.IsZero() {
				t.Errorf("due at %v, want at once", record.RefreshDue)
			}
			s.says(cli.StatusDone, "show u-1", "to be announced      suspect of grant "+id+", EU restored, 1 left")
			source := w.Process("p")
			source.Announce = keeping{}
			token, err := source.Token(t.Context(), record, id)
			if !errors.Is(err, test.err) || token.Access.Empty() != test.gone {
				t.Errorf("Token() = a token: %v, %v", !token.Access.Empty(), err)
			}
			record = w.Read(t, "u-1")
			var announced []grant.AnnouncementType
			for _, a := range record.Announce {
				announced = append(announced, a.Type)
			}
			if diff := cmp.Diff(test.announced, announced); diff != "" || record.Grants[id].State != test.want {
				t.Errorf("the grant is %s, want %s; announced (-want +got):\n%s", record.Grants[id].State, test.want, diff)
			}
		})
	}
}

// suspected makes a customer's grant suspect at the start: it is probed a minute
// later, and refreshed a day later.
func (s *stack) suspected(key grant.Key, id string) {
	s.change(key, func(r *grant.Record) {
		r.Suspect(id, grant.ReasonSkillNotFound, start)
		r.Announced(r.Announce, start)
	})
}

func TestProbeOne(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   string
		status int
		due    bool // u-1's suspect grant
		says   string
	}{
		{"suspect", "u-1", cli.StatusDone, true, "due\t"},
		{"suspect, as for all", "--for-real u-1", cli.StatusDone, true, "due                  1"},
		{"active", "u-2", cli.StatusFailed, false, "no grant is suspect"},
		{"unknown user", "u-3", cli.StatusFailed, false, "the customer has no record"},
		{"other skill", "--skill other u-1", cli.StatusFailed, false, "the customer has no record"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			was := s.link(key("u-1"), s.both, "a", "b")
			s.link(key("u-2"), s.both, "c")
			s.suspected(key("u-1"), "a")
			s.says(test.status, "probe "+test.args, test.says)
			record, now := s.read(key("u-1")), time.Now()
			a := record.Grants["a"]
			due := a.NextTry.Equal(a.RefreshDue) && !a.RefreshDue.After(now) && !record.RefreshDue.After(now)
			if due != test.due || a.State != grant.Suspect {
				t.Errorf("%+v, the record due at %v", a, record.RefreshDue)
			}
			if diff := cmp.Diff(was.Grants["b"], record.Grants["b"]); diff != "" {
				t.Errorf("the other grant has changed (-was +now):\n%s", diff)
			}
		})
	}
}

func TestProbeAll(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		elsewhere := grant.Key{Skill: "other", UserID: "u-1"}
		for _, k := range []grant.Key{key("u-1"), key("u-2"), key("u-3"), elsewhere} {
			s.link(k, s.both, "a", "b")
		}
		for _, k := range []grant.Key{key("u-1"), key("u-2"), elsewhere} {
			s.suspected(k, "a")
		}
		s.suspected(key("u-2"), "b")
		waiting := s.read(elsewhere)
		shows(s, probing{Tally{DryRun: true, Customers: 3}, 3}, "probe", ignored)
		line := fmt.Sprintf("would probe\t%s\ta\tEU\tskill_not_found\tsuspect %s\n", grant.CustomerHash("u-1"), cli.Moment(start))
		s.says(cli.StatusDone, "probe", line, "a dry run")
		if due := s.read(key("u-1")).Grants["a"].NextTry; !due.Equal(start.Add(time.Minute)) {
			t.Errorf("after the dry runs the probe is due at %v", due)
		}
		shows(s, probing{Tally{Customers: 3}, 3}, "probe --for-real", ignored)
		for user, ids := range map[string][]string{"u-1": {"a"}, "u-2": {"a", "b"}} {
			for _, id := range ids {
				if g := s.read(key(user)).Grants[id]; !g.NextTry.Equal(g.RefreshDue) || g.NextTry.After(time.Now()) {
					t.Errorf("%s %s: the probe is due at %v", user, id, g.NextTry)
				}
			}
		}
		s.same(waiting)
	})
}

// keeping is an announcer that leaves what is to be announced in the record.
type keeping struct{}

func (keeping) Announce(context.Context, grant.Record) error { return errors.New("not now") }

// remember leaves three delivery records of a customer, and two Amazon accounts.
func (s *stack) remember(key grant.Key) {
	s.Helper()
	for _, d := range deliveries(key) {
		if _, err := s.store.WriteDelivery(s.Context(), grant.Delivery{Key: d}, grant.Delivery{Key: d, ExpireAt: start}); err != nil {
			s.Fatal(err)
		}
	}
	for _, id := range accounts(key) {
		account := grant.NewAccount(id, key, start)
		if _, err := s.store.WriteAccount(s.Context(), grant.Account{ID: account.ID}, account); err != nil {
			s.Fatal(err)
		}
	}
}

func deliveries(key grant.Key) (all []grant.DeliveryKey) {
	for _, event := range []string{"e-0", "e-1", "e-2"} {
		all = append(all, grant.DeliveryKey{Customer: key.ID(), EventID: event})
	}
	return all
}

func accounts(key grant.Key) (all []grant.AccountKey) {
	for _, of := range []string{"-0", "-1"} {
		all = append(all, grant.AccountKey{Skill: key.Skill, AmazonUser: "amzn-of-" + key.UserID + of})
	}
	return all
}

// remembered counts what of this there is.
func (s *stack) remembered(key grant.Key) (n [2]int) {
	s.Helper()
	count := func(kind int, err error) {
		if err == nil {
			n[kind]++
		} else if !errors.Is(err, grant.ErrNotFound) {
			s.Fatal(err)
		}
	}
	for _, d := range deliveries(key) {
		_, err := s.store.ReadDelivery(s.Context(), d)
		count(0, err)
	}
	for _, id := range accounts(key) {
		_, err := s.store.ReadAccount(s.Context(), id.ID())
		count(1, err)
	}
	return n
}

func TestErase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		others := []grant.Key{key("u-2"), {Skill: "other", UserID: "u-1"}}
		before := make(map[grant.Key]grant.Record)
		for _, k := range append(others, key("u-1")) {
			before[k] = s.link(k, s.both, "a", "b")
			s.remember(k)
		}
		all, hash := [2]int{3, 2}, grant.CustomerHash("u-1")
		shows(s, erasure{DryRun: true, Customer: hash, Records: 1, Grants: new(2)}, "erase u-1")
		if s.same(before[key("u-1")]); s.remembered(key("u-1")) != all {
			t.Errorf("the dry run left %d deliveries and accounts", s.remembered(key("u-1")))
		}
		shows(s, erasure{Customer: hash, Records: 1, Deliveries: new(3), Accounts: new(2)}, "erase --for-real u-1")
		shows(s, erasure{Customer: hash, Deliveries: new(0), Accounts: new(0)}, "erase --for-real u-1")
		if s.read(key("u-1")).Stored() || s.remembered(key("u-1")) != [2]int{} {
			t.Error("something is left")
		}
		for _, k := range others {
			if s.same(before[k]); s.remembered(k) != all {
				t.Errorf("%v has %d deliveries and accounts left", k, s.remembered(k))
			}
		}
		s.says(cli.StatusFailed, "show u-1", errNoRecord.Error())
	})
}

func TestEraseInWords(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.both, "a")
	s.remember(key("u-1"))
	hash := "customer in logs     " + grant.CustomerHash("u-1") + "\n"
	const dry = "This was a dry run: nothing was erased. Add --for-real to erase.\n"
	for _, test := range []struct{ args, want string }{ // each finds what the one before it left
		{"u-1", "would erase          its record with 1 grant, the delivery records of its events, and its Amazon accounts\n" + dry},
		{"--for-real u-1", "records erased       1\ndeliveries erased    3\naccounts erased      2\n" + remains},
		{"--for-real u-1", "records erased       0\ndeliveries erased    0\naccounts erased      0\n" + remains},
		{"u-1", "would erase          no record, and any delivery records and Amazon accounts that are left\n" + dry},
	} {
		if diff := cmp.Diff(hash+test.want, s.says(cli.StatusDone, "erase "+test.args)); diff != "" {
			t.Errorf("erase %s (-want +got):\n%s", test.args, diff)
		}
	}
}

// unwilling is a store that erases half.
type unwilling struct{ grant.Admin }

func (unwilling) Erase(context.Context, grant.Key) (grant.Erased, error) {
	return grant.Erased{Records: 1}, errors.New("out of order")
}

func TestEraseFails(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.store = unwilling{s.store}
	s.says(cli.StatusFailed, "erase --for-real u-1", "run it again", "records erased       1")
}
