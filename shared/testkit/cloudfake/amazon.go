package cloudfake

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
	"slices"
	"strings"
	"sync"
	"testing"
)

// Amazon is AWS: Lambda, IAM, CloudWatch Logs and STS.
type Amazon struct {
	// URL is the address of every API.
	URL string

	t         testing.TB
	mu        sync.Mutex
	resources map[string]Object
}

// NewAmazon starts an empty account. It is closed after the test.
func NewAmazon(t testing.TB) *Amazon {
	a := &Amazon{t: t, resources: map[string]Object{}}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

// Resources returns a copy of all resources, by "lambda NAME", "policy NAME" (of a
// Lambda), "role NAME" and "log NAME".
func (a *Amazon) Resources() map[string]Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	return copied(a.t, a.resources)
}

// scope matches the region and the service that a request is signed for.
var scope = regexp.MustCompile(`Credential=[^/]+/[0-9]+/([^/]+)/([^/]+)/`)

// ServeHTTP implements every API.
func (a *Amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	known := false
	if signed := scope.FindStringSubmatch(r.Header.Get("Authorization")); signed != nil {
		switch signed[2] {
		case "lambda":
			known = a.lambda(w, r, signed[1], data)
		case "logs":
			known = a.logs(w, r.Header.Get("X-Amz-Target"), signed[1], data)
		case "iam", "sts":
			form, _ := url.ParseQuery(string(data))
			known = a.query(w, form)
		}
	}
	if !known {
		a.t.Errorf("unknown request: %s %s %s", r.Method, r.URL, data)
		w.WriteHeader(http.StatusNotImplemented)
	}
}

// refuse writes an error of the JSON APIs.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Amzn-Errortype", code)
	answer(w, status, Object{"__type": code, "message": code})
}

const (
	notFound = "ResourceNotFoundException"
	conflict = "ResourceConflictException"
)

func (a *Amazon) lambda(w http.ResponseWriter, r *http.Request, region string, data []byte) bool {
	var body Object
	_ = json.Unmarshal(data, &body)
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // 2015-03-31/functions/NAME/…
	name, _ := body["FunctionName"].(string)
	if len(parts) > 2 {
		name = parts[2]
	}
	have := a.resources["lambda "+name]
	switch action := r.Method + " " + strings.Join(parts[min(3, len(parts)):], "/"); {
	case action == "POST " && len(parts) == 2 && have != nil:
		refuse(w, http.StatusConflict, conflict)
	case action == "POST " && len(parts) == 2:
		code, _ := body["Code"].(Object)["ZipFile"].(string)
		delete(body, "Code")
		arn := "arn:aws:lambda:" + region + ":" + AccountID + ":function:" + name
		maps.Copy(body, Object{
			"State": "Active", "LastUpdateStatus": "Successful", "CodeSha256": hash(code), "region": region,
			"FunctionArn": arn, "Version": "$LATEST",
		})
		a.resources["lambda "+name] = body
		answer(w, http.StatusCreated, body)
	case have == nil:
		refuse(w, http.StatusNotFound, notFound)
	case action == "GET configuration":
		answer(w, http.StatusOK, have)
	case action == "GET ":
		answer(w, http.StatusOK, Object{"Configuration": have, "Code": Object{}})
	case action == "GET versions":
		answer(w, http.StatusOK, Object{"Versions": []any{have}})
	case action == "GET code-signing-config":
		answer(w, http.StatusOK, Object{"FunctionName": name})
	case action == "DELETE ":
		delete(a.resources, "lambda "+name)
		delete(a.resources, "policy "+name)
		w.WriteHeader(http.StatusNoContent)
	case action == "PUT configuration":
		maps.Copy(have, body)
		answer(w, http.StatusOK, have)
	case action == "PUT code":
		code, _ := body["ZipFile"].(string)
		have["CodeSha256"] = hash(code)
		answer(w, http.StatusOK, have)
	case action == "GET policy" && a.resources["policy "+name] == nil:
		refuse(w, http.StatusNotFound, notFound)
	case action == "GET policy":
		policy, _ := json.Marshal(a.resources["policy "+name])
		answer(w, http.StatusOK, Object{"Policy": string(policy)})
	case action == "POST policy":
		a.permit(w, name, body)
	case r.Method == http.MethodDelete && len(parts) == 5 && parts[3] == "policy":
		policy := a.resources["policy "+name]
		policy["Statement"] = slices.DeleteFunc(policy["Statement"].([]any), func(one any) bool { return one.(Object)["Sid"] == parts[4] })
		w.WriteHeader(http.StatusNoContent)
	default:
		return false
	}
	return true
}

// hash returns the hash of a program in base64.
func hash(program string) string {
	data, _ := base64.StdEncoding.DecodeString(program)
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// permit adds a statement to a Lambda's policy.
func (a *Amazon) permit(w http.ResponseWriter, name string, body Object) {
	have := a.resources["policy "+name]
	if have == nil {
		have = Object{"Version": "2012-10-17", "Statement": []any{}}
	}
	statements := have["Statement"].([]any)
	for _, one := range statements {
		if one.(Object)["Sid"] == body["StatementId"] {
			refuse(w, http.StatusConflict, conflict)
			return
		}
	}
	have["Statement"] = append(statements, Object{
		"Sid": body["StatementId"], "Effect": "Allow", "Action": body["Action"], "Principal": Object{"Service": body["Principal"]},
		"Resource":  a.resources["lambda "+name]["FunctionArn"],
		"Condition": Object{"StringEquals": Object{"lambda:EventSourceToken": body["EventSourceToken"]}},
	})
	a.resources["policy "+name] = have
	answer(w, http.StatusCreated, Object{"Statement": "{}"})
}

func (a *Amazon) logs(w http.ResponseWriter, target, region string, data []byte) bool {
	var body Object
	_ = json.Unmarshal(data, &body)
	name, _ := body["logGroupName"].(string)
	have := a.resources["log "+name]
	_, action, _ := strings.Cut(target, ".")
	switch {
	case action == "CreateLogGroup" && have != nil:
		refuse(w, http.StatusBadRequest, "ResourceAlreadyExistsException")
		return true
	case action == "CreateLogGroup":
		arn := "arn:aws:logs:" + region + ":" + AccountID + ":log-group:" + name
		a.resources["log "+name] = Object{"logGroupName": name, "region": region, "arn": arn + ":*", "logGroupArn": arn}
	case action == "DescribeLogGroups":
		groups := []any{}
		if have := a.resources["log "+fmt.Sprint(body["logGroupNamePrefix"])]; have != nil {
			groups = append(groups, have)
		}
		answer(w, http.StatusOK, Object{"logGroups": groups})
		return true
	case action == "ListTagsForResource":
		answer(w, http.StatusOK, Object{"tags": Object{}})
		return true
	case have == nil:
		refuse(w, http.StatusBadRequest, notFound)
		return true
	case action == "DescribeLogStreams":
		answer(w, http.StatusOK, Object{"logStreams": []any{}})
		return true
	case action == "PutRetentionPolicy":
		have["retentionInDays"] = body["retentionInDays"]
	case action == "DeleteLogGroup":
		delete(a.resources, "log "+name)
	default:
		return false
	}
	answer(w, http.StatusOK, Object{})
	return true
}

// query implements IAM and STS, whose answers are XML.
func (a *Amazon) query(w http.ResponseWriter, form url.Values) bool {
	action, name := form.Get("Action"), form.Get("RoleName")
	have := a.resources["role "+name]
	reply, refused := "", ""
	switch {
	case action == "GetCallerIdentity":
		reply = "<Account>" + AccountID + "</Account><Arn>arn:aws:iam::" + AccountID + ":user/maker</Arn><UserId>AIDAFAKE</UserId>"
	case action == "CreateRole" && have != nil:
		refused = "EntityAlreadyExists"
	case action == "CreateRole":
		role := Object{"RoleName": name, "assume": form.Get("AssumeRolePolicyDocument"), "description": form.Get("Description")}
		a.resources["role "+name] = role
		reply = xmlRole(role)
	case have == nil:
		refused = "NoSuchEntity"
	case action == "GetRole":
		reply = xmlRole(have)
	case action == "PutRolePolicy":
		have["policy "+form.Get("PolicyName")] = form.Get("PolicyDocument")
	case action == "GetRolePolicy" && have["policy "+form.Get("PolicyName")] == nil:
		refused = "NoSuchEntity"
	case action == "GetRolePolicy":
		reply = "<RoleName>" + name + "</RoleName><PolicyName>" + form.Get("PolicyName") + "</PolicyName><PolicyDocument>" +
			url.QueryEscape(have["policy "+form.Get("PolicyName")].(string)) + "</PolicyDocument>"
	case action == "DeleteRolePolicy":
		delete(have, "policy "+form.Get("PolicyName"))
	case action == "DeleteRole":
		delete(a.resources, "role "+name)
	case action == "ListRolePolicies":
		reply = "<PolicyNames/><IsTruncated>false</IsTruncated>"
	case action == "ListAttachedRolePolicies":
		reply = "<AttachedPolicies/><IsTruncated>false</IsTruncated>"
	case action == "ListInstanceProfilesForRole":
		reply = "<InstanceProfiles/><IsTruncated>false</IsTruncated>"
	default:
		return false
	}
	w.Header().Set("Content-Type", "text/xml")
	if refused != "" {
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code></Error></ErrorResponse>`, refused)
		return true
	}
	_, _ = fmt.Fprintf(w, "<%sResponse><%sResult>%s</%sResult></%sResponse>", action, action, reply, action, action)
	return true
}

func xmlRole(role Object) string {
	var description strings.Builder
	_ = xml.EscapeText(&description, []byte(role["description"].(string)))
	name, document := role["RoleName"].(string), url.QueryEscape(role["assume"].(string))
	return "<Role><RoleName>" + name + "</RoleName><Arn>arn:aws:iam::" + AccountID + ":role/" + name + "</Arn><Path>/</Path>" +
		"<CreateDate>2026-11-01T00:00:00Z</CreateDate><MaxSessionDuration>3600</MaxSessionDuration><Description>" +
		description.String() + "</Description><AssumeRolePolicyDocument>" + document + "</AssumeRolePolicyDocument></Role>"
}
