//! The part of JSON Schema that our schemas use.

use serde_json::Value;

/// What a document does not keep of a schema. Knows exactly the keywords our schemas use, and fails on any other.
pub(crate) fn validate(schema: &Value, document: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    check(schema, schema, document, "$", &mut problems);
    problems
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        if *schema == false {
            problems.push(format!("{at}: not allowed"));
        }
        return;
    };
    let fits = |schema: &Value, value: &Value| {
        let mut inner = Vec::new();
        check(root, schema, value, at, &mut inner);
        inner.is_empty()
    };
    let mut refuse = |is_refused: bool, keyword: &str| {
        if is_refused {
            problems.push(format!("{at}: {keyword}"));
        }
    };
    let text_length = value.as_str().map(|text| u64::try_from(text.len()).unwrap());
    let size = value.as_object().map(|map| u64::try_from(map.len()).unwrap());
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "definitions" | "default" | "examples" | "format" | "then" => {}
            "type" => {
                let types: Vec<&str> = match rule {
                    Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                refuse(!types.iter().any(|name| is_of_type(value, name)), "type");
            }
            "const" => refuse(value != rule, "const"),
            "enum" => refuse(!rule.as_array().unwrap().contains(value), "enum"),
            "minimum" => refuse(value.as_i64() < rule.as_i64(), "minimum"),
            "maximum" => refuse(value.as_i64() > rule.as_i64(), "maximum"),
            "minLength" => refuse(text_length.is_some_and(|length| Some(length) < rule.as_u64()), "minLength"),
            "maxLength" => refuse(text_length.is_some_and(|length| Some(length) > rule.as_u64()), "maxLength"),
            "minProperties" => refuse(size.is_some_and(|size| Some(size) < rule.as_u64()), "minProperties"),
            "maxProperties" => refuse(size.is_some_and(|size| Some(size) > rule.as_u64()), "maxProperties"),
            "pattern" => {
                let matches = |text| fits_pattern(rule.as_str().unwrap(), text);
                refuse(!value.as_str().is_none_or(matches), "pattern");
            }
            "anyOf" | "oneOf" => {
                let any = rule.as_array().unwrap().iter().any(|schema| fits(schema, value));
                refuse(!any, keyword);
            }
            "required" => {
                for key in rule.as_array().unwrap().iter().filter_map(Value::as_str) {
                    refuse(value.is_object() && value.get(key).is_none(), key);
                }
            }
            "if" => {
                if fits(rule, value) {
                    refuse(!fits(&rules["then"], value), "then");
                }
            }
            "allOf" => {
                for schema in rule.as_array().unwrap() {
                    refuse(!fits(schema, value), "allOf");
                }
            }
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                let target = root.pointer(pointer).expect("a $ref leads somewhere");
                check(root, target, value, at, problems);
                return check_rest(root, rules, value, at, problems);
            }
            "properties" | "additionalProperties" | "items" => {}
            other => panic!("the schema uses {other}, which this test does not know"),
        }
    }
    check_rest(root, rules, value, at, problems);
}

/// The keywords that lead into the value.
fn check_rest(
    root: &Value,
    rules: &serde_json::Map<String, Value>,
    value: &Value,
    at: &str,
    problems: &mut Vec<String>,
) {
    if let (Some(items), Some(list)) = (rules.get("items"), value.as_array()) {
        for (index, item) in list.iter().enumerate() {
            check(root, items, item, &format!("{at}[{index}]"), problems);
        }
    }
    let Some(map) = value.as_object() else {
        return;
    };
    for (key, value) in map {
        let at = format!("{at}.{key}");
        let known = rules.get("properties").and_then(|known| known.get(key));
        match (known, rules.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema)) => check(root, schema, value, &at, problems),
            (None, None) => {}
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("type {other}"),
    }
}

/// The few patterns our schemas use.
fn fits_pattern(pattern: &str, text: &str) -> bool {
    let hex = |c: char| c.is_ascii_hexdigit();
    match pattern {
        "^[0-9]" => text.starts_with(|c: char| c.is_ascii_digit()),
        "^[0-9A-Fa-f]" => text.starts_with(hex),
        "^[0-9A-Fa-f]{64}$" => text.len() == 64 && text.chars().all(hex),
        "^[0-9A-Fa-f]{32}$" => text.len() == 32 && text.chars().all(hex),
        "^[^@\\s]+@[^@\\s]+$" => {
            let part = |part: &str| !part.is_empty() && !part.contains(|c: char| c == '@' || c.is_whitespace());
            text.split_once('@').is_some_and(|(mailbox, domain)| part(mailbox) && part(domain))
        }
        "^[0-9A-Fa-f][0-9A-Fa-f: ]*$" => {
            text.starts_with(hex) && text.chars().all(|c| hex(c) || matches!(c, ':' | ' '))
        }
        "^[^#@]" => !text.starts_with(['#', '@']) && !text.is_empty(),
        "^[^#]" => !text.starts_with('#') && !text.is_empty(),
        "^[#@]." => text.starts_with(['#', '@']) && text.len() > 1,
        "^/" => text.starts_with('/'),
        "^https://" => text.starts_with("https://"),
        "^\\$argon2id\\$v=19\\$m=[0-9]" => {
            let costs = text.strip_prefix("$argon2id$v=19$m=");
            costs.is_some_and(|costs| costs.starts_with(|c: char| c.is_ascii_digit()))
        }
        ":[0-9]{1,5}$" => {
            let port = text.rsplit_once(':').map(|(_, port)| port);
            port.is_some_and(|port| port.len() <= 5 && port.parse::<u32>().is_ok())
        }
        "^(spiffe://|email:|dns:|cn:|sha256:)." => {
            let kinds = ["spiffe://", "email:", "dns:", "cn:", "sha256:"];
            kinds.iter().any(|kind| text.len() > kind.len() && text.starts_with(kind))
        }
        other => panic!("pattern {other}"),
    }
}
