"""Posture integrations: the five methods, all eight types, and secrets that stay secret."""

from cloudflare import BadRequestError, NotFoundError

import gateway
from gateway import ACCOUNT, NOWHERE, SECRET, Case, same, whole
from inputs import CONFIGURATIONS, SECRET_MEMBERS

# The text of every reply of this script.
TRANSCRIPT = []
API = gateway.client(TRANSCRIPT)
RULES = API.zero_trust.devices.posture
INTEGRATIONS = RULES.integrations


def create(kind, name, **changes):
    members = {"name": name, "type": kind, "interval": "10m", "config": CONFIGURATIONS[kind], **changes}
    return INTEGRATIONS.create(account_id=ACCOUNT, **members)


def shown(config):
    return {name: value for name, value in config.items() if name not in SECRET_MEMBERS}


def post(body):
    return API.post(gateway.posture("/integration"), body=body, cast_to=object)


def tearDownModule():
    assert TRANSCRIPT, "nothing was asked"
    for text in TRANSCRIPT:
        assert SECRET not in text, f"a secret was told: {text}"


class EveryType(Case):
    def test_there_are_eight(self):
        self.assertEqual(len(CONFIGURATIONS), 8)

    def test_an_integration_lives_through_all_methods(self):
        for kind, config in CONFIGURATIONS.items():
            with self.subTest(type=kind):
                self.lives(kind, config)

    def lives(self, kind, config):
        members = {"name": f"{kind} one", "type": kind, "interval": "10m"}
        made = self.succeeded(INTEGRATIONS.with_raw_response.create(account_id=ACCOUNT, config=config, **members))
        self.holds(made, members, config)
        each = made["id"]
        self.reads_back(each, members, config)

        edit = INTEGRATIONS.with_raw_response.edit
        members["interval"] = "24h"
        self.holds(self.succeeded(edit(each, account_id=ACCOUNT, interval="24h")), members, config)
        members["name"] = f"{kind} renamed"
        self.holds(self.succeeded(edit(each, account_id=ACCOUNT, name=members["name"])), members, config)
        # What is kept need not be sent again, the secret least of all.
        changed = {name: f"{value}-2" for name, value in shown(config).items()}
        self.holds(self.succeeded(edit(each, account_id=ACCOUNT, config=changed)), members, changed)
        new_secrets = {name: f"{SECRET}-new" for name in config if name in SECRET_MEMBERS}
        self.holds(self.succeeded(edit(each, account_id=ACCOUNT, config=new_secrets)), members, changed)
        self.reads_back(each, members, changed)

        answer = INTEGRATIONS.with_raw_response.delete(each, account_id=ACCOUNT)
        self.assertIsNone(self.succeeded(answer))
        self.assertIn("result", whole(answer))
        self.refused(NotFoundError, lambda: INTEGRATIONS.get(each, account_id=ACCOUNT))
        self.assertNotIn(each, {other.id for other in INTEGRATIONS.list(account_id=ACCOUNT)})

    def reads_back(self, each, members, config):
        self.holds(self.succeeded(INTEGRATIONS.with_raw_response.get(each, account_id=ACCOUNT)), members, config)
        answer = INTEGRATIONS.with_raw_response.list(account_id=ACCOUNT)
        every = self.succeeded(answer)
        self.assertEqual(whole(answer)["result_info"]["total_count"], len(every))
        self.holds(next(one for one in every if one["id"] == each), members, config)
        read = INTEGRATIONS.get(each, account_id=ACCOUNT)
        self.assertEqual((read.id, read.name, read.type), (each, members["name"], members["type"]))
        self.assertEqual(read.config.api_url, config.get("api_url"))

    def holds(self, integration, members, config):
        for name, value in members.items():
            self.assertEqual(integration[name], value)
        self.assertEqual(same(integration["config"]), same(shown(config)))


class InUse(Case):
    def test_what_a_rule_uses_cannot_be_deleted(self):
        used = create("custom_s2s", "used").id
        value = {"connection_id": used, "operator": ">=", "score": 50}
        rule = RULES.create(account_id=ACCOUNT, name="uses it", type="custom_s2s", input=value)
        delete = lambda: INTEGRATIONS.delete(used, account_id=ACCOUNT)
        self.refused(BadRequestError, delete)
        self.assertEqual(INTEGRATIONS.get(used, account_id=ACCOUNT).id, used)

        RULES.delete(rule.id, account_id=ACCOUNT)
        self.assertIsNone(delete())

    def test_the_word_integration_is_no_rule(self):
        create("kolide", "beside rules")
        self.assertIsInstance(API.get(gateway.posture("/integration"), cast_to=object)["result"], list)

    def test_a_replayed_post_makes_no_second_integration(self):
        self.assertEqual(create("kolide", "once").id, create("kolide", "once").id)


class Refusals(Case):
    def test_wrong_integrations_are_refused_and_not_stored(self):
        good = {"name": "refused", "type": "intune", "interval": "10m", "config": CONFIGURATIONS["intune"]}
        less = lambda name: {member: value for member, value in good.items() if member != name}
        cases = [
            ("no name", less("name"), "/name"),
            ("no type", less("type"), "/type"),
            ("no interval", less("interval"), "/interval"),
            ("no config", less("config"), "/config"),
            ("an unknown type", {**good, "type": "file"}, "/type"),
            ("a malformed interval", {**good, "interval": "often"}, "/interval"),
            ("an interval below a minute", {**good, "interval": "30s"}, "/interval"),
            ("a config that is no object", {**good, "config": f"{SECRET}-misplaced"}, "/config"),
        ]
        for kind, config in CONFIGURATIONS.items():
            optional = ("access_client_id", "access_client_secret") if kind == "tanium_s2s" else ()
            for name in config.keys() - optional:
                rest = {member: value for member, value in config.items() if member != name}
                body = {**good, "type": kind, "config": rest}
                cases.append((f"{kind} without {name}", body, "/config"))
        before = same(API.get(gateway.posture("/integration"), cast_to=object)["result"])
        for what, body, pointer in cases:
            with self.subTest(what):
                self.refused(BadRequestError, lambda: post(body), pointer=pointer)
                now = same(API.get(gateway.posture("/integration"), cast_to=object)["result"])
                self.assertEqual(now, before, "nothing was stored")

    def test_a_wrong_change_changes_nothing(self):
        each = create("crowdstrike_s2s", "unchanged").id
        before = same(INTEGRATIONS.get(each, account_id=ACCOUNT).to_dict())
        for change, pointer in (({"interval": "10s"}, "/interval"), ({"name": 7}, "/name"), ({"type": "x"}, "/type")):
            with self.subTest(change):
                edit = lambda: INTEGRATIONS.edit(each, account_id=ACCOUNT, **change)
                self.refused(BadRequestError, edit, pointer=pointer)
                self.assertEqual(same(INTEGRATIONS.get(each, account_id=ACCOUNT).to_dict()), before)

    def test_unknown_ids(self):
        self.refused(NotFoundError, lambda: INTEGRATIONS.get(NOWHERE, account_id=ACCOUNT))
        self.refused(NotFoundError, lambda: INTEGRATIONS.edit(NOWHERE, account_id=ACCOUNT, name="x"))

    def test_types_and_members_of_older_clients(self):
        members = {"name": "old tanium", "interval": "10m", "config": CONFIGURATIONS["tanium_s2s"]}
        old = INTEGRATIONS.create(account_id=ACCOUNT, type="tanium", **members)
        self.assertEqual(INTEGRATIONS.get(old.id, account_id=ACCOUNT).name, "old tanium")
        config = {**CONFIGURATIONS["custom_s2s"], "client_secret": f"{SECRET}-not-needed"}
        self.assertTrue(create("custom_s2s", "older form", config=config).id)


if __name__ == "__main__":
    gateway.main()
