//! How objects are changed through the API, whatever the language: in turns, and to the end.

use std::future::Future;

use uuid::Uuid;

use super::access::Operator;
use super::refusal::Refusal;
use crate::dialect::openziti::ErrorCode;
use crate::enforce::{Change, ChangeRefused, Enforcer, Turn};
use crate::policy::compile::{CompileError, CompileProblem};

/// What an operator is told to do about a check that policies ask for.
pub(super) const FORCING: &str = "change them first, or add `?force=true`, after which policies that name it stay shut and \
    those that select it by attribute ask for less";

/// Whether the query says `force=true`.
pub(super) fn is_forced(query: &[(String, String)]) -> bool {
    query.iter().any(|(name, value)| name == "force" && value == "true")
}

/// A new id: a random UUID, which clients of both languages take.
pub(super) fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Does work in a task of its own: a change that has begun comes to its end, whether or not the client waits for it.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(ErrorCode::Unhandled.into()))
}

/// Makes a change and tells the log who made it. It is durable and in force afterwards, or nothing of it is.
pub(super) async fn change(
    enforcer: &Enforcer,
    turn: &Turn<'_>,
    operator: &Operator,
    what: &'static str,
    change: Change,
) -> Result<(), Refusal> {
    let (kind, id) = (change.kind(), change.id());
    match enforcer.change(turn, change, &operator.author()).await {
        Ok(generation) => {
            tracing::info!(operator = &*operator.name, kind, id, generation, "{what}");
            Ok(())
        }
        Err(ChangeRefused::Unavailable(error)) => {
            tracing::error!(%error, operator = &*operator.name, kind, id, "not stored: {what}");
            Err(Refusal::store_unavailable())
        }
        Err(ChangeRefused::Policy(errors)) => Err(unfit(&errors)),
    }
}

/// The first thing that does not fit the policy, by the field it stands in.
fn unfit(errors: &[CompileError]) -> Refusal {
    let Some(error) = errors.first() else {
        return ErrorCode::Unhandled.into();
    };
    let field = match &error.problem {
        CompileProblem::DuplicateName(_) | CompileProblem::Reserved => "name",
        CompileProblem::DuplicateSubject { .. } => "subjects",
        CompileProblem::DuplicateRoute { .. } | CompileProblem::SharedServerName { .. } => "match",
        CompileProblem::AllNotAlone(list) => list,
        CompileProblem::Expression(_) => "postureExpression",
        CompileProblem::Config { .. } => "configs",
        CompileProblem::TooMany => "body",
    };
    Refusal::because(ErrorCode::CouldNotValidate, field, error.problem.to_string(), &error.name)
}
