"""Who may ask: the three kinds of credentials, wrong ones, and a token that may only read."""

from cloudflare import AuthenticationError, NotFoundError, PermissionDeniedError

import gateway
from gateway import ACCOUNT, ADMIN_TOKEN, CA_FILE, VIEWER_TOKEN, Case, read
from inputs import CONFIGURATIONS

ADMIN = gateway.client()

# The only address that goes with the read-only token; with the other token any does.
EMAIL = gateway.VIEWER_EMAIL


def rules(client):
    return client.zero_trust.devices.posture


class Credentials(Case):
    def test_each_kind_opens(self):
        for credentials in (
            {"api_token": ADMIN_TOKEN},
            {"api_email": EMAIL, "api_key": ADMIN_TOKEN},
            {"user_service_key": ADMIN_TOKEN},
        ):
            with self.subTest(sorted(credentials)):
                api = gateway.client(**credentials)
                made = rules(api).create(account_id=ACCOUNT, name=f"by {sorted(credentials)}", type="warp")
                self.assertEqual(rules(api).get(made.id, account_id=ACCOUNT).name, made.name)
                self.assertEqual(rules(api).delete(made.id, account_id=ACCOUNT).id, made.id)

    def test_the_pair_wins_over_the_token(self):
        # The SDK then sends no bearer token at all.
        api = gateway.client(api_email=EMAIL, api_key=ADMIN_TOKEN, api_token="not-sent")
        self.assertIsNotNone(rules(api).list(account_id=ACCOUNT))

    # Four wrong ones: after a few more the gateway would lock this machine out for a while.
    def test_wrong_ones_of_each_kind_do_not(self):
        for credentials in (
            {"api_token": "guessed"},
            {"api_email": EMAIL, "api_key": "guessed"},
            {"user_service_key": "guessed"},
            {"api_email": "guessed@example.org", "api_key": VIEWER_TOKEN},
        ):
            with self.subTest(sorted(credentials)):
                api = gateway.client(**credentials)
                error = self.refused(AuthenticationError, lambda: rules(api).list(account_id=ACCOUNT), code=10000)
                self.assertEqual(error.status_code, 401)
                self.assertNotIn("guessed", str(error))


class ReadOnly(Case):
    @classmethod
    def setUpClass(cls):
        posture, lists = rules(ADMIN), ADMIN.zero_trust.gateway.lists
        kolide = {"name": "seen", "type": "kolide", "interval": "10m", "config": CONFIGURATIONS["kolide"]}
        cls.rule = posture.create(account_id=ACCOUNT, name="seen", type="warp").id
        cls.integration = posture.integrations.create(account_id=ACCOUNT, **kolide).id
        cls.list = lists.create(account_id=ACCOUNT, name="seen", type="DEVICE").id
        cls.certificate = ADMIN.mtls_certificates.create(account_id=ACCOUNT, ca=True, certificates=read(CA_FILE)).id

    def test_it_reads(self):
        api = gateway.client(api_token=VIEWER_TOKEN)
        integrations, lists = rules(api).integrations, api.zero_trust.gateway.lists
        self.assertEqual(rules(api).get(self.rule, account_id=ACCOUNT).id, self.rule)
        self.assertIn(self.rule, {rule.id for rule in rules(api).list(account_id=ACCOUNT)})
        self.assertEqual(integrations.get(self.integration, account_id=ACCOUNT).id, self.integration)
        self.assertIn(self.integration, {each.id for each in integrations.list(account_id=ACCOUNT)})
        self.assertEqual(lists.get(self.list, account_id=ACCOUNT).id, self.list)
        self.assertIn(self.list, {each.id for each in lists.list(account_id=ACCOUNT)})
        self.assertEqual(list(lists.items.list(self.list, account_id=ACCOUNT)), [])
        self.assertEqual(api.mtls_certificates.get(self.certificate, account_id=ACCOUNT).id, self.certificate)
        self.assertIn(self.certificate, {each.id for each in api.mtls_certificates.list(account_id=ACCOUNT)})

    def test_it_writes_nothing(self):
        for credentials in (
            {"api_token": VIEWER_TOKEN},
            {"api_email": EMAIL, "api_key": VIEWER_TOKEN},
            {"user_service_key": VIEWER_TOKEN},
        ):
            for number, write in enumerate(self.writes(gateway.client(**credentials))):
                with self.subTest(credentials=sorted(credentials), write=number):
                    self.refused(PermissionDeniedError, lambda: write(account_id=ACCOUNT))
        self.assertEqual(rules(ADMIN).get(self.rule, account_id=ACCOUNT).name, "seen")
        self.assertEqual(rules(ADMIN).integrations.get(self.integration, account_id=ACCOUNT).name, "seen")
        self.assertEqual(ADMIN.zero_trust.gateway.lists.get(self.list, account_id=ACCOUNT).name, "seen")
        self.assertEqual(ADMIN.mtls_certificates.get(self.certificate, account_id=ACCOUNT).id, self.certificate)
        self.assertNotIn("x", {rule.name for rule in rules(ADMIN).list(account_id=ACCOUNT)})

    def writes(self, api):
        """Every method that would change something, waiting for its account."""
        posture, lists, certificates = rules(api), api.zero_trust.gateway.lists, api.mtls_certificates
        kolide = {"name": "x", "type": "kolide", "interval": "10m", "config": CONFIGURATIONS["kolide"]}
        return [
            lambda **account: posture.create(name="x", type="warp", **account),
            lambda **account: posture.update(self.rule, name="x", type="warp", **account),
            lambda **account: posture.delete(self.rule, **account),
            lambda **account: posture.integrations.create(**kolide, **account),
            lambda **account: posture.integrations.edit(self.integration, name="x", **account),
            lambda **account: posture.integrations.delete(self.integration, **account),
            lambda **account: lists.create(name="x", type="SERIAL", **account),
            lambda **account: lists.update(self.list, name="x", **account),
            lambda **account: lists.edit(self.list, append=[{"value": "x"}], **account),
            lambda **account: lists.delete(self.list, **account),
            lambda **account: certificates.create(ca=True, certificates=read(CA_FILE), **account),
            lambda **account: certificates.delete(self.certificate, **account),
        ]


class Account(Case):
    def test_a_malformed_account_is_not_found(self):
        for account in ("not-an-account", "699d98642c564d2e855e9661899b725", "699d98642c564d2e855e9661899b7252x"):
            with self.subTest(account):
                self.refused(NotFoundError, lambda: rules(ADMIN).list(account_id=account))
                create = lambda: rules(ADMIN).create(account_id=account, name="elsewhere", type="warp")
                self.refused(NotFoundError, create)
        self.assertNotIn("elsewhere", {rule.name for rule in rules(ADMIN).list(account_id=ACCOUNT)})


if __name__ == "__main__":
    gateway.main()
