//! What the gateway is configured with: a crowd of identities that a flip concerns, and a few bystanders that none does.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use postern::clock::{Clock, SystemClock};
use postern::tls::client::{ClientCertificateFiles, client_config};
use postern::tls::pki::{self, ClientRequest, ServerRequest};
use ring::digest::{SHA256, digest};
use rustls::ClientConfig;
use rustls::client::Resumption;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Result;
use super::origin::Origin;

/// Identities whose traffic nothing happens to.
pub(crate) const BYSTANDERS: usize = 16;

/// Where streams are held, each over a connection of its own to the origin.
pub(crate) const STREAMS: &str = "streams.bench.example";
/// Where requests and calls are held, many over one connection to the origin.
pub(crate) const CALLS: &str = "calls.bench.example";
/// Where bytes are passed on.
pub(crate) const BYTES: &str = "bytes.bench.example";
/// Where bystanders ask.
pub(crate) const ITEMS: &str = "items.bench.example";

/// The domain that both checks want.
pub(crate) const DOMAIN: &str = "corp.example";
/// The token of the one operator.
pub(crate) const TOKEN: &str = "the-operator-of-the-bench";

/// Sessions a device keeps to resume: enough for its connections, which are made one after the other.
const SESSIONS_KEPT: usize = 16;

/// A folder with everything in it. Goes away with the value.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) crowd: Vec<Arc<ClientConfig>>,
    pub(crate) bystanders: Vec<Arc<ClientConfig>>,
    /// Without a certificate.
    pub(crate) operator: Arc<ClientConfig>,
}

impl World {
    pub(crate) fn build(identities: usize, origin: &Origin) -> Result<Self> {
        // Beside the build, which is on a disk; the system's folder for temporary files may be in memory.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let (pki, now) = (folder.path().join("pki"), SystemClock.now());
        pki::init(&pki, "Bench CA", now)?;
        let names = ["localhost".to_owned(), "*.bench.example".to_owned()];
        pki::issue_server(&pki, &ServerRequest { name: "server", dns_names: &names, ip_addresses: &[], days: 1 }, now)?;
        let device = |name: String| -> Result<Arc<ClientConfig>> {
            let uri = subject(&name);
            let request = ClientRequest { name: &name, spiffe_uri: Some(&uri), emails: &[], dns_names: &[], days: 1 };
            let issued = pki::issue_client(&pki, &request, now)?;
            let files =
                ClientCertificateFiles { certificate_file: &issued.certificate_file, key_file: &issued.key_file };
            let mut config = client_config(&issued.ca_file, Some(files))?;
            config.resumption = Resumption::in_memory_sessions(SESSIONS_KEPT);
            Ok(Arc::new(config))
        };
        let crowd = (0..identities).map(|number| device(crowd_name(number))).collect::<Result<_>>()?;
        let bystanders = (0..BYSTANDERS).map(|number| device(bystander_name(number))).collect::<Result<_>>()?;
        let operator = Arc::new(client_config(&pki.join("ca.pem"), None)?);
        fs::create_dir(folder.path().join("policy"))?;
        // Not beside what the gateway watches: it would look after its own lines.
        fs::create_dir(folder.path().join("log"))?;
        let world = World { folder, crowd, bystanders, operator };
        // JSON is YAML too.
        fs::write(world.path("policy/objects.yaml"), objects(identities, origin).to_string())?;
        world.want(DOMAIN)?;
        fs::write(world.path("postern.yaml"), configuration().to_string())?;
        Ok(world)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes into the policy what domain the crowd's devices must be in. Bystanders have a check of their own.
    pub(crate) fn want(&self, domain: &str) -> Result<()> {
        let check = |name: &str, domain: &str| json!({ "name": name, "type": "DOMAIN", "domains": [domain] });
        let checks = json!({ "posture_checks": [check("crowd", domain), check("bystanders", DOMAIN)] });
        let (new, path) = (self.path("being-written"), self.path("policy/checks.yaml"));
        fs::write(&new, checks.to_string())?;
        Ok(fs::rename(new, path)?)
    }
}

pub(crate) fn crowd_name(number: usize) -> String {
    format!("crowd-{number}")
}

fn bystander_name(number: usize) -> String {
    format!("bystander-{number}")
}

fn subject(name: &str) -> String {
    format!("spiffe://bench.example/{name}")
}

fn configuration() -> Value {
    let anywhere = json!({ "address": "127.0.0.1:0" });
    let token: String = digest(&SHA256, TOKEN.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "listeners": { "gateway": anywhere, "client_api": anywhere, "admin": anywhere, "ops": anywhere },
        "tls": {
            "certificates": [{ "cert_file": "pki/server.pem", "key_file": "pki/server.key" }],
            "client_ca_files": ["pki/ca.pem"],
            "crl_files": ["pki/crl.pem"],
        },
        // Everybody comes from one address here, and stays as long as the bench lasts.
        "front_door": { "connections_per_address": 65536, "idle_time": "1h" },
        "admin": { "tokens": [{ "name": "bench", "sha256": token, "role": "admin" }] },
    })
}

fn objects(identities: usize, origin: &Origin) -> Value {
    let identity =
        |name: String, group: &str| json!({ "name": name, "subjects": [subject(&name)], "role_attributes": [group] });
    let crowd = (0..identities).map(|number| identity(crowd_name(number), "crowd"));
    let bystanders = (0..BYSTANDERS).map(|number| identity(bystander_name(number), "bystanders"));
    // Nothing is to end because it was silent.
    let patient = json!({ "read": "1h", "idle": "1h" });
    let service = |host: &str, upstream: SocketAddr, protocol: &str| {
        json!({
            "name": host, "hosts": [host], "upstreams": [upstream.to_string()],
            "upstream": { "protocol": protocol, "timeouts": patient },
        })
    };
    let bytes = json!({
        "name": BYTES, "protocol": "tcp", "hosts": [BYTES], "upstreams": [origin.bytes.to_string()],
    });
    json!({
        "identities": crowd.chain(bystanders).collect::<Vec<_>>(),
        "services": [
            service(STREAMS, origin.http1, "http1"), service(CALLS, origin.http2, "http2"), bytes,
            service(ITEMS, origin.http1, "http1"),
        ],
        "service_policies": [
            {
                "name": "crowd", "semantic": "AnyOf", "identity_roles": ["#crowd"], "posture_check_roles": ["@crowd"],
                "service_roles": [format!("@{STREAMS}"), format!("@{CALLS}"), format!("@{BYTES}")],
            },
            {
                "name": "bystanders", "identity_roles": ["#bystanders"], "posture_check_roles": ["@bystanders"],
                "service_roles": [format!("@{ITEMS}")],
            },
        ],
    })
}
