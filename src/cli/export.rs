//! `postern export`: the objects of a running gateway, written in a public language.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Exit;
use super::args::{ExportArgs, ExportDialect, ExportFormat};
use super::operator::{Operator, OperatorError};
use super::terminal::Terminal;
use crate::dialect::openziti::{self, ImportKind};

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The gateway cannot be asked.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// It cannot be written as YAML.
    #[error("cannot be written as YAML: {0}")]
    Yaml(String),
}

pub(super) fn run(args: &ExportArgs, terminal: &Terminal) -> Result<Exit, ExportError> {
    let operator = Operator::new(&args.operator)?;
    let document = match args.dialect {
        ExportDialect::Openziti => in_openziti(&operator)?,
        ExportDialect::Cloudflare => in_cloudflare(&operator, &args.account)?,
    };
    match args.format {
        ExportFormat::Json => terminal.json_document(&document),
        ExportFormat::Yaml => {
            let text = serde_saphyr::to_string(&document).map_err(|error| ExportError::Yaml(error.to_string()))?;
            terminal.line(text.trim_end());
        }
    }
    Ok(Exit::Success)
}

fn in_openziti(operator: &Operator) -> Result<Value, OperatorError> {
    let mut document = Map::new();
    let mut configs = BTreeMap::new();
    for kind in ImportKind::ALL {
        let shown = operator.list(kind.collection())?;
        if kind == ImportKind::Config {
            let text = |object: &Value, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
            configs = shown.iter().filter_map(|config| Some((text(config, "id")?, text(config, "name")?))).collect();
        }
        let made = shown.iter().filter(|object| !openziti::is_built_in(kind, object));
        let written = made.map(|object| openziti::exported(kind, object, &configs)).collect();
        document.insert(kind.key().to_owned(), Value::Array(written));
    }
    Ok(Value::Object(document))
}

/// Rules, integrations, lists with their items, and certificates, as the API shows them; it never shows secrets.
fn in_cloudflare(operator: &Operator, account: &str) -> Result<Value, OperatorError> {
    let ask = |path: &[&str]| -> Result<Vec<Value>, OperatorError> {
        let path = [&["client", "v4", "accounts", account], path].concat();
        operator.results(&path)
    };
    let mut lists = ask(&["gateway", "lists"])?;
    for list in &mut lists {
        let id = list.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let items = ask(&["gateway", "lists", &id, "items"])?;
        if let Some(list) = list.as_object_mut() {
            list.insert("items".to_owned(), items.into());
        }
    }
    let document = [
        ("posture_rules", ask(&["devices", "posture"])?),
        ("posture_integrations", ask(&["devices", "posture", "integration"])?),
        ("gateway_lists", lists),
        ("mtls_certificates", ask(&["mtls_certificates"])?),
    ];
    Ok(Value::Object(document.into_iter().map(|(name, list)| (name.to_owned(), list.into())).collect()))
}
