package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// maxControlBytes bounds a control request; a fault's Body is the largest part.
const maxControlBytes = 1 << 20

// routeControl adds the control interface, for tests in another process.
func (s *Simulator) routeControl(mux *http.ServeMux) {
	for pattern, serve := range map[string]func(*http.Request) (any, *fieldError){
		"POST /simulator/codes":    s.controlCode,
		"POST /simulator/disable":  s.controlAccount(s.Disable),
		"POST /simulator/expire":   s.controlAccount(s.ExpireAccessTokens),
		"POST /simulator/faults":   s.controlFault,
		"GET /simulator/faults":    s.controlFaults,
		"DELETE /simulator/faults": s.controlRemove,
		"GET /simulator/requests":  s.controlRequests,
		"GET /simulator/counts":    func(*http.Request) (any, *fieldError) { return s.Counts(), nil },
		"GET /simulator/state":     s.controlState,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { sendControl(w, r, serve) })
	}
}

// sendControl answers with the result of serve: 200 with JSON, 204 without a result, 400
// with the field's name if the request is invalid.
func sendControl(w http.ResponseWriter, r *http.Request, serve func(*http.Request) (any, *fieldError)) {
	status := http.StatusOK
	result, wrong := serve(r)
	if wrong != nil {
		status, result = http.StatusBadRequest, map[string]string{"field": wrong.field, "error": wrong.problem}
	}
	if result == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, marshal(result)+"\n")
}

// readControl decodes a control request. An unknown field is an error: a fault with a
// misspelt field would not do what the test expects.
func readControl(r *http.Request, into any) *fieldError {
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxControlBytes))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrongType.Field != "" {
		return &fieldError{wrongType.Field, "want a " + wrongType.Type.String()}
	}
	if err != nil {
		return &fieldError{"body", err.Error()}
	}
	if _, err := decoder.Token(); err != io.EOF {
		return &fieldError{"body", "more than one JSON value"}
	}
	return nil
}

// controlledAccount names an account in a control request.
type controlledAccount struct {
	Region string `json:"region"`
	User   string `json:"user"`
}

// account returns the account, or the invalid field.
func (c controlledAccount) account() (account, *fieldError) {
	region, err := alexa.ParseRegion(c.Region)
	if err != nil {
		return account{}, &fieldError{"region", err.Error()}
	}
	if c.User == "" {
		return account{}, &fieldError{"user", "is missing"}
	}
	return account{region, c.User}, nil
}

// readAccount decodes a control request that names only an account.
func readAccount(r *http.Request) (account, *fieldError) {
	var named controlledAccount
	if err := readControl(r, &named); err != nil {
		return account{}, err
	}
	return named.account()
}

func (s *Simulator) controlCode(r *http.Request) (any, *fieldError) {
	who, err := readAccount(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"code": s.Code(who.region, who.user).Reveal()}, nil
}

// controlAccount serves a method that changes an account.
func (s *Simulator) controlAccount(do func(alexa.Region, string) bool) func(*http.Request) (any, *fieldError) {
	return func(r *http.Request) (any, *fieldError) {
		who, err := readAccount(r)
		if err == nil && !do(who.region, who.user) {
			err = &fieldError{"user", "has never enabled the skill in this region"}
		}
		return nil, err
	}
}

func (s *Simulator) controlState(r *http.Request) (any, *fieldError) {
	query := r.URL.Query()
	who, err := controlledAccount{query.Get("region"), query.Get("user")}.account()
	if err != nil {
		return nil, err
	}
	return s.State(who.region, who.user), nil
}

// controlledFault is a [Fault] as JSON.
type controlledFault struct {
	Target Target `json:"target"`
	Always bool   `json:"always,omitempty"` // applies until the faults are deleted

	User       string    `json:"user,omitempty"`
	EndpointID string    `json:"endpointId,omitempty"`
	Times      int       `json:"times,omitempty"`
	Name       string    `json:"name,omitempty"`
	Share      int       `json:"share,omitempty"`
	Until      time.Time `json:"until,omitzero"`

	Status      int    `json:"status,omitempty"`
	Code        string `json:"code,omitempty"`
	Description string `json:"description,omitempty"`
	Body        string `json:"body,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	RetryAfter  string `json:"retryAfter,omitempty"` // for time.ParseDuration
	Delay       string `json:"delay,omitempty"`

	Reset            bool `json:"reset,omitempty"`
	AnswerLost       bool `json:"answerLost,omitempty"`
	CutBody          bool `json:"cutBody,omitempty"`
	OmitRefreshToken bool `json:"omitRefreshToken,omitempty"`
	OmitExpiresIn    bool `json:"omitExpiresIn,omitempty"`
}

// fault returns the fault, or the invalid field.
func (c controlledFault) fault() (Fault, *fieldError) {
	delay, err := parseDuration("delay", c.Delay)
	if err != nil {
		return Fault{}, err
	}
	retryAfter, err := parseDuration("retryAfter", c.RetryAfter)
	if err != nil {
		return Fault{}, err
	}
	fault := Fault{
		User: c.User, EndpointID: c.EndpointID, Times: c.Times, Name: c.Name, Share: c.Share, Until: c.Until,
		Status: c.Status, Code: c.Code, Description: c.Description, Body: c.Body, ContentType: c.ContentType,
		RetryAfter: retryAfter, Delay: delay,
		Reset: c.Reset, AnswerLost: c.AnswerLost, CutBody: c.CutBody,
		OmitRefreshToken: c.OmitRefreshToken, OmitExpiresIn: c.OmitExpiresIn,
	}
	return fault, fault.validate(c.Target)
}

func parseDuration(field, written string) (time.Duration, *fieldError) {
	if written == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(written)
	if err != nil {
		return 0, &fieldError{field, `want a duration as "1.5s"`}
	}
	return d, nil
}

func (s *Simulator) controlFault(r *http.Request) (any, *fieldError) {
	var wanted controlledFault
	if err := readControl(r, &wanted); err != nil {
		return nil, err
	}
	fault, err := wanted.fault()
	if err != nil {
		return nil, err
	}
	if wanted.Always {
		s.Always(wanted.Target, fault)
	} else {
		s.Script(wanted.Target, fault)
	}
	return nil, nil
}

// controlFaults lists the faults that apply until they are removed.
func (s *Simulator) controlFaults(*http.Request) (any, *fieldError) {
	shown := []controlledFault{}
	for target, faults := range s.Faults() {
		for _, f := range faults {
			shown = append(shown, controlledFault{
				Target: target, Always: true, User: f.User, EndpointID: f.EndpointID, Name: f.Name, Share: f.Share, Until: f.Until,
				Status: f.Status, Code: f.Code, Description: f.Description, Body: f.Body, ContentType: f.ContentType,
				RetryAfter: written(f.RetryAfter), Delay: written(f.Delay), Reset: f.Reset, AnswerLost: f.AnswerLost, CutBody: f.CutBody,
				OmitRefreshToken: f.OmitRefreshToken, OmitExpiresIn: f.OmitExpiresIn,
			})
		}
	}
	slices.SortStableFunc(shown, func(a, b controlledFault) int { return cmp.Compare(a.Target, b.Target) })
	return map[string]any{"faults": shown}, nil
}

// written is the reverse of parseDuration.
func written(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// controlRemove removes the faults with a name, or all without a name.
func (s *Simulator) controlRemove(r *http.Request) (any, *fieldError) {
	name := r.URL.Query().Get("name")
	if name == "" {
		s.Clear()
	} else if s.Remove(name) == 0 {
		return nil, &fieldError{"name", "no fault has it"}
	}
	return nil, nil
}

// shownRequest is a request whose body is embedded as JSON if it is JSON.
type shownRequest struct {
	Request
	Body any `json:"body,omitempty"`
}

func (s *Simulator) controlRequests(r *http.Request) (any, *fieldError) {
	var since int64
	if written := r.URL.Query().Get("since"); written != "" {
		var err error
		if since, err = strconv.ParseInt(written, 10, 64); err != nil || since < 0 {
			return nil, &fieldError{"since", "want the seq of a request, or 0"}
		}
	}
	shown := []shownRequest{}
	for _, seen := range s.journal.since(since, func(Request) bool { return true }) {
		view := shownRequest{Request: seen}
		if json.Valid([]byte(seen.Body)) {
			view.Body = json.RawMessage(seen.Body)
		} else if seen.Body != "" {
			view.Body = seen.Body
		}
		shown = append(shown, view)
	}
	return map[string]any{"requests": shown, "dropped": s.Counts().Dropped}, nil
}
