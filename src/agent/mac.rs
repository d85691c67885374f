//! The hardware addresses of the network interfaces.
//!
//! Counted are Ethernet-like interfaces (wired, wireless, bridges, virtual pairs) that are administratively up and have
//! a six-byte address that is not all zero. An interface that is set down is left out, as a device cannot be reached or
//! recognised through it; an unplugged cable does not set it down. Loopback and tunnels without hardware are left out.

use std::path::Path;

use super::{Collected, Collector, Machine, Obstacle};
use crate::limits;

const INTERFACES: &str = "sys/class/net";
/// The kernel's number for Ethernet framing, which Wi-Fi shares.
const ARPHRD_ETHER: u32 = 1;
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const ADDRESS_HEX_DIGITS: usize = 12;

/// Reads the hardware addresses as bare lower-case hex: those of physical interfaces first, then the virtual ones, each sorted.
///
/// At most as many as a gateway keeps for one identity are returned, so that a host with hundreds of virtual interfaces
/// still gets its physical ones across.
#[derive(Clone, Copy, Debug, Default)]
pub struct MacCollector;

impl Collector for MacCollector {
    type Fact = Vec<String>;

    fn collect(&self, machine: &Machine) -> Collected<Vec<String>> {
        machine.on_linux("hardware addresses", addresses)
    }
}

fn addresses(machine: &Machine) -> Result<Vec<String>, Obstacle> {
    let names = machine.names_in(INTERFACES, "network interfaces", limits::AGENT_INTERFACES_MAX)?;
    let (mut physical, mut virtual_ones) = (Vec::new(), Vec::new());
    for name in names {
        let interface = Path::new(INTERFACES).join(name);
        match address(machine, &interface) {
            Ok(Some(address)) if machine.locate(interface.join("device")).exists() => physical.push(address),
            Ok(Some(address)) => virtual_ones.push(address),
            // An interface may go while the folder is read: it is then simply not there any more.
            Ok(None) | Err(Obstacle::Absent { .. }) => {}
            Err(reason) => return Err(reason),
        }
    }
    physical.sort_unstable();
    virtual_ones.sort_unstable();
    let mut addresses: Vec<String> = Vec::new();
    for address in physical.into_iter().chain(virtual_ones) {
        if addresses.len() < limits::MACS_PER_IDENTITY_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The interface's address, or `None` when it is not of a kind that counts.
fn address(machine: &Machine, interface: &Path) -> Result<Option<String>, Obstacle> {
    if !machine.locate(interface).is_dir() {
        return Ok(None); // `bonding_masters` is a file among the interfaces.
    }
    let kind = machine.read_text(interface.join("type"))?;
    let flags = machine.read_text(interface.join("flags"))?;
    let flags = flags.trim().strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let flags = flags.ok_or_else(|| Obstacle::Malformed {
        path: machine.locate(interface.join("flags")).display().to_string(),
        expected: "interface flags such as 0x1003",
    })?;
    if kind.trim().parse() != Ok(ARPHRD_ETHER) || flags & IFF_UP == 0 || flags & IFF_LOOPBACK != 0 {
        return Ok(None);
    }
    let address = machine.read_text(interface.join("address"))?;
    let address: String =
        address.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()).collect();
    let counts = address.len() == ADDRESS_HEX_DIGITS && address.chars().any(|digit| digit != '0');
    Ok(counts.then_some(address))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::posture::Platform;

    struct Interface {
        name: &'static str,
        kind: &'static str,
        flags: &'static str,
        address: &'static str,
        physical: bool,
    }

    fn collect(interfaces: &[Interface]) -> Collected<Vec<String>> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(INTERFACES);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("bonding_masters"), "").unwrap();
        for interface in interfaces {
            let folder = folder.join(interface.name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("type"), interface.kind).unwrap();
            fs::write(folder.join("flags"), interface.flags).unwrap();
            fs::write(folder.join("address"), interface.address).unwrap();
            if interface.physical {
                fs::create_dir(folder.join("device")).unwrap();
            }
        }
        MacCollector.collect(&Machine::at(root.path(), Platform::Linux))
    }

    fn interface(name: &'static str, flags: &'static str, address: &'static str) -> Interface {
        Interface { name, kind: "1\n", flags, address, physical: false }
    }

    #[test]
    fn physical_addresses_come_first_and_doubles_go() {
        let collected = collect(&[
            interface("br0", "0x1003\n", "14:b2:2c:e5:f0:61\n"),
            interface("docker0", "0x1003\n", "02:42:00:00:00:01\n"),
            Interface { physical: true, ..interface("eth0", "0x1003\n", "14:B2:2C:E5:F0:61\n") },
        ]);
        assert_eq!(collected, Collected::Known(vec!["14b22ce5f061".to_owned(), "024200000001".to_owned()]));
    }

    #[test]
    fn loopback_down_zero_and_tunnel_interfaces_do_not_count() {
        let collected = collect(&[
            interface("lo", "0x9\n", "00:00:00:00:00:01\n"),
            interface("eth1", "0x1002\n", "14:b2:2c:e5:f0:62\n"),
            interface("dummy0", "0x1003\n", "00:00:00:00:00:00\n"),
            Interface { kind: "768\n", ..interface("tunl0", "0x1003\n", "0.0.0.0\n") },
            Interface { kind: "65534\n", ..interface("wg0", "0x1003\n", "\n") },
        ]);
        assert_eq!(collected, Collected::Known(Vec::new()));
    }

    #[test]
    fn a_machine_without_the_folder_or_with_strange_flags_is_unknown() {
        let empty = tempfile::tempdir().unwrap();
        let absent = MacCollector.collect(&Machine::at(empty.path(), Platform::Linux));
        assert_eq!(absent.obstacle().unwrap().code(), "absent");
        let strange = collect(&[interface("eth0", "up\n", "14:b2:2c:e5:f0:62\n")]);
        assert_eq!(strange.obstacle().unwrap().code(), "malformed");
    }
}
