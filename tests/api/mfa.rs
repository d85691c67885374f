//! Multi-factor authentication by one-time passwords.

use std::sync::Arc;
use std::time::Duration;

use postern::id::IdentityId;
use postern::limits;
use postern::policy::objects::Objects;
use postern::policy::roles::{Role, Semantic};
use postern::posture::check::mfa::{GRACE, MfaRule};
use postern::posture::check::{Check, Predicate};
use postern::store::{Backend, MemoryBackend, Table};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::devices::{Device, fits};
use crate::objects;
use crate::totp;
use crate::world::{ADMIN_TOKEN, VIEWER_TOKEN, World, policy};

const MFA: &str = "/current-identity/mfa";

/// `policy()` with one more service, `safe`, which asks for a pass that lasts a minute.
fn safe_policy() -> Objects {
    let mut written = objects::World { objects: policy() };
    let mut service = objects::service("safe-id", "safe", &[]);
    service.matching.hosts = vec!["safe.postern.test".to_owned()];
    written.add_service(service);
    let mut check = objects::check("mfa-id", "mfa", &[]);
    let rule = MfaRule {
        timeout: Some(Duration::from_secs(60)),
        prompt_on_wake: true,
        prompt_on_unlock: false,
        grace: GRACE,
        ignore_legacy_endpoints: false,
    };
    check.check = Arc::new(Check { predicate: Predicate::Mfa(rule), ..Check::clone(&check.check) });
    written.add_check(check);
    let role = |text: &str| vec![Role::try_from(text.to_owned()).unwrap()];
    written.add_policy(objects::policy("safe-policy", Semantic::AnyOf, role("#staff"), role("@safe"), role("@mfa-id")));
    written.objects
}

fn world_over(backend: Arc<dyn Backend>) -> World {
    let world = World::over(backend);
    world.enforcer.publish_files(safe_policy()).unwrap();
    world
}

fn world() -> World {
    world_over(Arc::new(MemoryBackend::new()))
}

/// The app with a secret, which never shows the same password twice.
pub(crate) struct App {
    secret: Vec<u8>,
}

impl App {
    /// Enrols a device and verifies the enrolment.
    pub(crate) async fn enrol(world: &World, device: &Device<'_>) -> App {
        device.good(Method::POST, MFA, None, "created").await;
        let shown = device.good(Method::GET, MFA, None, "mfa").await;
        let app = App { secret: totp::secret_of(shown["provisioningUrl"].as_str().unwrap()) };
        let (status, reply) = device.post(&format!("{MFA}/verify"), json!({"code": app.code(world)})).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        fits("empty", &reply);
        app
    }

    fn code(&self, world: &World) -> String {
        totp::code(&self.secret, world.now())
    }

    /// The next password: it waits until there is one.
    pub(crate) fn next(&self, world: &World) -> String {
        world.clock.advance(Duration::from_secs(30));
        self.code(world)
    }
}

/// Whether `safe` is open to a device.
async fn is_open(device: &Device<'_>) -> bool {
    let (status, _) = device.post("/sessions", json!({"serviceId": "safe-id"})).await;
    assert!(matches!(status, StatusCode::CREATED | StatusCode::CONFLICT));
    status == StatusCode::CREATED
}

#[tokio::test]
async fn a_device_enrols_and_its_pass_opens_until_it_is_too_old() {
    let world = world();
    let api = world.client().await;
    let mut laptop = Device::new(&world, &api, "laptop");
    assert!(!is_open(&laptop).await);
    let (status, refused) = laptop.get(MFA).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::NOT_FOUND, &"NOT_FOUND".into()));
    let (status, refused) = laptop.post("/authenticate/mfa", json!({"code": "123456"})).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::CONFLICT, &"MFA_NOT_ENROLLED".into()));

    let created = laptop.ask(Method::POST, MFA, None).await;
    assert_eq!(created.0, StatusCode::CREATED);
    let (status, refused) = laptop.ask(Method::POST, MFA, None).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::CONFLICT, &"MFA_EXISTS".into()));
    let shown = laptop.good(Method::GET, MFA, None, "mfa").await;
    assert_eq!((&shown["isVerified"], &shown["id"]), (&json!(false), &created.1["data"]["id"]));
    let url = shown["provisioningUrl"].as_str().unwrap();
    assert!(url.starts_with("otpauth://totp/laptop?issuer=api.postern.test&secret="), "{url}");
    assert_eq!(shown["recoveryCodes"].as_array().unwrap().len(), 20);
    let picture = laptop.http.get(api.url(&format!("/edge/client/v1{MFA}/qr-code"))).send().await.unwrap();
    assert_eq!((picture.status(), &picture.headers()["content-type"]), (StatusCode::OK, &"image/png".parse().unwrap()));
    assert!(picture.bytes().await.unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(!laptop.good(Method::GET, "/current-identity", None, "identity").await["isMfaEnabled"].as_bool().unwrap());
    let session = laptop.log_in().await;
    assert_eq!(session["authQueries"], json!([]), "nothing is asked of who has not finished");

    let app = App { secret: totp::secret_of(url) };
    let (status, refused) = laptop.post("/authenticate/mfa", json!({"code": app.code(&world)})).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::CONFLICT, &"MFA_NOT_ENROLLED".into()), "unverified");
    let verify = format!("{MFA}/verify");
    let recovery = shown["recoveryCodes"][0].as_str().unwrap();
    for wrong in ["000000", recovery, ""] {
        let (status, refused) = laptop.post(&verify, json!({"code": wrong})).await;
        assert_eq!((status, &refused["error"]["code"]), (StatusCode::BAD_REQUEST, &"MFA_INVALID_TOKEN".into()));
    }
    assert_eq!(laptop.post(&verify, json!({"code": app.code(&world)})).await.0, StatusCode::OK);
    let shown = laptop.good(Method::GET, MFA, None, "mfa").await;
    assert_eq!(
        (&shown["isVerified"], shown.get("recoveryCodes"), shown.get("provisioningUrl")),
        (&json!(true), None, None)
    );
    for path in [&verify, &format!("{MFA}/qr-code")] {
        let method = if path == &verify { Method::POST } else { Method::GET };
        let (status, refused) = laptop.ask(method, path, Some(json!({"code": "1"}))).await;
        assert_eq!((status, &refused["error"]["code"]), (StatusCode::NOT_FOUND, &"MFA_ENROLLMENT_NOT_STARTED".into()));
    }
    assert!(laptop.good(Method::GET, "/current-identity", None, "identity").await["isMfaEnabled"].as_bool().unwrap());

    assert!(is_open(&laptop).await, "verifying is a pass");
    let query = laptop.good(Method::GET, "/services/safe-id", None, "service").await;
    let query = &query["postureQueries"][0]["postureQueries"][0];
    assert_eq!(
        (&query["timeout"], &query["timeoutRemaining"], &query["promptOnWake"]),
        (&60.into(), &60.into(), &true.into())
    );
    world.clock.advance(Duration::from_millis(60_001));
    assert!(!is_open(&laptop).await, "the pass is too old");
    assert_eq!(laptop.post("/authenticate/mfa", json!({"code": app.code(&world)})).await.0, StatusCode::OK);
    assert!(is_open(&laptop).await);
}

#[tokio::test]
async fn sessions_say_whether_a_code_is_still_asked_for() {
    let world = world();
    let api = world.client().await;
    let mut laptop = Device::new(&world, &api, "laptop");
    App::enrol(&world, &laptop).await;
    let session = laptop.log_in().await;
    assert_eq!((&session["isMfaRequired"], &session["isMfaComplete"]), (&json!(true), &json!(true)));
    assert_eq!(session["authQueries"], json!([]));

    let mut renewed = Device::renewed(&world, &api, "laptop");
    let session = renewed.log_in().await;
    assert_eq!((&session["isMfaRequired"], &session["isMfaComplete"]), (&json!(true), &json!(false)));
    let query = &session["authQueries"][0];
    assert_eq!(
        (&query["typeId"], &query["provider"], &query["httpUrl"]),
        (&"MFA".into(), &"ziti".into(), &"./authenticate/mfa".into())
    );
}

#[tokio::test]
async fn a_pass_is_good_with_the_certificate_it_was_shown_with() {
    let world = world();
    let api = world.client().await;
    let (first, second) = (Device::new(&world, &api, "laptop"), Device::renewed(&world, &api, "laptop"));
    let app = App::enrol(&world, &first).await;
    assert!(is_open(&first).await);
    assert!(!is_open(&second).await, "another certificate of the same identity");
    assert!(is_open(&first).await, "asking with one does not change what holds for the other");
    assert_eq!(second.post("/authenticate/mfa", json!({"code": app.next(&world)})).await.0, StatusCode::OK);
    assert!(is_open(&first).await && is_open(&second).await);
    let phone = Device::new(&world, &api, "phone");
    assert!(!is_open(&phone).await);
}

#[tokio::test]
async fn a_code_counts_once_whatever_it_was_for() {
    let world = world();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    laptop.good(Method::POST, MFA, None, "created").await;
    let shown = laptop.good(Method::GET, MFA, None, "mfa").await;
    let recovery = shown["recoveryCodes"][7].as_str().unwrap().to_owned();
    let app = App { secret: totp::secret_of(shown["provisioningUrl"].as_str().unwrap()) };
    let code = app.code(&world);
    assert_eq!(laptop.post(&format!("{MFA}/verify"), json!({"code": code})).await.0, StatusCode::OK);
    let pass = async |code: &str| laptop.post("/authenticate/mfa", json!({"code": code})).await;
    let (status, refused) = pass(&code).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::BAD_REQUEST, &"MFA_INVALID_TOKEN".into()), "reused");

    assert_eq!(pass(&recovery.to_lowercase()).await.0, StatusCode::OK);
    assert_eq!(pass(&recovery).await.0, StatusCode::BAD_REQUEST, "a recovery code counts once");
    let next = app.next(&world);
    assert_eq!(pass(&next).await.0, StatusCode::OK);
    assert_eq!(pass(&next).await.0, StatusCode::BAD_REQUEST);
    let old = app.next(&world);
    world.clock.advance(Duration::from_secs(90));
    assert_eq!(pass(&old).await.0, StatusCode::BAD_REQUEST, "expired");
}

#[tokio::test]
async fn recovery_codes_are_shown_for_a_password_and_renewed() {
    let world = world();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    let path = format!("{MFA}/recovery-codes");
    assert_eq!(laptop.get(&path).await.0, StatusCode::NOT_FOUND);
    let app = App::enrol(&world, &laptop).await;
    assert_eq!(laptop.get(&path).await.1["error"]["code"], "MFA_INVALID_TOKEN", "no code");

    let codes = laptop.good(Method::GET, &path, Some(json!({"code": app.next(&world)})), "recoveryCodes").await;
    let codes = codes["recoveryCodes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 20);
    let recovery = codes[0].as_str().unwrap();
    let in_header = |code: &str| {
        let request = laptop.http.get(api.url(&format!("/edge/client/v1{path}"))).header("mfa-validation-code", code);
        async move { request.send().await.unwrap() }
    };
    assert_eq!(in_header(recovery).await.status(), StatusCode::BAD_REQUEST, "passwords only");
    assert_eq!(laptop.post(&path, json!({"code": recovery})).await.0, StatusCode::OK);
    let renewed: Value = in_header(&app.next(&world)).await.json().await.unwrap();
    let renewed = renewed["data"]["recoveryCodes"].as_array().unwrap();
    assert!(renewed.len() == 20 && renewed.iter().all(|code| !codes.contains(code)));
    let (status, _) = laptop.post("/authenticate/mfa", json!({"code": codes[1]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the old ones are gone");
}

#[tokio::test]
async fn removing_the_factor_withdraws_every_pass() {
    let world = world();
    let (api, admin) = (world.client().await, world.admin().await);
    let laptop = Device::new(&world, &api, "laptop");
    let app = App::enrol(&world, &laptop).await;
    let remove = async |code: Option<&str>| {
        let request = laptop.http.delete(api.url(&format!("/edge/client/v1{MFA}")));
        let request = code.into_iter().fold(request, |request, code| request.header("mfa-validation-code", code));
        request.send().await.unwrap().status()
    };
    assert_eq!(remove(None).await, StatusCode::BAD_REQUEST);
    assert_eq!(remove(Some("000000")).await, StatusCode::BAD_REQUEST);
    assert!(is_open(&laptop).await);
    assert_eq!(remove(Some(&app.next(&world))).await, StatusCode::OK);
    assert!(!is_open(&laptop).await);
    assert_eq!(remove(None).await, StatusCode::NOT_FOUND);

    laptop.good(Method::POST, MFA, None, "created").await;
    assert_eq!(remove(None).await, StatusCode::OK, "one that was never verified needs no code");

    App::enrol(&world, &laptop).await;
    assert!(is_open(&laptop).await);
    let operator = world.http(&admin, None);
    let withdraw = async |identity: &str, token: &str| {
        let url = admin.url(&format!("/edge/management/v1/identities/{identity}/mfa"));
        operator.delete(url).bearer_auth(token).send().await.unwrap().status()
    };
    let enabled = async || {
        let url = admin.url("/edge/management/v1/identities/laptop-id");
        let reply = operator.get(url).bearer_auth(VIEWER_TOKEN).send().await.unwrap();
        reply.json::<Value>().await.unwrap()["data"]["isMfaEnabled"].as_bool().unwrap()
    };
    assert!(enabled().await);
    assert_eq!(withdraw("laptop-id", VIEWER_TOKEN).await, StatusCode::UNAUTHORIZED);
    assert_eq!(withdraw("nobody", ADMIN_TOKEN).await, StatusCode::NOT_FOUND);
    assert_eq!(withdraw("laptop-id", ADMIN_TOKEN).await, StatusCode::OK);
    assert!(!is_open(&laptop).await && !enabled().await);
    assert_eq!(withdraw("laptop-id", ADMIN_TOKEN).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_identity_that_is_deleted_takes_its_enrolment_and_its_posture_along() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let world = world_over(Arc::clone(&backend));
    let (api, admin) = (world.client().await, world.admin().await);
    let operator = world.http(&admin, None);
    let identities = admin.url("/edge/management/v1/identities");
    let make = async || {
        let body = json!({"name": "tablet", "type": "Default", "isAdmin": false, "roleAttributes": ["staff"],
            "subjects": ["spiffe://postern.test/tablet"]});
        let reply = operator.post(&identities).bearer_auth(ADMIN_TOKEN).json(&body).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::CREATED);
        reply.json::<Value>().await.unwrap()["data"]["id"].as_str().unwrap().to_owned()
    };
    let kept =
        |id: &str| [Table::SecondFactors, Table::Postures].map(|table| backend.get(table, id).unwrap().is_some());

    let first = make().await;
    let tablet = Device::new(&world, &api, "tablet");
    App::enrol(&world, &tablet).await;
    tablet.report_domain("corp.example").await;
    assert!(is_open(&tablet).await);
    assert_eq!(kept(&first), [true, true]);
    let deleted = operator.delete(format!("{identities}/{first}")).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::OK);
    assert_eq!(kept(&first), [false, false]);
    assert_eq!(tablet.get(MFA).await.0, StatusCode::UNAUTHORIZED);

    // The device of another identity, though it is the same one: it begins with nothing.
    assert_ne!(make().await, first);
    assert!(!is_open(&tablet).await);
    App::enrol(&world, &tablet).await;
    assert!(is_open(&tablet).await);
}

#[tokio::test]
async fn guessing_is_slowed_down_for_the_identity() {
    let world = world();
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    let app = App::enrol(&world, &laptop).await;
    world.clock.advance(Duration::from_secs(30));
    let pass = async |device: &Device<'_>, code: &str| device.post("/authenticate/mfa", json!({"code": code})).await.0;
    for number in 0..=limits::MFA_FREE_GUESSES {
        assert_eq!(pass(&laptop, &format!("wrong{number}")).await, StatusCode::BAD_REQUEST);
    }
    let other = Device::renewed(&world, &api, "laptop");
    let right = app.code(&world);
    assert_eq!(pass(&other, &right).await, StatusCode::TOO_MANY_REQUESTS, "over every connection");
    let phone = Device::new(&world, &api, "phone");
    App::enrol(&world, &phone).await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(pass(&other, &right).await, StatusCode::OK, "and not for good");
}

#[tokio::test]
async fn enrolments_passes_and_used_codes_outlive_the_process() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let before = world_over(Arc::clone(&backend));
    let api = before.client().await;
    let certificate = before.ca.client("laptop");
    let laptop = Device { http: before.http(&api, Some(&certificate)), api: &api, token: None };
    let app = App::enrol(&before, &laptop).await;
    let used = app.code(&before);
    for _ in 0..=limits::MFA_FREE_GUESSES {
        laptop.post("/authenticate/mfa", json!({"code": "wrong"})).await;
    }
    let stored = backend.get(Table::SecondFactors, "laptop-id").unwrap().unwrap();
    let secret = String::from_utf8_lossy(&app.secret).into_owned();
    assert!(!String::from_utf8_lossy(&stored).contains(&secret));

    let after = before.restarted(backend);
    after.enforcer.restore().unwrap();
    after.enforcer.publish_files(safe_policy()).unwrap();
    assert_eq!(after.factors.restore().unwrap().0, 1);
    let api = after.client().await;
    let laptop = Device { http: after.http(&api, Some(&certificate)), api: &api, token: None };
    assert!(is_open(&laptop).await, "the pass");
    let pass = async |code: String| laptop.post("/authenticate/mfa", json!({"code": code})).await.0;
    assert_eq!(pass(app.code(&after)).await, StatusCode::TOO_MANY_REQUESTS, "the lock-out");
    after.clock.advance(Duration::from_secs(2));
    assert_eq!(pass(used).await, StatusCode::BAD_REQUEST, "the used code");
    assert_eq!(pass(app.next(&after)).await, StatusCode::OK);
}

#[tokio::test]
async fn a_damaged_enrolment_passes_nothing_and_cannot_be_replaced_by_its_holder() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let garbage = postern::store::Write::put(Table::SecondFactors, "laptop-id", b"no record".to_vec()).unwrap();
    backend.commit(&[garbage]).unwrap();
    let world = world_over(backend);
    assert_eq!(world.factors.restore().unwrap().1.len(), 1);
    let api = world.client().await;
    let laptop = Device::new(&world, &api, "laptop");
    assert_eq!(laptop.ask(Method::POST, MFA, None).await.0, StatusCode::CONFLICT);
    assert_eq!(laptop.post("/authenticate/mfa", json!({"code": "123456"})).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let device = world.enforcer.device(&IdentityId::from("laptop-id")).unwrap();
    world.factors.withdraw(&device).await.unwrap();
    App::enrol(&world, &laptop).await;
    assert!(is_open(&laptop).await);
}
