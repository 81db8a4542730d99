"""A receiver of webhooks, written with the official `standardwebhooks` package.

Run with the secret (`whsec_…`) in WEBHOOK_SECRET. It prints the port that it
listens on as one line of JSON, then one line for each delivery: whether it
verifies, its id, and the type that it names. It answers 204 to what verifies,
400 to what does not, and ends when its standard input is closed.
"""

import http.server
import json
import os
import sys
import threading

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Receiver(http.server.BaseHTTPRequestHandler):
    webhook = Webhook(os.environ["WEBHOOK_SECRET"])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        told = {"verified": True, "id": self.headers["webhook-id"]}
        try:
            told["type"] = self.webhook.verify(body, dict(self.headers))["type"]
        except WebhookVerificationError as error:
            told.update(verified=False, error=str(error))
        self.send_response(204 if told["verified"] else 400)
        self.send_header("content-length", "0")
        self.end_headers()
        say(told)

    def log_message(self, *_):
        pass


def say(line):
    print(json.dumps(line), flush=True)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
say({"port": server.server_port})
sys.stdin.read()
server.shutdown()
