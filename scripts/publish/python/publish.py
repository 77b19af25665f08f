import json, os, uuid
from datetime import datetime, timedelta, timezone

from google.cloud import pubsub_v1

options = pubsub_v1.types.PublisherOptions(
    enable_message_ordering=True, enable_open_telemetry_tracing=True,  # log lines have your trace
)
events = pubsub_v1.PublisherClient(publisher_options=options)
topic = events.topic_path(os.environ["GOOGLE_CLOUD_PROJECT"], "device-events")

now = datetime.now(timezone.utc)  # the times are those of each property's last change
report = {
    "userId": "u-1", "endpointId": "lamp-1", "cause": "PHYSICAL_INTERACTION",
    "changed": [{"namespace": "Alexa.PowerController", "name": "powerState", "value": "ON",
                 "timeOfSample": now.isoformat()}],
    "unchanged": [{"namespace": "Alexa.EndpointHealth", "name": "connectivity", "value": {"value": "OK"},
                   "timeOfSample": (now - timedelta(hours=1)).isoformat()}],
}
events.publish(
    topic, json.dumps(report).encode(), ordering_key="u-1/lamp-1",
    region="EU", eventId=str(uuid.uuid4()),  # the same if it is published again
).result()
