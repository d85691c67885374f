//! The `postern` command as a person meets it: the demo, `run`, `check` and `health`, with the real binary on real sockets.

#[cfg(test)]
mod check;
#[cfg(test)]
mod health;
#[cfg(test)]
mod pasted;
#[cfg(test)]
mod run;
#[cfg(test)]
mod support;
#[cfg(test)]
mod walk;
