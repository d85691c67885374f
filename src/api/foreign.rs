//! Lists of what OpenZiti's networks have and a gateway has none of: routers and what belongs to them, and other ways to log in.

use axum::Json;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};

use super::refusal::Refusal;
use crate::dialect::openziti::{self, Foreign, ListQuery};

/// An empty page, for a question that could be asked of such a list.
pub(super) async fn list(Query(query): Query<Vec<(String, String)>>) -> Result<Response, Refusal> {
    let page = ListQuery::<Foreign>::read(&query)?.page(std::iter::empty()).map(|foreign| match *foreign {});
    Ok(Json(openziti::list::<Foreign, ()>(page)).into_response())
}
