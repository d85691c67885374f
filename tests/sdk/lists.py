"""Gateway lists of serial numbers and devices, and the rule that comes with every list of serial numbers."""

import itertools

from cloudflare import BadRequestError, NotFoundError

import gateway
from gateway import ACCOUNT, NOWHERE, Case

API = gateway.client()
LISTS = API.zero_trust.gateway.lists
RULES = API.zero_trust.devices.posture


def values(each, **options):
    # The SDK asks for page after page until one is empty; a gateway that never sends one must not hang this.
    pages = LISTS.items.list(each, account_id=ACCOUNT, **options)
    return [item.value for item in itertools.islice(pages, 1000)]


class EveryMethod(Case):
    def test_a_list_lives_through_all_methods(self):
        for kind, items in (("SERIAL", ["C02XYZ", "JDR44P3D"]), ("DEVICE", ["123e4567-e89b-12d3-a456-426614174000"])):
            with self.subTest(type=kind):
                self.lives(kind, items)

    def lives(self, kind, items):
        described = [{"value": value, "description": f"number {value}"} for value in items]
        name = f"{kind} list"
        answer = LISTS.with_raw_response.create(
            account_id=ACCOUNT, name=name, type=kind, description="laptops", items=described
        )
        each = self.succeeded(answer)["id"]
        self.holds(LISTS.get(each, account_id=ACCOUNT), name, kind, "laptops", len(items))
        self.assertCountEqual(values(each), items)
        said = {item.value: item.description for item in LISTS.items.list(each, account_id=ACCOUNT)}
        self.assertEqual(said, {value: f"number {value}" for value in items})
        self.assertIn(each, {other.id for other in LISTS.list(account_id=ACCOUNT)})

        changed = LISTS.update(each, account_id=ACCOUNT, name=f"{name} 2", description="d", items=[{"value": "NEW1"}])
        self.holds(changed, f"{name} 2", kind, "d", 1)
        self.assertEqual(values(each), ["NEW1"])

        changed = LISTS.edit(each, account_id=ACCOUNT, append=[{"value": "NEW2"}, {"value": "NEW3"}])
        self.assertEqual(changed.count, 3)
        LISTS.edit(each, account_id=ACCOUNT, remove=["NEW1", "NEW2"])
        self.assertEqual(values(each), ["NEW3"])
        LISTS.edit(each, account_id=ACCOUNT, append=[{"value": "NEW4"}], remove=["NEW3"])
        self.assertEqual(values(each), ["NEW4"])
        self.holds(LISTS.get(each, account_id=ACCOUNT), f"{name} 2", kind, "d", 1)

        self.succeeded(LISTS.with_raw_response.delete(each, account_id=ACCOUNT))
        self.refused(NotFoundError, lambda: LISTS.get(each, account_id=ACCOUNT), code=2218)
        self.assertNotIn(each, {other.id for other in LISTS.list(account_id=ACCOUNT)})

    def holds(self, each, name, kind, description, count):
        self.assertEqual((each.name, each.type, each.description), (name, kind, description))
        self.assertEqual(each.count, count)
        self.assertLessEqual(each.created_at, each.updated_at)

    def test_the_pages_of_a_list_end(self):
        wanted = [f"SERIAL{number:04}" for number in range(120)]
        items = [{"value": value} for value in wanted]
        each = LISTS.create(account_id=ACCOUNT, name="many", type="SERIAL", items=items).id
        self.assertCountEqual(values(each), wanted)
        self.assertCountEqual(values(each, per_page=50), wanted)
        answer = LISTS.items.with_raw_response.list(each, account_id=ACCOUNT)
        self.assertIsInstance(self.succeeded(answer)[0], dict, "items, not lists of items")
        empty = LISTS.create(account_id=ACCOUNT, name="empty", type="SERIAL").id
        self.assertEqual(values(empty), [])
        self.assertEqual(LISTS.get(empty, account_id=ACCOUNT).count, 0)

    def test_a_type_selects_lists(self):
        serial = LISTS.create(account_id=ACCOUNT, name="some serials", type="SERIAL").id
        device = LISTS.create(account_id=ACCOUNT, name="some devices", type="DEVICE").id
        found = {each.id: each.type for each in LISTS.list(account_id=ACCOUNT, type="DEVICE")}
        self.assertIn(device, found)
        self.assertNotIn(serial, found)


class ImplicitRule(Case):
    def test_a_list_of_serial_numbers_is_a_rule_of_the_same_id(self):
        each = LISTS.create(account_id=ACCOUNT, name="implied", type="SERIAL", items=[{"value": "C02XYZ"}]).id
        self.is_rule(RULES.with_raw_response.get(each, account_id=ACCOUNT), each, "implied")
        listed = [rule for rule in RULES.list(account_id=ACCOUNT) if rule.id == each]
        self.assertEqual([(rule.name, rule.type) for rule in listed], [("implied", "serial_number")])

        LISTS.update(each, account_id=ACCOUNT, name="renamed", items=[{"value": "C02XYZ"}])
        self.is_rule(RULES.with_raw_response.get(each, account_id=ACCOUNT), each, "renamed")

        LISTS.delete(each, account_id=ACCOUNT)
        self.refused(NotFoundError, lambda: RULES.get(each, account_id=ACCOUNT), code=6024)

    def is_rule(self, answer, each, name):
        rule = self.succeeded(answer)
        self.assertEqual((rule["id"], rule["name"], rule["type"]), (each, name, "serial_number"))
        self.assertEqual(rule["input"], {"id": each})
        self.assertIs(rule["enabled"], True)

    def test_a_list_of_devices_is_none(self):
        each = LISTS.create(account_id=ACCOUNT, name="not implied", type="DEVICE").id
        self.refused(NotFoundError, lambda: RULES.get(each, account_id=ACCOUNT), code=6024)
        self.assertNotIn(each, {rule.id for rule in RULES.list(account_id=ACCOUNT)})


class Refusals(Case):
    def test_a_list_that_is_not_there(self):
        for call in (
            lambda: LISTS.get(NOWHERE, account_id=ACCOUNT),
            lambda: LISTS.update(NOWHERE, account_id=ACCOUNT, name="x"),
            lambda: LISTS.edit(NOWHERE, account_id=ACCOUNT, append=[{"value": "x"}]),
            lambda: LISTS.items.list(NOWHERE, account_id=ACCOUNT),
        ):
            self.refused(NotFoundError, call, code=2218)

    def test_wrong_lists_are_refused_and_not_stored(self):
        path = f"/accounts/{ACCOUNT}/gateway/lists"
        for what, body, pointer in (
            ("no name", {"type": "SERIAL"}, "/name"),
            ("no type", {"name": "refused"}, "/type"),
            ("an unknown type", {"name": "refused", "type": "serial"}, "/type"),
            ("a type that posture does not read", {"name": "refused", "type": "URL"}, "/type"),
            ("items that are no list", {"name": "refused", "type": "SERIAL", "items": {"value": "x"}}, "/items"),
            ("an item without a value", {"name": "refused", "type": "SERIAL", "items": [{}]}, "/items/0"),
        ):
            with self.subTest(what):
                self.refused(BadRequestError, lambda: API.post(path, body=body, cast_to=object), pointer=pointer)
        self.assertNotIn("refused", {each.name for each in LISTS.list(account_id=ACCOUNT)})

    def test_a_list_that_a_rule_reads_cannot_be_deleted(self):
        each = LISTS.create(account_id=ACCOUNT, name="read", type="DEVICE", items=[{"value": "123e4567"}]).id
        value = {"id": each, "operating_system": "android"}
        rule = RULES.create(account_id=ACCOUNT, name="reads it", type="unique_client_id", input=value)
        self.refused_as_in_use(lambda: LISTS.delete(each, account_id=ACCOUNT))
        self.assertEqual(values(each), ["123e4567"])
        RULES.delete(rule.id, account_id=ACCOUNT)
        LISTS.delete(each, account_id=ACCOUNT)

    def test_a_wrong_change_changes_nothing(self):
        each = LISTS.create(account_id=ACCOUNT, name="unchanged", type="SERIAL", items=[{"value": "KEPT1"}]).id
        path = f"/accounts/{ACCOUNT}/gateway/lists/{each}"
        wrong = {"append": [{"value": "NEW1"}, {"value": 7}]}
        self.refused(BadRequestError, lambda: API.patch(path, body=wrong, cast_to=object), pointer="/append/1")
        wrong = {"items": [{"value": "NEW1"}]}
        self.refused(BadRequestError, lambda: API.put(path, body=wrong, cast_to=object), pointer="/name")
        self.assertEqual(values(each), ["KEPT1"])


if __name__ == "__main__":
    gateway.main()
