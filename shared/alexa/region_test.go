package alexa_test

import (
	"testing"

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
