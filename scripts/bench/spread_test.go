package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
)

func TestSpreadCommand(t *testing.T) {
	t.Parallel()
	picture := filepath.Join(t.TempDir(), "spread.png")
	status, stdout, stderr := bench(t, "spread", "-customers", "10", "-out", picture)
	if status != exitOK || !strings.HasPrefix(stdout, "10 customers, ") || strings.Count(stdout, "after the outage") != 7 {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if _, again, _ := bench(t, "spread", "-customers", "10", "-out", picture); again != stdout {
		t.Errorf("a second time it was otherwise:\n%s", again)
	}
	if _, other, _ := bench(t, "spread", "-customers", "10", "-seed", "2", "-out", picture); other == stdout {
		t.Error("another seed changes nothing")
	}
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := png.DecodeConfig(bytes.NewReader(data)); err != nil || config.Width != 1200 {
		t.Errorf("the picture is %+v: %v", config, err)
	}
}

func TestTwoDays(t *testing.T) {
	t.Parallel()
	const customers = 50
	lived := func(draw func() float64) history {
		h, err := live(t.Context(), customers, 1, draw)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	drawn, constant := lived(seeded(1)), lived(func() float64 { return 0.5 })
	if diff := cmp.Diff(drawn, lived(seeded(1)), cmp.AllowUnexported(history{})); diff != "" {
		t.Errorf("a second time it was otherwise (-first +second):\n%s", diff)
	}
	at := func(when time.Duration) int { return int(when/refreshtokens.DefaultPeriod) - 1 } // the sweep that ends the period
	for name, h := range map[string]history{"drawn": drawn, "constant": constant} {
		if before, after := h.linked[at(campaignAt)], h.linked[at(campaignAt+campaignTime)]; before != customers/2 || after != customers {
			t.Errorf("%s: %d customers before the campaign and %d after it", name, before, after)
		}
		if n := sum(h.refreshed[at(outageAt)+1 : at(outageEnd)+1]); n != 0 {
			t.Errorf("%s: %d refreshes in the outage", name, n)
		}
		if n := h.refreshed[at(outageEnd)+1]; n != customers {
			t.Errorf("%s: %d refreshes right after the outage", name, n)
		}
	}
	_, with := drawn.peak(outageEnd + 12*time.Hour)
	_, without := constant.peak(outageEnd + 12*time.Hour)
	if with > 3 || without != 8 { // one sweep in eight refreshes everybody
		t.Errorf("half a day after the outage the peak is %.2f times the mean with the draw and %.2f without", with, without)
	}
}

func TestPeak(t *testing.T) {
	t.Parallel()
	h := history{refreshed: make([]int, 48)}
	h.refreshed[23], h.refreshed[24], h.refreshed[47] = 1000, 30, 90
	if perMinute, toMean := h.peak(2 * time.Hour); perMinute != 18 || toMean != 18 {
		t.Errorf("%v a minute, %v times the mean; want 18 and 18", perMinute, toMean)
	}
	if perMinute, toMean := (history{refreshed: make([]int, 24)}).peak(0); perMinute != 0 || toMean != 0 {
		t.Errorf("of nothing: %v a minute, %v times the mean", perMinute, toMean)
	}
}
