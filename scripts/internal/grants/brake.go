package grants

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// brakeView is the result of brake.
type brakeView struct {
	Latched   bool      `json:"latched"`
	LatchedAt time.Time `json:"latchedAt,omitzero"`
	ByHand    bool      `json:"byHand"`
	OffUntil  time.Time `json:"offUntil,omitzero"` // absent when it may latch

	ThisHour  hourView  `json:"thisHour"`
	LastHour  hourView  `json:"lastHour"`
	Limit     int       `json:"limit"` // of either count, in both hours together
	Customers int       `json:"customers"`
	CountedAt time.Time `json:"countedAt,omitzero"`

	Trial *trialView `json:"trial,omitempty"` // while it is latched
}

// hourView counts grants.
type hourView struct {
	Refused int `json:"refused"` // for the first time
	Revoked int `json:"revoked"`
}

// trialView counts refreshes.
type trialView struct {
	Since time.Time `json:"since"`
	Good  int       `json:"good"`
	Bad   int       `json:"bad"`
}

// Run runs the command. It shows the brake after the change.
func (c brakeCommand) Run(ctx context.Context, env *cli.Env, in *Commands) error {
	return in.run(ctx, env, func(s *session) (result, error) {
		ctx, cancel := context.WithTimeout(ctx, changeTime)
		defer cancel()
		stored := access.NewBrake(s.store, s.Now)
		var err error
		switch c.Change {
		case "on":
			err = stored.On(ctx)
		case "off":
			err = stored.Off(ctx)
		}
		if err != nil {
			return nil, err
		}
		now, err := stored.Read(ctx)
		if err != nil {
			return nil, err
		}
		return newBrakeView(now, s.Now()), nil
	})
}

func newBrakeView(b grant.Brake, now time.Time) *brakeView {
	b = b.At(now)
	v := &brakeView{
		Latched: b.Latched(), LatchedAt: b.LatchedAt, ByHand: b.ByHand,
		ThisHour: hourView{b.Refused, b.Revoked}, LastHour: hourView{b.LastRefused, b.LastRevoked},
		Limit: b.Limit(), Customers: b.Customers, CountedAt: b.CountedAt,
	}
	if v.Latched {
		v.Trial = &trialView{b.Since, b.Good, b.Bad}
	} else if now.Before(b.OffUntil) {
		v.OffUntil = b.OffUntil
	}
	return v
}

// The explanations of the brake's state.
const (
	latchedByItself = `Too many grants are refused to trust the refusals, so no grant is revoked. The brake releases itself after two
hours in which nine of ten refreshes succeed. If the customers are really gone, release it: gatepost grants brake off.
`
	latchedByHand = `No grant is revoked until the brake is released: gatepost grants brake off.
`
	heldOff = `Until then the brake does not latch, even if Login with Amazon refuses many grants. To latch it: gatepost grants brake on.
`
)

// write implements result.
func (v *brakeView) write(w io.Writer) {
	cli.Row(w, "brake", "%s", v.state())
	cli.Row(w, "first refusals", "%d this hour, %d the hour before", v.ThisHour.Refused, v.LastHour.Refused)
	cli.Row(w, "revocations", "%d this hour, %d the hour before", v.ThisHour.Revoked, v.LastHour.Revoked)
	cli.Row(w, "limit", "%d of either in both hours", v.Limit)
	if v.CountedAt.IsZero() {
		cli.Row(w, "customers", "not counted yet")
	} else {
		cli.Row(w, "customers", "%d, counted %s", v.Customers, cli.Moment(v.CountedAt))
	}
	cli.Row(w, "off until", "%s", cli.Moment(v.OffUntil))
	if v.Trial != nil {
		cli.Row(w, "refreshes", "%d succeeded and %d were refused since %s", v.Trial.Good, v.Trial.Bad, cli.Moment(v.Trial.Since))
	}
	switch {
	case v.Latched && v.ByHand:
		fmt.Fprint(w, latchedByHand)
	case v.Latched:
		fmt.Fprint(w, latchedByItself)
	case !v.OffUntil.IsZero():
		fmt.Fprint(w, heldOff)
	}
}

func (v *brakeView) state() string {
	switch {
	case v.Latched && v.ByHand:
		return "latched by hand at " + cli.Moment(v.LatchedAt)
	case v.Latched:
		return "latched automatically at " + cli.Moment(v.LatchedAt)
	case !v.OffUntil.IsZero():
		return "released by hand"
	}
	return "released"
}
