package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/scripts/internal/story"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// skill is the name of the skill in a local run.
const skill = "default"

// Console is the page and its API. Make one with [New].
type Console struct {
	amazon *simulator.Simulator
	grants *watched
	now    func() time.Time
	feed   *feed
	mux    *http.ServeMux

	mu      sync.Mutex
	engine  *oneprocess.Gatepost // nil before Start
	letters []*letter

	work sync.WaitGroup // presets that publish
	ctx  context.Context
	end  context.CancelFunc
}

//go:embed page
var page embed.FS

// New returns the console of a run that has not started yet.
func New(amazon *simulator.Simulator, grants grant.Admin, now func() time.Time) *Console {
	c := &Console{amazon: amazon, grants: newWatched(grants, now), now: now, mux: http.NewServeMux()}
	c.feed = newFeed(c.grants.name)
	c.ctx, c.end = context.WithCancel(context.Background())
	for pattern, serve := range c.routes() {
		c.mux.HandleFunc(pattern, serve)
	}
	files, err := fs.ReadDir(page, "page")
	if err != nil {
		panic(err) // the path is wrong
	}
	for _, file := range files {
		serve := func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, "page/"+file.Name()) }
		c.mux.HandleFunc("GET /"+file.Name(), serve)
		if file.Name() == "icon.svg" {
			c.mux.HandleFunc("GET /favicon.ico", serve) // of what is shown without the page
		}
	}
	c.mux.HandleFunc("GET /{$}", serveIndex())
	return c
}

// serveIndex returns the handler of the page, which has its styles in it: the first paint
// waits for no other request.
func serveIndex() http.HandlerFunc {
	html, _ := page.ReadFile("page/index.html")
	css, _ := page.ReadFile("page/style.css")
	sum := sha256.Sum256(css)
	styles := "; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	index := strings.Replace(string(html), `<link rel="stylesheet" href="style.css">`, "<style>"+string(css)+"</style>", 1)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy+styles)
		_, _ = io.WriteString(w, index)
	}
}

// Store returns the store of grants for the functions. It notes what they read.
func (c *Console) Store() grant.Admin { return c.grants }

// Start gives the console the run, which it answers for from now on.
func (c *Console) Start(engine *oneprocess.Gatepost) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.engine = engine
}

// Stop ends what the console does to the run.
func (c *Console) Stop() {
	c.end()
	c.work.Wait()
}

// AddLine adds a line of the functions' log. pushed is the message that the function
// worked on, nil for none.
func (c *Console) AddLine(text []byte, pushed *push.Message) {
	if e, err := story.ParseEntry(text); err == nil {
		c.feed.add(logged{Entry: e, text: text}, pushed)
	}
}

// read is a read of a customer's record.
type read struct {
	customer string // hash
	at       time.Time
	took     time.Duration
}

// watched is a store that notes reads of records.
type watched struct {
	grant.Admin
	now func() time.Time

	mu    sync.Mutex
	reads []read            // the latest, the oldest first
	names map[string]string // userIds by the hash that the log has
}

func newWatched(grants grant.Admin, now func() time.Time) *watched {
	return &watched{Admin: grants, now: now, names: make(map[string]string)}
}

// maxNames is how many customers are known by name.
const maxNames = 10_000

// name returns the userId of a customer of whom a record was read, or "".
func (w *watched) name(hash string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[hash]
}

// Read implements [grant.Store].
func (w *watched) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	at, hash := w.now(), grant.CustomerHash(key.UserID)
	record, err := w.Admin.Read(ctx, key)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.reads) >= 2*kept {
		w.reads = append([]read(nil), w.reads[kept:]...)
	}
	if len(w.names) < maxNames {
		w.names[hash] = key.UserID
	}
	w.reads = append(w.reads, read{hash, at, w.now().Sub(at)})
	return record, err
}

// between returns the reads of a customer's record in a time.
func (w *watched) between(customer string, from, to time.Time) []read {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []read
	for _, r := range w.reads {
		if r.customer == customer && !r.at.Before(from) && !r.at.After(to) {
			found = append(found, r)
		}
	}
	return found
}
