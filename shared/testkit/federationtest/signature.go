package federationtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// verifyCaller checks a subject token as
// https://google.aip.dev/auth/4117 describes it: the percent-encoded JSON of a
// request to AWS's GetCallerIdentity, signed by the role for this provider.
func verifyCaller(subject, provider string, now time.Time) error {
	text, err := url.QueryUnescape(subject)
	if err != nil {
		return err
	}
	var request struct {
		URL, Method string
		Headers     []struct{ Key, Value string }
	}
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		return err
	}
	const host = "sts." + AWSRegion + ".amazonaws.com"
	if want := "https://" + host + "?Action=GetCallerIdentity&Version=2011-06-15"; request.URL != want || request.Method != "POST" {
		return fmt.Errorf("it is %s %s, want POST %s", request.Method, request.URL, want)
	}
	header := make(map[string]string)
	for _, h := range request.Headers {
		header[strings.ToLower(h.Key)] = h.Value
	}
	signed, err := time.Parse("20060102T150405Z", header["x-amz-date"])
	if age := now.Sub(signed).Abs(); err != nil || age > 15*time.Minute {
		return fmt.Errorf("signed %v from now (%v)", age, err)
	}
	role := Role()
	switch {
	case header["x-goog-cloud-target-resource"] != provider:
		return errors.New("it is for another provider")
	case header["x-amz-security-token"] != role["AWS_SESSION_TOKEN"]:
		return errors.New("not the role's session token")
	case header["host"] != host:
		return errors.New("host is not the URL's")
	}
	_, rest, _ := strings.Cut(header["authorization"], "SignedHeaders=")
	list, _, _ := strings.Cut(rest, ",")
	names := strings.Split(list, ";")
	for _, name := range []string{"host", "x-amz-date", "x-amz-security-token"} {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	if header["authorization"] != authorization(names, header, role) {
		return errors.New("the signature is not the role's")
	}
	return nil
}

// authorization is the header that signs the request and those headers, by version 4 of AWS's
// signatures:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
func authorization(names []string, header, role map[string]string) string {
	canonical := "POST\n/\nAction=GetCallerIdentity&Version=2011-06-15\n"
	for _, name := range names {
		canonical += name + ":" + header[name] + "\n"
	}
	canonical += "\n" + strings.Join(names, ";") + "\n" + hash("")

	day := header["x-amz-date"][:8]
	scope := day + "/" + AWSRegion + "/sts/aws4_request"
	key := []byte("AWS4" + role["AWS_SECRET_ACCESS_KEY"])
	for _, part := range []string{day, AWSRegion, "sts", "aws4_request"} {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+header["x-amz-date"]+"\n"+scope+"\n"+hash(canonical))
	return fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		role["AWS_ACCESS_KEY_ID"], scope, strings.Join(names, ";"), signature)
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}
