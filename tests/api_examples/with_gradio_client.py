"""The same through Gradio's client (pip install gradio_client): python with_gradio_client.py "My dataset"."""

import os
import sys

from gradio_client import Client

headers = {"Authorization": f"Bearer {os.environ['PAIRLOOP_TOKEN']}"}
pairloop = Client(os.environ["PAIRLOOP_URL"], headers=headers, verbose=False, analytics_enabled=False)
print(pairloop.predict(query="How is a draft kept?", api_name="/ask_documents")["answer"])
task = pairloop.predict(dataset=sys.argv[1], api_name="/next_task")
if record := task["record"]:
    response = {"status": "draft", "values": record["values"]}
    print(pairloop.predict(record=record["id"], response=response, api_name="/submit_response")["status"])
pairloop.close()
