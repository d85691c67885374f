//! What stands around a gateway: its folder with configuration, policy and certificates, and an origin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ring::digest::{SHA256, digest};
use tempfile::TempDir;

use super::process::{Running, postern};
use super::support::{Authority, Issued, Origin};

/// The bearer token of the one operator.
pub(crate) const ADMIN_TOKEN: &str = "a-token-that-no-log-may-show";

/// Names the gateway's certificate is good for.
const NAMES: &[&str] = &["localhost", "*.example.test"];

/// A folder as an operator would have it.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) server: Issued,
}

impl World {
    /// With the default configuration and `policy` as the one policy file.
    pub(crate) fn new(policy: &str) -> World {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new("System CA");
        let server = authority.server("gate", NAMES);
        let world = World { folder, authority, server };
        fs::create_dir(world.path("policy")).unwrap();
        fs::create_dir(world.path("trust")).unwrap();
        world.show(&world.server);
        fs::copy(world.authority.ca_file(), world.path("trust/clients.pem")).unwrap();
        fs::copy(world.authority.crl_file(), world.path("trust/crl.pem")).unwrap();
        world.write("postern.yaml", &configuration(""));
        world.write("policy/objects.yaml", policy);
        world
    }

    /// In front of `origin`, with [`policy`].
    pub(crate) fn before(origin: &Origin) -> World {
        World::new(&policy(&origin.upstream()))
    }

    /// The same with more written into the configuration file.
    pub(crate) fn configured(self, more: &str) -> World {
        self.write("postern.yaml", &configuration(more));
        self
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file as editors do: never half written.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let (path, new) = (self.path(name), self.path("being-written"));
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Makes `server` the certificate the gateway shows.
    pub(crate) fn show(&self, server: &Issued) {
        // The key first: a certificate without its key is refused, and the old pair stays until both are there.
        self.write("server.key", &fs::read_to_string(&server.key_file).unwrap());
        self.write("server.pem", &fs::read_to_string(&server.certificate_file).unwrap());
    }

    /// Publishes the authority's present revocation list.
    pub(crate) fn publish_revocations(&self) {
        self.write("trust/crl.pem", &fs::read_to_string(self.authority.crl_file()).unwrap());
    }

    /// A certificate that the policy knows as `name`.
    pub(crate) fn certificate(&self, name: &str) -> Issued {
        self.authority.client(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = postern();
        command.arg("run").arg("--config").arg(self.path("postern.yaml"));
        command
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_command(self.command()).await
    }

    /// Starts a gateway by a command of the test's own.
    pub(crate) async fn start_command(&self, command: Command) -> Running {
        Running::start(command, self.secrets()).await
    }

    /// Starts one that is expected to end by itself.
    pub(crate) async fn attempt(&self, mut command: Command) -> Output {
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = [&ended.stdout[..], &ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(self.secrets().iter().all(|secret| !said.contains(secret.as_str())), "a secret was told:\n{said}");
        ended
    }

    /// What must never be logged: the token, keys as such, and the very text of each key.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![ADMIN_TOKEN.to_owned(), "-----BEGIN".to_owned(), "PRIVATE KEY".to_owned()];
        for entry in fs::read_dir(self.authority.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "key") {
                // The first line of a body is the same for every key of a kind.
                secrets.extend(fs::read_to_string(path).unwrap().lines().nth(2).map(str::to_owned));
            }
        }
        secrets
    }
}

/// Every port is left to the system, and there is one operator.
pub(crate) fn configuration(more: &str) -> String {
    let token = digest(&SHA256, ADMIN_TOKEN.as_bytes());
    let token: String = token.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "\
listeners:
  gateway: {{ address: 127.0.0.1:0 }}
  client_api: {{ address: 127.0.0.1:0 }}
  admin: {{ address: 127.0.0.1:0 }}
  ops: {{ address: 127.0.0.1:0 }}
tls:
  certificates:
    - cert_file: server.pem
      key_file: server.key
  client_ca_files: [trust/clients.pem]
  crl_files: [trust/crl.pem]
admin:
  tokens:
    - name: tests
      sha256: {token}
      role: admin
{more}"
    )
}

/// `alice` and `bob` may reach `wiki` when their device is in the company's domain, and `files` in any case; `carol` may
/// reach `files` and `secret`, of which nobody else may know. `dora` may reach nothing.
pub(crate) fn policy(upstream: &str) -> String {
    format!(
        "\
identities:
  - {{ name: alice, subjects: [\"spiffe://postern.test/alice\"], role_attributes: [staff] }}
  - {{ name: bob, subjects: [\"spiffe://postern.test/bob\"], role_attributes: [staff] }}
  - {{ name: carol, subjects: [\"spiffe://postern.test/carol\"], role_attributes: [auditors] }}
  - {{ name: dora, subjects: [\"spiffe://postern.test/dora\"] }}
services:
  - {{ name: wiki, hosts: [wiki.example.test], upstreams: [\"{upstream}\"] }}
  - {{ name: files, hosts: [files.example.test], upstreams: [\"{upstream}\"] }}
  - {{ name: secret, hosts: [secret.example.test], upstreams: [\"{upstream}\"], concealed: true }}
posture_checks:
  - name: company-domain
    type: DOMAIN
    domains: [corp.example]
    remediation: Join the device to the company's domain.
service_policies:
  - {{ name: staff-read, identity_roles: [\"#staff\"], service_roles: [\"@wiki\"], posture_check_roles: [\"@company-domain\"] }}
  - {{ name: files-for-most, semantic: AnyOf, identity_roles: [\"#staff\", \"#auditors\"], service_roles: [\"@files\"] }}
  - {{ name: audit, identity_roles: [\"#auditors\"], service_roles: [\"@secret\"] }}
"
    )
}
