//! What the firmware says of the hardware: its serial number and what the product is called.
//!
//! On Linux these are SMBIOS's, of which the kernel shows the serial number to root only. Manufacturers that do not fill a field in
//! leave a placeholder, the same on every board; a placeholder is not reported as if it were a number.

use super::{Collected, Collector, Machine, Obstacle};
use crate::posture::check::listed::DeviceName;

const SERIAL_NUMBERS: [&str; 3] =
    ["sys/class/dmi/id/product_serial", "sys/class/dmi/id/chassis_serial", "sys/class/dmi/id/board_serial"];
const PRODUCT: &str = "sys/class/dmi/id/product_name";
/// Boards without SMBIOS (ARM) have a device tree.
const DEVICE_TREE_SERIAL: &str = "sys/firmware/devicetree/base/serial-number";
const DEVICE_TREE_MODEL: &str = "sys/firmware/devicetree/base/model";

/// Reads the serial number.
#[derive(Clone, Copy, Debug, Default)]
pub struct SerialNumberCollector;

impl Collector for SerialNumberCollector {
    type Fact = String;

    fn collect(&self, machine: &Machine) -> Collected<String> {
        machine.on_linux("the serial number", serial_number)
    }
}

/// Reads what the product is called, for people to recognise it by.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProductCollector;

impl Collector for ProductCollector {
    type Fact = String;

    fn collect(&self, machine: &Machine) -> Collected<String> {
        machine.on_linux("the product's name", product)
    }
}

fn serial_number(machine: &Machine) -> Result<String, Obstacle> {
    let files = SERIAL_NUMBERS.into_iter().chain([DEVICE_TREE_SERIAL]);
    first_of_its_own(machine, files, "a serial number of its own")
}

fn product(machine: &Machine) -> Result<String, Obstacle> {
    first_of_its_own(machine, [PRODUCT, DEVICE_TREE_MODEL], "the name of a product")
}

/// The first text among `files` that somebody filled in.
fn first_of_its_own(
    machine: &Machine,
    files: impl IntoIterator<Item = &'static str>,
    expected: &'static str,
) -> Result<String, Obstacle> {
    let mut obstacle = None;
    for path in files {
        match machine.read_text(path) {
            Ok(text) => {
                let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
                if DeviceName::SerialNumber.comparable(text).is_some() && !is_filler(text) {
                    return Ok(text.to_owned());
                }
                let path = machine.locate(path).display().to_string();
                obstacle.get_or_insert(Obstacle::Malformed { path, expected });
            }
            Err(reason) if reason.is_absence() => {
                obstacle.get_or_insert(reason);
            }
            // A text that may not be read is not replaced by the next best one.
            Err(reason) => return Err(reason),
        }
    }
    Err(obstacle.unwrap_or(Obstacle::Unsupported { what: expected }))
}

/// One character again and again (a row of zeros or crosses), a single dot, `123456789`: nobody's number. `System Product Name`:
/// nobody's product.
fn is_filler(text: &str) -> bool {
    let mut letters = text.chars();
    let first = letters.next();
    let alike = letters.all(|letter| Some(letter) == first);
    alike || ["123456789", "1234567890", "0123456789", "System Product Name"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::Platform;

    fn read(collector: &impl Collector<Fact = String>, files: &[(&str, &str)]) -> Collected<String> {
        let (_folder, machine) = Machine::with_files(Platform::Linux, files);
        collector.collect(&machine)
    }

    fn collect(files: &[(&str, &str)]) -> Collected<String> {
        read(&SerialNumberCollector, files)
    }

    #[test]
    fn the_first_number_that_is_one_counts() {
        let [product, chassis, board] = SERIAL_NUMBERS;
        assert_eq!(collect(&[(product, "PF3ABCDE \n"), (board, "L1HF")]), Collected::Known("PF3ABCDE".to_owned()));
        let crosses = "X".repeat(4);
        let placeholders =
            ["To be filled by O.E.M.\n", "Default string", "0000000000", "System Serial Number", &crosses, ""];
        for placeholder in placeholders {
            assert_eq!(collect(&[(product, placeholder)]).obstacle().unwrap().code(), "malformed", "{placeholder}");
            let found = collect(&[(product, placeholder), (chassis, "None"), (board, "L1HF12300")]);
            assert_eq!(found, Collected::Known("L1HF12300".to_owned()), "{placeholder}");
        }
        assert_eq!(collect(&[(DEVICE_TREE_SERIAL, "10000000abcdef\0")]).known().unwrap(), "10000000abcdef");
        assert_eq!(collect(&[]).obstacle().unwrap().code(), "absent");
    }

    #[test]
    fn a_product_is_called_what_somebody_called_it() {
        let collect = |files: &[(&str, &str)]| read(&ProductCollector, files);
        assert_eq!(collect(&[(PRODUCT, "ThinkPad X1 Carbon\n")]).known().unwrap(), "ThinkPad X1 Carbon");
        assert_eq!(collect(&[(DEVICE_TREE_MODEL, "Raspberry Pi 5\0")]).known().unwrap(), "Raspberry Pi 5");
        for placeholder in ["System Product Name\n", "To be filled by O.E.M.", "Default string", ""] {
            assert_eq!(collect(&[(PRODUCT, placeholder)]).obstacle().unwrap().code(), "malformed", "{placeholder}");
        }
        assert_eq!(collect(&[]).obstacle().unwrap().code(), "absent");
    }
}
