package local

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
)

// screen is the terminal of the user. It may be used by many goroutines at once.
type screen struct {
	now func() time.Time

	mu sync.Mutex
	w  io.Writer
}

// print writes text as it is.
func (s *screen) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.w, format, args...) // fails only if the terminal is closed
}

// row writes a line about what happened now. took is negative if it has no duration.
func (s *screen) row(what string, took time.Duration, format string, args ...any) {
	duration := ""
	if took >= 0 {
		duration = fmt.Sprintf("%d ms", took.Round(time.Millisecond).Milliseconds())
	}
	s.print("%s  %-7s %7s  %s\n", s.now().Format(time.TimeOnly), what, duration, cli.Graphic(fmt.Sprintf(format, args...)))
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// rows say how the lines of the functions' log are shown: as what, and the text, empty
// for a line that is not shown. Other lines are shown from WARNING on.
var rows = map[string]struct {
	what string
	text func(*run, oneprocess.Line) string
}{
	"SendEvent":       {"event", (*run).sent},
	"AcceptGrant":     {"link", (*run).notLinked},
	"SkillEvent":      {"skill", (*run).skillEvent},
	"RefreshTokens":   {"sweep", (*run).trouble},
	"RefreshShard":    {"sweep", (*run).swept},
	"circuit breaker": {"breaker", (*run).breaker},
}

// showLine shows a line of the functions' log.
func (r *run) showLine(l oneprocess.Line) {
	if l.Int(logging.Status) == http.StatusMethodNotAllowed {
		return // gatepost doctor --local looks whether a function answers
	}
	row, ok := rows[l.Message]
	if !ok {
		row.what, row.text = "warning", (*run).warning
	}
	took := time.Duration(-1)
	if _, ok := l.Fields[logging.Duration]; ok {
		took = time.Duration(l.Int(logging.Duration)) * time.Millisecond
	}
	if text := row.text(r, l); text != "" {
		r.screen.row(row.what, took, "%s", text)
	}
}

// sent describes the delivery of a device event.
func (r *run) sent(l oneprocess.Line) string {
	if l.Pushed == nil {
		return "by hand: " + r.trouble(l)
	}
	name := l.Pushed.ID
	id := l.Pushed.Attributes["eventId"]
	if replayed := l.Pushed.Attributes["gatepost-event-id"]; replayed != "" {
		id = replayed + ", replayed"
	}
	if id != "" {
		name += " (" + id + ")"
	}
	if l.Pushed.OrderingKey != "" {
		name += " of " + l.Pushed.OrderingKey
	}
	if l.Backoff == 0 {
		name += ", by hand"
	} else {
		name += fmt.Sprintf(", attempt %d", l.Pushed.Attempt)
	}
	text := outcomes(l)
	if !l.Final() && l.Backoff > 0 {
		text += fmt.Sprintf("; redelivered in %v", l.Backoff)
	}
	if n := l.Int(logging.GatewayTries); n > 1 {
		text += fmt.Sprintf("; %d requests to the gateway", n)
	}
	if l.Text(logging.Renewed) != "" {
		text += "; the token was refreshed"
	}
	if warnings, ok := l.Fields[logging.Advice]; ok {
		for _, warning := range warnings.Any().([]string) {
			text += "; warning: " + warning
		}
	}
	return name + ": " + text
}

// outcomes describes the outcomes of a device event.
func outcomes(l oneprocess.Line) string {
	var all []string
	for _, d := range l.Deliveries() {
		text := strings.TrimSpace(d.Outcome + " " + d.Code)
		if d.Reason != "" {
			text += ", " + d.Reason
		}
		all = append(all, text)
	}
	if all == nil {
		return fmt.Sprintf("status %d, %s", l.Int(logging.Status), l.Text(logging.Error))
	}
	return strings.Join(all, "; ")
}

// notLinked describes an AcceptGrant that failed. A successful one is shown as its grant
// event.
func (r *run) notLinked(l oneprocess.Line) string {
	if l.Level < slog.LevelWarn {
		return ""
	}
	return strings.TrimSpace("AcceptGrant FAILED "+in(l)) + ": " + l.Text(logging.Error)
}

func in(l oneprocess.Line) string {
	if region := l.Text(logging.Region); region != "" {
		return "in " + region
	}
	return ""
}

// skillEvent describes the result of a skill event.
func (r *run) skillEvent(l oneprocess.Line) string {
	text := cmp.Or(l.Text(logging.Kind), "skill event") + ": " + cmp.Or(l.Text(logging.Outcome), "failed")
	if err := l.Text(logging.Error); err != "" {
		text += ", " + err
	}
	return text
}

// swept describes a shard in which something was due.
func (r *run) swept(l oneprocess.Line) string {
	counts := l.Swept()
	failed := 0
	for _, n := range counts.Failed {
		failed += n
	}
	if counts.Refreshed+counts.Refused+counts.Revoked+failed == 0 {
		return r.trouble(l)
	}
	text := fmt.Sprintf("a shard's tokens: %d refreshed, %d refused, %d revoked, %d failed",
		counts.Refreshed, counts.Refused, counts.Revoked, failed)
	return strings.TrimSuffix(text+"; "+l.Text(logging.Error), "; ")
}

// breaker describes a circuit breaker that has opened or closed.
func (r *run) breaker(l oneprocess.Line) string {
	if l.Level < slog.LevelInfo {
		return "" // a step of the ramp
	}
	return fmt.Sprintf("%s: %s, was %s", l.Text("breaker"), l.Text("to"), l.Text("from"))
}

// trouble describes a request that failed.
func (r *run) trouble(l oneprocess.Line) string {
	if l.Level < slog.LevelWarn {
		return ""
	}
	return fmt.Sprintf("%s answered %d: %s", l.Message, l.Int(logging.Status), l.Text(logging.Error))
}

// warning describes a line that is not of a request.
func (r *run) warning(l oneprocess.Line) string {
	if l.Level < slog.LevelWarn {
		return ""
	}
	return strings.TrimSuffix(l.Message+": "+l.Text(logging.Error), ": ")
}

// showGrantEvent shows a grant event.
func (r *run) showGrantEvent(message push.Message) {
	var event announce.Message
	if err := json.Unmarshal(message.Data, &event); err != nil {
		r.screen.row("grant", -1, "message %s does not decode: %v", message.ID, err)
		return
	}
	reason := ""
	if event.Reason != "" {
		reason = " (" + event.Reason + ")"
	}
	if event.Type == grant.Stale {
		reason = ", report again " + cmp.Or(strings.Join(event.EndpointIDs, ", "), "all endpoints")
		if event.Discovery {
			reason += " and the discovery"
		}
	}
	r.screen.row("grant", -1, "%s %s in %s%s, %s", event.UserID, event.Type, event.Region, reason, count(event.ActiveGrants, "active grant"))
}

// showDeadLetter shows a dead letter. Those that Pub/Sub moved itself have no reason.
func (r *run) showDeadLetter(message push.Message) {
	id, reason := message.ID, fmt.Sprintf("given up after %d attempts", oneprocess.MaxAttempts)
	if code := message.Attributes["gatepost-code"]; code != "" {
		id, reason = message.Attributes["gatepost-event-id"], code+": "+message.Attributes["gatepost-description"]
	}
	r.screen.row("dead", -1, "event %s is a dead letter: %s", id, reason)
}
