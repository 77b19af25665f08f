// Package gatepost is what Google's Go buildpack imports to build a function.
// It registers Gatepost's entry points with the Functions Framework:
//
//	AcceptGrant    HTTP, from the skill proxy
//	SkillEvent     HTTP, from the skill proxy
//	RefreshTokens  HTTP, from Cloud Scheduler
//	RefreshShard   HTTP, pushed by Pub/Sub
//	SendEvent      HTTP, pushed by Pub/Sub
//
// FUNCTION_TARGET names the one to serve; without it all are served, each at
// the path of its name. This is the only Go file at the root, because the
// buildpack reads the root and nothing else, and demands exactly one package
// there.
package gatepost

import (
	// The buildpack looks for this import to choose a main that serves what is
	// registered.
	_ "github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/gatepostdev/gatepost/functions"
)

func init() { functions.Main() }
