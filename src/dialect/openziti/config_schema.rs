//! JSON Schemas that operators give to types of configs.

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::error::FieldError;

/// Whether a schema can be used, and if not, why. What it refers to must be in it: nothing is fetched.
pub(super) fn check(schema: &Map<String, Value>) -> Result<(), String> {
    validator(schema).map(drop)
}

/// Refuses data that a schema does not describe, by the member that is wrong.
pub(super) fn hold(schema: &Map<String, Value>, data: &Map<String, Value>) -> Result<(), FieldError> {
    let data = Value::Object(data.clone());
    let validator = validator(schema).map_err(|reason| FieldError::new("data", reason, &Value::Null))?;
    let Err(error) = validator.validate(&data) else {
        return Ok(());
    };
    let pointer = error.instance_path().to_string();
    let wrong = data.pointer(&pointer).unwrap_or(&Value::Null);
    Err(FieldError::new(field(&pointer), format!("is not as its type says: {error}"), wrong))
}

fn validator(schema: &Map<String, Value>) -> Result<Validator, String> {
    jsonschema::validator_for(&Value::Object(schema.clone()))
        .map_err(|error| format!("is no usable JSON Schema: {error}"))
}

/// A place in the data, such as `/hosts/0/port`, as errors name fields.
fn field(pointer: &str) -> String {
    let mut field = "data".to_owned();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => field.push_str(&format!("[{index}]")),
            Err(_) => {
                field.push('.');
                field.push_str(&part.replace("~1", "/").replace("~0", "~"));
            }
        }
    }
    field
}
