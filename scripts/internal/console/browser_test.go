package console_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

var (
	screenshots = flag.String("screenshots", "", "write the screenshots of README.md into this folder")
	look        = flag.Bool("look", false, "with -screenshots, write one of each section, size and colours instead")
)

// browserTime bounds what is done in a browser.
const browserTime = 5 * time.Minute

// executable returns the browser. Without one the test is skipped, or fails where one
// must be.
func executable(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "the page is not tested: no chromium is installed (apt-get install chromium)"
	if os.Getenv("CI") == "true" || os.Getenv("REQUIRE_BROWSER") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// newChromium starts a browser. The rigs of a test open their pages in it.
func newChromium(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(executable(t)), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(testkit.Patience))
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// browser is a page in a real browser.
type browser struct {
	*rig
	ctx context.Context

	mu     sync.Mutex
	faults []string // errors of the page, and requests to elsewhere
}

// open opens the console of the rig in a window of a browser.
func (r *rig) open(chromium context.Context, width, height int) *browser {
	t := r.t
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	b := &browser{rig: r, ctx: ctx}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Error(fault)
		}
		cancel()
	})
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning {
				b.fault(fmt.Sprintf("console: %s: %s", m.Type, m.Text))
			}
		}
	}()
	b.do(chromedp.EmulateViewport(int64(width), int64(height)), chromedp.Navigate(r.url))
	b.wait(`document.getElementById("connection").textContent === "live"`)
	return b
}

// watch notes requests to anywhere else.
func (b *browser) watch(event any) {
	if e, ok := event.(*network.EventRequestWillBeSent); ok && !strings.HasPrefix(e.Request.URL, b.url+"/") {
		b.fault("request to " + e.Request.URL)
	}
}

func (b *browser) fault(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, text)
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval evaluates an expression of a type.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// wait waits until an expression is true.
func (b *browser) wait(expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression,
		chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(testkit.Patience)))
	if err != nil {
		text := eval[string](b, `document.querySelector("main > section:not([hidden])").innerText.slice(0, 1500)`)
		b.t.Fatalf("%s: %v\n%s", expression, err, text)
	}
}

// press presses keys.
func (b *browser) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// clickOn clicks an element, an expression, once it is visible and nothing covers it.
func (b *browser) clickOn(element string) {
	b.t.Helper()
	b.wait(`(e => {
		if (!e || e.disabled) return false;
		e.scrollIntoView({block: "nearest"});
		const r = e.getBoundingClientRect();
		if (!r.width || !e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2))) return false;
		e.focus();
		e.click();
		return true;
	})(` + element + `)`)
}

// click clicks what a selector names.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.clickOn(fmt.Sprintf("document.querySelector(%q)", selector))
}

// section goes to a section.
func (b *browser) section(name string) {
	b.t.Helper()
	b.click(`nav a[href="#` + name + `"]`)
	b.wait(`!document.getElementById("` + name + `").hidden`)
}

// shot writes a screenshot.
func (b *browser) shot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("%s.png has %d bytes", name, len(png))
}

// appear sets the colours and the size of the window.
func (b *browser) appear(scheme string, width, height int) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(int64(width), int64(height)))
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
}

// TestScreenshots makes the screenshots of README.md:
//
//	go test ./scripts/internal/console -run TestScreenshots -screenshots screenshots
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		return // it tests nothing
	}
	r := newRig(t)
	throttled := populate(r)
	b := r.open(newChromium(t), 1200, 720)
	b.wait(`document.querySelectorAll(".row").length > 10`)
	eval[string](b, `location.hash = "#events/`+throttled+`"`)
	b.wait(`document.querySelectorAll(".waterfall li").length > 5 && document.getElementById("letter-count").textContent !== ""`)
	if !*look {
		b.shot("story")
		breakRegion(r)
		b.appear("dark", 1200, 720)
		b.section("trouble")
		b.wait(`document.getElementById("trouble").innerText.includes("paused")`)
		b.shot("trouble")
		return
	}
	breakRegion(r)
	for _, size := range [][2]int{{1400, 860}, {400, 800}} {
		for _, scheme := range []string{"light", "dark"} {
			b.appear(scheme, size[0], size[1])
			name := fmt.Sprintf("-%s-%d", scheme, size[0])
			eval[string](b, `location.hash = "#events/`+throttled+`"`)
			b.wait(`!document.getElementById("story").hidden`)
			b.shot("story" + name)
			b.press("\x1b")
			b.shot("events" + name)
			for _, section := range []string{"customers", "try", "trouble", "letters"} {
				b.section(section)
				b.wait(`document.querySelector("main > section:not([hidden])").innerText.length > 200`)
				b.shot(section + name)
			}
			b.section("events")
		}
	}
}

// populate lets things happen, and returns the id of an event that was throttled.
func populate(r *rig) (throttled string) {
	for i, region := range []string{"EU", "NA", "FE", "EU"} {
		r.link(fmt.Sprintf("u-%d", i+1), region)
	}
	set := func(user, endpoint, namespace, name string, value any) string {
		return r.publish(object{"userId": user, "endpointId": endpoint, "cause": "PHYSICAL_INTERACTION", "changed": []object{
			{"namespace": "Alexa." + namespace, "name": name, "value": value},
		}})
	}
	for i, endpoint := range []string{"lamp-1", "hall-light", "kitchen-lamp"} {
		r.row(set("u-1", endpoint, "PowerController", "powerState", []string{"ON", "OFF"}[i%2]), "accepted")
		r.row(set("u-2", endpoint, "BrightnessController", "brightness", 20+30*i), "accepted")
	}
	r.row(set("u-3", "thermostat", "TemperatureSensor", "temperature", object{"value": 20.5, "scale": "CELSIUS"}), "accepted")
	r.call("POST", "/api/trouble", object{"kind": "malformed", "region": "NA"}, nil)
	r.row(set("u-2", "lamp-7", "PowerController", "powerState", "ON"), "dead_letter")
	r.call("POST", "/api/trouble", object{"kind": "malformed", "region": "NA", "off": true}, nil)
	r.row(set("u-9", "lamp-1", "PowerController", "powerState", "ON"), "no_grant")
	r.call("POST", "/api/customers", object{"do": "disable", "userId": "u-4", "region": "EU", "amazonUser": "amzn-u-4"}, nil)
	r.row(set("u-4", "lamp-1", "PowerController", "powerState", "OFF"), "revoked")
	r.amazon.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.Throttling, RetryAfter: time.Second, Times: 2})
	throttled = set("u-1", "lamp-1", "PowerController", "powerState", "ON")
	r.row(throttled, "accepted")
	r.row(set("u-2", "lamp-1", "PowerController", "powerState", "ON"), "accepted")
	return throttled
}

// breakRegion makes trouble until a circuit breaker opens.
func breakRegion(r *rig) {
	r.call("POST", "/api/trouble", object{"kind": "unavailable", "region": "FE"}, nil)
	r.call("POST", "/api/trouble", object{"kind": "throttled", "region": "NA", "share": 10}, nil)
	for i := range 12 {
		user := fmt.Sprintf("u-%d", i+5)
		r.link(user, "FE")
		r.publish(lamp(user, "lamp-1", "ON"))
	}
	r.until(func() bool {
		var now struct{ Breakers map[string]object }
		r.call("GET", "/api/trouble", "", &now)
		return now.Breakers["gateway FE"] != nil
	}, func() string { return "the breaker did not open" })
}
