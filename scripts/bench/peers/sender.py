"""SendEvent as it is commonly written in Python: aiohttp, one session, tokens in memory."""

import base64
import json
import logging
import os
import sys
import uuid

from aiohttp import ClientSession, TCPConnector, web

log = logging.getLogger("sender")


async def send_event(request):
    envelope = await request.json()
    message = envelope["message"]
    device_event = json.loads(base64.b64decode(message["data"]))
    token = request.app["tokens"].get(device_event["userId"])
    if token is None:
        log.warning(json.dumps({"severity": "WARNING", "message": "no grant", "event_id": message["messageId"]}))
        return web.json_response({"outcomes": []})

    event = device_event["event"]
    event["header"]["messageId"] = str(uuid.uuid4())
    event["header"]["payloadVersion"] = "3"
    event["endpoint"]["scope"] = {"type": "BearerToken", "token": token}
    body = {"event": event, "context": device_event.get("context", {})}

    async with request.app["session"].post(
        request.app["gateway"], json=body, headers={"Authorization": "Bearer " + token}
    ) as response:
        await response.read()
        status = response.status

    outcome = "accepted" if status == 202 else "retry"
    log.info(json.dumps({
        "severity": "INFO",
        "message": "SendEvent",
        "event_id": message["messageId"],
        "endpoint_id": event["endpoint"]["endpointId"],
        "outcome": outcome,
        "status": status,
    }))
    return web.json_response({"outcomes": [{"outcome": outcome}]}, status=200 if status == 202 else 503)


async def session(app):
    app["session"] = ClientSession(connector=TCPConnector(limit=0))
    yield
    await app["session"].close()


def main():
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    app = web.Application()
    with open(os.environ["TOKENS_FILE"], encoding="utf-8") as file:
        app["tokens"] = json.load(file)
    app["gateway"] = os.environ["GATEWAY_URL"] + "/v3/events"
    app.cleanup_ctx.append(session)
    app.router.add_post("/", send_event)
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)


main()
