//! The command line.

pub mod origin;
