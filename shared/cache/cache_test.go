package cache_test

import (
	"sync"
	"testing"

	"github.com/gatepostdev/gatepost/shared/cache"
)

func TestKeepsRecentlyUsed(t *testing.T) {
	t.Parallel()
	c := cache.Cache[string, int]{Size: 2}
	c.Put("a", 1)
	c.Put("b", 2)
	c.Get("a")
	c.Put("c", 3)
	c.Remove("c")
	for key, want := range map[string]int{"a": 1, "b": 0, "c": 0} {
		if got, known := c.Get(key); got != want || known != (want != 0) {
			t.Errorf("%s: %d, %t; want %d", key, got, known, want)
		}
	}
}

// TestDefaultSize: the zero value is ready, and bounded.
func TestDefaultSize(t *testing.T) {
	t.Parallel()
	var c cache.Cache[int, int]
	for i := range cache.DefaultSize + 1 {
		c.Put(i, i)
	}
	if _, known := c.Get(0); known {
		t.Error("the first entry is still cached")
	}
	if _, known := c.Get(1); !known {
		t.Error("the second entry is not cached")
	}
}

// TestUpdate: the read and the change of an entry are atomic.
func TestUpdate(t *testing.T) {
	t.Parallel()
	var c cache.Cache[string, int]
	const many = 1000
	var all sync.WaitGroup
	for range many {
		all.Go(func() { c.Update("a", func(was int, _ bool) (int, bool) { return was + 1, true }) })
	}
	all.Wait()
	c.Update("a", func(was int, known bool) (int, bool) {
		if was != many || !known {
			t.Errorf("entry = %d, %t after %d updates", was, known, many)
		}
		return 0, false
	})
	if _, known := c.Get("a"); known {
		t.Error("the entry is still cached")
	}
}
