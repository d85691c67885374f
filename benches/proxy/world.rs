//! What the proxies are configured with: certificates, a policy of a realistic size, and a posture that satisfies it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postern::app::Postern;
use postern::clock::{Clock, SystemClock, Timestamp};
use postern::decision::DenialReason;
use postern::enforce::{Connection, Credential, Enrollment};
use postern::id::CheckId;
use postern::policy::Subject;
use postern::posture::facts::{Os, Process, Source};
use postern::posture::report::{Observation, Report, Seen};
use postern::tls::client::{ClientCertificateFiles, client_config};
use postern::tls::pki::{self, ClientRequest, IssuedCertificate, ServerRequest};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Result;

const IDENTITIES: usize = 1000;
const SERVICES: usize = 100;
const POLICIES: usize = 100;
/// Groups that all three are spread over: `POLICIES / GROUPS` policies lead an identity to a service.
const GROUPS: usize = 10;

/// Who asks: one of the identities.
const DEVICE: &str = "spiffe://bench.example/device/7";
/// For what: one of the services that device may reach.
pub(crate) const HOST: &str = "service-7.bench.example";

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A folder with everything in it. Goes away with the value.
pub(crate) struct World {
    folder: TempDir,
    client: IssuedCertificate,
}

impl World {
    pub(crate) fn build(origin: SocketAddr) -> Result<Self> {
        let folder = TempDir::new()?;
        let pki = folder.path().join("pki");
        let now = SystemClock.now();
        pki::init(&pki, "Bench CA", now)?;
        let names = ["*.bench.example".to_owned()];
        pki::issue_server(&pki, &ServerRequest { name: "server", dns_names: &names, ip_addresses: &[], days: 1 }, now)?;
        let request =
            ClientRequest { name: "device-7", spiffe_uri: Some(DEVICE), emails: &[], dns_names: &[], days: 1 };
        let client = pki::issue_client(&pki, &request, now)?;
        fs::create_dir(folder.path().join("policy"))?;
        // JSON is YAML too.
        fs::write(folder.path().join("policy/all.yaml"), policy(origin).to_string())?;
        let world = World { folder, client };
        fs::write(world.config_file(), configuration().to_string())?;
        Ok(world)
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("postern.yaml")
    }

    /// TLS for the device, which trusts the proxies' CA.
    pub(crate) fn client_config(&self) -> Result<ClientConfig> {
        let files =
            ClientCertificateFiles { certificate_file: &self.client.certificate_file, key_file: &self.client.key_file };
        Ok(client_config(&self.client.ca_file, Some(files))?)
    }
}

fn configuration() -> Value {
    let anywhere = json!({ "address": "127.0.0.1:0" });
    json!({
        "listeners": { "gateway": anywhere, "client_api": anywhere, "admin": anywhere, "ops": anywhere },
        "tls": {
            "certificates": [{ "cert_file": "pki/server.pem", "key_file": "pki/server.key" }],
            "client_ca_files": ["pki/ca.pem"],
            "crl_files": ["pki/crl.pem"],
        },
        // The proxies share the folder.
        "data": { "store": "memory" },
    })
}

fn policy(origin: SocketAddr) -> Value {
    let group = |number: usize| format!("group-{}", number % GROUPS);
    let identities: Vec<_> = (0..IDENTITIES)
        .map(|number| {
            json!({
                "name": format!("device-{number}"),
                "subjects": [format!("spiffe://bench.example/device/{number}")],
                "role_attributes": [group(number)],
            })
        })
        .collect();
    let services: Vec<_> = (0..SERVICES)
        .map(|number| {
            json!({
                "name": format!("service-{number}"),
                "hosts": [format!("service-{number}.bench.example")],
                "upstreams": [origin.to_string()],
                "upstream": { "timeouts": {
                    "connect": format!("{}s", CONNECT_TIMEOUT.as_secs()),
                    "read": format!("{}s", READ_TIMEOUT.as_secs()),
                    "idle": format!("{}s", IDLE_TIMEOUT.as_secs()),
                } },
                "role_attributes": [group(number)],
            })
        })
        .collect();
    let policies: Vec<_> = (0..POLICIES)
        .map(|number| {
            json!({
                "name": format!("policy-{number}"),
                "identity_roles": [format!("#{}", group(number))],
                "service_roles": [format!("#{}", group(number))],
                "posture_check_roles": ["#baseline"],
            })
        })
        .collect();
    json!({
        "identities": identities,
        "services": services,
        "service_policies": policies,
        "posture_checks": checks(),
    })
}

fn checks() -> Value {
    let baseline = ["baseline"];
    json!([
        {
            "name": "os", "type": "OS", "role_attributes": baseline, "max_age": "1h",
            "operating_systems": [{ "type": "Linux", "versions": [">=6.1.0 <7.0.0"] }],
        },
        { "name": "domain", "type": "DOMAIN", "role_attributes": baseline, "domains": ["corp.example"] },
        {
            "name": "mac", "type": "MAC", "role_attributes": baseline,
            "mac_addresses": ["02:00:00:00:00:01", "02:00:00:00:00:02"],
        },
        {
            "name": "agent", "type": "PROCESS", "role_attributes": baseline, "max_age": "1h",
            "process": { "os_type": "Linux", "path": "/usr/bin/agent", "hashes": [digest()] },
        },
        {
            "name": "shield", "type": "PROCESS_MULTI", "role_attributes": baseline, "semantic": "AnyOf",
            "processes": [
                { "os_type": "Linux", "path": "/opt/shield", "hashes": [digest()] },
                { "os_type": "Linux", "path": "/usr/bin/shield", "hashes": [digest()] },
            ],
        },
    ])
}

fn digest() -> String {
    "ab".repeat(32)
}

/// Reports for the device what satisfies every check.
pub(crate) async fn report_posture(postern: &Postern) -> Result<()> {
    let enforcer = postern.enforcer();
    let device = {
        let published = enforcer.published();
        let connection = Connection::new("bench", None, None, Some(Arc::new(Believed(vec![DEVICE.parse()?]))));
        enforcer.identify(&published, &connection).map_err(|reason| format!("{DEVICE}: {}", reason.code()))?
    };
    let observation = |seen| Observation { asked_by: None, seen };
    // A single process is reported in answer to its check.
    let running = |path: &str, asked_by: Option<&str>| {
        let process = Process {
            path: path.to_owned(),
            running: true,
            hash: digest(),
            more_hashes: vec![],
            signer_fingerprints: vec![],
        };
        Observation { asked_by: asked_by.map(CheckId::from), seen: Seen::Process(process) }
    };
    let os = Os { name: "Linux".into(), version: "6.1.0".into(), build: None, ..Os::default() };
    let observations = vec![
        observation(Seen::Os(os)),
        observation(Seen::Domain("corp.example".into())),
        observation(Seen::Macs(vec!["02:00:00:00:00:02".into(), "02:00:00:00:00:09".into()])),
        running("/usr/bin/agent", Some("agent")),
        running("/usr/bin/shield", None),
        running("/usr/bin/other", None),
    ];
    let report = Report { received_at: enforcer.clock().now(), source: Source::Device, observations };
    Ok(enforcer.report(&device, &report).await?)
}

/// The device's certificate, for reporting without a connection.
#[derive(Debug)]
struct Believed(Vec<Subject>);

impl Credential for Believed {
    fn recheck(&self, _now: Timestamp) -> std::result::Result<(), DenialReason> {
        Ok(())
    }

    fn names(&self) -> &[Subject] {
        &self.0
    }

    fn fingerprint(&self) -> &str {
        "bench"
    }

    fn describe(&self) -> &str {
        "bench"
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> std::result::Result<(), postern::enforce::SignatureRefused> {
        Err(postern::enforce::SignatureRefused::UnsupportedKey)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        None
    }
}
