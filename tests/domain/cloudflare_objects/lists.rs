//! Gateway lists of serial numbers and of device management's ids.

use postern::dialect::cloudflare::{
    ErrorCode, Written, create_list, gateway_list, list_items, patch_list, replace_list, same_list_content,
};
use postern::id::ListId;
use postern::limits;
use postern::policy::device_list::DeviceList;
use postern::policy::objects::Origin;
use postern::posture::check::listed::DeviceName;
use serde_json::{Value, json};

use super::{bytes, later, notes, now, pointer, shown};

#[track_caller]
fn created(body: Value) -> Written<DeviceList> {
    create_list(&bytes(&body), ListId::from("l1"), now()).unwrap()
}

fn laptops() -> DeviceList {
    created(json!({
        "name": "Laptops", "type": "SERIAL", "description": "All of them",
        "items": [{"value": " ABC-1 ", "description": "Ada's"}, {"value": "XYZ"}],
    }))
    .object
}

fn values(list: &DeviceList) -> Vec<&str> {
    list.items.iter().map(|item| &*item.value).collect()
}

#[test]
fn a_list_is_shown_as_it_was_written() {
    let list = laptops();
    assert_eq!(list.holds, DeviceName::SerialNumber);
    let at = "2026-01-05T10:00:00.000Z";
    let items =
        json!([{"value": "ABC-1", "description": "Ada's", "created_at": at}, {"value": "XYZ", "created_at": at}]);
    let mut expected = json!({
        "id": "l1", "name": "Laptops", "type": "SERIAL", "description": "All of them", "count": 2, "items": items,
        "created_at": at, "updated_at": at, "source": "api",
    });
    assert_eq!(shown(gateway_list(&list, true)), expected);
    assert_eq!(shown(list_items(&list)), items, "one flat array");
    expected.as_object_mut().unwrap().remove("items");
    assert_eq!(shown(gateway_list(&list, false)), expected);
}

#[test]
fn what_is_not_set_is_not_shown() {
    let Written { object: mut list, warnings } = created(json!({"name": "Phones", "type": "DEVICE"}));
    assert!(warnings.is_empty());
    assert_eq!(list.holds, DeviceName::UniqueClientId);
    list.meta.origin = Origin::File { path: "lists.yaml".into(), line: 7 };
    let at = "2026-01-05T10:00:00.000Z";
    let expected = json!({
        "id": "l1", "name": "Phones", "type": "DEVICE", "count": 0, "items": [], "created_at": at, "updated_at": at,
        "source": "file:lists.yaml:7",
    });
    assert_eq!(shown(gateway_list(&list, true)), expected);
}

#[test]
fn a_value_is_kept_once_and_a_placeholder_never() {
    let values_of = |texts: &[&str]| texts.iter().map(|value| json!({"value": value})).collect::<Vec<_>>();
    let serials = ["abc", "Default string", "ABC", "None", "0", "def", "To be filled by O.E.M."];
    let written = created(json!({"name": "n", "type": "SERIAL", "items": values_of(&serials)}));
    assert_eq!(values(&written.object), ["abc", "def"]);
    let expected = [
        "Default string names no single device and was left out",
        "ABC is in the list already and was left out",
        "None names no single device and was left out",
        "0 names no single device and was left out",
        "To be filled by O.E.M. names no single device and was left out",
    ];
    assert_eq!(notes(&written.warnings), expected);

    let ids = ["6f9e0a2c-11", "6F9E0A2C11", "none", "--"];
    let written = created(json!({"name": "n", "type": "DEVICE", "items": values_of(&ids)}));
    assert_eq!(values(&written.object), ["6f9e0a2c-11", "none"], "hyphens do not count");
    assert_eq!(written.warnings.len(), 2);
}

#[test]
fn a_put_replaces_what_it_names() {
    let known = laptops();
    let put = |body: Value| replace_list(&bytes(&body), &known, later()).unwrap().object;
    let renamed = put(json!({"name": "Desks"}));
    assert_eq!((&*renamed.name, &renamed.description), ("Desks", &None), "a description left out is taken away");
    assert_eq!(renamed.items, known.items, "items left out stay");
    assert_eq!((renamed.meta.created_at, renamed.meta.updated_at), (now(), later()));
    assert!(put(json!({"name": "Desks", "items": []})).items.is_empty(), "an empty list is one");

    let items = json!([{"value": "NEW"}, {"value": "abc-1", "description": "Bob's"}]);
    let replaced = put(json!({"id": "l1", "name": "Desks", "type": "SERIAL", "count": 9, "items": items}));
    assert_eq!(values(&replaced), ["NEW", "abc-1"]);
    assert_eq!(replaced.items[1].description.as_deref(), Some("Bob's"));
    let added = replaced.items.iter().map(|item| item.created_at).collect::<Vec<_>>();
    assert_eq!(added, [later(), now()], "an entry that was there before keeps its age");
}

#[test]
fn a_patch_removes_and_then_appends() {
    let known = laptops();
    let body = json!({
        "append": [{"value": "NEW", "description": "Eve's"}, {"value": "xyz"}, {"value": "none"}, {"value": "Abc-1"}],
        "remove": ["abc-1", "gone"],
    });
    let Written { object: list, warnings } = patch_list(&bytes(&body), &known, later()).unwrap();
    assert_eq!(values(&list), ["XYZ", "NEW", "Abc-1"]);
    let expected = [
        "gone is not in the list",
        "xyz is in the list already and was left out",
        "none names no single device and was left out",
    ];
    assert_eq!(notes(&warnings), expected);
    assert_eq!((&list.name, &list.description), (&known.name, &known.description));
    assert_eq!((list.meta.created_at, list.meta.updated_at), (now(), later()));
    let untouched = patch_list(b"{}", &known, later()).unwrap();
    assert_eq!(untouched.object.items, known.items);

    let odd = patch_list(&bytes(&json!({"name": "x", "count": 3})), &known, later()).unwrap();
    assert_eq!(notes(&odd.warnings), ["name is not a member of a change to a list and was ignored"]);
}

#[test]
fn refusals_point_to_what_is_wrong() {
    let long = "x".repeat(limits::LIST_VALUE_BYTES_MAX + 1);
    let talkative = "x".repeat(limits::LIST_DESCRIPTION_BYTES_MAX + 1);
    let many = vec![json!({"value": "x"}); limits::LIST_ITEMS_MAX + 1];
    let cases = [
        ("/name", json!({"type": "SERIAL"})),
        ("/name", json!({"name": "", "type": "SERIAL"})),
        ("/name", json!({"name": "x".repeat(limits::NAME_BYTES_MAX + 1), "type": "SERIAL"})),
        ("/type", json!({"name": "n"})),
        ("/type", json!({"name": "n", "type": "DOMAIN"})),
        ("/type", json!({"name": "n", "type": "serial"})),
        ("/type", json!({"name": "n", "type": 3})),
        ("/description", json!({"name": "n", "type": "SERIAL", "description": ["x"]})),
        ("/description", json!({"name": "n", "type": "SERIAL", "description": talkative})),
        ("/items", json!({"name": "n", "type": "SERIAL", "items": "abc"})),
        ("/items", json!({"name": "n", "type": "SERIAL", "items": many})),
        ("/items/0", json!({"name": "n", "type": "SERIAL", "items": ["abc"]})),
        ("/items/1/value", json!({"name": "n", "type": "SERIAL", "items": [{"value": "a"}, {}]})),
        ("/items/0/value", json!({"name": "n", "type": "SERIAL", "items": [{"value": 5}]})),
        ("/items/0/value", json!({"name": "n", "type": "SERIAL", "items": [{"value": "  "}]})),
        ("/items/0/value", json!({"name": "n", "type": "SERIAL", "items": [{"value": long}]})),
        ("/items/0/value", json!({"name": "n", "type": "SERIAL", "items": [{"value": "a\u{0}b"}]})),
        ("/items/0/description", json!({"name": "n", "type": "SERIAL", "items": [{"value": "a", "description": 1}]})),
    ];
    for (expected, body) in cases {
        assert_eq!(pointer(create_list(&bytes(&body), ListId::from("l1"), now())), expected);
    }
    let known = laptops();
    for (expected, body) in [("/name", json!({})), ("/type", json!({"name": "n", "type": "DEVICE"}))] {
        assert_eq!(pointer(replace_list(&bytes(&body), &known, now())), expected);
    }
    for (expected, body) in [
        ("/append", json!({"append": {}})),
        ("/append/0/value", json!({"append": [{}]})),
        ("/remove", json!({"remove": "abc"})),
        ("/remove/0", json!({"remove": [{"value": "abc"}]})),
        ("/type", json!({"type": "URL"})),
    ] {
        assert_eq!(pointer(patch_list(&bytes(&body), &known, now())), expected);
    }
    for body in [&b"{"[..], b"[]", b"", b"7"] {
        let error = create_list(body, ListId::from("l1"), now()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Malformed);
    }
    let said = create_list(&bytes(&json!({"name": "n", "type": "URL"})), ListId::from("l1"), now()).unwrap_err();
    assert!(said.to_string().contains("SERIAL or DEVICE"), "{said}");
}

#[test]
fn a_list_stays_within_its_bounds() {
    let items = |from: usize, count: usize| {
        (from..from + count).map(|number| json!({"value": format!("S{number}")})).collect::<Vec<_>>()
    };
    let full = created(json!({"name": "n", "type": "SERIAL", "items": items(0, limits::LIST_ITEMS_MAX)})).object;
    assert_eq!(full.items.len(), limits::LIST_ITEMS_MAX);
    let append = bytes(&json!({"append": items(limits::LIST_ITEMS_MAX, 1)}));
    assert_eq!(pointer(patch_list(&append, &full, now())), "/append");
    let swap = bytes(&json!({"append": items(limits::LIST_ITEMS_MAX, 1), "remove": ["S3"]}));
    assert_eq!(patch_list(&swap, &full, now()).unwrap().object.items.len(), limits::LIST_ITEMS_MAX);

    let twice = patch_list(&bytes(&json!({"append": items(0, 100)})), &full, now()).unwrap();
    assert_eq!(twice.warnings.len(), limits::REPLY_NOTES_MAX + 1);
    assert_eq!(notes(&twice.warnings).last().unwrap(), "68 further notes are left out");

    let description = "x".repeat(limits::LIST_DESCRIPTION_BYTES_MAX);
    let talkative = (0..limits::LIST_TEXT_BYTES_MAX / limits::LIST_DESCRIPTION_BYTES_MAX)
        .map(|number| json!({"value": format!("S{number}"), "description": description}));
    let body = json!({"name": "n", "type": "SERIAL", "items": talkative.collect::<Vec<_>>()});
    assert_eq!(pointer(create_list(&bytes(&body), ListId::from("l1"), now())), "/items");
}

#[test]
fn a_creation_sent_again_is_recognised() {
    let one = laptops();
    let mut again = create_list(
        &bytes(&json!({
            "name": "Laptops", "type": "SERIAL", "description": "All of them",
            "items": [{"value": "ABC-1", "description": "Ada's"}, {"value": "XYZ"}],
        })),
        ListId::from("l2"),
        later(),
    )
    .unwrap()
    .object;
    assert!(same_list_content(&one, &again));
    again.items.pop();
    assert!(!same_list_content(&one, &again));
    for other in [
        DeviceList { name: "Desks".into(), ..one.clone() },
        DeviceList { description: None, ..one.clone() },
        DeviceList { holds: DeviceName::UniqueClientId, ..one.clone() },
    ] {
        assert!(!same_list_content(&one, &other));
    }
}
