package pump

import "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

// take begins to deliver a message, or lets it wait for those of the same key
// that came before.
func (r *run) take(m *pubsubpb.ReceivedMessage) {
	key := m.GetMessage().GetOrderingKey()
	if key == "" {
		r.workers.Go(func() {
			if !r.deliver(m) {
				r.handBack(m)
			}
		})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting, busy := r.lanes[key]; busy {
		r.lanes[key] = append(waiting, m)
		return
	}
	r.lanes[key] = nil // busy, and nothing waits
	r.workers.Go(func() { r.lane(key, m) })
}

// lane delivers a message and then what waits for it. After a failure the
// whole lane goes back, so that Pub/Sub sends it again from there in order.
func (r *run) lane(key string, m *pubsubpb.ReceivedMessage) {
	for m != nil {
		if !r.deliver(m) {
			r.handBack(append([]*pubsubpb.ReceivedMessage{m}, r.clear(key)...)...)
			return
		}
		m = r.next(key)
	}
}

// next takes the next message out of a lane. The lane is gone with its last.
func (r *run) next(key string) *pubsubpb.ReceivedMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.lanes[key]
	if len(waiting) == 0 {
		delete(r.lanes, key)
		return nil
	}
	r.lanes[key] = waiting[1:]
	return waiting[0]
}

// clear removes a lane and returns what waited in it.
func (r *run) clear(key string) []*pubsubpb.ReceivedMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.lanes[key]
	delete(r.lanes, key)
	return waiting
}
