"""Wrong rules: each is refused with a code and a pointer to the member, and nothing of it is stored."""

from cloudflare import BadRequestError

import gateway
from gateway import ACCOUNT, NOWHERE, Case, same
from inputs import SHA256, prepare

API = gateway.client()
RULES = API.zero_trust.devices.posture
IDS = {}


def setUpModule():
    IDS.update(prepare(API))


def rule(kind, value=None, **members):
    body = {"name": "refused", "type": kind, **members}
    return body if value is None else {**body, "input": value}


def wrong_members():
    """What is wrong, the body, and where."""
    return [
        ("no name", {"type": "warp"}, "/name"),
        ("a name that is no text", {"name": 7, "type": "warp"}, "/name"),
        ("no type", {"name": "refused"}, "/type"),
        ("an unknown type", rule("nope"), "/type"),
        ("a type of integrations only", rule("uptycs"), "/type"),
        ("a schedule below a minute", rule("warp", schedule="30s"), "/schedule"),
        ("a malformed schedule", rule("warp", schedule="soon"), "/schedule"),
        ("a schedule without a unit", rule("warp", schedule="5"), "/schedule"),
        ("a negative schedule", rule("warp", schedule="-5m"), "/schedule"),
        ("a schedule that is a number", rule("warp", schedule=300), "/schedule"),
        ("a malformed expiration", rule("warp", expiration="5 minutes"), "/expiration"),
        ("an expiration of nothing", rule("warp", expiration="0m"), "/expiration"),
        ("an unknown platform", rule("warp", match=[{"platform": "linux"}, {"platform": "plan9"}]), "/match/1"),
        ("a match that is no list", rule("warp", match={"platform": "linux"}), "/match"),
        ("an input that is no object", rule("warp", "x"), "/input"),
    ]


def wrong_inputs():
    mac = {"operating_system": "mac"}
    version = {**mac, "operator": ">=", "version": "14.0.0"}
    absent = {"operating_system": "linux", "path": "/x", "exists": False}
    return [
        ("a wrong operator", rule("os_version", {**version, "operator": "!="}), "/input/operator"),
        ("a pre-release version", rule("os_version", {**version, "version": "14.0.0-beta.1"}), "/input/version"),
        ("a version that is none", rule("os_version", {**version, "version": "new"}), "/input/version"),
        ("no version", rule("os_version", {**mac, "operator": ">="}), "/input"),
        ("a negative window", rule("antivirus", {"update_window_days": -1}), "/input/update_window_days"),
        ("a window of nothing", rule("antivirus", {"update_window_days": 0}), "/input/update_window_days"),
        ("a digest of no file", rule("file", {**absent, "sha256": SHA256}), "/input"),
        ("a signer of no file", rule("file", {**absent, "thumbprint": SHA256[:40]}), "/input"),
        ("no path", rule("application", mac), "/input"),
        ("an unknown system", rule("file", {"operating_system": "plan9", "path": "/x"}), "/input/operating_system"),
        ("a switch that is a text", rule("firewall", {**mac, "enabled": "yes"}), "/input/enabled"),
        ("no system", rule("firewall", {"enabled": True}), "/input"),
        ("a wrong system", rule("firewall", {"enabled": True, "operating_system": "ios"}), "/input/operating_system"),
        ("no input", rule("unique_client_id"), "/input"),
        ("disks that are no list", rule("disk_encryption", {"checkDisks": "C"}), "/input/checkDisks"),
    ]


def wrong_references():
    certificate = {"certificate_id": IDS["certificate"], "check_private_key": True, "operating_system": "linux"}
    nowhere = {**certificate, "certificate_id": NOWHERE}
    kolide, custom = {"connection_id": IDS["kolide"]}, {"connection_id": IDS["custom_s2s"], "operator": ">="}
    return [
        ("no such list", rule("serial_number", {"id": NOWHERE}), "/input/id"),
        ("no such device list", rule("unique_client_id", {"id": NOWHERE, "operating_system": "ios"}), "/input/id"),
        ("no such certificate", rule("client_certificate_v2", nowhere), "/input/certificate_id"),
        (
            "no such certificate, old form",
            rule("client_certificate", {"certificate_id": NOWHERE, "cn": "x"}),
            "/input/certificate_id",
        ),
        ("an unknown variable", rule("client_certificate_v2", {**certificate, "cn": "${user}.x"}), "/input/cn"),
        (
            "an unknown variable in a name",
            rule("client_certificate_v2", {**certificate, "subject_alternative_names": ["a", "${email}"]}),
            "/input/subject_alternative_names",
        ),
        (
            "an unknown usage",
            rule("client_certificate_v2", {**certificate, "extended_key_usage": ["serverAuth"]}),
            "/input/extended_key_usage",
        ),
        ("neither state nor count", rule("kolide", kolide), "/input"),
        ("an empty set of states", rule("kolide", {**kolide, "auth_state": []}), "/input"),
        ("a score above the range", rule("custom_s2s", {**custom, "score": 101}), "/input/score"),
        ("a score that is a text", rule("custom_s2s", {**custom, "score": "85"}), "/input/score"),
    ]


class Refusals(Case):
    def state(self):
        """Everything the gateway tells about its rules."""
        return same(API.get(gateway.posture(), cast_to=object)["result"])

    def all_are_refused(self, cases):
        # An existing rule must survive every attempt to make it a wrong one.
        kept = RULES.create(account_id=ACCOUNT, name="kept", type="warp", schedule="7m").id
        before = self.state()
        for what, body, pointer in cases:
            with self.subTest(what):
                post = lambda: API.post(gateway.posture(), body=body, cast_to=object)
                self.refused(BadRequestError, post, pointer=pointer)
                put = lambda: API.put(gateway.posture(f"/{kept}"), body=body, cast_to=object)
                self.refused(BadRequestError, put, pointer=pointer)
                self.assertEqual(self.state(), before, "nothing was stored")

    def test_wrong_members(self):
        self.all_are_refused(wrong_members())

    def test_wrong_inputs(self):
        self.all_are_refused(wrong_inputs())

    def test_wrong_references(self):
        self.all_are_refused(wrong_references())

    def test_a_change_of_type_needs_the_new_types_input(self):
        value = {"enabled": True, "operating_system": "mac"}
        made = RULES.create(account_id=ACCOUNT, name="turning", type="firewall", input=value)
        before = self.state()
        turn = lambda: RULES.update(made.id, account_id=ACCOUNT, name="turning", type="os_version", input=value)
        self.refused(BadRequestError, turn, pointer="/input")
        self.assertEqual(self.state(), before)

    def test_the_specifications_example(self):
        value = {"operating_system": "mac", "operator": "!=", "version": "1.0.0"}
        wrong = lambda: RULES.create(account_id=ACCOUNT, name="x", type="os_version", input=value)
        error = self.refused(BadRequestError, wrong, pointer="/input/operator")
        self.assertIn("operator", error.errors[0].message)
        self.assertEqual(error.status_code, 400)


if __name__ == "__main__":
    gateway.main()
