//! What filters, orders and role filters leave of a list, and in which order.

use postern::clock::Timestamp;
use postern::decision::{DenialReason, FailedService, Failure};
use postern::dialect::openziti::{
    AnyConfigType, ApiError, ConfigType, ErrorCode, Field, ListQuery, Listed, ListedPolicy, Paging, PostureCheckType,
    RoleAttribute, RoleNames,
};
use postern::id::{IdentityId, ServiceId};
use postern::policy::objects::{Identity, PolicyType, PostureCheck, Service, ServicePolicy};
use postern::policy::roles::{Role, Semantic};
use postern::posture::check::Predicate;
use postern::posture::check::mfa::{GRACE, MfaRule};
use serde_json::{Value, json};

use crate::objects;

fn parameters(query: &[(&str, &str)]) -> Vec<(String, String)> {
    query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read<T: Listed>(query: &[(&str, &str)]) -> Result<ListQuery<T>, ApiError> {
    ListQuery::read_over(&parameters(query), Paging::WHOLE)
}

fn identity(id: &str, name: &str, attributes: &[&str], tags: Value, updated: i64) -> Identity {
    let attributes: Vec<String> = attributes.iter().map(|attribute| (*attribute).to_owned()).collect();
    let mut identity = objects::identity(id, name, &attributes);
    identity.meta.tags = tags.as_object().unwrap().clone();
    identity.meta.updated_at = Timestamp::from_millis(updated);
    identity.disabled = id == "c";
    identity
}

fn identities() -> Vec<Identity> {
    vec![
        identity("a", "Zoë", &["home", "staff"], json!({"env": "prod", "floor": 3, "paid": true}), 3000),
        identity("b", "anna", &["staff"], json!({"env": "test", "floor": 2.5, "site": {"city": "Bern"}}), 1000),
        identity("c", "Bob", &[], json!({"env": null, "floor": "3", "cost centre": "x"}), 2000),
        identity("d", "bob 2", &["home"], json!({}), 2000),
    ]
}

/// The ids that are left, as one text.
#[track_caller]
fn left(query: &[(&str, &str)]) -> String {
    let all = identities();
    let page = read::<Identity>(query).unwrap_or_else(|error| panic!("{query:?}: {error}")).page(all.iter());
    page.items.iter().map(|identity| identity.id.as_str()).collect()
}

#[test]
fn filters_keep_what_passes() {
    for (filter, expected) in [
        ("", "abcd"),
        ("false", ""),
        (r#"name = "Bob""#, "c"),
        (r#"name != "Bob""#, "abd"),
        (r#"name < "a""#, "ac"),
        (r#"name >= "bob 2""#, "d"),
        (r#"name contains "ob""#, "cd"),
        (r#"name not contains "ob""#, "ab"),
        (r#"name icontains "BO""#, "cd"),
        (r#"name icontains "OË""#, "a"),
        (r#"name icontains "NNA""#, "b"),
        (r#"name icontains "bob 23""#, ""),
        (r#"name icontains """#, "abcd"),
        (r#"anyOf(roleAttributes) icontains "STAF""#, "ab"),
        (r#"name not icontains "bo""#, "ab"),
        ("name contains 2", "d"),
        ("id = 5", ""),
        (r#"id in ["d", "a", "x"]"#, "ad"),
        (r#"id not in ["d", "a"]"#, "bc"),
        ("id in [1, 2]", ""),
        ("disabled", "c"),
        ("not disabled", "abd"),
        ("disabled = false", "abd"),
        ("disabled != false", "c"),
        ("isAdmin or isDefaultAdmin or isSystem", ""),
        (r#"type = "Default""#, "abcd"),
        ("updatedAt = datetime(1970-01-01T00:00:02Z)", "cd"),
        ("updatedAt > datetime(1970-01-01T00:00:01Z)", "acd"),
        ("updatedAt in [datetime(1970-01-01T00:00:01Z), datetime(1970-01-01T01:00:03+01:00)]", "ab"),
        // The lower bound belongs to it, the upper one does not.
        ("updatedAt between datetime(1970-01-01T00:00:01Z) and datetime(1970-01-01T00:00:03Z)", "bcd"),
        ("updatedAt not between datetime(1970-01-01T00:00:01Z) and datetime(1970-01-01T00:00:03Z)", "a"),
        ("name = null", ""),
        ("name != null", "abcd"),
        (r#"name = "Bob" and disabled or id = "a""#, "c"),
        (r#"(name = "Bob" and disabled) or id = "a""#, "ac"),
        (r#"not disabled or id = "a""#, "bd"),
    ] {
        assert_eq!(left(&[("filter", filter)]), expected, "{filter}");
    }
}

#[test]
fn tags_are_asked_as_what_they_are_compared_with() {
    for (filter, expected) in [
        (r#"tags.env = "prod""#, "a"),
        (r#"tags.env != "prod""#, "bcd"),
        ("tags.env = null", "cd"),
        ("tags.env != null", "ab"),
        (r#"tags.env < "z""#, "ab"),
        (r#"tags.env not contains "prod""#, "bcd"),
        (r#"tags.env not in ["prod"]"#, "bcd"),
        ("tags.floor = 3", "a"),
        ("tags.floor = 3.0", "a"),
        ("tags.floor != 3", "bcd"),
        ("tags.floor between 2 and 3", "b"),
        ("tags.floor not between 2 and 3", "acd"),
        ("tags.floor in [2.5, 3]", "ab"),
        (r#"tags.floor = "3""#, "ac"),
        (r#"tags.floor contains "2.""#, "b"),
        ("tags.paid", "a"),
        ("tags.paid = false", "bcd"),
        (r#"tags.paid = "true""#, "a"),
        (r#"tags.site.city = "Bern""#, "b"),
        ("tags.site = null", "abcd"),
        ("'tags.cost centre' != null", "c"),
        ("tags.floor = datetime(1970-01-01T00:00:03Z)", ""),
    ] {
        assert_eq!(left(&[("filter", filter)]), expected, "{filter}");
    }
}

#[test]
fn sets_are_asked_by_functions() {
    for (filter, expected) in [
        (r#"anyOf(roleAttributes) = "staff""#, "ab"),
        (r#"anyOf(roleAttributes) != "staff""#, "ad"),
        (r#"allOf(roleAttributes) = "staff""#, "bc"),
        (r#"anyOf(roleAttributes) in ["home", "office"]"#, "ad"),
        (r#"anyOf(roleAttributes) not in ["home", "office"]"#, "bc"),
        (r#"anyOf(roleAttributes) contains "sta""#, "ab"),
        (r#"anyOf(roleAttributes) not contains "sta""#, "ad"),
        ("anyOf(roleAttributes) != null", "abd"),
        ("count(roleAttributes) > 1", "a"),
        ("count(roleAttributes) in [0, 2]", "ac"),
        ("count(roleAttributes) between 1 and 2", "bd"),
        ("isEmpty(roleAttributes)", "c"),
        ("not isEmpty(roleAttributes)", "abd"),
    ] {
        assert_eq!(left(&[("filter", filter)]), expected, "{filter}");
    }
}

#[test]
fn lists_are_sorted_by_the_type_of_the_field() {
    for (sort, expected) in [
        ("id", "abcd"),
        ("id desc", "dcba"),
        ("name", "cabd"),
        ("updatedAt", "bcda"),
        // Equals stay in the order of their ids, whichever way the field is sorted.
        ("updatedAt desc", "acdb"),
        ("updatedAt, name desc", "bdca"),
        ("disabled, updatedAt asc, id desc", "bdac"),
        ("disabled DESC", "cabd"),
    ] {
        assert_eq!(left(&[("sort", sort)]), expected, "{sort}");
        assert_eq!(left(&[("filter", &format!("sort by {sort}"))]), expected, "{sort}");
        // Only the beginning is sorted out, and it is the beginning of the same order.
        assert_eq!(left(&[("sort", sort), ("limit", "3"), ("offset", "1")]), expected.get(1..).unwrap(), "{sort}");
        assert_eq!(left(&[("sort", sort), ("limit", "1")]), expected.get(..1).unwrap(), "{sort}");
        assert_eq!(left(&[("sort", sort), ("offset", "9")]), "", "{sort}");
    }
    assert_eq!(left(&[("sort", "")]), "abcd");
}

#[test]
fn what_a_filter_says_goes_before_the_parameters() {
    assert_eq!(left(&[("filter", "true sort by id desc skip 1 limit 2"), ("sort", "name")]), "cb");
    assert_eq!(left(&[("filter", "true skip 1 limit 2"), ("offset", "3"), ("limit", "1")]), "bc");
    assert_eq!(left(&[("filter", "limit none"), ("limit", "1")]), "abcd");
    assert_eq!(left(&[("filter", "limit 0")]), "");

    let all = identities();
    let query = read::<Identity>(&[("filter", "not disabled sort by name limit 1"), ("offset", "1")]).unwrap();
    let page = query.page(all.iter());
    assert_eq!(
        serde_json::to_value(page.pagination).unwrap(),
        json!({"limit": 1, "offset": 1, "totalCount": 3}),
        "the total counts what the filter left"
    );
    assert_eq!(page.items[0].id.as_str(), "b");
}

#[test]
fn roles_select_as_policies_do() {
    for (query, expected) in [
        (vec![("roleFilter", "#staff")], "ab"),
        (vec![("roleFilter", "#staff"), ("roleFilter", "#home")], "a"),
        (vec![("roleFilter", "#staff"), ("roleFilter", "#home"), ("roleSemantic", "AllOf")], "a"),
        (vec![("roleFilter", "#staff"), ("roleFilter", "#home"), ("roleSemantic", "anyof")], "abd"),
        (vec![("roleFilter", "@c"), ("roleFilter", "#staff")], "abc"),
        (vec![("roleFilter", "@c"), ("roleFilter", "@nobody")], "c"),
        (vec![("roleFilter", "#nobody")], ""),
        (vec![("roleFilter", "#all")], "abcd"),
        (vec![("roleSemantic", "AnyOf")], "abcd"),
        (vec![("roleFilter", "#staff"), ("filter", r#"name = "anna""#)], "b"),
        (vec![("roleFilter", "#staff"), ("sort", "id desc"), ("limit", "1")], "b"),
    ] {
        assert_eq!(left(&query), expected, "{query:?}");
    }
}

#[track_caller]
fn refusal<T: Listed>(query: &[(&str, &str)]) -> (ErrorCode, String, String, String) {
    let Err(ApiError { code, cause }) = read::<T>(query) else { panic!("{query:?} is read") };
    let cause = cause.unwrap();
    (code, cause.field, cause.reason, cause.value)
}

#[test]
fn fields_that_do_not_exist_or_cannot_be_compared_are_refused() {
    for (filter, character, value, reason) in [
        (r#"nmae = "x""#, 1, "nmae", "no such field"),
        (r#"true or authPolicyId = "x""#, 9, "authPolicyId", "no such field"),
        (r#"service.name = "x""#, 1, "service.name", "no such field"),
        ("tags = null", 1, "tags", "a tag must be named"),
        ("name", 1, "name", "only a field that is true or false"),
        ("name = true", 1, "name", "a text cannot be compared with true or false"),
        ("name = datetime(2026-01-02T03:04:05Z)", 1, "name", "a text cannot be compared with a time"),
        ("name between 1 and 2", 1, "name", "a text cannot be compared with a number"),
        (r#"createdAt = "2026""#, 1, "createdAt", "a time cannot be compared with a text"),
        ("createdAt contains 2", 1, "createdAt", "a time cannot be compared with a text"),
        ("createdAt in [1]", 1, "createdAt", "a time cannot be compared with a number"),
        ("disabled = 1", 1, "disabled", "true or false cannot be compared with a number"),
        (r#"disabled in ["true"]"#, 1, "disabled", "true or false cannot be compared with a text"),
        (r#"roleAttributes = "x""#, 1, "roleAttributes", "is a set"),
        (r#"anyOf(name) = "x""#, 7, "name", "is not a set"),
        ("isEmpty(tags.env)", 9, "tags.env", "is not a set"),
        ("count(roleAttributes) = null", 7, "roleAttributes", "never null"),
        (r#"count(roleAttributes) = "1""#, 7, "roleAttributes", "a number cannot be compared with a text"),
        ("sort by tags.env", 9, "tags.env", "no order"),
        ("isEmpty(from services where true)", 9, "from", "not supported"),
        ("name =", 7, "name =", "must stand here"),
    ] {
        let (code, field, said, shown) = refusal::<Identity>(&[("filter", filter)]);
        assert_eq!((code, &*field, &*shown), (ErrorCode::InvalidFilter, "filter", value), "{filter}");
        assert!(said.starts_with(&format!("is wrong at character {character}: ")), "{filter}: {said}");
        assert!(said.contains(reason), "{filter}: {said}");
    }
}

#[test]
fn each_parameter_is_refused_under_its_own_code() {
    for (query, code, field, value) in [
        (vec![("sort", "nmae")], ErrorCode::InvalidSortIdentifier, "sort", "nmae"),
        (vec![("sort", "roleAttributes")], ErrorCode::InvalidSortIdentifier, "sort", "roleAttributes"),
        (vec![("sort", "name down")], ErrorCode::InvalidSortIdentifier, "sort", "down"),
        (vec![("sort", "name"), ("sort", "id")], ErrorCode::InvalidSortIdentifier, "sort", "id"),
        (vec![("filter", "true"), ("filter", "false")], ErrorCode::InvalidFilter, "filter", "false"),
        (vec![("limit", "ten")], ErrorCode::InvalidPagination, "limit", "ten"),
        (vec![("roleFilter", "staff")], ErrorCode::CouldNotValidate, "roleFilter", "staff"),
        (vec![("roleFilter", "#a"), ("roleSemantic", "OneOf")], ErrorCode::CouldNotValidate, "roleSemantic", "OneOf"),
    ] {
        let (found, named, _, shown) = refusal::<Identity>(&query);
        assert_eq!((found, &*named, &*shown), (code, field, value), "{query:?}");
    }
    assert!(read::<Identity>(&vec![("roleFilter", "#a"); 65]).is_err());
    let (code, field, _, _) = refusal::<ListedPolicy<'_>>(&[("roleFilter", "#a")]);
    assert_eq!((code, &*field), (ErrorCode::InvalidFilter, "roleFilter"));
}

#[test]
fn other_kinds_have_fields_of_their_own() {
    let mut mfa = objects::check("mfa", "second factor", &[]);
    let rule = MfaRule {
        timeout: None,
        prompt_on_wake: true,
        prompt_on_unlock: false,
        grace: GRACE,
        ignore_legacy_endpoints: false,
    };
    std::sync::Arc::make_mut(&mut mfa.check).predicate = Predicate::Mfa(rule);
    let checks = [objects::check("domain", "joined", &["windows".to_owned()]), mfa];
    for (filter, expected) in [
        (r#"typeId = "MFA""#, "mfa"),
        ("promptOnWake", "mfa"),
        ("promptOnWake = null", "domain"),
        // A flag that is missing is false.
        ("promptOnUnlock = false", "domain mfa"),
        (r#"anyOf(roleAttributes) = "windows""#, "domain"),
        ("sort by promptOnWake desc", "mfa domain"),
        ("sort by promptOnWake", "domain mfa"),
    ] {
        let page = read::<PostureCheck>(&[("filter", filter)]).unwrap().page(checks.iter());
        let ids: Vec<_> = page.items.iter().map(|check| check.check.id.as_str()).collect();
        assert_eq!(ids.join(" "), expected, "{filter}");
    }

    let services = [objects::service("s", "wiki", &[])];
    let query = read::<Service>(&[("filter", r#"terminatorStrategy = "smartrouting" and not encryptionRequired"#)]);
    assert_eq!(query.unwrap().page(services.iter()).items.len(), 1);
}

#[test]
fn policies_are_asked_for_their_roles_as_shown() {
    let mut world = objects::World::default();
    world.add_service(objects::service("s-1", "wiki", &[]));
    let role = |text: &str| Role::try_from(text.to_owned()).unwrap();
    let mut policy: ServicePolicy =
        objects::policy("p", Semantic::AnyOf, vec![role("#staff")], vec![role("@wiki")], vec![]);
    policy.policy_type = PolicyType::Bind;
    let names = RoleNames::of(&world.objects);
    let listed = [ListedPolicy::new(&policy, &names)];
    for (filter, found) in [
        (r##"anyOf(identityRoles) = "#staff""##, true),
        (r#"anyOf(serviceRoles) = "@s-1""#, true),
        (r#"anyOf(serviceRoles) = "@wiki""#, false),
        ("isEmpty(postureCheckRoles)", true),
        (r#"semantic = "AnyOf" and type = "Bind""#, true),
        (r#"type = "Dial""#, false),
    ] {
        let page = read::<ListedPolicy<'_>>(&[("filter", filter)]).unwrap().page(listed.iter());
        assert_eq!(page.items.len() == 1, found, "{filter}");
    }
}

#[test]
fn every_filterable_field_is_known_and_answered() {
    /// Each name is a field, and filters can ask for it.
    fn assert_fields<T: Listed>(_: &T, named: &[&str]) {
        assert_eq!(T::fields().names(), named);
        for name in named {
            let asked = match T::fields().get(name).unwrap() {
                Field::Set(_) => format!("isEmpty({name})"),
                Field::Tags(_) => format!("{name}.x = null"),
                Field::Text(_) | Field::Flag(_) | Field::Instant(_) => format!("{name} != null"),
            };
            assert!(read::<T>(&[("filter", &asked)]).is_ok(), "{asked}");
        }
        assert!(read::<T>(&[("filter", "nothing = null")]).is_err());
    }
    let world = objects::World::default();
    let names = RoleNames::of(&world.objects);
    let policy = objects::policy("p", Semantic::AllOf, vec![], vec![], vec![]);
    assert_fields(
        &objects::identity("i", "i", &[]),
        &[
            "createdAt",
            "disabled",
            "id",
            "isAdmin",
            "isDefaultAdmin",
            "isSystem",
            "name",
            "roleAttributes",
            "tags",
            "type",
            "updatedAt",
        ],
    );
    assert_fields(
        &objects::service("s", "s", &[]),
        &[
            "createdAt",
            "encryptionRequired",
            "id",
            "isSystem",
            "name",
            "roleAttributes",
            "tags",
            "terminatorStrategy",
            "updatedAt",
        ],
    );
    assert_fields(
        &objects::check("c", "c", &[]),
        &[
            "createdAt",
            "id",
            "isSystem",
            "name",
            "promptOnUnlock",
            "promptOnWake",
            "roleAttributes",
            "tags",
            "typeId",
            "updatedAt",
        ],
    );
    assert_fields(
        &ListedPolicy::new(&policy, &names),
        &[
            "createdAt",
            "id",
            "identityRoles",
            "isSystem",
            "name",
            "postureCheckRoles",
            "semantic",
            "serviceRoles",
            "tags",
            "type",
            "updatedAt",
        ],
    );
    assert_fields(&RoleAttribute("staff"), &["id"]);
    assert_fields(&PostureCheckType::ALL[0], &["id", "name"]);
    assert_fields(
        &AnyConfigType::BuiltIn(ConfigType::HostV1),
        &["createdAt", "id", "isSystem", "name", "tags", "updatedAt"],
    );
    assert_fields(
        &super::configs::asked(&["app.ziti"], 1, 1),
        &["createdAt", "id", "isSystem", "name", "tags", "type", "updatedAt"],
    );
    let failure = Failure {
        when: Timestamp::from_millis(0),
        request_id: "r".into(),
        connection_id: "c".into(),
        identity: IdentityId::from("i"),
        service: Some(FailedService { id: ServiceId::from("s"), name: "s".into() }),
        reason: DenialReason::NoPolicy,
        policies: vec![],
        lock: None,
        source_address: None,
        generation: 1,
    };
    assert_fields(
        &failure,
        &["reasonCode", "requestId", "serviceId", "serviceName", "sessionType", "sourceAddress", "when"],
    );
}
