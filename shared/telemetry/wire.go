package telemetry

import (
	"bytes"
	"io"
)

// unsolicited begins the line that net/http writes to the standard logger when
// a server sends more than it announced. It goes on with the bytes from the
// wire, which may be the tokens of another request.
var unsolicited = []byte("Unsolicited response received on idle HTTP channel")

// WithoutWire returns a writer for the standard logger that passes lines on to
// w, less what they quote from the wire.
func WithoutWire(w io.Writer) io.Writer { return withoutWire{w} }

type withoutWire struct{ to io.Writer }

// Write takes one line, as package log writes them.
func (w withoutWire) Write(line []byte) (int, error) {
	shown := line
	if i := bytes.Index(line, unsolicited); i >= 0 {
		shown = append(append([]byte(nil), line[:i+len(unsolicited)]...), '\n')
	}
	if _, err := w.to.Write(shown); err != nil {
		return 0, err
	}
	return len(line), nil
}
