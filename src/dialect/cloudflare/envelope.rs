//! What replies are wrapped in (`cloudflare.md` 3.2). Every reply has a body: clients cannot read an empty one.

use serde::Serialize;

use super::error::{ApiError, ErrorItem};

/// A note that comes with a success: what was odd, although it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    code: u16,
    message: String,
}

/// What notes have for a code: there is one kind of them.
const NOTE: u16 = 1000;

impl Message {
    /// A note.
    pub fn new(message: impl Into<String>) -> Self {
        Message { code: NOTE, message: message.into() }
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.message
    }
}

/// A reply to something that was done.
#[derive(Clone, Debug, Serialize)]
pub struct Success<T> {
    success: bool,
    errors: [(); 0],
    messages: Vec<Message>,
    result: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_info: Option<ResultInfo>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ResultInfo {
    count: usize,
    page: usize,
    per_page: usize,
    total_count: usize,
    total_pages: usize,
}

/// Wraps one thing, with what there is to say about it.
pub fn success<T: Serialize>(result: T, messages: Vec<Message>) -> Success<T> {
    Success { success: true, errors: [], messages, result, result_info: None }
}

/// Wraps a whole list: clients never ask for a second page.
pub fn list<T: Serialize>(result: Vec<T>) -> Success<Vec<T>> {
    const PER_PAGE_MIN: usize = 20;
    let count = result.len();
    let per_page = count.max(PER_PAGE_MIN);
    let result_info = ResultInfo { count, page: 1, per_page, total_count: count, total_pages: 1 };
    Success { result_info: Some(result_info), ..success(result, Vec::new()) }
}

/// A reply to something that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Failure<'a> {
    success: bool,
    errors: &'a [ErrorItem],
    messages: [(); 0],
    result: (),
}

/// Wraps a refusal.
pub fn failure(error: &ApiError) -> Failure<'_> {
    Failure { success: false, errors: error.items(), messages: [], result: () }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::super::error::ErrorCode;
    use super::*;

    #[test]
    fn every_reply_has_all_four_members() {
        let done = to_value(success(json!({"id": "a"}), vec![Message::new("odd")])).unwrap();
        let note = json!([{"code": 1000, "message": "odd"}]);
        assert_eq!(done, json!({"success": true, "errors": [], "messages": note, "result": {"id": "a"}}));
        let refused = ApiError::invalid("/input/path", "is required");
        let item = json!({"code": 2017, "message": "input.path is required", "source": {"pointer": "/input/path"}});
        assert_eq!(
            to_value(failure(&refused)).unwrap(),
            json!({"success": false, "errors": [item], "messages": [], "result": null})
        );
        let missing = ApiError::from(ErrorCode::RuleNotFound);
        assert_eq!(to_value(failure(&missing)).unwrap()["errors"][0]["code"], 6024);
    }

    #[test]
    fn a_list_is_one_page() {
        let info = to_value(list(vec![1, 2, 3])).unwrap()["result_info"].clone();
        assert_eq!(info, json!({"count": 3, "page": 1, "per_page": 20, "total_count": 3, "total_pages": 1}));
    }
}
