//! Operators see what is under way, and end it.

use std::sync::Arc;

use postern::clock::Timestamp;
use postern::decision::DenialReason;
use postern::enforce::{
    Cause, Connection, Credential, EndSignal, Enrollment, Entry, Place, Protocol, SignatureRefused,
};
use postern::id::ServiceId;
use postern::policy::Subject;
use postern::policy::objects::ServicePolicy;
use reqwest::Client;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, Served, VIEWER_TOKEN, World};

/// Something under way, as the gate enters it.
pub(crate) struct UnderWay {
    signal: Arc<EndSignal>,
    _place: Place,
}

impl UnderWay {
    /// `who` is let through to a service.
    pub(crate) fn begin(world: &World, who: &str, service: &str) -> UnderWay {
        let known = Known([format!("spiffe://postern.test/{who}").parse().unwrap()]);
        let (id, peer) = (format!("connection-of-{who}"), Some("192.0.2.7:50000".parse().unwrap()));
        UnderWay::over(world, Connection::new(id, peer, None, Some(Arc::new(known))), service)
    }

    fn over(world: &World, connection: Connection, service: &str) -> UnderWay {
        let connection = Arc::new(connection);
        let published = world.enforcer.published();
        let service = published.snapshot().find_service(&ServiceId::from(format!("{service}-id").as_str())).unwrap();
        let signal = Arc::new(EndSignal::default());
        let entry = Entry {
            request_id: "the-request".into(),
            began: world.now(),
            protocol: Protocol::Tcp,
            signal: Arc::clone(&signal),
        };
        let (_, place) = world.enforcer.enter(&published, &connection, service, entry).unwrap();
        UnderWay { signal, _place: place }
    }

    pub(crate) fn id(&self) -> String {
        self.signal.session().unwrap().id().to_string()
    }

    /// Why it was ended, if it was.
    fn ended(&self) -> Option<(Cause, DenialReason)> {
        self.signal.ended().map(|ended| (ended.cause, ended.denial.reason))
    }
}

/// A certificate that is always trusted.
#[derive(Debug)]
struct Known([Subject; 1]);

impl Credential for Known {
    fn recheck(&self, _now: Timestamp) -> Result<(), DenialReason> {
        Ok(())
    }

    fn names(&self) -> &[Subject] {
        &self.0
    }

    fn fingerprint(&self) -> &'static str {
        "ab"
    }

    fn describe(&self) -> &'static str {
        "CN=known"
    }

    fn verify(&self, _message: &[u8], _signature: &[u8]) -> Result<(), SignatureRefused> {
        Err(SignatureRefused::Mismatch)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        None
    }
}

struct Desk {
    world: World,
    api: Served,
    http: Client,
}

impl Desk {
    async fn new() -> Desk {
        let world = World::in_force();
        let api = world.admin().await;
        let http = world.http(&api, None);
        Desk { world, api, http }
    }

    async fn send(&self, token: &str, method: &str, path: &str) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), self.api.url(&format!("/api/v1/sessions{path}")));
        let reply = request.bearer_auth(token).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    /// The ids of the sessions that a query shows.
    async fn ids(&self, query: &str) -> Vec<String> {
        let (status, reply) = self.send(VIEWER_TOKEN, "GET", query).await;
        assert_eq!(status, 200, "{reply}");
        let ids = reply["data"].as_array().unwrap().iter();
        ids.map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn what_is_under_way_is_shown_whole() {
    let desk = Desk::new().await;
    assert_eq!(desk.ids("").await, [""; 0]);
    let session = UnderWay::begin(&desk.world, "laptop", "status");
    let (status, reply) = desk.send(VIEWER_TOKEN, "GET", "").await;
    assert_eq!(status, 200);
    let expected = json!([{
        "id": session.id(),
        "protocol": "tcp",
        "identity": {"id": "laptop-id", "name": "laptop"},
        "service": {"id": "status-id", "name": "status"},
        "policy": {"id": "status-policy", "name": "status-policy"},
        "requestId": "the-request",
        "connectionId": "connection-of-laptop",
        "sourceAddress": "192.0.2.7:50000",
        "startedAt": desk.world.now().to_string(),
        "validUntil": null,
    }]);
    assert_eq!(reply["data"], expected);
    drop(session);
    assert_eq!(desk.ids("").await, [""; 0], "it is over");
}

#[tokio::test]
async fn sessions_are_filtered_and_paged_the_oldest_first() {
    let desk = Desk::new().await;
    let begin = |who: &str| UnderWay::begin(&desk.world, who, "status");
    let sessions = [begin("laptop"), begin("phone"), begin("laptop"), begin("laptop")];
    let [a, b, c, d] = sessions.each_ref().map(UnderWay::id);
    let all = [&a, &b, &c, &d];
    assert_eq!(desk.ids("").await.iter().collect::<Vec<_>>(), all);
    for query in ["?identity=laptop", "?identity=laptop-id", "?identity=laptop&service=status-id"] {
        assert_eq!(desk.ids(query).await, [a.clone(), c.clone(), d.clone()], "{query}");
    }
    assert_eq!(desk.ids("?service=wiki").await, [""; 0]);
    assert_eq!(desk.ids("?limit=2&offset=1").await, [b.clone(), c.clone()]);
    assert_eq!(desk.ids("?identity=laptop&limit=2&offset=2").await, [d]);
    let (_, reply) = desk.send(VIEWER_TOKEN, "GET", "?identity=laptop&limit=1").await;
    assert_eq!(reply["meta"]["pagination"], json!({"limit": 1, "offset": 0, "totalCount": 3}));
    for (query, status) in [("?identity=nobody", 404), ("?service=nothing", 404), ("?limit=all", 400)] {
        assert_eq!(desk.send(VIEWER_TOKEN, "GET", query).await.0, status, "{query}");
    }
}

#[tokio::test]
async fn who_has_no_certificate_is_shown_by_name_and_asked_for_by_it() {
    let desk = Desk::new().await;
    let mut objects = crate::world::policy();
    let open = objects.policies.values_mut().find(|policy| &*policy.name == "status-policy").unwrap();
    *open = Arc::new(ServicePolicy { anonymous: true, ..ServicePolicy::clone(open) });
    desk.world.enforcer.publish_files(objects).unwrap();
    let laptop = UnderWay::begin(&desk.world, "laptop", "status");
    let nobody = UnderWay::over(&desk.world, Connection::anonymous("connection-of-nobody", None, None), "status");
    assert_eq!(desk.ids("?identity=anonymous").await, [nobody.id()]);
    assert_eq!(desk.ids("").await, [laptop.id(), nobody.id()]);
    let (_, reply) = desk.send(VIEWER_TOKEN, "GET", "?identity=anonymous&service=status").await;
    assert_eq!(reply["data"][0]["identity"], json!({"id": "anonymous", "name": "anonymous"}));

    for (service, reason) in [("status", "allowed"), ("wiki", "certificate-required")] {
        let path = format!("/api/v1/explain?identity=anonymous&service={service}");
        let reply = desk.http.get(desk.api.url(&path)).bearer_auth(VIEWER_TOKEN).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let explained: Value = reply.json().await.unwrap();
        let explained = &explained["data"];
        assert_eq!(explained["identity"], json!({"id": "anonymous", "name": "anonymous"}));
        assert_eq!(explained["reasonCode"], reason, "{service}");
    }
}

#[tokio::test]
async fn one_that_is_ended_ends_at_once_and_no_other() {
    let desk = Desk::new().await;
    let [one, other] = ["laptop", "laptop"].map(|who| UnderWay::begin(&desk.world, who, "status"));
    let path = format!("/{}", one.id());
    assert_eq!(desk.send(ADMIN_TOKEN, "DELETE", &path).await.0, 200);
    // Its end is under way when the reply comes, not later.
    assert_eq!(one.ended(), Some((Cause::Operator, DenialReason::EndedByOperator)));
    assert_eq!(other.ended(), None);
    assert_eq!(desk.send(ADMIN_TOKEN, "DELETE", &path).await.0, 404, "it is over");
    assert_eq!(desk.ids("").await, [other.id()]);
    drop(one);
    assert_eq!(desk.ids("").await, [other.id()]);
    let _again = UnderWay::begin(&desk.world, "laptop", "status");
}

#[tokio::test]
async fn only_admins_end_sessions_and_only_those_there_are() {
    let desk = Desk::new().await;
    let session = UnderWay::begin(&desk.world, "laptop", "status");
    assert_eq!(desk.send(VIEWER_TOKEN, "DELETE", &format!("/{}", session.id())).await.0, 401);
    for id in ["999999999", "-1", "abc", "18446744073709551616"] {
        let (status, reply) = desk.send(ADMIN_TOKEN, "DELETE", &format!("/{id}")).await;
        assert_eq!((status, &reply["error"]["code"]), (404, &"NOT_FOUND".into()), "{id}");
    }
    let anonymous = desk.http.get(desk.api.url("/api/v1/sessions")).send().await.unwrap();
    assert_eq!(anonymous.status().as_u16(), 401);
    assert_eq!(session.ended(), None);
}
