"""Uploaded signing certificates: upload, list, read, delete; a private key that is sent along is never told."""

from datetime import datetime, timezone

from cloudflare import BadRequestError, NotFoundError

import gateway
from gateway import ACCOUNT, CA_FILE, CA_KEY_FILE, NOWHERE, Case, read

# The text of every reply of this script.
TRANSCRIPT = []
API = gateway.client(TRANSCRIPT)
CERTIFICATES = API.mtls_certificates
RULES = API.zero_trust.devices.posture

CERTIFICATE = read(CA_FILE)
KEY = read(CA_KEY_FILE)


def upload(name, **more):
    return CERTIFICATES.create(account_id=ACCOUNT, ca=True, certificates=CERTIFICATE, name=name, **more)


def tearDownModule():
    assert TRANSCRIPT, "nothing was asked"
    # The first line of a key's body is the same for every key of its kind.
    part = KEY.splitlines()[2]
    assert len(part) > 20, "this is no part of a key"
    for text in TRANSCRIPT:
        assert "PRIVATE KEY" not in text and part not in text, f"the key was told: {text}"


class EveryMethod(Case):
    def test_a_certificate_lives_through_all_methods(self):
        answer = CERTIFICATES.with_raw_response.create(
            account_id=ACCOUNT, ca=True, certificates=CERTIFICATE, name="signers", private_key=KEY
        )
        made = self.succeeded(answer)
        self.assertNotIn("private_key", made)
        each = made["id"]
        self.holds(answer.parse(), each, "signers")
        self.holds(CERTIFICATES.get(each, account_id=ACCOUNT), each, "signers")
        listed = [other for other in CERTIFICATES.list(account_id=ACCOUNT) if other.id == each]
        self.assertEqual(len(listed), 1)
        self.holds(listed[0], each, "signers")

        gone = CERTIFICATES.delete(each, account_id=ACCOUNT)
        self.assertEqual(gone.id, each)
        self.refused(NotFoundError, lambda: CERTIFICATES.get(each, account_id=ACCOUNT))
        self.assertNotIn(each, {other.id for other in CERTIFICATES.list(account_id=ACCOUNT)})

    def holds(self, certificate, each, name):
        self.assertEqual((certificate.id, certificate.name, certificate.ca), (each, name, True))
        self.assertEqual(certificate.certificates.strip(), CERTIFICATE.strip())
        self.assertGreater(certificate.expires_on, datetime.now(timezone.utc))
        self.assertLess(certificate.uploaded_on, certificate.expires_on)
        self.assertIn("Signing CA", certificate.issuer)
        self.assertTrue(certificate.serial_number)
        self.assertTrue(certificate.signature)

    def test_a_name_is_not_needed(self):
        made = CERTIFICATES.create(account_id=ACCOUNT, ca=True, certificates=CERTIFICATE)
        self.assertEqual(CERTIFICATES.get(made.id, account_id=ACCOUNT).id, made.id)

    def test_a_rule_can_name_it(self):
        each = upload("named by a rule").id
        value = {"certificate_id": each, "check_private_key": False, "operating_system": "linux"}
        rule = RULES.create(account_id=ACCOUNT, name="client certificate", type="client_certificate_v2", input=value)
        self.assertEqual(RULES.get(rule.id, account_id=ACCOUNT).to_dict()["input"], value)

        self.refused_as_in_use(lambda: CERTIFICATES.delete(each, account_id=ACCOUNT))
        self.assertEqual(CERTIFICATES.get(each, account_id=ACCOUNT).id, each)
        RULES.delete(rule.id, account_id=ACCOUNT)
        self.assertEqual(CERTIFICATES.delete(each, account_id=ACCOUNT).id, each)


class Refusals(Case):
    def test_wrong_uploads_are_refused_and_not_stored(self):
        broken = CERTIFICATE.replace("\nMI", "\nXX", 1)
        self.assertNotEqual(broken, CERTIFICATE)
        path = f"/accounts/{ACCOUNT}/mtls_certificates"
        before = len(list(CERTIFICATES.list(account_id=ACCOUNT)))
        for what, body, pointer in (
            ("no certificate", {"ca": True}, "/certificates"),
            ("text that is none", {"ca": True, "certificates": "certificate"}, "/certificates"),
            ("a broken one", {"ca": True, "certificates": broken}, "/certificates"),
            ("a key in its place", {"ca": True, "certificates": KEY}, "/certificates"),
            ("a number", {"ca": True, "certificates": 7}, "/certificates"),
        ):
            with self.subTest(what):
                self.refused(BadRequestError, lambda: API.post(path, body=body, cast_to=object), pointer=pointer)
        self.assertEqual(len(list(CERTIFICATES.list(account_id=ACCOUNT))), before)

    def test_unknown_ids(self):
        self.refused(NotFoundError, lambda: CERTIFICATES.get(NOWHERE, account_id=ACCOUNT))


if __name__ == "__main__":
    gateway.main()
