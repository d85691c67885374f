//! What was counted, beside what was recorded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::Result;

/// How much more than recorded fails the check.
const MORE_ALLOWED: f64 = 1.05;

#[derive(Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// The compiler that built what was counted, as it calls itself.
    compiler: String,
    /// Instructions of one time of each workload.
    instructions: BTreeMap<String, u64>,
}

impl Baseline {
    pub(crate) fn of(counted: &[(&str, u64)]) -> Result<Self> {
        let instructions = counted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Ok(Baseline { compiler: compiler()?, instructions })
    }

    pub(crate) fn read() -> Result<Self> {
        Ok(serde_json::from_str(&fs::read_to_string(file())?)?)
    }

    pub(crate) fn write(&self) -> Result<()> {
        Ok(fs::write(file(), serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// How much of `recorded` each count is.
    fn shares<'a>(&'a self, recorded: &'a Baseline) -> impl Iterator<Item = (&'a str, u64, Option<f64>)> {
        self.instructions.iter().map(|(name, count)| {
            let before = recorded.instructions.get(name);
            (name.as_str(), *count, before.map(|before| *count as f64 / *before as f64))
        })
    }

    pub(crate) fn beside(&self, recorded: &Baseline) -> String {
        let mut table = String::from("\n| workload | instructions | of what is recorded |\n|---|---:|---:|\n");
        for (name, count, share) in self.shares(recorded) {
            let share = share.map_or("new".to_owned(), |share| format!("{:.1} %", share * 100.0));
            let _ = writeln!(table, "| {name} | {count} | {share} |");
        }
        if self.compiler != recorded.compiler {
            let (now, then) = (&self.compiler, &recorded.compiler);
            let _ = write!(
                table,
                "\nBuilt by {now}, recorded with {then}: what is more may be the compiler's, and fails nothing."
            );
        }
        table
    }

    /// What needs too much. Another compiler's instructions are other instructions, and regress from nothing.
    pub(crate) fn regressions(&self, recorded: &Baseline) -> Vec<String> {
        if self.compiler != recorded.compiler {
            return Vec::new();
        }
        self.shares(recorded)
            .filter_map(|(name, _, share)| match share {
                Some(share) if share <= MORE_ALLOWED => None,
                Some(share) => Some(format!("`{name}` needs {:.1} % of the instructions recorded", share * 100.0)),
                None => Some(format!("`{name}` is not recorded; run with --record")),
            })
            .collect()
    }
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn file() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "benches", "instructions", "baseline.json"].iter().collect()
}
