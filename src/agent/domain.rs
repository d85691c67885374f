//! The directory domain the machine is configured for.
//!
//! On Linux this is the realm of, in this order: sssd's first domain, Samba's `realm`, Kerberos' `default_realm`. When none
//! names one, the machine is joined to no domain, which is a fact (the empty string). When none names one and one of
//! the files may not be read (sssd's usually may not), nothing is known. Files included by these files are not read.

use super::{Collected, Collector, Machine, Obstacle, ini};

const SSSD: &str = "etc/sssd/sssd.conf";
const SAMBA: &str = "etc/samba/smb.conf";
const KERBEROS: &str = "etc/krb5.conf";

/// How a realm is found in the text of one configuration file.
type FindRealm = fn(&str) -> Option<String>;

/// Reads the domain.
#[derive(Clone, Copy, Debug, Default)]
pub struct DomainCollector;

impl Collector for DomainCollector {
    type Fact = String;

    fn collect(&self, machine: &Machine) -> Collected<String> {
        if !machine.has_linux_kernel() {
            return Collected::Unknown { reason: Obstacle::Unsupported { what: "the domain" } };
        }
        realm(machine).into()
    }
}

fn realm(machine: &Machine) -> Result<String, Obstacle> {
    let sources: [(&str, FindRealm); 3] = [
        (SSSD, sssd_realm),
        (SAMBA, |text| ini::value(text, "global", "realm").map(str::to_owned)),
        (KERBEROS, |text| ini::value(text, "libdefaults", "default_realm").map(str::to_owned)),
    ];
    let mut obstacle = None;
    for (path, find) in sources {
        match machine.read_text(path) {
            Ok(text) => {
                if let Some(realm) = find(&text) {
                    return Ok(realm);
                }
            }
            Err(reason) if reason.is_absence() => {}
            Err(reason) => obstacle = obstacle.or(Some(reason)),
        }
    }
    obstacle.map_or(Ok(String::new()), Err)
}

/// The realm of the first domain sssd serves; a domain that names no realm is known by its own name.
fn sssd_realm(text: &str) -> Option<String> {
    let domains = ini::value(text, "sssd", "domains")?;
    let domain = domains.split(',').map(str::trim).find(|name| !name.is_empty())?;
    let section = format!("domain/{domain}");
    let realm = ["krb5_realm", "ad_domain", "ipa_domain"]
        .into_iter()
        .find_map(|key| ini::value(text, &section, key))
        .unwrap_or(domain);
    Some(realm.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::posture::Platform;

    fn collect(files: &[(&str, &str)]) -> Collected<String> {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        DomainCollector.collect(&Machine::at(folder.path(), Platform::Linux))
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
        let samba = "[global]\n  realm = SMB.EXAMPLE\n";
        let kerberos = "[libdefaults]\n  default_realm = KRB.EXAMPLE\n[realms]\n KRB.EXAMPLE = {\n }\n";
        assert_eq!(collect(&[(SSSD, sssd), (SAMBA, samba), (KERBEROS, kerberos)]), known("CORP.EXAMPLE"));
        assert_eq!(collect(&[(SAMBA, samba), (KERBEROS, kerberos)]), known("SMB.EXAMPLE"));
        assert_eq!(collect(&[(KERBEROS, kerberos)]), known("KRB.EXAMPLE"));
        assert_eq!(collect(&[(SSSD, "[sssd]\ndomains = lab.example\n")]), known("lab.example"));
    }

    #[test]
    fn an_unreadable_file_leaves_the_domain_unknown_unless_another_names_it() {
        let too_large = "#".repeat(crate::limits::AGENT_FILE_BYTES_MAX + 1);
        let unknown = collect(&[(SSSD, too_large.as_str())]);
        assert_eq!(unknown.obstacle().unwrap().code(), "too-large");

        let kerberos = "[libdefaults]\ndefault_realm = KRB.EXAMPLE\n";
        assert_eq!(collect(&[(SSSD, too_large.as_str()), (KERBEROS, kerberos)]), known("KRB.EXAMPLE"));
    }
}
