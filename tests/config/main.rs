//! Configuration as an operator meets it: files in, settings or findings out.

mod environment;
mod examples;
mod files;
mod policy;
mod policy_refusals;
mod refusals;
mod robustness;
mod schema;
mod support;
mod watch;
