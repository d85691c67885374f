//! What stands before the walk begins: files, the origin, the agent and the gateway.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use reqwest::Url;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use super::DemoError;
use super::agent_program::AgentProgram;
use super::folder::{Folder, Written};
use super::machine::{Facts, Machine, Program};
use super::manifest::Manifest;
use super::people::{ALICE, APP_HOST, Certificates};
use super::report::Report;
use super::shell::Command;
use super::texts;
use super::walk::{self, Walk, WalkError};
use crate::app::{Addresses, Gateway, Postern, StartError};
use crate::cli::origin::Origin;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Environment};
use crate::telemetry::logs;

const SETTINGS: &str = "postern.yaml";
const AGENT_SETTINGS: &str = "agent.yaml";
const MANIFEST: &str = "demo.json";
const TOKEN_BYTES: usize = 24;

/// Everything that runs.
pub(super) struct Scene {
    certificates: Certificates,
    machine: Machine,
    agent: AgentProgram,
    gateway: Gateway,
    token: String,
    stop_origin: CancellationToken,
}

/// The addresses that are asked for; port 0 lets the system choose.
struct Wanted {
    listeners: Addresses,
    origin: SocketAddr,
}

impl Scene {
    /// Makes what is missing, starts everything, and tells of it.
    pub(super) async fn set(folder: &Folder, port_base: Option<u16>, report: &Report) -> Result<Self, DemoError> {
        let clock = Arc::new(SystemClock);
        report.text(format_args!("postern demo in {}", folder.root().display()));
        let earlier = Manifest::read(folder);
        let certificates = block_in_place(|| Certificates::prepare(folder, clock.now()))?;
        tell_certificates(&certificates, report);
        let mut agent = block_in_place(|| AgentProgram::install(folder))?;
        agent.start()?;
        let (machine, facts) = block_in_place(|| Machine::survey(clock.clone(), agent.path()));
        tell_facts(&facts, report);

        let wanted = Wanted::of(port_base, earlier.as_ref());
        let stop_origin = CancellationToken::new();
        let (origin, serving) = Origin::bind(wanted.origin, stop_origin.clone())
            .await
            .map_err(|source| DemoError::Origin { address: wanted.origin, source })?;
        tokio::spawn(serving);
        let token = match earlier {
            Some(manifest) => manifest.admin_token,
            None => random_token()?,
        };
        let token_sha256 = hex(digest(&SHA256, token.as_bytes()).as_ref());
        write_policy(folder, origin, &facts, report)?;
        write(folder, SETTINGS, &texts::settings(&wanted.listeners, &token_sha256), report)?;

        let gateway = start(folder).await?;
        let addresses = gateway.addresses();
        // The system chose the ports that were left to it.
        folder.edit(SETTINGS, &texts::settings(&addresses, &token_sha256))?;
        folder.edit(AGENT_SETTINGS, &texts::agent_settings(&addresses))?;
        folder.write_private("admin.header", &format!("Authorization: Bearer {token}\n"))?;
        let manifest = Manifest::new(&addresses, origin, &token, &certificates);
        folder.write_private(MANIFEST, &manifest.to_text())?;
        tell_addresses(&addresses, &token, report);
        Ok(Scene { certificates, machine, agent, gateway, token, stop_origin })
    }

    /// The walk through it. Blocks.
    pub(super) fn walk<'a>(&'a mut self, folder: &'a Folder) -> Result<Walk<'a>, WalkError> {
        let addresses = self.gateway.addresses();
        Walk::prepare(folder, &self.certificates, &self.machine, &mut self.agent, &addresses, &self.token)
    }

    /// Says what there is to try while it stands.
    pub(super) fn invite(&self, folder: &Folder, report: &Report) {
        let show = |name: &str| folder.path(name).display().to_string();
        report.heading("Serving until Ctrl-C. Try for yourself:");
        report.entry("paste", "the lines above, in their order");
        report.entry("edit", format_args!("{}/*.yaml; what is saved takes effect", show("policy")));
        report.command("see how the device stands", &self.agent_command(folder, "status"));
        report.command("let it report by itself", &self.agent_command(folder, "run"));
        report.command("revoke", &self.revoking(folder));
        report.command("use a browser", &self.exporting(folder));
        let gateway = self.gateway.addresses().gateway.port();
        report.entry("", format_args!("import the file (password: demo), and open https://{APP_HOST}:{gateway}"));
        report.entry("read the log", show("postern.log"));
        report.entry("start over", format_args!("stop, and delete {}", folder.root().display()));
    }

    /// The device's own side, as the first of the three identities.
    fn agent_command(&self, folder: &Folder, what: &str) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| "postern".into());
        Command::new(&program).word("agent").word(what).file("--config", &folder.path(AGENT_SETTINGS))
    }

    /// The command that ends what somebody may do, at once.
    fn revoking(&self, folder: &Folder) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| "postern".into());
        Command::new(&program)
            .word("pki")
            .file("--dir", &folder.path("pki"))
            .word("revoke")
            .file("--cert", &self.certificates.certificate_file(ALICE))
    }

    /// The command that makes of a certificate what browsers import.
    fn exporting(&self, folder: &Folder) -> Command {
        Command::new(Path::new("openssl"))
            .word("pkcs12")
            .flag("-export")
            .file("-in", &self.certificates.certificate_file(ALICE))
            .file("-inkey", &self.certificates.key_file(ALICE))
            .file("-out", &folder.path("alice.p12"))
            .option("-passout", "pass:demo")
    }

    /// Stops everything.
    pub(super) async fn strike(mut self) {
        // The process ends with the demo in any case.
        let _ = self.agent.stop().await;
        self.gateway.stop().await;
        self.stop_origin.cancel();
    }
}

async fn start(folder: &Folder) -> Result<Gateway, DemoError> {
    // What earlier demos left would be what this one finds: a posture for everybody.
    folder.clear("data")?;
    // The environment is meant for other gateways.
    let (settings, _) = block_in_place(|| config::load(&folder.path(SETTINGS), &Environment::empty()))
        .map_err(StartError::Configuration)?;
    log_to_file(folder, &settings.log.level)?;
    let postern = block_in_place(|| Postern::build(settings, Arc::new(SystemClock)))?;
    Ok(Gateway::start(postern).await?)
}

fn log_to_file(folder: &Folder, filter: &str) -> Result<(), DemoError> {
    let path = folder.path("postern.log");
    let file = File::create(&path).map_err(|source| super::FolderError::new("write", &path, source))?;
    Ok(logs::init_into(logs::Format::Pretty, filter, Mutex::new(file))?)
}

fn write_policy(folder: &Folder, origin: SocketAddr, facts: &Facts, report: &Report) -> Result<(), DemoError> {
    for (name, text) in [
        ("policy/identities.yaml", texts::identities()),
        ("policy/services.yaml", texts::services(origin)),
        ("policy/policies.yaml", texts::policies()),
        ("policy/checks.yaml", texts::checks(facts)),
        (walk::AS_WRITTEN, texts::policies()),
        (walk::STRICTER, texts::policies_stricter()),
        (walk::BROKEN, texts::policies_broken()),
    ] {
        write(folder, name, &text, report)?;
    }
    Ok(())
}

fn write(folder: &Folder, name: &str, text: &str, report: &Report) -> Result<(), DemoError> {
    if folder.write(name, text)? == Written::Replaced {
        report.entry("written anew", format_args!("{name}; what it said is in {name}.previous"));
    }
    Ok(())
}

impl Wanted {
    /// The ports that were asked for, else those of the last time if they are free, else any.
    fn of(port_base: Option<u16>, earlier: Option<&Manifest>) -> Self {
        if let Some(base) = port_base {
            let at = |offset: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, base.saturating_add(offset)));
            let listeners = Addresses { gateway: at(0), client_api: at(1), admin: at(2), ops: at(3) };
            return Wanted { listeners, origin: at(4) };
        }
        earlier.and_then(Wanted::as_before).unwrap_or_else(|| {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            Wanted { listeners: Addresses { gateway: any, client_api: any, admin: any, ops: any }, origin: any }
        })
    }

    fn as_before(earlier: &Manifest) -> Option<Self> {
        let free = |url: &str| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, Url::parse(url).ok()?.port()?));
            TcpListener::bind(address).ok().map(|_| address)
        };
        Some(Wanted {
            listeners: Addresses {
                gateway: free(&earlier.gateway_url)?,
                client_api: free(&earlier.client_api_url)?,
                admin: free(&earlier.admin_url)?,
                ops: free(&earlier.ops_url)?,
            },
            origin: free(&earlier.origin_url)?,
        })
    }
}

impl Manifest {
    /// What an earlier demo left.
    fn read(folder: &Folder) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.path(MANIFEST)).ok()?).ok()
    }
}

fn tell_certificates(certificates: &Certificates, report: &Report) {
    for (what, names) in [("certificates made", &certificates.made), ("certificates kept", &certificates.kept)] {
        if !names.is_empty() {
            report.entry(what, names.join(", "));
        }
    }
}

fn tell_facts(facts: &Facts, report: &Report) {
    report.heading("This machine, as it is now");
    if let Some(os) = &facts.os {
        let fact = os.to_fact();
        let build = fact.build.map(|build| format!(" ({build})")).unwrap_or_default();
        report.entry("operating system", format_args!("{} {}{build}", fact.name, fact.version));
    }
    if let Some(mac) = &facts.mac {
        report.entry("hardware address", mac);
    }
    let domain = facts.domain.as_deref().map(|domain| if domain.is_empty() { "none" } else { domain });
    if let Some(domain) = domain {
        report.entry("domain", domain);
    }
    let programs = [
        ("this process", facts.gateway.as_ref()),
        ("protection agent", Some(&facts.agent)),
        ("also running", facts.resident.as_ref()),
    ];
    for (what, program) in programs {
        if let Some(Program { path, sha256 }) = program {
            report.entry(what, path);
            let digest = sha256.as_ref().map_or_else(|| "unknown".to_owned(), String::clone);
            report.entry("", format_args!("SHA-256 {digest}"));
        }
    }
    for unknown in &facts.unknown {
        report.entry("left out", unknown);
    }
}

fn tell_addresses(addresses: &Addresses, token: &str, report: &Report) {
    report.heading("Listening");
    report.entry("gateway", format_args!("https://{APP_HOST}:{}", addresses.gateway.port()));
    report.entry("client API", format_args!("https://localhost:{}", addresses.client_api.port()));
    report.entry("admin API", format_args!("https://localhost:{}", addresses.admin.port()));
    report.entry("admin token", token);
    report.entry("metrics and health", format_args!("http://{}", addresses.ops));
}

fn random_token() -> Result<String, DemoError> {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| DemoError::NoRandomness)?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
