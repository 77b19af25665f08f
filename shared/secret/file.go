package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// maxFile is the largest size of a file, the same as Secret Manager's limit.
const maxFile = 64 << 10

var errTooLarge = errors.New("is larger than 64 KiB")

func readFile(path string) (sensitive.String, error) {
	f, err := os.Open(path)
	if err != nil {
		return sensitive.String{}, fileError(err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return sensitive.String{}, fileError(err)
	}
	if len(content) > maxFile {
		return sensitive.String{}, errTooLarge
	}
	// Editors and echo add a line end, which is not part of the secret.
	text, ended := strings.CutSuffix(string(content), "\n")
	if ended {
		text = strings.TrimSuffix(text, "\r")
	}
	return sensitive.New(text), nil
}

// fileError drops the path: the reference names it already.
func fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		return ErrDenied
	}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// rewriteFile creates or replaces a file atomically: a concurrent reader, or one
// after a crash, gets either the old content or the new. The temporary file is also
// the lock that keeps a second writer out.
func rewriteFile(path string, change changeFunc) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // or the file would replace the link
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode &= info.Mode()
	}
	draft, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s.new exists; remove it if its writer was interrupted", ErrChanged, path)
	}
	if err != nil {
		return fmt.Errorf("creating a temporary file: %w", fileError(err))
	}
	value, err := change(readFile(path))
	if err == nil {
		err = writeDraft(draft, value, mode)
	}
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// writeDraft writes the value, and the line end that readFile removes.
func writeDraft(f *os.File, value sensitive.String, mode fs.FileMode) error {
	text := value.Reveal() + "\n"
	if len(text) > maxFile {
		return errTooLarge
	}
	if _, err := f.WriteString(text); err != nil {
		return fileError(err)
	}
	return errors.Join(f.Chmod(mode), f.Sync())
}

// syncDir makes a rename durable. Without it the old file could be back after a
// crash, although values are already sealed with a key that only the new one has.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fileError(err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
