//! The machine's own name, for people to recognise it by; no check looks at it.

use super::{Collected, Collector, Machine, program};
use crate::posture::Platform;

const KERNEL_HOSTNAME: &str = "proc/sys/kernel/hostname";

/// Reads the host name.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostnameCollector;

impl Collector for HostnameCollector {
    type Fact = String;

    fn collect(&self, machine: &Machine) -> Collected<String> {
        let told = match machine.platform() {
            Some(Platform::Linux | Platform::Android) => machine.read_text(KERNEL_HOSTNAME),
            Some(Platform::MacOs) => program::ask(machine, "hostname", &[]),
            Some(Platform::Windows | Platform::WindowsServer) => program::ask(machine, "hostname.exe", &[]),
            Some(Platform::Ios) | None => return Collected::unsupported("the host name"),
        };
        Collected::from(told).map(|name| name.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_kernels_or_what_the_system_prints() {
        let (_folder, linux) = Machine::with_files(Platform::Linux, &[(KERNEL_HOSTNAME, "laptop-7\n")]);
        assert_eq!(HostnameCollector.collect(&linux), Collected::Known("laptop-7".to_owned()));

        let folder = tempfile::tempdir().unwrap();
        for (platform, code) in
            [(Platform::Windows, "absent"), (Platform::MacOs, "absent"), (Platform::Ios, "unsupported")]
        {
            let machine = Machine::at(folder.path(), platform);
            assert_eq!(HostnameCollector.collect(&machine).obstacle().unwrap().code(), code, "{platform:?}");
        }
    }
}
