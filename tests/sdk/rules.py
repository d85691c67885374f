"""Posture rules: the five methods, all 23 types, and what comes back."""

import json
import unittest

import cloudflare
from cloudflare import NotFoundError

import gateway
from gateway import ACCOUNT, NOWHERE, Case, same, whole
from inputs import inputs_for, prepare

API = gateway.client()
RULES = API.zero_trust.devices.posture
IDS = {}
INPUTS = {}


def setUpModule():
    IDS.update(prepare(API))
    INPUTS.update(inputs_for(IDS))


def create(**members):
    return RULES.with_raw_response.create(account_id=ACCOUNT, **members)


def listed():
    return {rule.id: rule for rule in RULES.list(account_id=ACCOUNT)}


def optional_input(value):
    return {} if value is None else {"input": value}


class EveryType(Case):
    def test_there_are_23(self):
        self.assertEqual(len(INPUTS), 23)

    def test_a_rule_lives_through_all_methods(self):
        following = list(INPUTS)[1:] + list(INPUTS)[:1]
        for kind, other in zip(INPUTS, following):
            for number, value in enumerate(INPUTS[kind]):
                with self.subTest(type=kind, input=value):
                    self.lives(kind, value, other, f"{kind} {number}")

    def lives(self, kind, value, other, name):
        match = [{"platform": (value or {}).get("operating_system", "windows")}]
        members = {"name": name, "type": kind, "match": match, "schedule": "10m", "expiration": "30m"}
        made = self.succeeded(create(**members, **optional_input(value)))
        self.holds(made, members, value)
        rule = made["id"]
        self.assertRegex(rule, r"^[0-9a-f-]{36}$")
        self.reads_back(rule, members, value)

        members = {"name": f"{name}, changed", "type": kind, "description": "changed", "match": match}
        self.updates(rule, members, value)
        # The same rule becomes one of another type; nothing of the old input stays.
        self.updates(rule, {"name": f"{name}, turned", "type": other}, INPUTS[other][0])

        self.assertEqual(self.succeeded(RULES.with_raw_response.delete(rule, account_id=ACCOUNT)), {"id": rule})
        self.refused(NotFoundError, lambda: RULES.get(rule, account_id=ACCOUNT), code=6024)
        self.assertNotIn(rule, listed())

    def updates(self, rule, members, value):
        members = {**members, **optional_input(value)}
        changed = self.succeeded(RULES.with_raw_response.update(rule, account_id=ACCOUNT, **members))
        self.assertEqual(changed["id"], rule)
        members.pop("input", None)
        self.holds(changed, members, value)
        self.reads_back(rule, members, value)

    def reads_back(self, rule, members, value):
        one = self.succeeded(RULES.with_raw_response.get(rule, account_id=ACCOUNT))
        self.holds(one, members, value)
        all_of_them = self.succeeded(RULES.with_raw_response.list(account_id=ACCOUNT))
        self.holds(next(each for each in all_of_them if each["id"] == rule), members, value)
        read = RULES.get(rule, account_id=ACCOUNT)
        self.assertEqual((read.id, read.name, read.type), (rule, members["name"], members["type"]))

    def holds(self, rule, members, value):
        """The members that were sent, the input as it was sent, and nothing that was not."""
        for name in ("name", "type", "description", "expiration", "match"):
            self.assertEqual(same(rule.get(name)), same(members.get(name)), name)
            self.assertEqual(name in rule, name in members, f"{name}: what is unset is left out")
        self.assertEqual(rule["schedule"], members.get("schedule", "5m"))
        self.assertIsInstance(rule["enabled"], bool)
        if value:
            self.assertEqual(same(rule["input"]), same(value))
        else:
            # An empty input and none say the same.
            self.assertEqual(rule.get("input", {}), {})

    def test_the_rules_of_the_given_vectors(self):
        with open(gateway.VECTORS, encoding="utf-8") as file:
            given = json.load(file)
        for vector in given["vectors"]:
            if vector["rule"].get("input", {}).get("id") == "11111111-1111-4111-8111-111111111111":
                # It names a list that does not exist, which is refused.
                continue
            with self.subTest(vector=vector["id"]):
                rule = self.with_known_ids(vector["rule"])
                made = self.succeeded(create(**rule))
                sent, got = dict(rule.get("input", {})), dict(made.get("input", {}))
                for legacy in ("running", "flavor"):
                    # Accepted and ignored; whether they come back is left open.
                    sent.pop(legacy, None)
                    got.pop(legacy, None)
                self.assertEqual(same(got), same(sent))
                RULES.delete(made["id"], account_id=ACCOUNT)

    def with_known_ids(self, rule):
        rule = json.loads(json.dumps(rule))
        known = {
            "id": IDS["SERIAL" if rule["type"] == "serial_number" else "DEVICE"],
            "certificate_id": IDS["certificate"],
            "connection_id": IDS.get(rule["type"]),
        }
        for name in known.keys() & rule.get("input", {}).keys():
            rule["input"][name] = known[name]
        return rule


class WhatComesBack(Case):
    def test_the_specifications_example(self):
        example = {
            "name": "Linux ≥5.14 Ubuntu 22.04",
            "type": "os_version",
            "match": [{"platform": "linux"}],
            "schedule": "5m",
            "expiration": "15m",
            "input": {
                "operating_system": "linux",
                "operator": ">=",
                "version": "5.14.0",
                "os_distro_name": "ubuntu",
                "os_distro_revision": "22.04",
            },
        }
        made = self.succeeded(create(**example))
        for name, value in example.items():
            self.assertEqual(same(made[name]), same(value))
        self.assertIs(made["enabled"], True)
        # The SDK takes it for another input, and reads it right all the same.
        read = RULES.get(made["id"], account_id=ACCOUNT)
        self.assertEqual((read.input.version, read.input.os_distro_name), ("5.14.0", "ubuntu"))
        self.assertEqual(read.match[0].platform, "linux")

    def test_the_sdks_own_spelling_of_members(self):
        value = {"check_disks": ["C"], "require_all": True}
        made = RULES.create(account_id=ACCOUNT, name="snake case", type="disk_encryption", input=value)
        self.assertEqual((made.input.check_disks, made.input.require_all), (["C"], True))
        raw = self.succeeded(RULES.with_raw_response.get(made.id, account_id=ACCOUNT))
        self.assertEqual(raw["input"], {"checkDisks": ["C"], "requireAll": True})

    def test_platforms_keep_their_order(self):
        match = [{"platform": name} for name in ("chromeos", "windows", "mac", "linux", "android", "ios")]
        made = self.succeeded(create(name="everywhere", type="warp", match=match))
        self.assertEqual(made["match"], match)

    def test_durations_are_echoed_as_they_were_sent(self):
        for schedule in ("1m", "60s", "90s", "5m", "1h30m", "1.5h", "24h", "1d"):
            made = self.succeeded(create(name=schedule, type="warp", schedule=schedule, expiration="72h0m"))
            self.assertEqual((made["schedule"], made["expiration"]), (schedule, "72h0m"))
            read = RULES.get(made["id"], account_id=ACCOUNT)
            self.assertEqual((read.schedule, read.expiration), (schedule, "72h0m"))

    def test_unset_members_are_left_out(self):
        made = self.succeeded(create(name="bare", type="gateway"))
        self.assertFalse({"description", "expiration", "match"} & made.keys(), made)
        self.assertNotIn(None, made.values())
        self.assertEqual((made["schedule"], made["enabled"]), ("5m", True))

    def test_empty_text_and_null_are_unset(self):
        made = self.succeeded(create(name="empty", type="warp", schedule="", expiration=""))
        self.assertEqual(made["schedule"], "5m")
        self.assertNotIn("expiration", made)

        body = {"name": "nulls", "type": "warp", "schedule": None, "expiration": None, "match": None, "input": None}
        replied = API.put(gateway.posture(f"/{made['id']}"), body=body, cast_to=object)
        self.assertEqual(replied["result"]["schedule"], "5m")
        self.assertFalse({"expiration", "match"} & replied["result"].keys(), replied)

    def test_what_a_put_leaves_out_is_unset(self):
        made = RULES.create(
            account_id=ACCOUNT,
            name="full",
            type="firewall",
            description="d",
            schedule="10m",
            expiration="30m",
            match=[{"platform": "mac"}],
            input={"enabled": True, "operating_system": "mac"},
        )
        value = {"enabled": True, "operating_system": "mac"}
        RULES.update(made.id, account_id=ACCOUNT, name="full", type="firewall", input=value)
        now = self.succeeded(RULES.with_raw_response.get(made.id, account_id=ACCOUNT))
        self.assertFalse({"description", "expiration", "match"} & now.keys(), now)
        self.assertEqual(now["schedule"], "5m")

    def test_enabled_is_computed(self):
        made = RULES.create(account_id=ACCOUNT, name="on", type="warp", extra_body={"enabled": False})
        self.assertIs(made.enabled, True)
        by_state, by_count = INPUTS["kolide"]
        self.assertIs(RULES.create(account_id=ACCOUNT, name="state", type="kolide", input=by_state).enabled, True)
        counting = RULES.create(account_id=ACCOUNT, name="count", type="kolide", input=by_count)
        self.assertIs(counting.enabled, False, "counting issues is deprecated")
        self.assertIs(RULES.get(counting.id, account_id=ACCOUNT).enabled, False)

    def test_a_short_expiration_is_taken_with_a_warning(self):
        answer = create(name="short-lived", type="warp", schedule="1h", expiration="1h")
        self.succeeded(answer)
        self.assertTrue(whole(answer)["messages"], "it ends before two polls have passed")
        answer = create(name="long-lived", type="warp", schedule="1h", expiration="2h")
        self.succeeded(answer)
        self.assertEqual(whole(answer)["messages"], [])


class Collections(Case):
    def test_every_rule_is_in_one_response(self):
        made = {RULES.create(account_id=ACCOUNT, name=f"many {number}", type="warp").id for number in range(45)}
        self.assertEqual(len(made), 45)
        answer = RULES.with_raw_response.list(account_id=ACCOUNT)
        every = self.succeeded(answer)
        self.assertLessEqual(made, {rule["id"] for rule in every})
        info = whole(answer)["result_info"]
        self.assertEqual((info["count"], info["total_count"], info["page"]), (len(every), len(every), 1))
        self.assertFalse(RULES.list(account_id=ACCOUNT).has_next_page())

    def test_a_replayed_post_makes_no_second_rule(self):
        members = {"name": "once", "type": "firewall", "input": {"enabled": True, "operating_system": "mac"}}
        first = RULES.create(account_id=ACCOUNT, **members)
        self.assertEqual(RULES.create(account_id=ACCOUNT, **members).id, first.id)
        other = {**members, "input": {"enabled": False, "operating_system": "mac"}}
        second = RULES.create(account_id=ACCOUNT, **other)
        self.assertNotEqual(second.id, first.id, "other content, another rule: names need not be unique")
        self.assertEqual([rule.name for rule in listed().values()].count("once"), 2)

        RULES.delete(first.id, account_id=ACCOUNT)
        again = RULES.create(account_id=ACCOUNT, **members)
        self.assertIn(again.id, listed(), "a replay never answers with a rule that is gone")

    def test_deleting_what_is_not_there_succeeds(self):
        self.assertEqual(RULES.delete(NOWHERE, account_id=ACCOUNT).id, NOWHERE)
        made = RULES.create(account_id=ACCOUNT, name="deleted twice", type="warp")
        for _ in range(2):
            self.assertEqual(RULES.delete(made.id, account_id=ACCOUNT).id, made.id)

    def test_unknown_ids(self):
        for rule in (NOWHERE, "no-such-rule", "ä/../x"):
            error = self.refused(NotFoundError, lambda: RULES.get(rule, account_id=ACCOUNT), code=6024)
            self.assertIsInstance(error, cloudflare.APIError)
            self.refused(
                NotFoundError, lambda: RULES.update(rule, account_id=ACCOUNT, name="x", type="warp"), code=6024
            )


if __name__ == "__main__":
    gateway.main()
