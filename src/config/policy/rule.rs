//! Posture rules in policy files, in the words of Cloudflare's API.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::object::{Register, Source, Tags};
use crate::config::document::{Field, Located};
use crate::config::values::{AttributeText, NameText, RemediationText};
use crate::dialect::cloudflare::{self, RuleType};
use crate::id::CheckId;
use crate::policy::objects::PostureCheck;
use crate::posture::Evidence;

/// One question about the posture of a device, written as Cloudflare's API for posture rules takes it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "type"]))]
pub(super) struct RawRule {
    /// Its name.
    name: Field<NameText>,
    /// Its id, unique over posture checks and rules. Default: the name.
    id: Field<NameText>,
    /// What is asked: one of Cloudflare's rule types.
    #[serde(rename = "type")]
    rule_type: Field<RuleTypeText>,
    /// What it is for.
    description: Field<String>,
    /// The platforms it is meant for, each as `platform: linux`. Default: all that the type can be answered on.
    #[serde(rename = "match")]
    matching: Field<Json>,
    /// How often devices report for it, at least 1m. Default: 5m.
    schedule: Field<String>,
    /// How long a result is valid. Default: until the next one.
    expiration: Field<String>,
    /// What is asked in detail; which members it takes depends on the type.
    input: Field<Json>,
    /// Attributes by which policies select it (`#attribute`), written without the `#`.
    role_attributes: Field<Vec<Field<AttributeText>>>,
    /// What is demanded of the facts: `any`, or `signed` for those that the device's key signed. Default: any.
    evidence: Field<Evidence>,
    /// What a person can do to pass, shown with a refusal as far as the service discloses it.
    remediation: Field<RemediationText>,
    /// Free-form tags, shown and filtered by, never used in a decision.
    tags: Field<Tags>,
}

/// The spelling of a rule type.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct RuleTypeText(String);

impl JsonSchema for RuleTypeText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RuleType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = RuleType::ALL.iter().map(|kind| kind.as_str()).collect();
        json_schema!({ "enum": names })
    }
}

/// Whatever the type of the rule takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
struct Json(Value);

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["object", "array"] })
    }
}

/// Reads one rule; what is wrong with it is found where it was written.
pub(super) fn read(source: &Source<'_>, register: &mut Register, raw: Located<RawRule>) -> Option<PostureCheck> {
    let Located { node, value: raw } = raw;
    let session = source.session;
    let body = raw.body();
    let head = source.head(register, node, raw.name, raw.id, raw.tags)?;
    match cloudflare::read_rule(&body, CheckId::new(head.id), head.meta, None) {
        Ok(rule) => {
            for warning in rule.warnings {
                session.warn(node, warning.text());
            }
            Some(rule.object)
        }
        Err(error) => {
            for item in error.items() {
                let place = session.document().descend(node, item.pointer().unwrap_or_default());
                session.error(place, item.message());
            }
            None
        }
    }
}

impl RawRule {
    /// The rule as a body of the API.
    fn body(&self) -> Map<String, Value> {
        let text = |field: &Field<String>| field.as_ref().map(|text| Value::from(text.as_str()));
        let attributes = self.role_attributes.as_ref().map(|list| {
            list.iter().filter_map(|attribute| attribute.as_ref()).map(|text| Value::from(text.0.as_str())).collect()
        });
        let members = [
            ("name", self.name.as_ref().map(|name| Value::from(name.0.as_str()))),
            ("type", self.rule_type.as_ref().map(|kind| Value::from(kind.0.as_str()))),
            ("description", text(&self.description)),
            ("match", self.matching.as_ref().map(|json| json.0.clone())),
            ("schedule", text(&self.schedule)),
            ("expiration", text(&self.expiration)),
            ("input", self.input.as_ref().map(|json| json.0.clone())),
            ("role_attributes", attributes),
            ("evidence", self.evidence.as_ref().map(|evidence| Value::from(evidence.as_str()))),
            ("remediation", self.remediation.as_ref().map(|text| Value::from(text.0.as_str()))),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
