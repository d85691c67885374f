//! The machine's own name, for people to recognise it by; no check looks at it.

use super::{Collected, Collector, Machine, Obstacle};

const KERNEL_HOSTNAME: &str = "proc/sys/kernel/hostname";

/// Reads the host name.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostnameCollector;

impl Collector for HostnameCollector {
    type Fact = String;

    fn collect(&self, machine: &Machine) -> Collected<String> {
        if !machine.has_linux_kernel() {
            return Collected::Unknown { reason: Obstacle::Unsupported { what: "the host name" } };
        }
        machine.read_text(KERNEL_HOSTNAME).map(|text| text.trim().to_owned()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::Platform;

    #[test]
    fn the_name_is_read_where_there_is_a_linux_kernel() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("proc/sys/kernel")).unwrap();
        std::fs::write(folder.path().join(KERNEL_HOSTNAME), "laptop-7\n").unwrap();

        let linux = Machine::at(folder.path(), Platform::Linux);
        assert_eq!(HostnameCollector.collect(&linux), Collected::Known("laptop-7".to_owned()));

        let windows = Machine::at(folder.path(), Platform::Windows);
        assert_eq!(HostnameCollector.collect(&windows).obstacle().unwrap().code(), "unsupported");
    }
}
