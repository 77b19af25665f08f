package granttest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

var valueChecks = []Check{
	{"values given are not kept", checkGivenValues},
	{"values returned are not kept", checkReturnedValues},
	{"zero values read back as zero", checkZeroValues},
	{"times are cut to microseconds in UTC", checkTimes},
	{"less than a microsecond is no difference", checkNanoseconds},
	{"a record may be big", checkBigRecord},
	{"announcements keep their order", checkAnnouncements},
	{"any userId will do", checkUserIDs},
	{"an ended context is the error", checkContext},
}

// scribble changes everything that a record could share.
func scribble(r grant.Record) {
	for i := range r.Announce {
		r.Announce[i].Reason = "scribbled"
	}
	for id, g := range r.Grants {
		for _, token := range [][]byte{g.AccessToken, g.RefreshToken} {
			copy(token, "scribbled")
		}
		g.Reason = "scribbled"
		r.Grants[id] = g
	}
	if r.Grants != nil {
		r.Grants["scribbled"] = grant.Grant{}
	}
}

func checkGivenValues(ctx context.Context, s grant.Admin) error {
	given := fullRecord(user("u-1"), 1)
	stored, err := create(ctx, s, given)
	if err != nil {
		return err
	}
	scribble(given)
	if err := wantFields("after a change to what was created", stored, fullRecord(user("u-1"), 1)); err != nil {
		return err
	}
	if err := wantStored(ctx, s, stored); err != nil {
		return err
	}
	given = fullRecord(user("u-1"), 2)
	given.Grants["new"] = fullGrant(3)
	if _, err = s.Write(ctx, stored, given); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	scribble(given)
	got, err := s.Read(ctx, user("u-1"))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	want := fullRecord(user("u-1"), 2)
	want.Grants["new"] = fullGrant(3)
	return wantFields("after a change to what was written", got, want)
}

func checkReturnedValues(ctx context.Context, s grant.Admin) error {
	fresh := func() grant.Record {
		r := fullRecord(user("u-1"), 1)
		r.Bucket = 1
		return r
	}
	returned, err := create(ctx, s, fresh())
	if err != nil {
		return err
	}
	scribble(returned)
	for range 2 { // the second round sees what the first one left
		read, err := s.Read(ctx, user("u-1"))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := wantFields("after a change to what was returned", read, fresh()); err != nil {
			return err
		}
		scribble(read)
		page, err := s.Due(ctx, grant.DueQuery{Buckets: []int{1}, Before: timeOf(1), Limit: 1})
		if err != nil || len(page.Records) != 1 {
			return fmt.Errorf("due: got %d records and error %v, want one record", len(page.Records), err)
		}
		if err := wantFields("due", page.Records[0], fresh()); err != nil {
			return err
		}
		scribble(page.Records[0])
	}
	return nil
}

func checkZeroValues(ctx context.Context, s grant.Admin) error {
	given := grant.Record{UserID: "u-1", Skill: "default", Version: 1}
	want := given
	given.Announce = []grant.Announcement{}
	given.Grants = map[string]grant.Grant{}
	written, err := create(ctx, s, given)
	if err != nil {
		return err
	}
	if err := wantFields("create with empty lists", written, want); err != nil {
		return err
	}
	now := written.Clone()
	now.Grants = map[string]grant.Grant{"g1": {AccessToken: []byte{}}}
	now.Announce = []grant.Announcement{{}}
	want.Grants = map[string]grant.Grant{"g1": {}}
	want.Announce = []grant.Announcement{{}}
	if written, err = s.Write(ctx, written, now); err != nil {
		return fmt.Errorf("add a grant without content: %w", err)
	}
	if err := wantFields("add a grant without content", written, want); err != nil {
		return err
	}
	return wantStored(ctx, s, written)
}

func checkTimes(ctx context.Context, s grant.Admin) error {
	far := time.FixedZone("far", -9*3600-1800)
	given := grant.New(user("u-1"))
	given.UsedAt = timeOf(1).Add(789).In(far)
	given.RefreshDue = time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC) // before 1970 too, cut and not rounded
	given.Announce = []grant.Announcement{{Region: alexa.EU, At: timeOf(2).Add(999).In(far)}}
	given.Grants = map[string]grant.Grant{"g1": {Since: timeOf(3).Add(1).In(far), EraseAt: time.Unix(0, 0)}}
	want := grant.New(user("u-1"))
	want.UsedAt = timeOf(1)
	want.RefreshDue = time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC)
	want.Announce = []grant.Announcement{{Region: alexa.EU, At: timeOf(2)}}
	want.Grants = map[string]grant.Grant{"g1": {Since: timeOf(3), EraseAt: time.Unix(0, 0).UTC()}}
	written, err := create(ctx, s, given)
	if err != nil {
		return err
	}
	if err := wantFields("what Write returned", written, want); err != nil {
		return err
	}
	read, err := s.Read(ctx, user("u-1"))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	for _, at := range []time.Time{written.UsedAt, read.UsedAt, read.Grants["g1"].Since} {
		if at.Location() != time.UTC {
			return fmt.Errorf("a time came back as %v, want UTC", at)
		}
	}
	return wantRecord("read", read, written)
}

func checkNanoseconds(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	now := withGrant(first, "g1", func(g *grant.Grant) { g.NextTry = g.NextTry.Add(999) })
	now.UsedAt = now.UsedAt.In(time.FixedZone("far", 3600))
	got, err := s.Write(ctx, first, now)
	if err != nil {
		return fmt.Errorf("write the same times: %w", err)
	}
	if err := wantRecord("write the same times", got, first); err != nil {
		return err
	}
	return wantStored(ctx, s, first)
}

func checkBigRecord(ctx context.Context, s grant.Admin) error {
	r := grant.New(user("u-1"))
	r.Grants = make(map[string]grant.Grant)
	for i := range grant.MaxGrants {
		g := fullGrant(i + 1)
		g.AccessToken = bytes.Repeat([]byte{byte(i), 0, 0xff, '"'}, 512)
		g.RefreshToken = bytes.Repeat([]byte{0xfe, byte(i)}, 1024)
		r.Grants[grant.ID(alexa.EU, "default", fmt.Sprint(i))] = g
	}
	r.Announce = announcementsOf(50)
	written, err := create(ctx, s, r)
	if err != nil {
		return err
	}
	if err := wantFields("create", written, r); err != nil {
		return err
	}
	return wantStored(ctx, s, written)
}

func checkAnnouncements(ctx context.Context, s grant.Admin) error {
	r := grant.New(user("u-1"))
	r.Announce = []grant.Announcement{{Type: grant.WasRevoked, At: timeOf(2)}, {Type: grant.Linked, At: timeOf(1)}, {Type: grant.Linked, At: timeOf(1)}}
	was, err := create(ctx, s, r)
	if err != nil {
		return err
	}
	if err := wantFields("create", was, r); err != nil {
		return err
	}
	for len(was.Announce) > 0 { // published one by one, the oldest first
		if err := wantStored(ctx, s, was); err != nil {
			return err
		}
		now := was.Clone()
		now.Announce = now.Announce[1:]
		want := now.Clone()
		if was, err = s.Write(ctx, was, now); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		if err := wantFields("update", was, want); err != nil {
			return err
		}
	}
	return wantStored(ctx, s, was)
}

func checkUserIDs(ctx context.Context, s grant.Admin) error {
	ids := []string{
		"a/b", "../..", ".", "__reserved__", " ", "a.b`c", "line\nfeed", "ÄÖÜ@例え.jp", "😀", "A", "a",
		strings.Repeat("1,000 byte", 100),
	}
	for i, id := range ids {
		if _, err := create(ctx, s, fullRecord(user(id), i+1)); err != nil {
			return fmt.Errorf("userId %.40q: %w", id, err)
		}
	}
	for i, id := range ids {
		got, err := s.Read(ctx, user(id))
		if err != nil {
			return fmt.Errorf("userId %.40q: read: %w", id, err)
		}
		if err := wantFields("read", got, fullRecord(user(id), i+1)); err != nil {
			return fmt.Errorf("userId %.40q: %w", id, err)
		}
	}
	return nil
}

func checkContext(ctx context.Context, s grant.Admin) error {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	late, cancel := context.WithTimeout(ctx, -time.Second)
	defer cancel()
	for want, ended := range map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late} {
		for method, err := range callAll(ended, s) {
			if err := wantError(method, err, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// callAll calls every method.
func callAll(ctx context.Context, s grant.Admin) map[string]error {
	r, d := fullRecord(user("u-1"), 1), fullDelivery("e-1", 1)
	q := grant.DueQuery{Buckets: []int{1}, Before: timeOf(1), Limit: 1}
	errs := make(map[string]error)
	_, errs["Read"] = s.Read(ctx, r.Key())
	_, errs["Write"] = create(ctx, s, r)
	_, errs["Due"] = s.Due(ctx, q)
	_, errs["CountDue"] = s.CountDue(ctx, q)
	_, errs["ReadDelivery"] = s.ReadDelivery(ctx, d.Key)
	_, errs["WriteDelivery"] = createDelivery(ctx, s, d)
	_, errs["ReadAccount"] = s.ReadAccount(ctx, fullAccount("a-1", 1).ID)
	_, errs["WriteAccount"] = createAccount(ctx, s, fullAccount("a-1", 1))
	_, errs["ReadControl"] = s.ReadControl(ctx, "c-1")
	_, errs["WriteControl"] = createControl(ctx, s, fullControl("c-1", 1))
	_, errs["CountCustomers"] = s.CountCustomers(ctx)
	_, errs["List"] = s.List(ctx, "", 1)
	_, errs["Erase"] = s.Erase(ctx, r.Key())
	r.Revision = 1000 // in microseconds, as one store counts them
	errs["Delete"] = s.Delete(ctx, r)
	return errs
}
