//! The machine's own name, for people to recognise it by; no check looks at it.

use super::{Collected, Collector, Machine};

const KERNEL_HOSTNAME: &str = "proc/sys/kernel/hostname";

/// Reads the host name.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostnameCollector;

impl Collector for HostnameCollector {
    type Fact = String;

    fn collect(&self, machine: &Machine) -> Collected<String> {
        machine.on_linux("the host name", |machine| Ok(machine.read_text(KERNEL_HOSTNAME)?.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::Platform;

    #[test]
    fn the_name_is_read_where_there_is_a_linux_kernel() {
        let (folder, linux) = Machine::with_files(Platform::Linux, &[(KERNEL_HOSTNAME, "laptop-7\n")]);
        assert_eq!(HostnameCollector.collect(&linux), Collected::Known("laptop-7".to_owned()));

        let windows = Machine::at(folder.path(), Platform::Windows);
        assert_eq!(HostnameCollector.collect(&windows).obstacle().unwrap().code(), "unsupported");
    }
}
