"""The gateway under test, as a program with Cloudflare's SDK sees it.

SSL_CERT_FILE names the authority that made the gateway's certificate; the SDK looks there by itself.
"""

import faulthandler
import json
import os
import sys
import unittest

import cloudflare
from cloudflare import Cloudflare, DefaultHttpxClient

BASE_URL = os.environ["SDK_BASE_URL"]
ACCOUNT = os.environ["SDK_ACCOUNT_ID"]
ADMIN_TOKEN = os.environ["SDK_ADMIN_TOKEN"]
VIEWER_TOKEN = os.environ["SDK_VIEWER_TOKEN"]
VIEWER_EMAIL = os.environ["SDK_VIEWER_EMAIL"]
# Begins every secret that is sent; no reply and no log line may hold it.
SECRET = os.environ["SDK_SECRET"]
# A certificate authority's own certificate and key, as PEM files.
CA_FILE = os.environ["SDK_CA_FILE"]
CA_KEY_FILE = os.environ["SDK_CA_KEY_FILE"]
# The given test vectors.
VECTORS = os.environ["SDK_VECTORS"]

# No object has it.
NOWHERE = "00000000-0000-4000-8000-000000000000"

# A script that hangs says where and ends. Seconds.
PATIENCE = 300


def client(transcript=None, **credentials):
    """An SDK client: an administrator's, unless other credentials are given.

    The texts of all replies are added to `transcript`. Nothing is tried again: that would hide a failure.
    """

    def keep(response):
        response.read()
        transcript.append(response.text)

    http = None if transcript is None else DefaultHttpxClient(event_hooks={"response": [keep]})
    credentials = credentials or {"api_token": ADMIN_TOKEN}
    return Cloudflare(base_url=BASE_URL, max_retries=0, timeout=60, http_client=http, **credentials)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def whole(answer):
    """The JSON of a reply got by `.with_raw_response`, before the SDK makes anything of it."""
    return answer.http_response.json()


def same(value):
    """A text that is equal for equal JSON only: `1`, `1.0` and `true` differ, the order of members does not."""
    return json.dumps(value, sort_keys=True)


def posture(rest=""):
    return f"/accounts/{ACCOUNT}/devices/posture{rest}"


class Case(unittest.TestCase):
    def succeeded(self, answer):
        """The result of a reply got by `.with_raw_response`, whose envelope must be whole."""
        self.assertEqual(answer.status_code, 200)
        self.assertTrue(answer.headers["content-type"].startswith("application/json"), answer.headers)
        envelope = whole(answer)
        self.assertIs(envelope["success"], True)
        self.assertEqual(envelope["errors"], [])
        self.assertIsInstance(envelope["messages"], list)
        return envelope["result"]

    def refused(self, kind, call, *, code=None, pointer=None):
        """`call` must raise exactly `kind`, with the envelope of failures.

        `pointer` names the member, or one that holds it.
        """
        with self.assertRaises(cloudflare.APIStatusError) as caught:
            call()
        error = caught.exception
        self.assertIs(type(error), kind, error)
        self.assertIs(error.body["success"], False)
        self.assertIsNone(error.body["result"])
        self.assertIsInstance(error.body["messages"], list)
        first = error.errors[0]
        self.assertGreaterEqual(first.code, 1000)
        self.assertTrue(first.message)
        if code is not None:
            self.assertEqual(first.code, code, error)
        if pointer is not None:
            self.assertIsNotNone(first.source, error)
            place = first.source.pointer
            inside = place == pointer or place.startswith(pointer + "/")
            self.assertTrue(inside, f"{place} is not at {pointer}: {error}")
        return error

    def refused_as_in_use(self, call):
        """`call` must be refused, and in a way that no client tries again by itself: the SDK repeats after a 409."""
        with self.assertRaises(cloudflare.APIStatusError) as caught:
            call()
        error = caught.exception
        self.assertIn(error.status_code, (400, 409), error)
        if error.status_code == 409:
            self.assertEqual(error.response.headers.get("x-should-retry"), "false")
        self.assertGreaterEqual(error.errors[0].code, 1000)


def main():
    """Runs the tests of the calling script. A script in which no test ran has failed."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 and not result.skipped else 1)
