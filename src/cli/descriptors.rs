//! File descriptors: as many as the system lets this process have.
//!
//! Systems start programs with few (often 1,024), for the sake of old ones that could not count further. A gateway has one for
//! either end of everything that passes through it.

/// Raises the limit as far as it goes, and tells when that is less than so many client connections can need.
pub(super) fn raise_limit(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        tell(limit.current, connections);
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => tell(limit.maximum, connections),
        Err(error) => {
            tracing::warn!(%error, "the limit of file descriptors stays as it is");
            tell(limit.current, connections);
        }
    }
}

/// `None` is as many as may be.
fn tell(limit: Option<u64>, connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2);
    if let Some(limit) = limit.filter(|limit| *limit < wanted) {
        tracing::warn!(
            limit,
            wanted,
            "fewer file descriptors than `front_door.connections` can need; raise the hard limit (ulimit -Hn, LimitNOFILE)"
        );
    }
}
