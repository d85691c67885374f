//! What the proxies are configured with: certificates, a policy of a realistic size, and a posture that satisfies it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use postern::app::Postern;
use postern::clock::{Clock, SystemClock, Timestamp};
use postern::enforce::Connection;
use postern::id::CheckId;
use postern::posture::facts::{Os, Process, Source};
use postern::posture::report::{Observation, Report, Seen};
use postern::tls::client::{ClientCertificateFiles, client_config};
use postern::tls::pki::{self, ClientRequest, IssuedCertificate, ServerRequest};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Result;
use super::credential::Believed;

/// How large the policy is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    identities: usize,
    services: usize,
    policies: usize,
    /// Groups that all of them are spread over: `policies / groups` lead an identity to a service.
    groups: usize,
    /// Identities that ask; those have certificates and a posture.
    askers: usize,
}

impl Size {
    pub(crate) const USUAL: Size = Size { identities: 1000, services: 100, policies: 100, groups: 10, askers: ASKERS };
    /// For where reading it in would take longer than what is measured.
    pub(crate) const SMALL: Size = Size { identities: 20, services: 20, policies: 20, groups: 10, askers: 1 };
    /// For what a large policy costs.
    pub(crate) const LARGE: Size =
        Size { identities: 100_000, services: 10_000, policies: 10_000, groups: 1000, askers: ASKERS };

    fn group(self, number: usize) -> String {
        format!("group-{}", number % self.groups)
    }
}

/// Most identities that ask.
const ASKERS: usize = 16;

/// Devices that ask, as numbers of identities: all of them in the group that may reach [`HOST`].
fn askers(size: Size) -> impl Iterator<Item = usize> {
    (0..size.askers).map(move |number| number * size.groups + 7)
}

fn uri(number: usize) -> String {
    format!("spiffe://bench.example/device/{number}")
}

/// What they ask for: one of the services they may reach.
pub(crate) const HOST: &str = "service-7.bench.example";

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A folder with everything in it. Goes away with the value.
pub(crate) struct World {
    folder: TempDir,
    clients: Vec<IssuedCertificate>,
}

impl World {
    pub(crate) fn build(origin: SocketAddr, size: Size) -> Result<Self> {
        let folder = TempDir::new()?;
        let pki = folder.path().join("pki");
        let now = SystemClock.now();
        pki::init(&pki, "Bench CA", now)?;
        let names = ["*.bench.example".to_owned()];
        pki::issue_server(&pki, &ServerRequest { name: "server", dns_names: &names, ip_addresses: &[], days: 1 }, now)?;
        let mut clients = Vec::new();
        for number in askers(size) {
            let (name, uri) = (format!("device-{number}"), uri(number));
            let request = ClientRequest { name: &name, spiffe_uri: Some(&uri), emails: &[], dns_names: &[], days: 1 };
            clients.push(pki::issue_client(&pki, &request, now)?);
        }
        fs::create_dir(folder.path().join("policy"))?;
        // JSON is YAML too.
        fs::write(folder.path().join("policy/all.yaml"), policy(origin, size).to_string())?;
        let numbers: Vec<_> = (0..size.identities).collect();
        for (part, numbers) in numbers.chunks(IDENTITIES_PER_FILE).enumerate() {
            let file = folder.path().join(format!("policy/identities-{part}.yaml"));
            fs::write(file, identities(numbers, size).to_string())?;
        }
        let world = World { folder, clients };
        fs::write(world.config_file(), configuration().to_string())?;
        Ok(world)
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("postern.yaml")
    }

    /// A file of the certificate authority that clients and servers have in common.
    pub(crate) fn pki_file(&self, name: &str) -> PathBuf {
        self.folder.path().join("pki").join(name)
    }

    /// TLS for each device, which trusts the proxies' CA.
    pub(crate) fn client_configs(&self) -> Result<Vec<ClientConfig>> {
        let config = |client: &IssuedCertificate| -> Result<ClientConfig> {
            let files =
                ClientCertificateFiles { certificate_file: &client.certificate_file, key_file: &client.key_file };
            Ok(client_config(&client.ca_file, Some(files))?)
        };
        self.clients.iter().map(config).collect()
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

/// A file of policy may have so many bytes and no more.
const IDENTITIES_PER_FILE: usize = 20_000;

fn identities(numbers: &[usize], size: Size) -> Value {
    let identity = |number: &usize| {
        json!({
            "name": format!("device-{number}"),
            "subjects": [uri(*number)],
            "role_attributes": [size.group(*number)],
        })
    };
    json!({ "identities": numbers.iter().map(identity).collect::<Vec<_>>() })
}

fn policy(origin: SocketAddr, size: Size) -> Value {
    let group = |number: usize| size.group(number);
    let services: Vec<_> = (0..size.services)
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
    let policies: Vec<_> = (0..size.policies)
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

/// Reports for each device that may ask what satisfies every check.
pub(crate) async fn report_posture(postern: &Postern, size: Size) -> Result<()> {
    let enforcer = postern.enforcer();
    for number in askers(size) {
        let device = {
            let published = enforcer.published();
            let connection = Connection::new("bench", None, None, Some(Believed::of(&uri(number))?));
            enforcer.identify(&published, &connection)
        };
        // A small world has fewer.
        if let Ok(device) = device {
            enforcer.report(&device, &report(enforcer.clock().now())).await?;
        }
    }
    Ok(())
}

fn report(now: Timestamp) -> Report {
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
    Report { received_at: now, source: Source::Device, observations }
}
