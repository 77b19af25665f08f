package pump

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/gatepostdev/gatepost/shared/push"
)

// maxAnswer is how much of an answer is shown to Observe.
const maxAnswer = 64 << 10

// deliver posts a message and acknowledges it if the answer does. Otherwise it returns
// false after the back-off, and the caller returns the message to Pub/Sub.
func (r *run) deliver(m *pubsubpb.ReceivedMessage) bool {
	select {
	case r.slots <- struct{}{}:
	case <-r.ctx.Done():
	}
	if r.ctx.Err() != nil { // both may have been ready
		return false
	}
	d := r.post(m)
	<-r.slots
	if d.Acknowledged {
		r.forget(d.Message)
		d.Err = r.acknowledge(m)
		r.observe(d)
		return true
	}
	d.Backoff = r.Backoff(r.failed(d.Message))
	r.observe(d)
	r.wait(d.Backoff)
	return false
}

func (r *run) observe(d Delivery) {
	if r.Observe != nil {
		r.Observe(d)
	}
}

// post makes one request.
func (r *run) post(m *pubsubpb.ReceivedMessage) Delivery {
	started := r.Now()
	d := Delivery{Message: message(m, r.Subscription)}
	d.Status, d.Body, d.Err = r.request(d.Message)
	d.Took = r.Now().Sub(started)
	d.Acknowledged = d.Err == nil && acknowledges(d.Status)
	return d
}

func (r *run) request(m push.Message) (status int, body []byte, err error) {
	envelope, err := push.Encode(m)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(r.posting, r.AckDeadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.Endpoint, bytes.NewReader(envelope))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := r.HTTP.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	// The status is the acknowledgement, even if the body cannot be read.
	body, _ = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, body, nil
}

// message returns the content of the envelope.
func message(m *pubsubpb.ReceivedMessage, subscription string) push.Message {
	p := m.GetMessage()
	return push.Message{
		ID: p.GetMessageId(), Data: p.GetData(), Attributes: p.GetAttributes(), PublishTime: p.GetPublishTime().AsTime(),
		OrderingKey: p.GetOrderingKey(), Subscription: subscription, Attempt: int(m.GetDeliveryAttempt()),
	}
}

// acknowledges reports whether a status is one of those that
// https://cloud.google.com/pubsub/docs/push#receive_push lists.
func acknowledges(status int) bool {
	switch status {
	case http.StatusProcessing, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return true
	}
	return false
}

// failed returns how often a message has failed. Pub/Sub counts deliveries
// only for a subscription with a dead-letter policy.
func (r *run) failed(m push.Message) int {
	if m.Attempt > 0 {
		return m.Attempt
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures[m.ID]++
	return r.failures[m.ID]
}

// forget removes a message's count of failures.
func (r *run) forget(m push.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.failures, m.ID)
}

// Backoff returns the back-off after the n-th failure of a message.
func (p *Pump) Backoff(n int) time.Duration {
	wait := p.MinBackoff
	for ; n > 1 && wait < p.MaxBackoff; n-- {
		wait *= 2
	}
	return min(wait, p.MaxBackoff)
}
