//! Configuration as an operator meets it: files in, settings or findings out.

#![cfg(test)]

#[cfg(test)]
mod environment;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod files;
#[path = "../support/json_schema.rs"]
mod json_schema;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod policy_refusals;
mod policy_rules;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod support;
#[cfg(test)]
mod watch;
