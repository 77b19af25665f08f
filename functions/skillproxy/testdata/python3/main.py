import json, os, time
from forward import forward
answers, began = [], time.monotonic()
for event in json.loads(os.environ["EVENTS"]):
    try: answers.append(forward(event))
    except Exception: answers.append("thrown")
print(json.dumps({"answers": answers, "took": time.monotonic() - began}), flush=True); os._exit(0)
