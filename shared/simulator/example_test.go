package simulator_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// A customer enables the skill, the code is exchanged for a token, and the token
// carries an event to Europe's gateway.
func Example() {
	sim := simulator.New(simulator.Options{})
	server, err := simulator.Start(sim)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	client := simulator.DefaultClient()
	response, err := http.PostForm(server.LWATokenURL, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {sim.Code(alexa.EU, "amzn-1").Reveal()},
		"client_id":     {client.ID},
		"client_secret": {client.Secret.Reveal()},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var tokens struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(response.Body).Decode(&tokens); err != nil {
		log.Fatal(err)
	}
	fmt.Println("token for", tokens.ExpiresIn, "seconds")

	fmt.Println("Europe answers", postReport(server.GatewayURL(alexa.EU), tokens.AccessToken))
	fmt.Println("North America answers", postReport(server.GatewayURL(alexa.NA), tokens.AccessToken))
	seen := sim.Events(alexa.EU)[0]
	fmt.Println(seen.User, seen.EndpointID, seen.Namespace, seen.Name)

	// Output:
	// token for 3600 seconds
	// Europe answers 202
	// North America answers 403
	// amzn-1 fan-1 Alexa ChangeReport
}

// postReport sends a ChangeReport and returns the status of the answer.
func postReport(baseURL, token string) int {
	body := strings.ReplaceAll(changeReport, "TOKEN", token)
	request, err := http.NewRequest(http.MethodPost, baseURL+"/v3/events", strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}
