//! Configs: what their data says here, what is left out, and what a service gets from them.

use std::sync::Arc;
use std::time::Duration;

use postern::dialect::openziti::{ConfigType, ConfigTypes, create_config, patch_config, replace_config};
use postern::id::ConfigId;
use postern::policy::compile::compile;
use postern::policy::lint::lint;
use postern::policy::objects::{Objects, Service};
use postern::policy::service::{Disclosure, HealthCheck};
use postern::policy::service_config::ServiceConfig;
use serde_json::{Value, json};

use super::now;
use crate::objects;

fn config(kind: ConfigType, name: &str, data: Value) -> Result<ServiceConfig, String> {
    let body = json!({"name": name, "configTypeId": kind.id(), "data": data}).to_string();
    let none = Objects::default();
    create_config(body.as_bytes(), ConfigId::from(name), ConfigTypes::of(&none), now())
        .map_err(|error| error.to_string())
}

fn intercept(data: Value) -> ServiceConfig {
    config(ConfigType::InterceptV1, "i", data).unwrap()
}

fn host(data: Value) -> ServiceConfig {
    config(ConfigType::HostV1, "h", data).unwrap()
}

pub(super) fn asked(hosts: &[&str], low: u16, high: u16) -> ServiceConfig {
    intercept(json!({"protocols": ["tcp"], "addresses": hosts, "portRanges": [{"low": low, "high": high}]}))
}

/// The service as it is in force, or why it cannot be.
fn located(service: Service, configs: Vec<ServiceConfig>) -> Result<Service, String> {
    let mut objects = Objects::default();
    let id = service.id.clone();
    let configs: Vec<_> = configs.into_iter().map(Arc::new).collect();
    let service = Service { configs: configs.iter().map(|config| config.id.clone()).collect(), ..service };
    objects.configs.extend(configs.into_iter().map(|config| (config.id.clone(), config)));
    objects.services.insert(id.clone(), Arc::new(service));
    match compile(objects, 1) {
        Ok(snapshot) => Ok(Service::clone(snapshot.service(snapshot.find_service(&id).unwrap()).unwrap())),
        Err(errors) => Err(errors[0].to_string()),
    }
}

fn nowhere() -> Service {
    let mut service = objects::service("s", "app", &[]);
    service.matching.hosts.clear();
    service.upstreams.clear();
    service
}

fn places(service: &Service) -> (Vec<&str>, Vec<&str>) {
    let upstreams = service.upstreams.iter().map(|upstream| upstream.address.as_str());
    (service.matching.hosts.iter().map(String::as_str).collect(), upstreams.collect())
}

#[test]
fn a_service_is_where_its_configs_say() {
    let host = host(json!({"protocol": "tcp", "address": "10.0.0.7", "port": 8080}));
    let service = located(nowhere(), vec![asked(&["App.ziti", "*.apps.ziti"], 443, 443), host]).unwrap();
    assert_eq!(places(&service), (vec!["app.ziti", "*.apps.ziti"], vec!["10.0.0.7:8080"]));
}

#[test]
fn what_a_service_says_itself_goes_before_its_configs() {
    let mut own = nowhere();
    own.matching.hosts = vec!["own.example".to_owned()];
    let host = host(json!({"protocol": "tcp", "address": "::1", "port": 8080}));
    let service = located(own, vec![asked(&["app.ziti"], 443, 443), host]).unwrap();
    assert_eq!(places(&service), (vec!["own.example"], vec!["[::1]:8080"]));
}

#[test]
fn what_is_forwarded_is_known_or_refused() {
    let forwarding = |addresses: Value, low: u16, high: u16| {
        host(json!({
            "forwardProtocol": true, "allowedProtocols": ["tcp", "udp"],
            "forwardAddress": true, "allowedAddresses": addresses,
            "forwardPort": true, "allowedPortRanges": [{"low": low, "high": high}],
        }))
    };
    for (hosts, asked_ports, allowed, allowed_ports, expected) in [
        (&["app.ziti"][..], (8080, 8080), json!(["app.ziti"]), (1, 9000), Ok("app.ziti:8080")),
        (&["app.ziti"], (8000, 9000), json!(["*.ziti"]), (8081, 8081), Ok("app.ziti:8081")),
        (&["10.1.2.3"], (80, 80), json!(["10.0.0.0/8"]), (80, 80), Ok("10.1.2.3:80")),
        (&["fd00::7"], (80, 80), json!(["fd00::/8"]), (80, 80), Ok("[fd00::7]:80")),
        (&["11.1.2.3"], (80, 80), json!(["10.0.0.0/8"]), (80, 80), Err("does not allow to forward to `11.1.2.3`")),
        (&["ziti"], (80, 80), json!(["*.ziti"]), (80, 80), Err("does not allow to forward to `ziti`")),
        (&["*.ziti"], (80, 80), json!(["*.ziti"]), (80, 80), Err("one exact host here, not `*.ziti`")),
        (&["a.ziti", "b.ziti"], (80, 80), json!(["*.ziti"]), (80, 80), Err("not `a.ziti`, `b.ziti`")),
        (&["app.ziti"], (80, 81), json!(["*.ziti"]), (1, 9000), Err("one port here (that of an intercept config")),
        (&["app.ziti"], (80, 80), json!(["*.ziti"]), (81, 82), Err("not none; give a port")),
    ] {
        let configs =
            vec![asked(hosts, asked_ports.0, asked_ports.1), forwarding(allowed, allowed_ports.0, allowed_ports.1)];
        match (located(nowhere(), configs), expected) {
            (Ok(service), Ok(upstream)) => assert_eq!(places(&service).1, [upstream]),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn what_only_a_tunneler_can_do_is_left_out_and_said() {
    let mixed = intercept(json!({
        "protocols": ["tcp", "udp"], "addresses": ["app.ziti", "10.0.0.0/8"],
        "portRanges": [{"low": 1, "high": 65535}], "allowedSourceAddresses": ["10.0.0.1"],
        "dialOptions": {"connectTimeoutSeconds": 5}, "sourceIp": "$src_ip",
    }));
    let notes: Vec<_> = mixed.left_out.iter().map(|note| note.split(':').next().unwrap()).collect();
    assert_eq!(notes, ["data.protocols[1]", "data.addresses[1]", "data.allowedSourceAddresses"]);
    assert_eq!(places(&located(nowhere(), vec![mixed]).unwrap()).0, ["app.ziti"]);

    let blocks =
        intercept(json!({"protocols": ["tcp"], "addresses": ["10.0.0.0/8"], "portRanges": [{"low": 1, "high": 2}]}));
    let udp = host(json!({"protocol": "udp", "address": "dns", "port": 53}));
    let proxied =
        host(json!({"protocol": "tcp", "address": "a", "port": 1, "proxy": {"address": "p:1", "type": "http"}}));
    for (config, told) in [(blocks, "block of addresses"), (udp, "UDP is not proxied"), (proxied, "reached directly")] {
        let error = located(nowhere(), vec![config]).unwrap_err();
        assert!(error.contains("says nothing that a reverse proxy can do") && error.contains(told), "{error}");
    }
}

#[test]
fn what_a_config_leaves_out_or_who_is_gone_is_found() {
    let mut objects = Objects::default();
    let mixed = intercept(
        json!({"protocols": ["tcp", "udp"], "addresses": ["app.ziti"], "portRanges": [{"low": 1, "high": 1}]}),
    );
    let service = Service { configs: vec![mixed.id.clone(), ConfigId::from("gone")], ..nowhere() };
    objects.configs.insert(mixed.id.clone(), Arc::new(mixed));
    objects.services.insert(service.id.clone(), Arc::new(service));
    let found: Vec<_> = lint(&compile(objects, 1).unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(
        found[1],
        "service `app`: its config `i` says what is left out here: data.protocols[1]: UDP is not proxied"
    );
    assert_eq!(found[2], "service `app`: its config `gone` does not exist and says nothing");
}

#[test]
fn a_service_has_one_config_of_a_type() {
    let second = ServiceConfig { id: ConfigId::from("other"), name: "other".into(), ..asked(&["b.ziti"], 1, 1) };
    let error = located(nowhere(), vec![asked(&["a.ziti"], 1, 1), second]).unwrap_err();
    assert!(error.contains("`other` is of the same type as `i`"), "{error}");
}

#[test]
fn health_checks_of_the_place_itself_are_made() {
    let checked = |checks: Value| {
        let mut data = json!({"protocol": "tcp", "address": "app.internal", "port": 8080});
        data.as_object_mut().unwrap().extend(checks.as_object().unwrap().clone());
        let host = host(data);
        let notes = host.left_out.len();
        (located(nowhere(), vec![host]).unwrap().transport.health_check, notes)
    };
    let check = |path: Option<&str>, healthy_after, unhealthy_after| {
        let path = path.map(str::to_owned);
        let (interval, timeout) = (Duration::from_secs(5), Duration::from_millis(500));
        Some(HealthCheck { path, interval, timeout, healthy_after, unhealthy_after })
    };
    let timing = |mut place: Value| {
        let timing = json!({"interval": "5s", "timeout": "500ms"});
        place.as_object_mut().unwrap().extend(timing.as_object().unwrap().clone());
        place
    };
    let port = timing(json!({"address": "app.internal:8080", "actions": [
        {"trigger": "fail", "consecutiveEvents": 7, "action": "mark unhealthy"},
        {"trigger": "pass", "consecutiveEvents": 2, "action": "mark healthy"},
    ]}));
    let http = timing(json!({"url": "http://app.internal:8080/health?deep=1", "expectStatus": 200}));
    assert_eq!(checked(json!({"portChecks": [port]})), (check(None, 2, 7), 0));
    assert_eq!(checked(json!({"httpChecks": [http]})), (check(Some("/health?deep=1"), 1, 3), 1));
    assert_eq!(checked(json!({"httpChecks": [http], "portChecks": [port]})), (check(Some("/health?deep=1"), 1, 3), 2));
    for elsewhere in ["http://other:8080/", "http://app.internal/", "https://app.internal:8080/"] {
        assert_eq!(checked(json!({"httpChecks": [timing(json!({"url": elsewhere}))]})), (None, 1), "{elsewhere}");
    }
}

#[test]
fn several_places_and_the_first_tunnelers_forms_are_read() {
    let place = |port: u16| json!({"protocol": "tcp", "address": "a", "port": port, "listenOptions": {"connectTimeoutSeconds": 9}});
    let many = config(ConfigType::HostV2, "h2", json!({"terminators": [place(1), place(2)]})).unwrap();
    let service = located(nowhere(), vec![many]).unwrap();
    assert_eq!(places(&service).1, ["a:1", "a:2"]);
    assert_eq!(service.transport.connect_timeout, Duration::from_secs(9));

    let client = config(ConfigType::TunnelerClientV1, "c", json!({"hostname": "app.ziti", "port": 80})).unwrap();
    let server =
        config(ConfigType::TunnelerServerV1, "s", json!({"protocol": "tcp", "hostname": "a", "port": 8080})).unwrap();
    let service = located(nowhere(), vec![client, server]).unwrap();
    assert_eq!(places(&service), (vec!["app.ziti"], vec!["a:8080"]));
    assert_eq!(service.disclosure, Disclosure::default());
}

#[test]
fn data_that_breaks_its_type_is_refused_by_member() {
    let (intercept, host) = (ConfigType::InterceptV1, ConfigType::HostV1);
    for (kind, data, told) in [
        (intercept, json!({}), "`data.protocols` is required"),
        (
            intercept,
            json!({"protocols": ["tcp"], "portRanges": [{"low": 1, "high": 1}]}),
            "`data.addresses` is required",
        ),
        (
            intercept,
            json!({"protocols": [], "portRanges": [{"low": 1, "high": 1}]}),
            "`data.protocols` must have at least",
        ),
        (intercept, json!({"protocols": ["sctp"]}), "`data.protocols[0]` must be tcp or udp"),
        (intercept, json!({"protocols": ["tcp", "tcp"]}), "`data.protocols[1]` is listed twice"),
        (intercept, json!({"protocols": ["tcp"], "portRanges": [{"low": 1}]}), "`data.portRanges[0].high` is required"),
        (intercept, json!({"protocols": ["tcp"], "portRanges": [{"low": 2, "high": 1}]}), "`data.portRanges[0].high`"),
        (
            intercept,
            json!({"protocols": ["tcp"], "portRanges": [{"low": 1, "high": 65536}]}),
            "`data.portRanges[0].high`",
        ),
        (intercept, json!({"hostname": "a"}), "`data.hostname` is not known"),
        (host, json!({"address": "a", "port": 1}), "`data.protocol` is required"),
        (host, json!({"protocol": "tcp", "port": 1}), "`data.address` is required"),
        (host, json!({"protocol": "tcp", "address": "*.a", "port": 1}), "`data.address` must be one host"),
        (host, json!({"protocol": "tcp", "address": "http://a", "port": 1}), "`data.address` is not a"),
        (host, json!({"protocol": "tcp", "address": "a"}), "`data.port` is required"),
        (host, json!({"protocol": "tcp", "address": "a", "port": 0}), "`data.port` must be from 1"),
        (host, json!({"protocol": "tcp", "address": "a", "forwardPort": true}), "`data.allowedPortRanges` is required"),
        (host, json!({"protocol": "tcp", "address": "a", "forwardPort": false}), "`data.forwardPort` must be true"),
        (host, json!({"protocol": "tcp", "forwardAddress": true, "address": "a"}), "`data.address` must be left out"),
        (
            host,
            json!({"protocol": "tcp", "address": "a", "port": 1, "portChecks": [{}]}),
            "`data.portChecks[0].address`",
        ),
        (ConfigType::HostV2, json!({"terminators": []}), "`data.terminators` must have at least"),
        (ConfigType::HostV2, json!({"terminators": [{}]}), "`data.terminators[0].protocol` is required"),
    ] {
        let error = config(kind, "c", data.clone()).unwrap_err();
        assert!(error.contains(told), "{data}: {error}");
    }
}

#[test]
fn bodies_change_what_they_name_and_never_the_type() {
    let known = asked(&["app.ziti"], 1, 1);
    let objects = Objects::default();
    let types = ConfigTypes::of(&objects);
    let patched = patch_config(br#"{"name": "renamed", "tags": {"a": 1}}"#, &known, types, now()).unwrap();
    assert_eq!((&*patched.name, &patched.says), ("renamed", &known.says));
    let replaced = replace_config(br#"{"name": "n"}"#, &patched, types, now()).unwrap_err();
    assert!(replaced.to_string().contains("`data` is required"), "{replaced}");
    let other = json!({"configTypeId": ConfigType::HostV1.id()}).to_string();
    let error = patch_config(other.as_bytes(), &known, types, now()).unwrap_err();
    assert!(error.to_string().contains("`configTypeId` cannot be changed"), "{error}");
    let unknown = br#"{"name": "x", "configTypeId": "nope", "data": {}}"#;
    let error = create_config(unknown, known.id.clone(), types, now()).unwrap_err();
    assert!(error.to_string().contains("`configTypeId` is the id of no type of configs"), "{error}");
}
