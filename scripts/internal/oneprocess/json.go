package oneprocess

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/gatepostdev/gatepost/shared/logging"
)

// JSON returns the line as the functions write it, its fields in alphabetical order.
func (l Line) JSON() []byte {
	record := slog.NewRecord(l.Time, l.Level, l.Message, 0)
	for _, name := range slices.Sorted(maps.Keys(l.Fields)) {
		record.AddAttrs(slog.Attr{Key: name, Value: l.Fields[name]})
	}
	var text bytes.Buffer
	_ = logging.New(&text).Handler().Handle(context.Background(), record) // a buffer takes all
	return bytes.TrimSpace(text.Bytes())
}
