// Package googleapi calls Google's REST APIs: the few methods that gatepost needs to look
// at a deployment. The generated clients for them are larger than Gatepost.
//
// It calls only methods that read. Its token may do more, because most of the APIs
// have no read-only scope.
package googleapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/api/option"
	googlehttp "google.golang.org/api/transport/http"

	"github.com/gatepostdev/gatepost/shared/transport"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	scope = "https://www.googleapis.com/auth/cloud-platform"
	// callTime bounds a call, its retry included.
	callTime = 30 * time.Second
	// pause is how long a call waits before its retry, unless the answer has a Retry-After.
	pause = time.Second
	// maxAnswer is larger than a page of any list that is read.
	maxAnswer = 32 << 20
)

// Client calls the APIs with the Application Default Credentials. It may be used by many
// goroutines at once.
type Client struct {
	http *http.Client
	base string // for tests
}

// New returns a client. base, if not empty, is the URL of a fake of all APIs, each in a
// folder of its name, which is called without credentials.
func New(ctx context.Context, base string) (*Client, error) {
	if base != "" {
		return &Client{http.DefaultClient, strings.TrimSuffix(base, "/")}, nil
	}
	client, _, err := googlehttp.NewClient(ctx, option.WithScopes(scope))
	if err != nil {
		return nil, fmt.Errorf("finding Google credentials (gcloud auth application-default login): %w", err)
	}
	return &Client{http: client}, nil
}

// Error is an answer that is not 200.
type Error struct {
	Status  int
	Message string
	Reason  string // such as SERVICE_DISABLED, if Google gives one

	retryAfter time.Duration
}

// Error returns Google's message.
func (e *Error) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Message) }

// IsStatus reports whether an error is an answer with a status.
func IsStatus(err error, status int) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Status == status
}

// Get gets a resource of an API, such as "run", into out. query may be nil.
func (c *Client) Get(ctx context.Context, api, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, api, path, nil, out)
}

// Post calls a method that reads, such as a list with a large filter.
func (c *Client) Post(ctx context.Context, api, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, api, path, body, out)
}

// call calls a method, and once more if it is throttled or unavailable.
func (c *Client) call(ctx context.Context, method, api, path string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err := c.try(ctx, method, api, path, body, out)
	answer, ok := errors.AsType[*Error](err)
	if !ok || answer.Status != http.StatusTooManyRequests && answer.Status != http.StatusServiceUnavailable {
		return err
	}
	if pause := cmp.Or(answer.retryAfter, pause); !wait.HasTime(ctx, pause) || wait.For(ctx, pause) != nil {
		return err
	}
	return c.try(ctx, method, api, path, body, out)
}

func (c *Client) try(ctx context.Context, method, api, path string, body []byte, out any) error {
	host := "https://" + api + ".googleapis.com"
	if c.base != "" {
		host = c.base + "/" + api
	}
	request, err := http.NewRequestWithContext(ctx, method, host+"/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("calling %s: %w", api, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("calling %s: %w", api, err)
	}
	if response.StatusCode != http.StatusOK {
		refusal := newError(response.StatusCode, answer)
		refusal.retryAfter = transport.RetryAfter(response.Header)
		return fmt.Errorf("calling %s: %w", api, refusal)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("calling %s: %w", api, err)
	}
	return nil
}

// Newest returns the newest value of a metric of Pub/Sub's subscriptions, such as
// num_undelivered_messages, by the id of the subscription. which selects subscriptions, as
// in a filter of Monitoring's: "S", or ends_with("-S"). A subscription that gets nothing
// has no value.
func (c *Client) Newest(ctx context.Context, project, metric, which string, now time.Time) (map[string]int64, error) {
	var answer struct {
		TimeSeries []struct {
			Resource struct {
				Labels struct {
					Subscription string `json:"subscription_id"`
				}
			}
			Points []struct {
				Value struct {
					Int64Value int64 `json:"int64Value,string"`
				}
			}
		}
	}
	const filter = `metric.type="pubsub.googleapis.com/subscription/%s" AND resource.labels.subscription_id=%s`
	query := url.Values{
		"filter":             {fmt.Sprintf(filter, metric, which)},
		"interval.startTime": {now.Add(-10 * time.Minute).UTC().Format(time.RFC3339)},
		"interval.endTime":   {now.UTC().Format(time.RFC3339)},
	}
	if err := c.Get(ctx, "monitoring", "v3/projects/"+project+"/timeSeries", query, &answer); err != nil {
		return nil, err
	}
	values := make(map[string]int64)
	for _, series := range answer.TimeSeries {
		if len(series.Points) > 0 { // the newest first
			values[series.Resource.Labels.Subscription] = series.Points[0].Value.Int64Value
		}
	}
	return values, nil
}

// IsDisabled reports whether an error is that the API is not enabled.
func IsDisabled(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Reason == "SERVICE_DISABLED"
}

func newError(status int, answer []byte) *Error {
	var body struct {
		Error struct {
			Message string
			Details []struct{ Reason string }
		}
	}
	if err := json.Unmarshal(answer, &body); err != nil || body.Error.Message == "" {
		return &Error{Status: status, Message: http.StatusText(status)}
	}
	result := &Error{Status: status, Message: body.Error.Message}
	for _, detail := range body.Error.Details {
		result.Reason = cmp.Or(result.Reason, detail.Reason)
	}
	return result
}
