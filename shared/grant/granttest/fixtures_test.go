package granttest

import (
	"reflect"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// TestEveryFieldIsEdited fails when a field was added to a record or a grant
// that no check would write.
func TestEveryFieldIsEdited(t *testing.T) {
	t.Parallel()
	record := fullRecord(user("u-1"), 1)
	record.Revision = 1
	for name, tt := range map[string]struct {
		value any
		want  int // fields
	}{
		"record":       {record, len(recordEdits) + len([]string{"userId", "skill", "grants", "the revision"})},
		"grant":        {fullGrant(1), len(grantEdits)},
		"announcement": {announcementsOf(2)[1], 8},
		"delivery":     {func() grant.Delivery { d := fullDelivery("e-1", 1); d.Revision = 1; return d }(), 7},
		"account":      {func() grant.Account { a := fullAccount("a-1", 1); a.Revision = 1; return a }(), 7},
	} {
		if got := set(t, name, reflect.ValueOf(tt.value)); got != tt.want {
			t.Errorf("%s: %d fields are set, want %d", name, got, tt.want)
		}
	}
}

// set counts the fields in v, and reports those that are not set.
func set(t *testing.T, name string, v reflect.Value) int {
	t.Helper()
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		if v.IsZero() {
			t.Errorf("%s is not set", name)
		}
		return 1
	}
	n := 0
	for i := range v.NumField() {
		n += set(t, name+"."+v.Type().Field(i).Name, v.Field(i))
	}
	return n
}
