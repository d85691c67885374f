//! The compiled policy.
