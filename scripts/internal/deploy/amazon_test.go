package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// amazon is AWS, as far as its CLI looks into it here. What it does not know
// fails the test.
type amazon struct {
	t   testing.TB
	url string

	mu      sync.Mutex
	account string
	store   map[string]object // by "lambda NAME", "policy NAME", "role NAME", "log NAME"
	changes []string
}

func newAmazon(t testing.TB) *amazon {
	a := &amazon{t: t, account: "123456789012", store: map[string]object{}}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// scope finds the region and the service that a request was signed for.
var scope = regexp.MustCompile(`Credential=[^/]+/[0-9]+/([^/]+)/([^/]+)/`)

func (a *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	var ok bool
	if signed := scope.FindStringSubmatch(r.Header.Get("Authorization")); signed != nil {
		switch signed[2] {
		case "lambda":
			ok = a.lambda(w, r, signed[1], data)
		case "logs":
			ok = a.logs(w, r.Header.Get("X-Amz-Target"), signed[1], data)
		case "iam", "sts":
			form, _ := url.ParseQuery(string(data))
			ok = a.query(w, form)
		}
	}
	if !ok {
		a.t.Errorf("unknown request: %s %s %s", r.Method, r.URL, data)
		w.WriteHeader(http.StatusNotImplemented)
	}
}

func (a *amazon) change(what string) { a.changes = append(a.changes, what) }

func (a *amazon) lambda(w http.ResponseWriter, r *http.Request, region string, data []byte) bool {
	var body object
	_ = json.Unmarshal(data, &body)
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // 2015-03-31/functions/NAME/…
	name, _ := body["FunctionName"].(string)
	if len(parts) > 2 {
		name = parts[2]
	}
	have := a.store["lambda "+name]
	switch action := r.Method + " " + strings.Join(parts[min(3, len(parts)):], "/"); {
	case action == "POST " && len(parts) == 2:
		a.change("create function " + name)
		code, _ := base64.StdEncoding.DecodeString(body["Code"].(object)["ZipFile"].(string))
		delete(body, "Code")
		maps.Copy(body, object{"State": "Active", "LastUpdateStatus": "Successful", "CodeSha256": hash(code), "region": region})
		a.store["lambda "+name] = body
		answer(w, http.StatusCreated, body)
	case have == nil:
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		answer(w, http.StatusNotFound, object{"Message": "Function not found: " + name})
	case action == "GET configuration":
		answer(w, http.StatusOK, have)
	case action == "GET ":
		answer(w, http.StatusOK, object{"Configuration": have})
	case action == "PUT configuration":
		a.change("update configuration of " + name)
		maps.Copy(have, body)
		answer(w, http.StatusOK, have)
	case action == "PUT code":
		a.change("update code of " + name)
		code, _ := base64.StdEncoding.DecodeString(body["ZipFile"].(string))
		have["CodeSha256"] = hash(code)
		answer(w, http.StatusOK, have)
	default:
		return a.permission(w, action, name, body)
	}
	return true
}

func hash(code []byte) string {
	sum := sha256.Sum256(code)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (a *amazon) permission(w http.ResponseWriter, action, name string, body object) bool {
	have := a.store["policy "+name]
	switch {
	case action == "GET policy" && have == nil:
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		answer(w, http.StatusNotFound, object{"Message": "The resource you requested does not exist."})
	case action == "GET policy":
		answer(w, http.StatusOK, object{"Policy": compact(have)})
	case action == "POST policy":
		a.change("permit " + body["StatementId"].(string))
		if have == nil {
			have = object{"Version": "2012-10-17", "Statement": []any{}}
		}
		have["Statement"] = append(have["Statement"].([]any), object{
			"Sid": body["StatementId"], "Effect": "Allow", "Action": body["Action"], "Principal": object{"Service": body["Principal"]},
			"Condition": object{"StringEquals": object{"lambda:EventSourceToken": body["EventSourceToken"]}},
		})
		a.store["policy "+name] = have
		answer(w, http.StatusCreated, object{"Statement": "{}"})
	default:
		return false
	}
	return true
}

func (a *amazon) logs(w http.ResponseWriter, target, region string, data []byte) bool {
	var body object
	_ = json.Unmarshal(data, &body)
	name, _ := body["logGroupName"].(string)
	_, action, _ := strings.Cut(target, ".")
	switch action {
	case "DescribeLogGroups":
		groups := []any{}
		if have := a.store["log "+body["logGroupNamePrefix"].(string)]; have != nil {
			groups = append(groups, have)
		}
		answer(w, http.StatusOK, object{"logGroups": groups})
		return true
	case "CreateLogGroup":
		a.store["log "+name] = object{"logGroupName": name, "region": region}
	case "PutRetentionPolicy":
		a.store["log "+name]["retentionInDays"] = body["retentionInDays"]
	default:
		return false
	}
	a.change(action + " " + name)
	answer(w, http.StatusOK, object{})
	return true
}

// query serves IAM and STS, which answer in XML.
func (a *amazon) query(w http.ResponseWriter, form url.Values) bool {
	action, name := form.Get("Action"), form.Get("RoleName")
	have := a.store["role "+name]
	reply := ""
	switch {
	case action == "GetCallerIdentity":
		reply = "<Account>" + a.account + "</Account><Arn>arn:aws:iam::" + a.account + ":user/maker</Arn><UserId>AIDAFAKE</UserId>"
	case action == "CreateRole":
		a.store["role "+name] = object{"RoleName": name, "assume": form.Get("AssumeRolePolicyDocument"), "Description": form.Get("Description")}
		reply = a.role(name)
	case have == nil, action == "GetRolePolicy" && have["policy "+form.Get("PolicyName")] == nil:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>not found</Message></Error></ErrorResponse>`)
		return true
	case action == "GetRole":
		reply = a.role(name)
	case action == "GetRolePolicy":
		reply = "<RoleName>" + name + "</RoleName><PolicyName>" + form.Get("PolicyName") + "</PolicyName><PolicyDocument>" +
			url.QueryEscape(have["policy "+form.Get("PolicyName")].(string)) + "</PolicyDocument>"
	case action == "PutRolePolicy":
		have["policy "+form.Get("PolicyName")] = form.Get("PolicyDocument")
	case action == "UpdateAssumeRolePolicy":
		have["assume"] = form.Get("PolicyDocument")
	default:
		return false
	}
	if !strings.HasPrefix(action, "Get") {
		a.change(action + " " + name)
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, "<%sResponse><%sResult>%s</%sResult></%sResponse>", action, action, reply, action, action)
	return true
}

func (a *amazon) role(name string) string {
	var description strings.Builder
	_ = xml.EscapeText(&description, []byte(a.store["role "+name]["Description"].(string)))
	return "<Role><RoleName>" + name + "</RoleName><Arn>arn:aws:iam::" + a.account + ":role/" + name + "</Arn><Description>" + description.String() +
		"</Description><AssumeRolePolicyDocument>" + url.QueryEscape(a.store["role "+name]["assume"].(string)) + "</AssumeRolePolicyDocument></Role>"
}
