//! The addresses behind an upstream's name, looked up in the background so that no request waits for DNS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::limits::{
    UPSTREAM_ADDRESSES_MAX, UPSTREAM_RESOLVE_INTERVAL, UPSTREAM_RESOLVE_RETRY, UPSTREAM_RESOLVE_WAIT_MAX,
};

/// What is known of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Known {
    /// The first look-up is under way.
    #[default]
    Nothing,
    /// These addresses, in the resolver's order. Empty when the last look-up failed and there was none before.
    Addresses(Arc<[SocketAddr]>),
}

/// The addresses of one upstream.
#[derive(Debug)]
pub(super) struct Addresses(watch::Sender<Known>);

impl Addresses {
    /// The addresses of `host`: known at once for an IP address, unknown for a name until it has been looked up.
    pub(super) fn new(host: &str, port: u16) -> Self {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let known = literal.map_or(Known::Nothing, |ip| Known::Addresses([SocketAddr::new(ip, port)].into()));
        Addresses(watch::Sender::new(known))
    }

    /// Whether somebody has to look it up.
    pub(super) fn is_name(&self) -> bool {
        *self.0.borrow() == Known::Nothing
    }

    /// The addresses, after the first look-up or at most `patience`.
    pub(super) async fn current(&self, patience: Duration) -> Arc<[SocketAddr]> {
        let mut known = self.0.subscribe();
        let settled = timeout(patience, known.wait_for(|known| *known != Known::Nothing)).await;
        match settled.ok().and_then(Result::ok).as_deref() {
            Some(Known::Addresses(addresses)) => Arc::clone(addresses),
            Some(Known::Nothing) | None => Arc::default(),
        }
    }

    /// Looks a name up, again and again. A failed look-up keeps what was known before.
    pub(super) async fn keep_fresh(&self, host: &str, port: u16) {
        loop {
            let found = timeout(UPSTREAM_RESOLVE_WAIT_MAX, lookup_host((host, port))).await;
            let pause = match found.map_err(std::io::Error::other).and_then(|found| found) {
                Ok(found) => {
                    self.learn(found.take(UPSTREAM_ADDRESSES_MAX).collect());
                    UPSTREAM_RESOLVE_INTERVAL
                }
                Err(error) => {
                    tracing::warn!(host, %error, "upstream name not resolved");
                    self.0.send_if_modified(|known| {
                        let first = *known == Known::Nothing;
                        if first {
                            *known = Known::Addresses(Arc::default());
                        }
                        first
                    });
                    UPSTREAM_RESOLVE_RETRY
                }
            };
            sleep(pause).await;
        }
    }

    fn learn(&self, addresses: Arc<[SocketAddr]>) {
        let known = Known::Addresses(addresses);
        self.0.send_if_modified(|current| {
            let changed = *current != known;
            *current = known;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_known_at_once_and_names_after_a_look_up() {
        let literal = Addresses::new("[::1]", 80);
        assert!(!literal.is_name());
        assert_eq!(&*literal.current(Duration::ZERO).await, ["[::1]:80".parse().unwrap()]);

        let name = Addresses::new("localhost", 80);
        assert!(name.is_name());
        let found = tokio::select! {
            found = name.current(Duration::from_secs(60)) => found,
            () = name.keep_fresh("localhost", 80) => unreachable!("it never ends"),
        };
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(!found.is_empty());
    }

    #[tokio::test]
    async fn a_name_nobody_knows_is_settled_as_having_no_address() {
        let name = Addresses::new("nobody.invalid", 80);
        let found = tokio::select! {
            found = name.current(Duration::from_secs(60)) => found,
            () = name.keep_fresh("nobody.invalid", 80) => unreachable!("it never ends"),
        };
        assert!(found.is_empty());
    }
}
