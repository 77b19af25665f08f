package console

import (
	"maps"
	"slices"
)

// Routes are the patterns of the API.
func Routes() []string { return slices.Sorted(maps.Keys(new(Console).routes())) }
