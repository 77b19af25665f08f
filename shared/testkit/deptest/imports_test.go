package deptest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestImports(t *testing.T) {
	t.Parallel()
	g, err := load(tree)
	if err != nil {
		t.Fatal(err)
	}
	if len(g["./shared/alexa"]) == 0 {
		t.Error("no import of shared/alexa was found: the rules would be judging an empty tree")
	}
	for _, v := range violations(g) {
		t.Error(v)
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	const framework = "github.com/GoogleCloudPlatform/functions-framework-go/functions"
	for _, test := range []struct {
		name    string
		imports []string // "importer imported"
		want    []string // names of the rules that are broken
	}{
		{name: "nothing"},
		{name: "all that is allowed", imports: []string{
			". ./functions", ". " + framework, "./functions " + framework, "./shared/host " + framework + "/funcframework",
			"./functions ./functions/sendevent", "./functions/sendevent ./functions/internal/wiring",
			"./functions/sendevent ./functions/sendevent/internal/x",
			"./functions/internal/wiring ./shared/grant/grantfire", "./functions/sendevent ./shared/delivery", "./shared/delivery ./shared/access",
			"./shared/access ./shared/lwa", "./shared/access ./shared/seal", "./shared/seal ./shared/grant", "./shared/lwa ./shared/alexa",
			"./shared/lwa ./shared/sensitive", "./shared/alexa ./shared/sensitive", "./shared/alexa encoding/json", "./shared/sensitive log/slog",
			"./shared/grant/grantfire cloud.google.com/go/firestore", "./shared/grant/grantfire google.golang.org/grpc/codes",
			"./functions/internal/wiring cloud.google.com/go/pubsub/v2", "./shared/secret cloud.google.com/go/secretmanager/apiv1",
			"./shared/testkit/cloud google.golang.org/api/option", "./shared/testkit/granttest ./shared/simulator",
			"./scripts/local ./shared/simulator", "./scripts/local .", "./scripts/local cloud.google.com/go/pubsub/v2/pstest",
			"./shared/gateway github.com/google/uuid", "./shared/telemetry ./shared/delivery",
			"./functions/skillproxy github.com/aws/aws-lambda-go/lambda", "./functions/skillproxy ./shared/federation",
			"./shared/federation golang.org/x/oauth2",
		}},
		{name: "up to a function", imports: []string{"./shared/delivery ./functions/sendevent"}, want: []string{"downward", "shared"}},
		{name: "up to the root", imports: []string{"./functions/sendevent ."}, want: []string{"downward"}},
		{name: "up to a script", imports: []string{"./functions ./scripts/local"}, want: []string{"downward"}},
		{name: "up one layer", imports: []string{"./shared/lwa ./shared/delivery"}, want: []string{"downward"}},
		{name: "up from below a layer's package", imports: []string{"./shared/grant/grantmem ./shared/access"}, want: []string{"downward"}},
		{name: "up from sensitive", imports: []string{"./shared/sensitive ./shared/alexa"}, want: []string{"downward"}},
		{name: "up through others", imports: []string{
			"./shared/gateway ./shared/transport", "./shared/transport ./shared/telemetry", "./shared/telemetry ./shared/delivery",
		}, want: []string{"downward"}},
		{name: "to functions from a package of no layer", imports: []string{"./shared/config ./functions"}, want: []string{"shared"}},
		{name: "function to function", imports: []string{"./functions/sendevent ./functions/acceptgrant"}, want: []string{"functions apart"}},
		{name: "inside of another function", imports: []string{"./functions/sendevent ./functions/acceptgrant/internal/x"},
			want: []string{"functions apart"}},
		{name: "helper to function", imports: []string{"./functions/internal/wiring ./functions/acceptgrant"}, want: []string{"functions apart"}},
		{name: "client library in a function", imports: []string{"./functions/sendevent cloud.google.com/go/pubsub/v2"},
			want: []string{"cloud SDK"}},
		{name: "gRPC in a client", imports: []string{"./shared/lwa google.golang.org/grpc/status"}, want: []string{"cloud SDK"}},
		{name: "API options at the root", imports: []string{". google.golang.org/api/option"}, want: []string{"cloud SDK"}},
		{name: "client library in the interface", imports: []string{"./shared/grant cloud.google.com/go/firestore"}, want: []string{"cloud SDK"}},
		{name: "framework in one function", imports: []string{"./functions/sendevent " + framework}, want: []string{"framework"}},
		{name: "framework in a script", imports: []string{"./scripts/local " + framework}, want: []string{"framework"}},
		{name: "simulator in a function", imports: []string{"./functions/internal/wiring ./shared/simulator"}, want: []string{"test doubles"}},
		{name: "contract suite in the store", imports: []string{"./shared/grant/grantmem ./shared/testkit/granttest"},
			want: []string{"test doubles"}},
		{name: "fake Google in the proxy", imports: []string{"./functions/skillproxy ./shared/testkit/federationtest"},
			want: []string{"test doubles"}},
		{name: "store in the proxy", imports: []string{"./functions/skillproxy ./shared/grant"}, want: []string{"small proxy"}},
		{name: "SDK in the proxy, through others", imports: []string{
			"./functions/skillproxy ./shared/federation", "./shared/federation cloud.google.com/go/auth",
		}, want: []string{"cloud SDK", "small proxy"}},
		{name: "AWS in a function", imports: []string{"./functions/sendevent github.com/aws/aws-lambda-go/events"},
			want: []string{"small proxy"}},
		{name: "emulator in a client", imports: []string{"./shared/grant/grantfire ./shared/testkit/emulator"}, want: []string{"test doubles"}},
		{name: "module in alexa", imports: []string{"./shared/alexa github.com/google/uuid"}, want: []string{"foundation"}},
		{name: "our own package in sensitive", imports: []string{"./shared/sensitive ./shared/telemetry"}, want: []string{"foundation"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := graph{}
			for _, line := range test.imports {
				from, to, _ := strings.Cut(line, " ")
				g.add(from, from+"/file.go", to)
			}
			var got []string
			for _, v := range violations(g) {
				got = append(got, v.rule.name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, slices.Compact(got)); diff != "" {
				t.Errorf("broken rules differ (-want +got):\n%s%v", diff, violations(g))
			}
		})
	}
}

func TestViolationText(t *testing.T) {
	t.Parallel()
	g := graph{}
	g.add("./shared/lwa", "shared/lwa/client.go", "./shared/transport")
	g.add("./shared/transport", "shared/transport/cause.go", "./shared/delivery")
	found := violations(g)
	want := "./shared/lwa imports ./shared/transport imports ./shared/delivery, but " + rules[0].reason
	if len(found) != 1 || found[0].String() != want {
		t.Errorf("violations = %v, want %q", found, want)
	}
}
