package alexa_test

import (
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

func TestRegions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		region       alexa.Region
		aws, gateway string
	}{
		{alexa.NA, "us-east-1", "https://api.amazonalexa.com"},
		{alexa.EU, "eu-west-1", "https://api.eu.amazonalexa.com"},
		{alexa.FE, "us-west-2", "https://api.fe.amazonalexa.com"},
	}
	for _, test := range tests {
		if got, err := alexa.ParseRegion(string(test.region)); err != nil || got != test.region {
			t.Errorf("ParseRegion(%s) = %s, %v", test.region, got, err)
		}
		if got, err := alexa.RegionOfAWS(test.aws); err != nil || got != test.region {
			t.Errorf("RegionOfAWS(%s) = %s, %v; want %s", test.aws, got, err, test.region)
		}
		if got := test.region.GatewayURL(); got != test.gateway {
			t.Errorf("%s.GatewayURL() = %s, want %s", test.region, got, test.gateway)
		}
	}
	for _, bad := range []string{"", "na", "US", "NA "} {
		if _, err := alexa.ParseRegion(bad); err == nil {
			t.Errorf("ParseRegion(%q) passes", bad)
		}
	}
	for _, bad := range []string{"", "us-west-1", "eu-central-1"} {
		if _, err := alexa.RegionOfAWS(bad); err == nil {
			t.Errorf("RegionOfAWS(%q) passes", bad)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-01-02T03:04:05Z":                "2026-01-02T03:04:05.000Z",
		"2026-01-02T03:04:05.6789Z":           "2026-01-02T03:04:05.678Z",
		"2026-01-02T03:04:05.999999999+09:30": "2026-01-01T17:34:05.999Z",
		"2026-12-31T23:59:59.9-01:00":         "2027-01-01T00:59:59.900Z",
	} {
		parsed, err := alexa.ParseTime(in)
		if err != nil {
			t.Errorf("ParseTime(%s): %v", in, err)
		}
		if got := alexa.FormatTime(parsed); got != want {
			t.Errorf("FormatTime(%s) = %s, want %s", in, got, want)
		}
		if got := string(alexa.AppendTime(nil, parsed.In(time.FixedZone("x", 3600)))); got != want {
			t.Errorf("AppendTime(%s) = %s, want %s", in, got, want)
		}
	}
}
