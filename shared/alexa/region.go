package alexa

import (
	"fmt"
	"strings"
)

// Region is one of Alexa's three regions. A customer belongs to the region whose Lambda
// received the AcceptGrant. Only that region's event gateway accepts the customer's
// tokens; the others answer as if the skill were disabled.
type Region string

// The regions of
// https://developer.amazon.com/docs/smarthome/send-events.html#endpoints.
const (
	NA Region = "NA" // North America
	EU Region = "EU" // Europe and India
	FE Region = "FE" // Far East and Australia
)

// Regions returns every region, in the order of Amazon's pages.
func Regions() []Region { return []Region{NA, EU, FE} }

// ParseRegion parses "NA", "EU" or "FE". Anything else is an error, even in another
// case: a region is configuration, and a guess would send a customer's token to a
// gateway that refuses it.
func ParseRegion(s string) (Region, error) {
	switch r := Region(s); r {
	case NA, EU, FE:
		return r, nil
	}
	return "", fmt.Errorf("unknown Alexa region (want NA, EU or FE)")
}

// RegionOfAWS returns the Alexa region of a skill's Lambda in an AWS region. Note that
// us-west-2 is the Far East and not North America.
func RegionOfAWS(awsRegion string) (Region, error) {
	switch awsRegion {
	case "us-east-1":
		return NA, nil
	case "eu-west-1":
		return EU, nil
	case "us-west-2":
		return FE, nil
	}
	return "", fmt.Errorf("no Alexa region is served from the AWS region %q (want us-east-1, eu-west-1 or us-west-2)", awsRegion)
}

// GatewayURL returns the base URL of the region's event gateway, without a path.
func (r Region) GatewayURL() string {
	if r == NA {
		return "https://api.amazonalexa.com"
	}
	return "https://api." + strings.ToLower(string(r)) + ".amazonalexa.com"
}
