//! JSON Schemas for editors, made from the definitions the reader itself uses.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::agent::RawAgent;
use super::policy::RawPolicyFile;
use super::settings::RawSettings;

/// A schema and where it is kept in the repository.
#[derive(Clone, Debug)]
pub struct SchemaFile {
    /// The file's name inside `config/`.
    pub name: &'static str,
    /// The schema, as the file's text.
    pub text: String,
}

/// Every schema of a file that operators write.
pub fn all() -> [SchemaFile; 3] {
    [
        SchemaFile { name: "postern.schema.json", text: text_of::<RawSettings>() },
        SchemaFile { name: "policy.schema.json", text: text_of::<RawPolicyFile>() },
        SchemaFile { name: "agent.schema.json", text: text_of::<RawAgent>() },
    ]
}

/// Draft 7: what editors' YAML support understands.
fn text_of<T: JsonSchema>() -> String {
    let generator = SchemaSettings::draft07().into_generator();
    let schema = generator.into_root_schema_for::<T>();
    let mut text = format!("{:#}", schema.as_value());
    // Names of our own types and links between them are of no use in an editor.
    for (written, shown) in [("\"Raw", "\""), ("/definitions/Raw", "/definitions/"), ("[`", "`"), ("`]", "`")] {
        text = text.replace(written, shown);
    }
    text.push('\n');
    text
}
