package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/story"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
)

// kept is how many rows are kept, here and in the page.
const kept = 2000

// Row is a row of the list of events: a device event, or something else that the log
// tells of.
type Row struct {
	ID       string    `json:"id"`  // of a device event, the id of its message
	Seq      int64     `json:"seq"` // of the row's last change
	At       time.Time `json:"at"`  // of the publish
	Type     string    `json:"type"`
	Customer string    `json:"customer,omitempty"` // userId, or the hash that the log has
	Endpoint string    `json:"endpoint,omitempty"`
	What     string    `json:"what"`
	Region   string    `json:"region,omitempty"`
	Outcome  string    `json:"outcome,omitempty"`
	Tone     tone      `json:"tone"`
	Why      string    `json:"why,omitempty"` // code or reason
	Attempts int       `json:"attempts,omitempty"`
	Tries    int       `json:"tries,omitempty"` // requests to the gateway in all attempts
	TookMS   float64   `json:"tookMs,omitempty"`
}

// tone is how a row is coloured.
type tone string

const (
	good    tone = "good"
	waiting tone = "wait"
	odd     tone = "odd"
	bad     tone = "bad"
	plain   tone = "plain"
)

// tones are the tones of outcomes. Any other is bad.
var tones = map[string]tone{
	"accepted": good, "duplicate": good, "superseded": good, "retry": waiting, "waiting": waiting,
	"expired": odd, "suspended": odd, "behind": odd, "unconfirmed": odd, "no_grant": odd, "elsewhere": odd,
}

// logged is a line of the log.
type logged struct {
	story.Entry
	text []byte
}

// item is a row, and what it was made of.
type item struct {
	Row
	message push.Message // of a device event
	lines   []logged
}

// feed holds the rows.
type feed struct {
	mu       sync.Mutex
	run      int64 // grows when all rows are dropped
	seq      int64
	name     func(hash string) string // of a customer; empty if unknown
	items    map[string]*item
	order    []*item       // the oldest first
	others   []story.Entry // latest lines of no event, for the reasons in stories
	breakers map[string]breakerState
	more     chan struct{} // closed, and made anew, with each change
}

func newFeed(name func(string) string) *feed {
	return &feed{
		name: name, run: time.Now().UnixMilli(), items: make(map[string]*item), breakers: make(map[string]breakerState),
		more: make(chan struct{}),
	}
}

// clear drops all rows.
func (f *feed) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.run++
	f.items, f.order = make(map[string]*item), nil
	close(f.more)
	f.more = make(chan struct{})
}

// published adds the row of an event that waits for its first attempt.
func (f *feed) published(m push.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.items[m.ID] == nil {
		it := f.event(m)
		it.Outcome, it.Tone = "waiting", waiting
		f.changed(it)
	}
}

// event returns the item of a message.
func (f *feed) event(m push.Message) *item {
	it := f.items[m.ID]
	if it == nil {
		e := decode(m.Data)
		it = &item{Row: Row{
			ID: m.ID, At: m.PublishTime, Type: "event", Customer: clean(e.UserID), Endpoint: clean(e.endpoint()), What: e.summary(),
		}}
		f.insert(it)
	}
	it.message = m
	return it
}

func (f *feed) insert(it *item) {
	f.items[it.ID] = it
	f.order = append(f.order, it)
	if len(f.order) > kept {
		delete(f.items, f.order[0].ID)
		f.order[0] = nil
		f.order = f.order[1:]
	}
}

// changed marks a row as changed.
func (f *feed) changed(it *item) {
	f.seq++
	it.Seq = f.seq
	close(f.more)
	f.more = make(chan struct{})
}

// add adds a line of the log.
func (f *feed) add(l logged, pushed *push.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.Function == "SendEvent" && pushed != nil {
		f.addAttempt(f.event(*pushed), l)
		return
	}
	if len(f.others) >= 2*kept {
		f.others = append([]story.Entry(nil), f.others[kept:]...)
	}
	f.others = append(f.others, l.Entry)
	row, ok := f.otherRow(l)
	if !ok || l.Status == http.StatusMethodNotAllowed { // gatepost doctor --local looks whether a function answers
		return
	}
	row.ID, row.At, row.TookMS = fmt.Sprintf("row-%d", f.seq+1), l.Time, l.TookMS
	row.Customer = clean(cmp.Or(f.name(l.Customer), l.Customer))
	row.Region = cmp.Or(row.Region, l.Region)
	it := &item{Row: row, lines: []logged{l}}
	f.insert(it)
	f.changed(it)
}

func (f *feed) addAttempt(it *item, l logged) {
	it.lines = append(it.lines, l)
	it.Attempts, it.Tries = len(it.lines), it.Tries+l.tries()
	it.Outcome = cmp.Or(l.Outcome, "failed")
	it.Tone = cmp.Or(tones[it.Outcome], bad)
	it.Why = ""
	if it.Tone != good {
		it.Why = cmp.Or(clean(strings.Trim(l.Code+": "+cmp.Or(l.Error, l.Reason), ": ")), fmt.Sprint(l.Status))
	}
	if len(it.lines) > 1 && it.Tone == good {
		it.Why = fmt.Sprintf("after %s", cmp.Or(it.lines[len(it.lines)-2].Code, "another attempt"))
	}
	it.Region = strings.Join(l.regions(), " ")
	it.TookMS = float64(l.Time.Sub(it.At).Microseconds()) / 1000
	f.changed(it)
}

func (l logged) tries() int {
	n := l.Tries
	if len(l.Deliveries) > 0 {
		n = 0
	}
	for _, d := range l.Deliveries {
		n += d.Tries
	}
	return n
}

// regions are the regions of an attempt's grants.
func (l logged) regions() []string {
	var all []string
	for _, d := range append([]story.Result{l.Result}, l.Deliveries...) {
		if d.Region != "" && !slices.Contains(all, d.Region) {
			all = append(all, d.Region)
		}
	}
	slices.Sort(all)
	return all
}

// fields are fields of lines that are not of device events.
type fields struct {
	Breaker, From, To           string
	Room                        int
	Refreshed, Refused, Revoked int
	Failed                      map[string]int
}

// otherRow returns the row of a line that is not of a device event, if it is shown.
func (f *feed) otherRow(l logged) (row Row, shown bool) {
	var more fields
	_ = json.Unmarshal(l.text, &more) // it is a line of the log
	failed := l.Severity != "INFO"
	row = Row{Type: "log", What: l.Message, Tone: plain, Why: cmp.Or(l.Error, l.Reason)}
	if failed {
		row.Tone = bad
	}
	switch l.Message {
	case "circuit breaker":
		f.breakers[more.Breaker] = breakerState{more.To, more.Room}
		row.Type, row.What, row.Outcome, row.Why = "breaker", more.Breaker, more.To, "was "+more.From
		row.Tone = map[string]tone{"closed": good, "open": bad}[more.To]
		row.Tone = cmp.Or(row.Tone, waiting)
		_, last, _ := strings.Cut(more.Breaker, " ")
		if region, err := alexa.ParseRegion(last); err == nil {
			row.Region = string(region)
		}
		return row, more.From != more.To
	case "AcceptGrant":
		row.Type, row.Outcome = "link", cmp.Or(l.Outcome, "failed")
		return row, failed // one that worked is shown as "grant linked"
	case "SkillEvent":
		row.Type, row.Outcome = "skill", cmp.Or(l.Outcome, "failed")
		row.What = strings.TrimPrefix(cmp.Or(l.Kind, "SkillEvent"), "AlexaSkillEvent.")
		return row, true
	case "RefreshTokens", "RefreshShard":
		row.Type = "sweep"
		n := 0
		for _, count := range more.Failed {
			n += count
		}
		row.What = fmt.Sprintf("sweep: %d refreshed, %d refused, %d revoked, %d failed", more.Refreshed, more.Refused, more.Revoked, n)
		return row, failed || more.Refreshed+more.Refused+more.Revoked+n > 0
	}
	if what, ok := strings.CutPrefix(l.Message, "grant "); ok {
		row.Type, row.What, row.Outcome = "grant", "grant", what
		row.Tone = map[string]tone{"linked": good, "relinked": good, "recovered": good, "suspect": odd, "revoked": bad}[what]
		row.Tone = cmp.Or(row.Tone, plain)
		return row, true
	}
	return row, failed || l.Severity == "" && l.Message != ""
}

// since returns the rows that have changed after seq, the oldest first, the number of the
// last change, and a channel that is closed at the next one.
func (f *feed) since(run, seq int64) (rows []Row, nowRun, nowSeq int64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if run != f.run {
		seq = 0
	}
	rows = []Row{}
	for _, it := range f.order {
		if it.Seq > seq {
			rows = append(rows, it.Row)
		}
	}
	return rows, f.run, f.seq, f.more
}

// find returns a copy of an item.
func (f *feed) find(id string) (item, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	it, ok := f.items[id]
	if !ok {
		return item{}, false
	}
	found := *it
	found.lines = slices.Clone(it.lines)
	return found, true
}

// entries returns the lines that may tell why something happened to an endpoint.
func (f *feed) entries(customer, endpoint string) []story.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.others)
	for _, it := range f.order {
		for _, l := range it.lines {
			if l.Function == "SendEvent" && l.Customer == customer && l.Endpoint == endpoint {
				all = append(all, l.Entry)
			}
		}
	}
	return all
}

// breakerState is the state of a circuit breaker.
type breakerState struct {
	State string `json:"state"`
	Room  int    `json:"room,omitempty"` // half-open, the attempts that may be in flight
}

// states returns the state of each circuit breaker that has changed since the start.
func (f *feed) states() map[string]breakerState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.breakers)
}
