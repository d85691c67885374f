//! `postern import`: the objects that `ziti ops export` wrote, made on a running gateway, or only tried.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use super::Exit;
use super::args::{ImportArgs, ImportDialect, OutputFormat};
use super::operator::{Operator, OperatorError};
use super::terminal::{Style, Terminal};
use crate::clock::{Clock, Timestamp};
use crate::config::ServiceDefaults;
use crate::dialect::openziti::{self, ConfigTypes, ImportKind, ImportReport, ImportTarget, Outcome};
use crate::id::{CheckId, ConfigId, ConfigTypeId, IdentityId, PolicyId, ServiceId};
use crate::limits;
use crate::policy::Objects;
use crate::policy::compile::compile;

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is larger than any honest export.
    #[error("`{}` is larger than {} bytes", .0.display(), limits::IMPORT_FILE_BYTES_MAX)]
    TooLarge(PathBuf),
    /// It is not what an export writes.
    #[error("`{}` is not what `ziti ops export` writes: {reason}", path.display())]
    NotAnExport {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The gateway cannot be asked.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

pub(super) fn run(args: &ImportArgs, clock: &dyn Clock, terminal: &Terminal) -> Result<Exit, ImportError> {
    let ImportDialect::Openziti = args.dialect;
    let file = read(&args.file)?;
    let now = clock.now();
    let report = if args.dry_run {
        let mut rehearsal = Rehearsal { objects: Objects::default(), made: 0, now };
        openziti::import(&file, &mut rehearsal, now).unwrap_or_else(|never| match never {})
    } else {
        let mut gateway = Gateway { operator: Operator::new(&args.asking.operator)?, known: HashMap::new() };
        openziti::import(&file, &mut gateway, now)?
    };
    show(&report, args, terminal);
    let refused = report.objects.iter().any(|object| matches!(object.outcome, Outcome::Refused(_)));
    Ok(if refused { Exit::Failure } else { Exit::Success })
}

fn read(path: &Path) -> Result<Value, ImportError> {
    let unreadable = |source| ImportError::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > limits::IMPORT_FILE_BYTES_MAX {
        return Err(ImportError::TooLarge(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let wrong = |reason: String| ImportError::NotAnExport { path: path.to_owned(), reason };
    let json = text.trim_start().starts_with('{');
    let file: Value = if json {
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?
    } else {
        serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?
    };
    if file.is_object() { Ok(file) } else { Err(wrong("it is not a set of lists".to_owned())) }
}

fn show(report: &ImportReport, args: &ImportArgs, terminal: &Terminal) {
    match args.asking.output {
        OutputFormat::Json => {
            for object in &report.objects {
                let (outcome, why) = told(&object.outcome);
                terminal.json(&json!({"kind": object.noun, "name": object.name, "outcome": outcome, "why": why}));
            }
            for note in &report.notes {
                terminal.json(&json!({"note": note}));
            }
        }
        OutputFormat::Text => {
            for object in &report.objects {
                let (outcome, why) = told(&object.outcome);
                terminal.line(format_args!("{outcome:<8} {:<16} {}", object.noun, object.name));
                why.iter().for_each(|why| terminal.line(format_args!("         {why}")));
            }
            for note in &report.notes {
                terminal.line(terminal.paint(Style::Strong, format_args!("note: {note}")));
            }
            let count = |wanted: &str| report.objects.iter().filter(|object| told(&object.outcome).0 == wanted).count();
            let counted =
                ["taken", "changed", "left", "refused"].map(|outcome| format!("{} {outcome}", count(outcome)));
            let tried = if args.dry_run { ", and nothing was made" } else { "" };
            terminal.line(terminal.paint(Style::Strong, format_args!("{}{tried}", counted.join(", "))));
        }
    }
}

fn told(outcome: &Outcome) -> (&'static str, Vec<&str>) {
    match outcome {
        Outcome::Taken => ("taken", Vec::new()),
        Outcome::Changed(changes) => ("changed", changes.iter().map(String::as_str).collect()),
        Outcome::Left(why) => ("left", vec![why]),
        Outcome::Refused(why) => ("refused", vec![why]),
    }
}

/// A running gateway.
struct Gateway {
    operator: Operator,
    /// Ids by name, of the kinds that were asked for.
    known: HashMap<ImportKind, HashMap<String, String>>,
}

impl Gateway {
    fn names(&mut self, kind: ImportKind) -> Result<&mut HashMap<String, String>, OperatorError> {
        if !self.known.contains_key(&kind) {
            let all = self.operator.list(kind.collection())?;
            let text = |object: &Value, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
            let named = all.iter().filter_map(|object| Some((text(object, "name")?, text(object, "id")?)));
            self.known.insert(kind, named.collect());
        }
        Ok(self.known.entry(kind).or_default())
    }
}

impl ImportTarget for Gateway {
    type Error = OperatorError;

    fn find(&mut self, kind: ImportKind, name: &str) -> Result<Option<String>, OperatorError> {
        Ok(self.names(kind)?.get(name).cloned())
    }

    fn make(&mut self, kind: ImportKind, body: &Value) -> Result<Result<String, String>, OperatorError> {
        let path = ["edge", "management", "v1", kind.collection()];
        match self.operator.ask(Method::POST, &path, Some(body)) {
            Ok(made) => {
                let id = made.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.names(kind)?.insert(name, id.clone());
                Ok(Ok(id))
            }
            Err(OperatorError::Refused { code, message }) if code != "UNAUTHORIZED" => Ok(Err(message)),
            Err(error) => Err(error),
        }
    }

    fn disable(&mut self, identity: &str) -> Result<(), OperatorError> {
        let path = ["edge", "management", "v1", "identities", identity, "disable"];
        self.operator.ask(Method::POST, &path, None).map(drop)
    }
}

/// A gateway that has nothing yet, and keeps nothing.
struct Rehearsal {
    objects: Objects,
    made: usize,
    now: Timestamp,
}

/// Nothing can keep a rehearsal from taking place.
#[derive(Debug)]
enum Never {}

impl Rehearsal {
    fn with(&self, kind: ImportKind, body: &[u8], id: &str) -> Result<Objects, openziti::ApiError> {
        let mut objects = self.objects.clone();
        match kind {
            ImportKind::PostureCheck => {
                let check = openziti::create_posture_check(body, CheckId::from(id), self.now)?;
                objects.checks.insert(CheckId::from(id), Arc::new(check));
            }
            ImportKind::ConfigType => {
                let types = ConfigTypes::of(&self.objects);
                let kind = openziti::create_config_type(body, ConfigTypeId::from(id), types, self.now)?;
                objects.config_types.insert(ConfigTypeId::from(id), Arc::new(kind));
            }
            ImportKind::Config => {
                let types = ConfigTypes::of(&self.objects);
                let config = openziti::create_config(body, ConfigId::from(id), types, self.now)?;
                objects.configs.insert(ConfigId::from(id), Arc::new(config));
            }
            ImportKind::Service => {
                let blank = ServiceDefaults::default().blank(ServiceId::from(id), self.now);
                let service = openziti::create_service(body, blank)?;
                objects.services.insert(ServiceId::from(id), Arc::new(service));
            }
            ImportKind::Identity => {
                let made = openziti::create_identity(body, IdentityId::from(id), self.now)?;
                objects.identities.insert(IdentityId::from(id), Arc::new(made.identity));
            }
            ImportKind::ServicePolicy => {
                let policy = openziti::create_service_policy(body, PolicyId::from(id), &self.objects, self.now)?;
                objects.policies.insert(PolicyId::from(id), Arc::new(policy));
            }
        }
        Ok(objects)
    }
}

impl ImportTarget for Rehearsal {
    type Error = Never;

    fn find(&mut self, kind: ImportKind, name: &str) -> Result<Option<String>, Never> {
        let objects = &self.objects;
        let named = |found: Option<&str>| found.map(str::to_owned);
        Ok(match kind {
            ImportKind::PostureCheck => named(
                objects.checks.values().find(|check| *check.check.name == *name).map(|check| check.check.id.as_str()),
            ),
            ImportKind::ConfigType => named(ConfigTypes::of(objects).called(name).map(|kind| kind.id())),
            ImportKind::Config => {
                named(objects.configs.values().find(|config| *config.name == *name).map(|config| config.id.as_str()))
            }
            ImportKind::Service => {
                named(objects.services.values().find(|known| *known.name == *name).map(|known| known.id.as_str()))
            }
            ImportKind::Identity => {
                named(objects.identities.values().find(|known| *known.name == *name).map(|known| known.id.as_str()))
            }
            ImportKind::ServicePolicy => {
                named(objects.policies.values().find(|known| *known.name == *name).map(|known| known.id.as_str()))
            }
        })
    }

    fn make(&mut self, kind: ImportKind, body: &Value) -> Result<Result<String, String>, Never> {
        let id = format!("{}-{}", kind.key(), self.made);
        let objects = match self.with(kind, body.to_string().as_bytes(), &id) {
            Ok(objects) => objects,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Err(errors) = compile(objects.clone(), 1) {
            return Ok(Err(errors.first().map(|error| error.problem.to_string()).unwrap_or_default()));
        }
        self.objects = objects;
        self.made += 1;
        Ok(Ok(id))
    }

    fn disable(&mut self, _: &str) -> Result<(), Never> {
        Ok(())
    }
}
