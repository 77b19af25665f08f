package story

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Entry is a line of the functions' log. functions/CONTRACTS.md has the meaning of each
// field.
type Entry struct {
	Time      time.Time `json:"time"`
	Severity  string    `json:"severity"`
	Message   string    `json:"message"`
	Function  string    `json:"function"`
	Status    int       `json:"status"`
	Customer  string    `json:"customer"`
	EventID   string    `json:"event_id"`
	Endpoint  string    `json:"endpoint_id"`
	Kind      string    `json:"kind"`
	Changed   string    `json:"changed"`
	Published time.Time `json:"event_published"`
	AgeMS     float64   `json:"event_age_ms"`
	TookMS    float64   `json:"duration_ms"`
	Attempt   int       `json:"attempt"`
	Advice    []string  `json:"event_advice"`
	Renewed   bool      `json:"renewed"`
	// Service is the Cloud Run service, and so the stack; empty outside of Google Cloud.
	Service string `json:"-"`
	Result
	// Deliveries are the results by grant, if there are several.
	Deliveries []Result `json:"deliveries"`
}

// Result is the outcome of an attempt for one grant.
type Result struct {
	GrantID       string `json:"grant_id"`
	Region        string `json:"region"`
	Outcome       string `json:"outcome"`
	Decision      string `json:"decision"`
	Code          string `json:"alexa_code"`
	Reason        string `json:"reason"`
	Error         string `json:"error"`
	MessageID     string `json:"message_id"`
	Tries         int    `json:"gateway_tries"`
	GatewayStatus int    `json:"gateway_status"`
	GatewayID     string `json:"gateway_id"`
}

// begin is when the attempt began. Its line is written at its end.
func (e Entry) begin() time.Time {
	return e.Time.Add(-milliseconds(e.TookMS))
}

func milliseconds(n float64) time.Duration {
	return time.Duration(n * float64(time.Millisecond))
}

// exported is an entry as Cloud Logging exports it, and as gcloud logging read
// --format=json prints it.
type exported struct {
	Timestamp   time.Time       `json:"timestamp"`
	Severity    string          `json:"severity"`
	JSONPayload json.RawMessage `json:"jsonPayload"`
	Resource    struct {
		Labels struct {
			Service string `json:"service_name"`
		} `json:"labels"`
	} `json:"resource"`
}

// ParseEntry parses a line that a function wrote, or an entry of Cloud Logging's.
func ParseEntry(text []byte) (Entry, error) {
	var outer exported
	if err := json.Unmarshal(text, &outer); err != nil {
		return Entry{}, fmt.Errorf("not a log line: %w", err)
	}
	if outer.JSONPayload == nil {
		outer.JSONPayload = text
	}
	var e Entry
	if json.Unmarshal(outer.JSONPayload, &e) != nil {
		e = Entry{}
		if err := json.Unmarshal(normal(outer.JSONPayload), &e); err != nil {
			return Entry{}, fmt.Errorf("not a line of Gatepost's: %w", err)
		}
	}
	if e.Time.IsZero() { // Cloud Logging moves the two out of the payload
		e.Time, e.Severity = outer.Timestamp, outer.Severity
	}
	e.Service = outer.Resource.Labels.Service
	return e, nil
}

// normal returns a line as Gatepost wrote it: exports of a log write whole numbers with a
// fraction or as text.
func normal(line []byte) []byte {
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		return line
	}
	for _, name := range []string{"status", "attempt", "gateway_tries", "gateway_status", "event_age_ms", "duration_ms"} {
		if text, ok := fields[name].(string); ok {
			fields[name] = json.Number(text)
		}
	}
	normalized, err := json.Marshal(fields) // which writes 200.0 as 200
	if err != nil {
		return line
	}
	return normalized
}

// maxLine is the length of the longest line, which Cloud Logging limits to 256 KiB.
const maxLine = 1 << 20

// ReadEntries reads JSON lines, or an array of entries such as gcloud logging read
// --format=json prints. It skips what is not of Gatepost's, such as a platform's text, and
// returns how many lines of Gatepost's it could not read.
func ReadEntries(r io.Reader) (all []Entry, unread int, err error) {
	buffered := bufio.NewReader(r)
	add := func(text []byte) {
		if e, err := ParseEntry(text); err == nil && !e.Time.IsZero() {
			all = append(all, e)
		} else if bytes.Contains(text, []byte(`"function"`)) {
			unread++
		}
	}
	if first, _ := buffered.Peek(1); string(first) == "[" {
		var list []json.RawMessage
		if err := json.NewDecoder(buffered).Decode(&list); err != nil {
			return nil, 0, fmt.Errorf("reading the log: %w", err)
		}
		for _, text := range list {
			add(text)
		}
		return all, unread, nil
	}
	lines := bufio.NewScanner(buffered)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); strings.HasPrefix(text, "{") {
			add([]byte(text))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, 0, fmt.Errorf("reading the log: %w", err)
	}
	return all, unread, nil
}
