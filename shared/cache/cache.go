// Package cache remembers what a process used last, up to a number of entries.
// It adds to hashicorp/golang-lru what each of its users would add: a zero value
// that is ready, and changes of an entry that nothing comes between.
package cache

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// DefaultSize is how many entries a Cache keeps unless it says otherwise.
const DefaultSize = 10_000

// Cache keeps the entries that were used last and drops the others. The zero value
// is ready. It may be used by many goroutines at once.
type Cache[K comparable, V any] struct {
	Size int // how many entries are kept, 0 for DefaultSize; fixed by the first use

	mu      sync.Mutex
	entries *simplelru.LRU[K, V]
}

// locked returns the entries; the caller holds the lock.
func (c *Cache[K, V]) locked() *simplelru.LRU[K, V] {
	if c.entries == nil {
		size := c.Size
		if size < 1 {
			size = DefaultSize
		}
		c.entries, _ = simplelru.NewLRU[K, V](size, nil) // fails for sizes below 1 only
	}
	return c.entries
}

// Get returns the entry of a key, and whether there is one.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.locked().Get(key)
}

// Put sets the entry of a key.
func (c *Cache[K, V]) Put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locked().Add(key, value)
}

// Remove drops the entry of a key.
func (c *Cache[K, V]) Remove(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locked().Remove(key)
}

// Update sets the entry of a key to what edit returns, or drops it unless keep is
// true. Edit is given the entry there is, if known is true. It runs under the
// cache's lock, and must not use the cache.
func (c *Cache[K, V]) Update(key K, edit func(was V, known bool) (now V, keep bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := c.locked()
	if now, keep := edit(entries.Get(key)); keep {
		entries.Add(key, now)
	} else {
		entries.Remove(key)
	}
}
