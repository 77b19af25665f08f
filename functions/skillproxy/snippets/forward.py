# Forwards Gatepost's messages from your own skill Lambda. In your handler:
#     answer = forward(event)  # None: the directive is yours
import json, os, urllib.error, urllib.request, uuid
from concurrent.futures import ThreadPoolExecutor
from google.auth import aws, impersonated_credentials
from google.auth.transport.requests import Request
REGION = {"us-east-1": "NA", "eu-west-1": "EU", "us-west-2": "FE"}[os.environ["AWS_REGION"]]
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
tokens, workers = {}, ThreadPoolExecutor()  # for as long as this instance lives

def id_token(url):
    if url not in tokens:
        role = aws.Credentials.from_file(os.environ["GOOGLE_APPLICATION_CREDENTIALS"], scopes=SCOPES)
        account = impersonated_credentials.Credentials(role, os.environ["GOOGLE_SERVICE_ACCOUNT"], SCOPES)
        audience = "/".join(url.split("/")[:3])  # https://HOST
        tokens[url] = impersonated_credentials.IDTokenCredentials(account, target_audience=audience, include_email=True)
    if not tokens[url].valid: tokens[url].refresh(Request())
    return tokens[url].token

def post(url, event):
    headers = {"Content-Type": "application/json", "X-Alexa-Region": REGION, "Authorization": "Bearer " + id_token(url)}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode(), headers), timeout=6.5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as why:
        if why.code == 401: tokens.pop(url, None)
        raise

def forward(event):
    if event.get("request", {}).get("type", "").startswith("AlexaSkillEvent."):
        return workers.submit(post, os.environ["SKILL_EVENT_URL"], event).result(6.5)
    if event.get("directive", {}).get("header", {}).get("namespace") != "Alexa.Authorization":
        return None
    try:  # Alexa waits eight seconds, also while the token is fetched
        return {"event": workers.submit(post, os.environ["ACCEPT_GRANT_URL"], event).result(6.5)["event"]}
    except Exception as why:
        print("AcceptGrant:", type(why).__name__, getattr(why, "code", ""))
    header = {"namespace": "Alexa.Authorization", "name": "ErrorResponse", "messageId": str(uuid.uuid4()), "payloadVersion": "3"}
    return {"event": {"header": header, "payload": {"type": "ACCEPT_GRANT_FAILED", "message": "the grant could not be accepted"}}}
