//! `postern pki`: a certificate authority for development and trials.

use serde::Serialize;

use super::Exit;
use super::args::{OutputFormat, PkiArgs, PkiCommand, PkiHolder, RevokeArgs};
use super::terminal::{Style, Terminal};
use crate::clock::Clock;
use crate::tls::pki::{
    self, ClientRequest, IssuedCertificate, NewCa, PkiError, Revocation, RevokeTarget, ServerRequest, SignedCrl,
};

pub(super) fn run(args: &PkiArgs, clock: &dyn Clock, terminal: &Terminal) -> Result<Exit, PkiError> {
    let (dir, now) = (args.dir.as_path(), clock.now());
    match &args.command {
        PkiCommand::Init { name } => show(&pki::init(dir, name, now)?, args.output, terminal),
        PkiCommand::Issue { holder: PkiHolder::Server { name, dns_names, ip_addresses, validity } } => {
            let request = ServerRequest { name, dns_names, ip_addresses, days: validity.days };
            show(&pki::issue_server(dir, &request, now)?, args.output, terminal);
        }
        PkiCommand::Issue { holder: PkiHolder::Client { name, spiffe, emails, dns_names, validity } } => {
            let spiffe_uri = spiffe.as_deref();
            let request = ClientRequest { name, spiffe_uri, emails, dns_names, days: validity.days };
            show(&pki::issue_client(dir, &request, now)?, args.output, terminal);
        }
        PkiCommand::Revoke(named) => show(&pki::revoke(dir, target(named), now)?, args.output, terminal),
        PkiCommand::Crl => show(&pki::refresh_crl(dir, now)?, args.output, terminal),
    }
    Ok(Exit::Success)
}

/// Exactly one of the two is given; the command line is not accepted otherwise.
fn target(named: &RevokeArgs) -> RevokeTarget<'_> {
    match &named.cert {
        Some(file) => RevokeTarget::CertificateFile(file),
        None => RevokeTarget::Serial(named.serial.as_deref().unwrap_or_default()),
    }
}

/// What was done, in words.
trait Told {
    /// In one line.
    fn headline(&self) -> String;
    /// Name and value of what is worth knowing about it.
    fn details(&self) -> Vec<(&'static str, String)>;
}

fn show<T: Told + Serialize>(result: &T, output: OutputFormat, terminal: &Terminal) {
    match output {
        OutputFormat::Json => terminal.json(result),
        OutputFormat::Text => {
            terminal.line(terminal.paint(Style::Strong, result.headline()));
            for (name, value) in result.details() {
                terminal.line(format_args!("  {name:<12} {value}"));
            }
        }
    }
}

impl Told for NewCa {
    fn headline(&self) -> String {
        format!("made the authority {}", self.subject)
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![
            ("certificate", self.ca_file.display().to_string()),
            ("key", format!("{} (keep it to yourself)", self.key_file.display())),
            ("revocations", self.crl_file.display().to_string()),
            ("valid until", self.not_after.to_string()),
        ]
    }
}

impl Told for IssuedCertificate {
    fn headline(&self) -> String {
        format!("issued {}", self.subject)
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![
            ("certificate", self.certificate_file.display().to_string()),
            ("key", self.key_file.display().to_string()),
            ("authority", self.ca_file.display().to_string()),
            ("serial", self.serial.clone()),
            ("fingerprint", self.fingerprint.clone()),
            ("valid until", self.not_after.to_string()),
        ]
    }
}

impl Told for Revocation {
    fn headline(&self) -> String {
        let before = if self.already_revoked { ", as it was before" } else { "" };
        format!("revoked {}{before}", self.name)
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut details = vec![("serial", self.serial.clone()), ("since", self.revoked_at.to_string())];
        details.extend(self.crl.details());
        details
    }
}

impl Told for SignedCrl {
    fn headline(&self) -> String {
        "signed the revocation list".to_owned()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![
            ("list", format!("{} (number {}, {} revoked)", self.crl_file.display(), self.number, self.revoked)),
            ("sign before", self.next_update.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::cli::terminal::recording;
    use crate::clock::{ManualClock, Timestamp};

    /// Runs `postern pki WORDS` in `dir` and returns what it printed.
    fn pki(dir: &Path, clock: &Arc<ManualClock>, words: &[&str]) -> Result<String, PkiError> {
        let line = ["postern", "pki", "--dir", dir.to_str().unwrap()].into_iter().chain(words.iter().copied());
        let Command::Pki(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not a pki command");
        };
        let (terminal, out, _) = recording::terminal();
        assert_eq!(run(&args, clock.as_ref(), &terminal)?, Exit::Success);
        Ok(out.text())
    }

    fn json(printed: &str) -> serde_json::Value {
        serde_json::from_str(printed).unwrap()
    }

    #[test]
    fn an_authority_is_made_issues_and_revokes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("pki");
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));

        let made = pki(&dir, &clock, &["init", "--name", "Example CA"]).unwrap();
        assert!(made.starts_with("made the authority ") && made.contains("Example CA"));

        let server = ["issue", "server", "gateway", "--dns", "localhost", "--ip", "127.0.0.1", "--output", "json"];
        assert!(Path::new(json(&pki(&dir, &clock, &server).unwrap())["key_file"].as_str().unwrap()).exists());

        let client = ["issue", "client", "alice", "--spiffe", "spiffe://example.org/alice", "--output", "json"];
        let issued = json(&pki(&dir, &clock, &client).unwrap());
        let serial = issued["serial"].as_str().unwrap();
        let file = issued["certificate_file"].as_str().unwrap();

        let revoked = json(&pki(&dir, &clock, &["revoke", "--cert", file, "--output", "json"]).unwrap());
        assert_eq!(revoked["serial"], serial);
        assert_eq!(revoked["crl"]["revoked"], 1);
        let again = pki(&dir, &clock, &["revoke", "--serial", serial]).unwrap();
        assert!(again.starts_with("revoked alice, as it was before\n"), "{again}");
        assert!(pki(&dir, &clock, &["crl"]).unwrap().contains("1 revoked"));
    }

    #[test]
    fn nothing_is_issued_without_an_authority_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("pki");
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let error = pki(&dir, &clock, &["issue", "client", "alice"]).unwrap_err();
        assert!(error.to_string().contains("postern pki init"), "{error}");

        let _ = pki(&dir, &clock, &["init"]).unwrap();
        assert!(matches!(pki(&dir, &clock, &["init"]), Err(PkiError::AlreadyExists(_))));
    }
}
