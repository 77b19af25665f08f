package console_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
)

// read opens the story of an event by a click on its row, and checks its sentence.
func (b *browser) read(id, sentence string) {
	b.t.Helper()
	b.wait(`!!document.getElementById("row-` + id + `")`)
	b.click("#row-" + id)
	b.wait(fmt.Sprintf(`document.querySelector("#story .verdict")?.innerText.includes(%q)`, sentence))
	if n := eval[int](b, `document.querySelectorAll("#story .waterfall li").length`); n < 3 {
		b.t.Errorf("the waterfall of %s has %d steps", id, n)
	}
}

// toast waits for a message of the page.
func (b *browser) toast(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`document.getElementById("toast").textContent.includes(%q)`, text))
}

// button clicks a button by its label, inside what a selector names.
func (b *browser) button(within, label string) {
	b.t.Helper()
	b.clickOn(fmt.Sprintf(`[...document.querySelectorAll(%q)].flatMap(e => [...e.querySelectorAll("button")]).find(e => e.textContent === %q)`,
		within, label))
}

// TestPage uses each part of the page, beside a page that gets 500 events a second.
func TestPage(t *testing.T) {
	t.Parallel()
	chromium := newChromium(t)
	t.Run("live list", func(t *testing.T) {
		t.Parallel()
		newRig(t).open(chromium, 1400, 900).live()
	})
	t.Run("sections", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		for _, user := range []string{"u-1", "u-2", "u-3"} {
			r.link(user, "EU")
		}
		r.link("u-5", "NA")
		b := r.open(chromium, 1400, 900)
		b.stories()
		b.controls()
		b.customers()
		b.try()
		b.trouble()
		b.letters()
		b.paint()
		b.keyboard()
		b.narrow()
	})
}

// paint compares the page's first paint with that of a page of one line. Another process
// may disturb each, so the best of some counts.
func (b *browser) paint() {
	b.t.Helper()
	first := func(path string) float64 {
		b.do(chromedp.Navigate(b.url + path))
		const paint = `performance.getEntriesByName("first-contentful-paint")[0]?.startTime`
		b.wait(paint + " > 0")
		return eval[float64](b, paint)
	}
	page, line := math.Inf(1), math.Inf(1)
	for range 5 {
		line = min(line, first("/simulator/counts"))
		if page = min(page, first("/")); page < max(100, 2*line) {
			break
		}
	}
	b.t.Logf("first paint after %.0f ms; a line of text after %.0f ms", page, line)
	if page >= max(300, 3*line) {
		b.t.Errorf("first paint after %.0f ms, and of a line of text after %.0f ms", page, line)
	}
}

// stories reads the story of each kind of event.
func (b *browser) stories() {
	b.t.Helper()
	accepted := b.publish(lamp("u-1", "lamp-1", "ON"))
	b.read(accepted, "Alexa accepted it in EU")
	b.row(accepted, "accepted")

	newer, older := lamp("u-1", "lamp-1", "OFF"), lamp("u-1", "lamp-1", "ON")
	older["changed"].([]object)[0]["timeOfSample"] = alexa.FormatTime(time.Now().Add(-time.Minute))
	b.row(b.publish(newer), "accepted")
	var superseded struct{ ID string }
	b.call("POST", "/api/events", object{"event": older, "attributes": object{
		"gatepost-published": alexa.FormatTime(time.Now().Add(-time.Minute)), "gatepost-event-id": "old",
	}}, &superseded)
	b.read(superseded.ID, "A newer report of the same property was accepted before")

	b.call("POST", "/api/trouble", object{"kind": "malformed", "region": "EU"}, nil)
	b.read(b.publish(lamp("u-1", "lamp-2", "ON")), "It can never be delivered as it is: INVALID_REQUEST_EXCEPTION")
	b.call("DELETE", "/api/trouble", "", nil)

	b.call("POST", "/api/customers", object{"do": "disable", "userId": "u-3", "region": "EU", "amazonUser": "amzn-u-3"}, nil)
	b.read(b.publish(lamp("u-3", "lamp-1", "ON")), "The customer has unlinked")

	b.call("POST", "/api/trouble", object{"kind": "throttled", "region": "EU"}, nil)
	throttled := b.publish(lamp("u-2", "lamp-1", "ON"))
	b.row(throttled, "retry")
	b.read(throttled, "It is still being retried after THROTTLING_EXCEPTION")
	b.call("DELETE", "/api/trouble", "", nil)
	// The open story follows the event.
	b.wait(`document.querySelector("#story .verdict").innerText.includes("Alexa accepted it in EU")`)
	if text := eval[string](b, `document.querySelector(".waterfall").innerText`); !strings.Contains(text, "Retry-After 1s") {
		b.t.Errorf("the waterfall: %s", text)
	}
	b.button("#story", "Sent")
	b.wait(`document.querySelector("#paper").innerText.includes("[redacted]") &&
		document.querySelector("#paper").innerText.includes("by Trouble")`)
	b.button("#story", "Log")
	b.wait(`document.querySelector("#paper").innerText.includes('"severity"')`)
	b.button("#story", "Published")
	b.wait(`document.querySelector("#paper").innerText.includes("ordering key: u-2/lamp-1")`)
}

// rows is the number of rows that the list has.
const rows = `Number(document.querySelector(".row")?.getAttribute("aria-setsize") ?? 0)`

// controls uses the buttons of events.
func (b *browser) controls() {
	b.t.Helper()
	b.button("#story", "Repeat")
	b.toast("Published again")
	b.button("#story", "Edit and send")
	b.wait(`document.activeElement.id === "event" && document.activeElement.value.includes('"u-2"')`)
	b.section("events")
	b.click(`#story [aria-label="Close"]`)
	b.wait(`document.getElementById("story").hidden`)

	all := eval[int](b, rows)
	for _, filter := range []struct{ name, value, cell string }{
		{"customer", "u-3", ".customer"}, {"outcome", "superseded", ".status"}, {"region", "NA", ".region"},
	} {
		b.choose("#"+filter.name, filter.value)
		b.wait(fmt.Sprintf(`%s > 0 && %s < %d &&
			[...document.querySelectorAll(".row %s")].every(e => e.textContent === %q)`, rows, rows, all, filter.cell, filter.value))
		b.choose("#"+filter.name, "")
		b.wait(fmt.Sprintf(`%s >= %d`, rows, all))
	}
	b.do(chromedp.SendKeys(chromedp.CSS("#text"), "no such thing"))
	b.wait(`document.getElementById("empty").innerText === "No event matches the filter."`)
	eval[bool](b, `document.getElementById("text").value = "", document.getElementById("text").dispatchEvent(new Event("input"))`)

	b.click("#pause")
	id := b.publish(lamp("u-1", "lamp-5", "ON"))
	b.wait(`document.getElementById("count").textContent === "paused, 1 new"`)
	b.click("#pause")
	b.wait(`document.querySelector(".row").innerText.includes("lamp-5")`)
	b.row(id, "accepted") // a line that comes after the click would bring the row back
	b.click("#clear")
	b.wait(rows + ` === 0 && document.getElementById("empty").innerText.includes("Nothing has happened yet")`)
}

// choose chooses an option, once it is offered.
func (b *browser) choose(selector, value string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`(e => {
		if (![...e.options].some(o => o.value === %q)) return false;
		e.value = %q;
		e.dispatchEvent(new Event("input"));
		e.dispatchEvent(new Event("change"));
		return true;
	})(document.querySelector(%q))`, value, value, selector))
}

// customers uses each button of a customer.
func (b *browser) customers() {
	b.t.Helper()
	b.section("customers")
	button := func(user, label string) {
		b.clickOn(fmt.Sprintf(`[...document.querySelectorAll("#customers .card button")].find(e => e.textContent === %q &&
			e.closest(".card").querySelector("h2").textContent === %q)`, label, user))
	}
	state := func(user, text string) {
		b.wait(fmt.Sprintf(`[...document.querySelectorAll("#customers .card")].some(e =>
			e.querySelector("h2").textContent === %q && e.innerText.includes(%q))`,
			user, text))
	}
	state("u-3", "invalid_grant")
	b.click("#customers .grant summary")
	b.wait(`document.querySelector("#customers table").innerText.includes("powerState")`)
	for _, label := range []string{"Expire token", "Relink", "Another account"} {
		button("u-1", label)
		b.toast("u-1: done")
		eval[any](b, `document.getElementById("toast").textContent = ""`)
	}
	state("u-1", "amzn-u-1~2")
	b.button("#customers", "Sweep now")
	b.toast("Sweep started")
	for _, region := range []string{"FE", "NA", "EU"} {
		button("u-2", "Move to "+region)
		b.wait(fmt.Sprintf(`[...document.querySelectorAll("#customers .card")].some(e => e.querySelector("h2").textContent === "u-2" &&
			e.querySelector(".grant").innerText.includes(%q))`, "active\n"+region))
	}
	button("u-2", "Disable skill")
	b.toast("u-2: done")
	b.clickOn(`document.querySelector("[data-key=erasingu-3]")`)
	button("u-3", "Erase for good")
	b.wait(`[...document.querySelectorAll("#customers h2")].every(e => e.textContent !== "u-3")`)
}

// try links, sends an example, and an event of its own.
func (b *browser) try() {
	b.t.Helper()
	b.section("try")
	eval[any](b, `document.querySelector("#link [name=userId]").value = "u-4"`)
	b.button("#link", "Link")
	b.toast("u-4 has linked in NA")
	b.wait(`document.querySelectorAll("#examples li").length > 40 && document.getElementById("as").value === "u-4"`)
	// Each button of each example: the name copies it into the form, and Send sends it.
	eval[any](b, `window.tried = [], (async () => {
		for (const li of document.querySelectorAll("#examples li")) {
			const [name, send] = li.querySelectorAll("button"), toast = document.getElementById("toast");
			name.click();
			const copied = JSON.parse(document.getElementById("event").value).userId === "u-4";
			toast.textContent = "";
			send.click();
			while (!toast.querySelector("a")) await new Promise(resume => setTimeout(resume, 5));
			tried.push(copied && toast.querySelector("a").hash.slice("#events/".length));
		}
	})(), ""`)
	b.wait(`tried.length === document.querySelectorAll("#examples li").length`)
	for _, id := range eval[[]string](b, `tried.map(String)`) {
		b.row(id, "accepted")
	}
	b.click("#toast a")
	b.wait(`document.querySelector("#story .verdict")?.innerText.includes("Alexa accepted it in NA")`)
	b.section("try")
	b.button("#examples", "ChangeReport")
	b.wait(`document.getElementById("event").value.includes('"u-4"')`)
	b.wait(`document.getElementById("findings").innerText.includes("no findings")`)
	eval[any](b, `document.getElementById("event").value = document.getElementById("event").value.replace('"cause"', '"because"')`)
	b.do(chromedp.SendKeys(chromedp.CSS("#event"), " "))
	b.wait(`document.getElementById("findings").innerText.includes("cause missing") &&
		document.getElementById("event").getAttribute("aria-invalid") === "true"`)
	b.click("#findings button")
	b.wait(`document.activeElement.id === "event" && document.activeElement.selectionEnd > document.activeElement.selectionStart`)
	b.button("#own", "Send")
	b.toast("Published as")
}

// trouble switches everything on and off.
func (b *browser) trouble() {
	b.t.Helper()
	b.section("trouble")
	b.wait(`document.querySelectorAll("#trouble [role=switch]").length === 23`)
	on := func(n int) {
		b.wait(fmt.Sprintf(`document.querySelectorAll('#trouble [aria-checked="true"]').length === %d`, n))
	}
	b.choose(`[data-key="Share"]`, "50")
	for n := range 23 {
		eval[any](b, fmt.Sprintf(`document.querySelectorAll("#trouble [role=switch]")[%d].click()`, n))
		on(n + 1)
	}
	b.wait(`document.querySelector("#trouble td").innerText.trim() === "50 %"`)
	b.click(`#trouble [role="switch"]`)
	on(22)
	b.button("#trouble", "All off")
	on(0)
	for n, label := range []string{"One hour's outage", "Everybody gets 401", "A chatty customer"} {
		b.button("#trouble", label)
		on(n + 1)
	}
	b.wait(`document.getElementById("health").innerText.includes("EU trouble")`)
	b.button("#trouble", "All off")
	on(0)
	// What Gatepost does about trouble is shown at once.
	if err := access.NewBrake(b.console.Store(), time.Now).On(b.ctx); err != nil {
		b.t.Fatal(err)
	}
	for _, now := range []struct {
		from, to   string
		room       int
		says, head string
	}{
		{"closed", "open", 0, "open: paused", "FE open"},
		{"open", "half-open", 1, "half-open: probing, one at a time", "FE half-open 1"},
		{"half-open", "half-open", 16, "half-open: ramp, 16 at once", "FE half-open 16"},
		{"half-open", "closed", 0, "closed", "FE"},
	} {
		b.console.AddLine(fmt.Appendf(nil, `{"time":%q,"severity":"INFO","message":"circuit breaker","breaker":"tokens FE",`+
			`"from":%q,"to":%q,"room":%d}`, alexa.FormatTime(time.Now()), now.from, now.to, now.room), nil)
		b.publish(lamp("u-1", "lamp-6", "ON")) // the ramp has no row; the answers that raise it have
		b.wait(fmt.Sprintf(`document.querySelector("#trouble .states").innerText.includes(%q) &&
			document.getElementById("health").innerText.split("\n").includes(%q)`, "Tokens FE\n"+now.says, now.head))
	}
	b.wait(`document.querySelector("#trouble .states").innerText.includes("latched")`)
}

// letters replays a dead letter.
func (b *browser) letters() {
	b.t.Helper()
	b.section("letters")
	b.wait(`document.querySelectorAll("#letters .card").length >= 2 && document.getElementById("letter-count").textContent > " 1"`)
	b.wait(`document.querySelector("#letters").innerText.includes("The request was malformed.")`)
	b.click("#letters summary")
	b.wait(`document.querySelector("#letters pre").innerText.includes("gatepost-code")`)
	b.button("#letters .card:last-child", "Replay")
	b.toast("Replayed")
	b.wait(`document.querySelector("#letters .card:last-child").innerText.includes("Replayed as") &&
		!document.querySelector("#letters .card:last-child [aria-label^=Replay]")`)
	b.button("#letters", "Edit and send")
	b.wait(`!document.getElementById("try").hidden`)
}

// keyboard uses no mouse.
func (b *browser) keyboard() {
	b.t.Helper()
	b.wait(`document.getElementById("connection").textContent === "live" && document.activeElement === document.body`)
	for n, name := range []string{"events", "customers", "try", "trouble", "letters"} {
		b.press(fmt.Sprint(n + 1))
		b.wait(`!document.getElementById("` + name + `").hidden`)
	}
	b.press("/")
	b.wait(`document.activeElement.id === "text" && !document.getElementById("events").hidden`)
	b.press("lamp-5")
	b.press(kb.Escape)
	eval[any](b, `document.getElementById("text").value = "", document.getElementById("text").dispatchEvent(new Event("input"))`)
	b.wait(rows + " > 3")
	for range 12 {
		if eval[string](b, `document.activeElement.id`) == "list" {
			break
		}
		b.press(kb.Tab)
	}
	b.press(kb.ArrowDown)
	b.press(kb.ArrowDown)
	b.press("k")
	b.wait(`document.getElementById("list").getAttribute("aria-activedescendant") === document.querySelector(".row").id`)
	b.press(kb.End)
	b.press(kb.Home)
	b.press(kb.Enter)
	b.wait(`document.activeElement.id === "story" && document.getElementById("story").innerText.length > 50`)
	if !eval[bool](b, `document.activeElement.matches(":focus-visible")`) {
		b.t.Error("the focus is not shown")
	}
	b.press(kb.Escape)
	b.wait(`document.getElementById("story").hidden && document.activeElement.id === "list"`)
	b.press("p")
	b.wait(`document.getElementById("pause").textContent === "Resume"`)
	b.press("p")
	b.press("2")
	b.wait(`!!document.querySelector("#customers [data-key=sweep]")`)
	eval[any](b, `document.querySelector("#customers [data-key=sweep]").focus()`)
	b.press(kb.Enter)
	b.toast("Sweep started")
	b.press("4")
	b.wait(`!!document.querySelector("#trouble [role=switch]")`)
	eval[any](b, `document.querySelector("#trouble [role=switch]").focus()`)
	b.press(" ")
	b.wait(`document.activeElement.getAttribute("aria-checked") === "true"`) // the focus stays
	b.press(" ")
	b.wait(`document.activeElement.getAttribute("aria-checked") === "false"`)
	b.press("1")
	b.wait(rows + " > 0")
	row := eval[string](b, `document.querySelector(".row").id`)
	b.press("c")
	b.wait(`!document.getElementById("` + row + `")`) // lines of the sweep may come later
	nameless := eval[string](b, `[...document.querySelectorAll("button, input, select, textarea")].filter(e =>
		!e.textContent.trim() && !e.labels?.length && !e.getAttribute("aria-label") ||
		e.tagName === "SELECT" && !e.labels.length && !e.getAttribute("aria-label"))
		.map(e => e.outerHTML).join("\n")`)
	if nameless != "" {
		b.t.Errorf("without a name: %s", nameless)
	}
}

// narrow looks for what is wider than a telephone.
func (b *browser) narrow() {
	b.t.Helper()
	b.appear("dark", 400, 800)
	id := b.publish(lamp("u-4", "lamp-with-a-name-that-is-longer-than-a-line-of-a-telephone", "ON"))
	for _, name := range []string{"customers", "try", "trouble", "letters", "events"} {
		b.section(name)
		b.wait(`document.querySelector("main > section:not([hidden])").innerText.length > 20`)
		b.fits(name)
	}
	b.read(id, "Alexa accepted it")
	b.fits("the story")
	b.wait(`document.querySelector(".pane").offsetParent === null`)
	b.click(`#story [aria-label="Close"]`)
	b.wait(`document.querySelector(".pane").offsetParent !== null`)
}

func (b *browser) fits(name string) {
	b.t.Helper()
	wide := eval[string](b, `[document.documentElement, ...document.querySelectorAll("main > section:not([hidden]), #story, #list")]
		.filter(e => e.scrollWidth > e.clientWidth).map(e => e.tagName + " " + e.id + " " + e.scrollWidth).join(", ")`)
	if wide != "" {
		b.t.Errorf("%s is wider than the window: %s", name, wide)
	}
}

// loadTime is how long events come in.
func loadTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("GATEPOST_LOAD_TIME")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// live looks at the list while 500 events come in each second.
func (b *browser) live() {
	const perSecond, step = 500, 10 * time.Millisecond
	published := 0
	publish := func() {
		id := fmt.Sprintf("load-%d", published)
		published++
		line := fmt.Sprintf(`{"time":%q,"severity":"INFO","message":"SendEvent","function":"SendEvent","event_id":%q,`+
			`"outcome":"accepted","decision":"ack","status":200,"customer":"c","endpoint_id":"lamp","region":"EU","attempt":1,"gateway_tries":1}`,
			time.Now().Format(time.RFC3339Nano), id)
		event := fmt.Sprintf(`{"userId":"u-%d","endpointId":"lamp","changed":[{"name":"powerState","value":"ON"}]}`, published%50)
		b.console.AddLine([]byte(line), &push.Message{ID: id, PublishTime: time.Now(), Data: []byte(event)})
	}
	end := time.After(loadTime(b.t))
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	began := time.Now()
	const middle = `document.getElementById("list").scrollTop = 600, ""`
	for looks := 0; ; {
		select {
		case <-end:
			b.wait(fmt.Sprintf(`document.querySelector(".row").id === "row-load-%d"`, published-1))
			if total := eval[int](b, rows); total != min(2000, published) {
				b.t.Errorf("%d rows of %d", total, published)
			}
			b.t.Logf("%d events in %v, %d looks", published, time.Since(began).Round(time.Second), looks)
			return
		case <-ticker.C:
		}
		for published < int(time.Since(began).Seconds()*perSecond) {
			publish()
		}
		if published/perSecond <= looks*2 {
			continue
		}
		// Once in two seconds: the place is kept while rows come in above it.
		looks++
		// A browser that lags behind by more than is kept would drop the place.
		b.wait(fmt.Sprintf(`document.querySelector(".row")?.id === "row-load-%d"`, published-1))
		eval[any](b, middle)
		const inView = `(() => { const top = document.getElementById("list").getBoundingClientRect().top;
			const row = [...document.querySelectorAll(".row")].find(e => e.getBoundingClientRect().top >= top);
			return row.id + " at " + (row.getBoundingClientRect().top - top) })()`
		b.wait(rows + " > 100")
		first := eval[string](b, inView)
		newest := published
		for range perSecond / 2 {
			publish()
		}
		b.wait(fmt.Sprintf(`Number(document.querySelector(".row").getAttribute("aria-setsize")) >= %d`, min(2000, newest+perSecond/4)))
		b.wait(fmt.Sprintf(`document.getElementById("list").scrollTop > 600 + 30 * %d`, perSecond/4))
		if again := eval[string](b, inView); again != first {
			b.t.Errorf("the place was lost: %s, then %s", first, again)
		}
		if n := eval[int](b, `document.querySelectorAll(".row").length`); n > 100 {
			b.t.Errorf("%d elements of rows", n)
		}
		eval[any](b, `document.getElementById("list").scrollTop = 0, ""`)
	}
}
