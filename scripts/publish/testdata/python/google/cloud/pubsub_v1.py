"""Stands in for google-cloud-pubsub: writes what is published to the file PUBLISHED."""

import base64, json, os
from types import SimpleNamespace

types = SimpleNamespace(
    PublisherOptions=lambda *, enable_message_ordering, enable_open_telemetry_tracing: enable_message_ordering)


class PublisherClient:
    def __init__(self, *, publisher_options):
        self._ordered = publisher_options

    def topic_path(self, project, topic):
        return f"projects/{project}/topics/{topic}"

    def publish(self, topic, data, ordering_key="", **attributes):
        if ordering_key and not self._ordered:
            raise ValueError("Cannot publish a message with an ordering key when message ordering is not enabled.")
        if not all(isinstance(value, str) for value in attributes.values()):
            raise TypeError("All attributes being published to Pub/Sub must be sent as text strings.")
        message = {"topic": topic, "data": base64.b64encode(data).decode(), "orderingKey": ordering_key, "attributes": attributes}
        with open(os.environ["PUBLISHED"], "w") as file:
            json.dump(message, file)
        return SimpleNamespace(result=lambda: "1")
