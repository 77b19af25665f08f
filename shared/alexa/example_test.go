package alexa_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// A maker's service in Go builds an event and publishes what Device returns.
func ExampleNewChangeReport() {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	power, err := alexa.NewProperty("Alexa.PowerController", "powerState", "ON", at)
	if err != nil {
		fmt.Println(err)
		return
	}
	online, err := alexa.NewProperty("Alexa.EndpointHealth", "connectivity", map[string]string{"value": "OK"}, at)
	if err != nil {
		fmt.Println(err)
		return
	}
	event := alexa.NewChangeReport("u-1", "lamp-1", "PHYSICAL_INTERACTION", []alexa.Property{power}, []alexa.Property{online})
	data, warnings, err := event.Device()
	if err != nil {
		fmt.Println(err) // the event would be a dead letter
		return
	}
	fmt.Println(len(warnings), "warnings")
	fmt.Printf("%.112s…\n", data)
	// Output:
	// 0 warnings
	// {"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport","payloadVersion":"3"},"endpoint":{"…
}

// DecodeEvent says which field is wrong, and who says so.
func ExampleDecodeEvent() {
	event := `{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION",
		"changed":[{"namespace":"Alexa.BrightnessController","name":"brightness","value":%s}]}`
	published := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, value := range []string{"42", `"much"`} {
		e, warnings, err := alexa.DecodeEvent(fmt.Appendf(nil, event, value), published, alexa.CheckStrict)
		var field *alexa.FieldError
		if errors.As(err, &field) {
			fmt.Println("refused:", field)
			continue
		}
		fmt.Println("an event of", e.EndpointID(), "for", e.UserID)
		for _, a := range warnings {
			fmt.Println("-", a.Path, a.Problem)
		}
	}
	// Output:
	// an event of lamp-1 for u-1
	// - unchanged without the connectivity of Alexa.EndpointHealth
	// refused: changed[0].value: must be an integer (developer.amazon.com/docs/device-apis/alexa-brightnesscontroller.html)
}
