// Package cache is an LRU cache of a bounded number of entries. It adds to
// hashicorp/golang-lru a zero value that is ready to use, and atomic updates of an
// entry.
package cache

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// DefaultSize is the number of entries of a Cache without a Size.
const DefaultSize = 10_000

// Cache keeps the entries that were used last and evicts the others. The zero value
// is ready to use. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	Size int // number of entries, 0 for DefaultSize; fixed by the first use

	mu      sync.Mutex
	entries *simplelru.LRU[K, V]
}

// locked returns the entries. The caller holds the lock.
func (c *Cache[K, V]) locked() *simplelru.LRU[K, V] {
	if c.entries == nil {
		size := c.Size
		if size < 1 {
			size = DefaultSize
		}
		c.entries, _ = simplelru.NewLRU[K, V](size, nil) // fails only for sizes below 1
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

// Remove removes the entry of a key.
func (c *Cache[K, V]) Remove(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locked().Remove(key)
}

// Update sets the entry of a key to the result of edit, or removes it if keep is
// false. edit gets the current entry, if known is true. It runs under the lock of
// the cache, and must not use the cache.
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
