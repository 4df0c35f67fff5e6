"""Receives webhooks and verifies them with the published library of Standard Webhooks, as a receiver would."""

import http.server
import json
import os
import pathlib
import queue
import sys
import threading
import urllib.request

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from checks import Checks, check, equal  # noqa: E402

PATIENCE = 30


class Receiver(http.server.BaseHTTPRequestHandler):
    taken = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        Receiver.taken.put((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def call(method, path, body=None):
    request = urllib.request.Request(os.environ["STRONGROOM_URL"] + path, method=method)
    request.add_header("Authorization", "Bearer " + os.environ["STRONGROOM_API_KEY"])
    request.add_header("Ngrok-Version", "2")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def make_webhook(url, **more):
    return call("POST", "/strongroom/webhooks", {"url": url, "event_types": ["*"], **more})


def a_change_verifies(url):
    webhook = make_webhook(url)
    call("POST", "/vaults", {"name": "told-to-webhooks"})
    headers, body = Receiver.taken.get(timeout=PATIENCE)
    told = Webhook(webhook["secret"]).verify(body, headers)
    equal(told["type"], "vault_created.v0", "type")
    equal(told["data"]["vault"]["name"], "told-to-webhooks", "name")
    equal(told["data"]["event_id"], headers["webhook-id"], "id")
    call("PATCH", f"/strongroom/webhooks/{webhook['id']}", {"active": False})


def another_secret_does_not_verify(url):
    webhook = make_webhook(url, active=False)
    call("POST", f"/strongroom/webhooks/{webhook['id']}/test")
    headers, body = Receiver.taken.get(timeout=PATIENCE)
    other = make_webhook(url, active=False)
    try:
        Webhook(other["secret"]).verify(body, headers)
    except WebhookVerificationError:
        pass
    else:
        raise AssertionError("it verified with another webhook's secret")
    altered = body.replace(b"webhook_test", b"webhook_tell")
    check(altered != body, "the body is altered")
    try:
        Webhook(webhook["secret"]).verify(altered, headers)
    except WebhookVerificationError:
        pass
    else:
        raise AssertionError("an altered body verified")


def both_secrets_verify_after_a_rotation(url):
    old = make_webhook(url, active=False)
    new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    call("PATCH", f"/strongroom/webhooks/{old['id']}", {"secret": new})
    call("POST", f"/strongroom/webhooks/{old['id']}/test")
    headers, body = Receiver.taken.get(timeout=PATIENCE)
    for secret in (old["secret"], new):
        equal(Webhook(secret).verify(body, headers)["type"], "webhook_test.v0", "type")


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    checks = Checks("standardwebhooks")
    for case in (a_change_verifies, another_secret_does_not_verify, both_secrets_verify_after_a_rotation):
        checks.run(case.__name__.replace("_", " "), case, url)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
