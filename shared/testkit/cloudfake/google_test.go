package cloudfake_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloudfake"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestPatchesPubSub: the mask of an update is in the body, or in the query as Terraform
// has it. Other fields stay.
func TestPatchesPubSub(t *testing.T) {
	t.Parallel()
	const name = "projects/maker-prod/subscriptions/s"
	for query, body := range map[string]string{
		"":                       `{"subscription": {"pushConfig": {"pushEndpoint": "https://new"}}, "updateMask": "pushConfig"}`,
		"?updateMask=pushConfig": `{"subscription": {"pushConfig": {"pushEndpoint": "https://new"}}}`,
	} {
		google := cloudfake.NewGoogle(t)
		google.Put(name, cloudfake.Object{"filter": "f", "pushConfig": cloudfake.Object{"pushEndpoint": "https://old"}})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, google.URL+"/v1/"+name+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		got := google.Resources()[name]
		if push, _ := got["pushConfig"].(cloudfake.Object); push["pushEndpoint"] != "https://new" || got["filter"] != "f" {
			t.Errorf("%q: status %d, %v", query, answer.StatusCode, got)
		}
	}
}
