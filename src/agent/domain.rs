//! The directory domain the machine is a member of.
//!
//! On Linux this is the realm of, in this order: sssd's first domain; Samba's `realm`, where Samba is a member of a domain (as
//! Winbind is); Kerberos' `default_realm`, where the machine has a key of its own for it (`/etc/krb5.keytab`). realmd and adcli
//! join by writing these. A realm that only says where people get their tickets is no membership.
//!
//! When none of them makes the machine a member, it is joined to no domain, which is a fact (the empty string). When none does
//! and one of the files may not be read (sssd's usually may not), nothing is known. Files included by these files are not read.

use super::{Collected, Collector, Machine, Obstacle, ini};

const SSSD: &str = "etc/sssd/sssd.conf";
const SAMBA: &str = "etc/samba/smb.conf";
const KERBEROS: &str = "etc/krb5.conf";
const KEYTAB: &str = "etc/krb5.keytab";

/// How a realm is found on a machine.
type FindRealm = fn(&Machine) -> Result<Option<String>, Obstacle>;

/// Reads the domain.
#[derive(Clone, Copy, Debug, Default)]
pub struct DomainCollector;

impl Collector for DomainCollector {
    type Fact = String;

    fn collect(&self, machine: &Machine) -> Collected<String> {
        machine.on_linux("the domain", realm)
    }
}

fn realm(machine: &Machine) -> Result<String, Obstacle> {
    const SOURCES: [FindRealm; 3] = [
        |machine| Ok(sssd_realm(&machine.read_text(SSSD)?)),
        |machine| Ok(samba_realm(&machine.read_text(SAMBA)?)),
        kerberos_realm,
    ];
    let mut obstacle = None;
    for find in SOURCES {
        match find(machine) {
            Ok(Some(realm)) => return Ok(realm),
            Ok(None) => {}
            Err(reason) if reason.is_absence() => {}
            Err(reason) => obstacle = obstacle.or(Some(reason)),
        }
    }
    obstacle.map_or(Ok(String::new()), Err)
}

/// The realm of the first domain sssd serves from elsewhere; a domain that names no realm is known by its own name.
fn sssd_realm(text: &str) -> Option<String> {
    let own = |domain: &str, key| ini::value(text, &format!("domain/{domain}"), key);
    // The machine's own files are a domain to sssd, too.
    let is_local = |domain: &str| matches!(own(domain, "id_provider"), Some("files" | "local"));
    let mut domains = ini::value(text, "sssd", "domains")?.split(',').map(str::trim);
    let domain = domains.find(|name| !name.is_empty() && !is_local(name))?;
    let realm = ["krb5_realm", "ad_domain", "ipa_domain"].into_iter().find_map(|key| own(domain, key));
    Some(realm.unwrap_or(domain).to_owned())
}

/// Samba's realm, unless Samba stands for itself.
fn samba_realm(text: &str) -> Option<String> {
    let says = |key, wanted: &[&str]| {
        ini::value(text, "global", key).is_some_and(|value| wanted.iter().any(|word| value.eq_ignore_ascii_case(word)))
    };
    let is_member = says("security", &["ads"])
        || says("server role", &["member server", "active directory domain controller", "domain controller", "dc"]);
    ini::value(text, "global", "realm").filter(|_| is_member).map(str::to_owned)
}

/// The default realm of Kerberos, where the machine has a key. Whether it has one is seen without reading it.
fn kerberos_realm(machine: &Machine) -> Result<Option<String>, Obstacle> {
    let text = machine.read_text(KERBEROS)?;
    let Some(realm) = ini::value(&text, "libdefaults", "default_realm") else { return Ok(None) };
    let keytab = machine.locate(KEYTAB);
    match keytab.metadata() {
        Ok(found) => Ok((found.is_file() && found.len() > 0).then(|| realm.to_owned())),
        Err(error) => Err(Obstacle::from_io(&keytab, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::Platform;

    const WITH_REALM: &str = "[libdefaults]\n  default_realm = KRB.EXAMPLE\n[realms]\n KRB.EXAMPLE = {\n }\n";
    const KEY: (&str, &str) = (KEYTAB, "\u{5}\u{2}...");

    fn collect(files: &[(&str, &str)]) -> Collected<String> {
        let (_folder, machine) = Machine::with_files(Platform::Linux, files);
        DomainCollector.collect(&machine)
    }

    fn known(domain: &str) -> Collected<String> {
        Collected::Known(domain.to_owned())
    }

    #[test]
    fn a_machine_without_any_of_the_files_is_joined_to_no_domain() {
        assert_eq!(collect(&[]), known(""));
        assert_eq!(collect(&[(SAMBA, "[global]\nworkgroup = WORKGROUP\n")]), known(""));
    }

    #[test]
    fn sssd_comes_before_samba_and_samba_before_kerberos() {
        let sssd = "[sssd]\ndomains = corp.example, other\n[domain/corp.example]\nid_provider = ad\nkrb5_realm = CORP.EXAMPLE\n";
        let samba = "[global]\n  realm = SMB.EXAMPLE\n  security = ADS\n";
        assert_eq!(collect(&[(SSSD, sssd), (SAMBA, samba), (KERBEROS, WITH_REALM), KEY]), known("CORP.EXAMPLE"));
        assert_eq!(collect(&[(SAMBA, samba), (KERBEROS, WITH_REALM), KEY]), known("SMB.EXAMPLE"));
        assert_eq!(collect(&[(KERBEROS, WITH_REALM), KEY]), known("KRB.EXAMPLE"));
        assert_eq!(collect(&[(SSSD, "[sssd]\ndomains = lab.example\n")]), known("lab.example"));
        let local = "[sssd]\ndomains = here\n[domain/here]\nid_provider = files\n";
        assert_eq!(collect(&[(SSSD, local)]), known(""));
    }

    /// A machine on which people merely got Kerberos tickets used to count as joined to their realm.
    #[test]
    fn a_realm_without_a_key_or_a_membership_is_none() {
        assert_eq!(collect(&[(KERBEROS, WITH_REALM)]), known(""));
        assert_eq!(collect(&[(KERBEROS, WITH_REALM), (KEYTAB, "")]), known(""));
        assert_eq!(collect(&[(KERBEROS, "[libdefaults]\n"), KEY]), known(""));
        for standalone in ["", "security = user\n", "server role = standalone server\n"] {
            let samba = format!("[global]\nrealm = SMB.EXAMPLE\n{standalone}");
            assert_eq!(collect(&[(SAMBA, &samba)]), known(""), "{standalone}");
        }
        let member = "[global]\nrealm = SMB.EXAMPLE\nserver role = Member Server\n";
        assert_eq!(collect(&[(SAMBA, member)]), known("SMB.EXAMPLE"));
    }

    #[test]
    fn an_unreadable_file_leaves_the_domain_unknown_unless_another_names_it() {
        let too_large = "#".repeat(crate::limits::AGENT_FILE_BYTES_MAX + 1);
        for files in [vec![(SSSD, too_large.as_str())], vec![(SSSD, too_large.as_str()), (KERBEROS, WITH_REALM)]] {
            assert_eq!(collect(&files).obstacle().unwrap().code(), "too-large");
        }
        assert_eq!(collect(&[(SSSD, too_large.as_str()), (KERBEROS, WITH_REALM), KEY]), known("KRB.EXAMPLE"));
    }
}
