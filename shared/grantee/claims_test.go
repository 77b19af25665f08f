package grantee

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCustomer(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", MaxUserID)
	for name, tt := range map[string]struct{ body, claim, want string }{
		"text":                      {`{"sub":"u-1"}`, "sub", "u-1"},
		"escapes":                   {`{"sub":"\u00fc\/1"}`, "sub", "ü/1"},
		"spaces are kept":           {`{"sub":" u 1 "}`, "sub", " u 1 "},
		"longest":                   {`{"sub":"` + longest + `"}`, "sub", longest},
		"integer":                   {`{"id": 42 }`, "id", "42"},
		"negative integer":          {`{"id":-42}`, "id", "-42"},
		"integer above 2^53":        {`{"id":9007199254740993}`, "id", "9007199254740993"},
		"integer above 2^64":        {`{"id":123456789012345678901234567890}`, "id", "123456789012345678901234567890"},
		"dots in the name":          {`{"https://maker.example/id":"u-1"}`, "https://maker.example/id", "u-1"},
		"path":                      {`{"data":{"user":{"id":"u-1"}}}`, "data.user.id", "u-1"},
		"path with a dotted member": {`{"data":{"user.id":"u-1"}}`, "data.user.id", "u-1"},
		"literal before path":       {`{"data.id":"literal","data":{"id":"path"}}`, "data.id", "literal"},
		// Refused:
		"absent":                    {`{"id":"u-1"}`, "sub", ""},
		"other case":                {`{"SUB":"u-1"}`, "sub", ""},
		"empty":                     {`{"sub":""}`, "sub", ""},
		"null":                      {`{"sub":null}`, "sub", ""},
		"boolean":                   {`{"sub":true}`, "sub", ""},
		"list":                      {`{"sub":["u-1"]}`, "sub", ""},
		"object":                    {`{"sub":{"id":"u-1"}}`, "sub", ""},
		"fraction":                  {`{"sub":1.5}`, "sub", ""},
		"whole number as fraction":  {`{"sub":1.0}`, "sub", ""},
		"exponent":                  {`{"sub":1e3}`, "sub", ""},
		"too long":                  {`{"sub":"a` + longest + `"}`, "sub", ""},
		"too long, as a number":     {`{"sub":1` + strings.Repeat("0", MaxUserID) + `}`, "sub", ""},
		"control character":         {`{"sub":"u\n1"}`, "sub", ""},
		"C1 control character":      {`{"sub":"u\u0085"}`, "sub", ""},
		"half a surrogate pair":     {`{"sub":"u\ud800"}`, "sub", ""},
		"not UTF-8":                 {"{\"sub\":\"u\xff\"}", "sub", ""},
		"literal of another type":   {`{"data.id":null,"data":{"id":"path"}}`, "data.id", ""},
		"path through a text":       {`{"data":"u-1"}`, "data.id", ""},
		"path through nothing":      {`{"data":null}`, "data.id", ""},
		"path that ends too early":  {`{"data":{"id":{}}}`, "data.id", ""},
		"path with an empty member": {`{"data":{"id":"u-1"}}`, "data..id", ""},
	} {
		claims, ok := decode([]byte(tt.body))
		if got, fault := customer(claims, tt.claim); !ok || got != tt.want || (fault != "") != (tt.want == "") {
			t.Errorf("%s: decoded %t, customer() = %q, %q, want %q", name, ok, got, fault, tt.want)
		}
	}
}

// TestRefusal: the times and the audience of a token, for introspection and jwt.
func TestRefusal(t *testing.T) {
	t.Parallel()
	const now, audience = 1767323045, "1234" // the time is 2026-01-02 03:04:05 UTC
	const expired, early, another = "it has expired", "it is not valid yet", "it is not for the configured audience"
	for members, want := range map[string]string{
		`{}`:                                   `it has no "aud", and an audience is configured`,
		`{"aud":"1234"}`:                       "",
		`{"aud":["other","1234"]}`:             "",
		`{"aud":1234}`:                         "",
		`{"aud":[7,1234]}`:                     "",
		`{"aud":"other"}`:                      another,
		`{"aud":["other","12345"]}`:            another,
		`{"aud":"123"}`:                        another,
		`{"aud":[]}`:                           another,
		`{"aud":null}`:                         `it has no "aud", and an audience is configured`,
		`{"aud":1}`:                            another,
		`{"aud":[["1234"]]}`:                   another,
		`{"aud":"1234","exp":1767323045}`:      expired,
		`{"aud":"1234","exp":"1767323045"}`:    expired,
		`{"aud":"1234","exp":1767323046}`:      "",
		`{"aud":"1234","exp":1767323045.5}`:    "",
		`{"aud":"1234","exp":"1767323046"}`:    "",
		`{"aud":"1234","exp":1e300}`:           "",
		`{"aud":"1234","exp":null,"nbf":null}`: "",
		`{"aud":"1234","exp":"2025-01-01"}`:    "",
		`{"aud":"1234","nbf":[],"iat":[7]}`:    "",
		`{"aud":"1234","nbf":"1767323345"}`:    "",
		`{"aud":"1234","nbf":1767323346}`:      early,
		`{"aud":"1234","nbf":"1767323346"}`:    early,
	} {
		claims, ok := decode([]byte(members))
		if got := claims.refusal(time.Unix(now, 0), audience); !ok || got != want {
			t.Errorf("%s: refusal = %q, want %q", members, got, want)
		}
	}
	for _, members := range []string{`{}`, `{"aud":"another"}`} {
		if claims, ok := decode([]byte(members)); !ok || claims.refusal(time.Unix(now, 0), "") != "" {
			t.Errorf("%s is refused without a configured audience", members)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `null`, `[]`, `"sub"`, `1`, `{"sub":"u-1"} {}`, `{"sub":"u-1"`, `<html>`} {
		if o, ok := decode([]byte(body)); ok {
			t.Errorf("decode(%s) = %v, want an error", body, o)
		}
	}
}

func FuzzCustomer(f *testing.F) {
	for _, body := range []string{`{"sub":"u-1"}`, `{"sub":12}`, `{"a":{"b":"u"}}`, `{"a.b":null}`, `null`, "{\"sub\":\"\xff\"}"} {
		f.Add([]byte(body), "sub")
		f.Add([]byte(body), "a.b")
	}
	f.Fuzz(func(t *testing.T, body []byte, claim string) {
		claims, ok := decode(body)
		if !ok {
			return
		}
		id, fault := customer(claims, claim)
		if (id == "") == (fault == "") {
			t.Errorf("customer() = %q, %q, want one of them", id, fault)
		}
		if len(id) > MaxUserID || !utf8.ValidString(id) || strings.ContainsAny(id, "\n\r\x00\x7f") {
			t.Errorf("customer() = %q, which is no valid userId", id)
		}
	})
}
