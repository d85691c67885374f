//! The host's firewall: whether anything filters what comes in.
//!
//! On Linux it is on when ufw is enabled, when firewalld runs, or when nftables has a chain on the input hook that drops or rejects
//! something. Only root may ask nftables; without that, and without ufw or firewalld, nothing is known.

use serde_json::Value;

use super::{Collected, Collector, Machine, Obstacle, program};

const UFW: &str = "etc/ufw/ufw.conf";
const FIREWALLD_PID: &str = "run/firewalld.pid";

/// Reads whether the firewall is on.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirewallCollector;

impl Collector for FirewallCollector {
    type Fact = bool;

    fn collect(&self, machine: &Machine) -> Collected<bool> {
        machine.on_linux("the firewall", is_on)
    }
}

fn is_on(machine: &Machine) -> Result<bool, Obstacle> {
    if ufw_is_enabled(machine)? || firewalld_runs(machine)? {
        return Ok(true);
    }
    let rules = program::ask(machine, "nft", &["--json", "list", "ruleset"])?;
    let rules: Value = serde_json::from_str(&rules)
        .map_err(|_| Obstacle::Malformed { path: "nft".to_owned(), expected: "a list of rules in JSON" })?;
    Ok(filters_input(&rules))
}

fn ufw_is_enabled(machine: &Machine) -> Result<bool, Obstacle> {
    match machine.read_text(UFW) {
        Ok(text) => Ok(text.lines().any(|line| line.trim().eq_ignore_ascii_case("enabled=yes"))),
        Err(reason) if reason.is_absence() => Ok(false),
        Err(reason) => Err(reason),
    }
}

fn firewalld_runs(machine: &Machine) -> Result<bool, Obstacle> {
    let pid = match machine.read_text(FIREWALLD_PID) {
        Ok(text) => text.trim().parse::<u32>().ok(),
        Err(reason) if reason.is_absence() => None,
        Err(reason) => return Err(reason),
    };
    let Some(pid) = pid else { return Ok(false) };
    // The file of a process that was killed stays behind.
    match machine.read_text(format!("proc/{pid}/cmdline")) {
        Ok(words) => Ok(words.contains("firewalld")),
        Err(reason) if reason.is_absence() => Ok(false),
        Err(reason) => Err(reason),
    }
}

/// Whether a chain on the input hook drops what no rule accepts, or some rule in such a chain drops or rejects.
fn filters_input(ruleset: &Value) -> bool {
    let objects = ruleset.get("nftables").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |object: &Value, name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let key = |object: &Value, chain: &str| (text(object, "family"), text(object, "table"), text(object, chain));
    let chains = objects.iter().filter_map(|object| object.get("chain"));
    let inputs: Vec<&Value> = chains.filter(|chain| text(chain, "hook") == "input").collect();
    let drops = |rule: &Value| {
        let parts = rule.get("expr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        parts.iter().any(|part| part.get("drop").is_some() || part.get("reject").is_some())
    };
    let in_input = |rule: &Value| inputs.iter().any(|chain| key(chain, "name") == key(rule, "chain"));
    inputs.iter().any(|chain| text(chain, "policy") == "drop")
        || objects.iter().filter_map(|object| object.get("rule")).any(|rule| in_input(rule) && drops(rule))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::posture::Platform;

    fn collect(files: &[(&str, &str)]) -> Collected<bool> {
        let (_folder, machine) = Machine::with_files(Platform::Linux, files);
        FirewallCollector.collect(&machine)
    }

    #[test]
    fn ufw_and_firewalld_are_believed_and_silence_is_not_off() {
        assert_eq!(collect(&[(UFW, "# ufw\nENABLED=yes\nLOGLEVEL=low\n")]), Collected::Known(true));
        let running = [(FIREWALLD_PID, "77\n"), ("proc/77/cmdline", "/usr/bin/python3\0/usr/sbin/firewalld\0")];
        assert_eq!(collect(&running), Collected::Known(true));
        for unknown in [&[(UFW, "ENABLED=no\n")][..], &[(FIREWALLD_PID, "77\n")], &[]] {
            assert_eq!(collect(unknown).obstacle().unwrap().code(), "absent", "{unknown:?}");
        }
    }

    #[test]
    fn nftables_is_on_when_something_is_kept_out() {
        let chain = |hook: &str, policy: &str| json!({"chain": {"family": "inet", "table": "t", "name": "c", "hook": hook, "policy": policy}});
        let rule = |table: &str, verdict: &str| json!({"rule": {"family": "inet", "table": table, "chain": "c", "expr": [{"match": {}}, {verdict: null}]}});
        for (objects, on) in [
            (vec![], false),
            (vec![chain("input", "drop")], true),
            (vec![chain("output", "drop")], false),
            (vec![chain("input", "accept")], false),
            (vec![chain("input", "accept"), rule("t", "drop")], true),
            (vec![chain("input", "accept"), rule("t", "reject")], true),
            (vec![chain("input", "accept"), rule("t", "accept")], false),
            (vec![chain("input", "accept"), rule("other", "drop")], false),
        ] {
            assert_eq!(filters_input(&json!({"nftables": objects})), on, "{objects:?}");
        }
        assert!(!filters_input(&json!("?")));
    }
}
