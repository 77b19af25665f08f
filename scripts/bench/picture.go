package main

import (
	"fmt"
	"time"

	"github.com/go-analyze/charts"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
)

// draw draws the refreshes a minute over two days as a PNG.
func draw(drawn, constant history) ([]byte, error) {
	options := charts.NewLineChartOptionWithData([][]float64{constant.perMinute(), drawn.perMinute(), drawn.even()})
	options.Title.Text = "Refreshes a minute"
	options.Title.Subtext = fmt.Sprintf("half of the customers link at hour %.0f, Login with Amazon is down from hour %.0f to %.0f",
		campaignAt.Hours(), outageAt.Hours(), outageEnd.Hours())
	options.Legend.SeriesNames = []string{"without the draw", "with the draw", "spread evenly"}
	options.Legend.Offset = charts.OffsetRight
	options.Theme = charts.GetTheme(charts.ThemeLight).WithSeriesColors([]charts.Color{
		{R: 205, G: 205, B: 205, A: 255}, {R: 20, G: 90, B: 200, A: 255}, {R: 220, G: 120, B: 0, A: 255},
	})
	options.Symbol.Shape = charts.SymbolNone
	options.LineStrokeWidth = 1.5
	options.XAxis.Labels = drawn.hours()
	options.XAxis.Title = "hours"
	options.XAxis.LabelCount = int(days/(4*time.Hour)) + 1
	options.XAxis.BoundaryGap = charts.Ptr(false)
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: 1200, Height: 480})
	if err := painter.LineChart(options); err != nil {
		return nil, fmt.Errorf("draw the picture: %w", err)
	}
	return painter.Bytes()
}

// perMinute spreads what a sweep refreshed over its period.
func (h history) perMinute() []float64 {
	list := make([]float64, 0, len(h.refreshed))
	for _, n := range h.refreshed {
		list = append(list, float64(n)/refreshtokens.DefaultPeriod.Minutes())
	}
	return list
}

// even is the rate if refreshes were spread as evenly as can be.
func (h history) even() []float64 {
	list := make([]float64, 0, len(h.linked))
	for _, n := range h.linked {
		list = append(list, float64(n)/interval.Minutes())
	}
	return list
}

// hours names the sweeps by the hour in which they run.
func (h history) hours() []string {
	names := make([]string, 0, len(h.refreshed))
	for i := range h.refreshed {
		names = append(names, fmt.Sprintf("%.0f", (time.Duration(i)*refreshtokens.DefaultPeriod).Hours()))
	}
	return names
}
