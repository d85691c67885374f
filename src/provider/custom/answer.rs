//! What a custom provider answered, reduced to what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{KnownDevice, PollError};
use crate::limits::PROVIDER_ENTRY_ID_BYTES_MAX;

/// The scores there can be.
const SCORES: RangeInclusive<f64> = 0.0..=100.0;

/// What a provider said of the devices that it was asked for. Each device is in `scores`, in `ignored`, or missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The scores, by device id.
    pub scores: Vec<(String, Score)>,
    /// How many devices it says nothing of.
    pub missing: usize,
    /// Entries that say nothing that can be used.
    pub ignored: Vec<Ignored>,
}

/// What a provider says of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The provider's own id of the device; empty when it does not know the device.
    pub s2s_id: String,
    /// The score, from 0 to 100.
    pub score: f64,
}

/// An entry that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The device it is for.
    pub device_id: String,
    /// What is wrong with it.
    pub why: IgnoredReason,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredReason {
    /// Not an object.
    NotAnEntry,
    /// No score, or one that is not a number.
    ScoreNotANumber,
    /// A score below 0 or above 100.
    ScoreOutOfRange,
    /// A provider's id that is not text, or longer than it may be.
    IdUnusable,
    /// A second entry for the same device: neither can be believed.
    Repeated,
}

impl IgnoredReason {
    /// The stable label of this reason.
    pub fn code(self) -> &'static str {
        match self {
            IgnoredReason::NotAnEntry => "provider-entry-unreadable",
            IgnoredReason::ScoreNotANumber => "provider-score-not-a-number",
            IgnoredReason::ScoreOutOfRange => "provider-score-out-of-range",
            IgnoredReason::IdUnusable => "provider-entry-id-unusable",
            IgnoredReason::Repeated => "provider-entry-repeated",
        }
    }
}

/// Reads the body of an answer about `devices`.
pub(super) fn read(body: &[u8], devices: &[KnownDevice]) -> Result<Answer, PollError> {
    // A list would be taken for the members in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(PollError::AnswerUnreadable { line: 1, column: 1 });
    }
    let body: Body = serde_json::from_slice(body)
        .map_err(|error| PollError::AnswerUnreadable { line: error.line(), column: error.column() })?;
    let mut answer = Answer::default();
    for device in devices.iter().map(|device| device.device_id.as_str()).collect::<BTreeSet<_>>() {
        let said = body.result.0.get(device).map(|entries| match entries.as_slice() {
            [entry] => score(entry),
            _ => Err(IgnoredReason::Repeated),
        });
        match said {
            Some(Ok(score)) => answer.scores.push((device.to_owned(), score)),
            Some(Err(why)) => answer.ignored.push(Ignored { device_id: device.to_owned(), why }),
            None => answer.missing += 1,
        }
    }
    Ok(answer)
}

fn score(entry: &Value) -> Result<Score, IgnoredReason> {
    let entry = entry.as_object().ok_or(IgnoredReason::NotAnEntry)?;
    let score = entry.get("score").and_then(Value::as_f64).ok_or(IgnoredReason::ScoreNotANumber)?;
    if !SCORES.contains(&score) {
        return Err(IgnoredReason::ScoreOutOfRange);
    }
    let s2s_id = match entry.get("s2s_id") {
        None | Some(Value::Null) => "",
        Some(Value::String(id)) if id.len() <= PROVIDER_ENTRY_ID_BYTES_MAX => id,
        Some(_) => return Err(IgnoredReason::IdUnusable),
    };
    Ok(Score { s2s_id: s2s_id.to_owned(), score })
}

/// The body; other members than this one are the provider's own affair.
#[derive(Deserialize)]
struct Body {
    result: Entries,
}

/// Every entry, those of a key that comes twice too: which of them would win is nobody's rule.
struct Entries(BTreeMap<String, Vec<Value>>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of entries by device id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        while let Some((device, entry)) = map.next_entry()? {
            entries.entry(device).or_default().push(entry);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn devices(ids: &[&str]) -> Vec<KnownDevice> {
        ids.iter().map(|id| KnownDevice { device_id: (*id).to_owned(), ..KnownDevice::default() }).collect()
    }

    fn answer_about_d(entry: Value) -> Answer {
        read(json!({ "result": { "d": entry } }).to_string().as_bytes(), &devices(&["d"])).unwrap()
    }

    #[test]
    fn an_entry_counts_only_with_a_score_from_0_to_100() {
        for score in [json!(0), json!(100), json!(62.5), json!(-0.0)] {
            let answer = answer_about_d(json!({ "s2s_id": "x", "score": score }));
            let expected = Score { s2s_id: "x".to_owned(), score: score.as_f64().unwrap() };
            assert_eq!(answer.scores, [("d".to_owned(), expected)]);
        }
        let long = "x".repeat(PROVIDER_ENTRY_ID_BYTES_MAX + 1);
        for (entry, why) in [
            (json!({ "s2s_id": "x", "score": 100.001 }), IgnoredReason::ScoreOutOfRange),
            (json!({ "s2s_id": "x", "score": -1 }), IgnoredReason::ScoreOutOfRange),
            (json!({ "s2s_id": "x", "score": u64::MAX }), IgnoredReason::ScoreOutOfRange),
            (json!({ "s2s_id": "x", "score": "50" }), IgnoredReason::ScoreNotANumber),
            (json!({ "s2s_id": "x", "score": true }), IgnoredReason::ScoreNotANumber),
            (json!({ "s2s_id": "x", "score": null }), IgnoredReason::ScoreNotANumber),
            (json!({ "s2s_id": "x" }), IgnoredReason::ScoreNotANumber),
            (json!({ "s2s_id": 7, "score": 50 }), IgnoredReason::IdUnusable),
            (json!({ "s2s_id": long, "score": 50 }), IgnoredReason::IdUnusable),
            (json!(50), IgnoredReason::NotAnEntry),
            (json!(null), IgnoredReason::NotAnEntry),
            (json!([50]), IgnoredReason::NotAnEntry),
        ] {
            let answer = answer_about_d(entry.clone());
            assert_eq!(answer.ignored, [Ignored { device_id: "d".to_owned(), why }], "{entry}");
            assert_eq!((answer.scores.len(), answer.missing), (0, 0), "{entry}");
        }
    }

    #[test]
    fn an_absent_id_is_an_empty_one() {
        for entry in [json!({ "score": 1 }), json!({ "s2s_id": null, "score": 1 }), json!({ "s2s_id": "", "score": 1 })]
        {
            assert_eq!(answer_about_d(entry).scores[0].1.s2s_id, "");
        }
    }

    #[test]
    fn of_two_entries_for_one_device_neither_is_believed() {
        let body = br#"{"result":{"d":{"score":10},"e":{"score":1},"d":{"score":90}}}"#;
        let answer = read(body, &devices(&["d", "e"])).unwrap();
        assert_eq!(answer.ignored, [Ignored { device_id: "d".to_owned(), why: IgnoredReason::Repeated }]);
        assert_eq!(answer.scores.len(), 1);
    }

    #[test]
    fn bodies_of_another_form_are_refused_by_place_only() {
        for body in [
            "",
            "null",
            "[]",
            "hunter2",
            r#"{"result":null}"#,
            r#"{"result":[]}"#,
            r#"{"result":"hunter2"}"#,
            "{}",
            r#"[{"d":{"score":1}}]"#,
            r#"{"result":{"d":{"score":1}}"#,
            r#"{"result":{}} hunter2"#,
            r#"{"result":{},"result":{}}"#,
            r#"{"success":false,"error":"hunter2"}"#,
            "{\"result\":{\"d\":\"\u{0}\"}}",
        ] {
            let error = read(body.as_bytes(), &devices(&["d"])).unwrap_err();
            assert_eq!(error.code(), "provider-answer-unreadable", "{body}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let spaced = b" \n{\"success\":true,\"result\":{ }}\n";
        assert_eq!(read(spaced, &devices(&["d"])).unwrap().missing, 1);
    }

    fn any_entry() -> impl Strategy<Value = Value> {
        prop_oneof![Just(json!("x")), (-50..150).prop_map(|score| json!({ "score": score }))]
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = read(&body, &devices(&["d"]));
        }

        #[test]
        fn every_device_is_accounted_for_once(
            asked in proptest::collection::btree_set("[a-f]{1,2}", 0..20),
            told in proptest::collection::btree_map("[a-f]{1,2}", any_entry(), 0..20),
        ) {
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            let answer = read(json!({ "result": told }).to_string().as_bytes(), &devices(&asked)).unwrap();
            prop_assert_eq!(answer.scores.len() + answer.ignored.len() + answer.missing, asked.len());
            for (device, score) in &answer.scores {
                prop_assert!(asked.contains(&device.as_str()) && SCORES.contains(&score.score));
                prop_assert_eq!(told[device]["score"].as_f64(), Some(score.score));
            }
            prop_assert!(answer.ignored.iter().all(|ignored| asked.contains(&ignored.device_id.as_str())));
        }
    }
}
