//! Sessions of devices that logged in with their certificates.
//!
//! A session opens nothing by itself: it belongs to the certificate it was begun with, which every request shows anew. It is kept
//! in memory; after a restart clients log in again, as they do when it has ended.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::error::Unspecified;

use crate::api::edge::unique_id;
use crate::api::token::{self, Key};
use crate::clock::Timestamp;
use crate::dialect::openziti::WantedConfigTypes;
use crate::id::IdentityId;
use crate::limits;
use crate::secret::Secret;

/// One session.
#[derive(Clone, Debug)]
pub(super) struct ApiSession {
    /// Its id, which opens nothing.
    pub(super) id: Arc<str>,
    certificate: Arc<str>,
    pub(super) address: Option<IpAddr>,
    pub(super) created_at: Timestamp,
    pub(super) last_activity_at: Timestamp,
    /// The types of configs whose data its holder wants to see with services.
    pub(super) config_types: Arc<WantedConfigTypes>,
}

impl ApiSession {
    /// What is shown to somebody who has no session and needs none.
    pub(super) fn standing_in(id: Arc<str>, address: Option<IpAddr>, now: Timestamp) -> Self {
        let config_types = Arc::default();
        ApiSession { id, certificate: "".into(), address, created_at: now, last_activity_at: now, config_types }
    }

    /// When it ends if it is not used again.
    pub(super) fn expires_at(&self) -> Timestamp {
        self.last_activity_at.after(limits::API_DEVICE_SESSION_IDLE_MAX)
    }
}

/// The sessions that have not ended, those of each identity bounded.
#[derive(Debug, Default)]
pub(super) struct ApiSessions {
    kept: Mutex<HashMap<IdentityId, Vec<(Key, ApiSession)>>>,
}

impl ApiSessions {
    /// Begins a session; its token is told this once. Past the bound, the identity's quietest session ends.
    pub(super) fn begin(
        &self,
        identity: &IdentityId,
        certificate: &str,
        address: Option<IpAddr>,
        config_types: WantedConfigTypes,
        now: Timestamp,
    ) -> Result<(Secret, ApiSession), Unspecified> {
        let token = token::fresh()?;
        let session = ApiSession {
            id: unique_id(now),
            certificate: certificate.into(),
            address,
            created_at: now,
            last_activity_at: now,
            config_types: Arc::new(config_types),
        };
        let mut kept = self.kept();
        let own = kept.entry(identity.clone()).or_default();
        own.retain(|(_, session)| now < session.expires_at());
        if own.len() >= limits::API_SESSIONS_PER_IDENTITY_MAX {
            let quietest = own.iter().enumerate().min_by_key(|(_, (_, session))| session.last_activity_at);
            if let Some((place, _)) = quietest {
                own.swap_remove(place);
            }
        }
        own.push((Key::of(token.expose().as_bytes()), session.clone()));
        Ok((token, session))
    }

    /// The session of a token that the holder of a certificate shows, which counts as a use of it.
    pub(super) fn used(
        &self,
        token: &[u8],
        identity: &IdentityId,
        certificate: &str,
        now: Timestamp,
    ) -> Option<(Key, ApiSession)> {
        let key = Key::of(token);
        let mut kept = self.kept();
        let (_, session) = kept.get_mut(identity)?.iter_mut().find(|(known, _)| *known == key)?;
        if *session.certificate != *certificate || session.expires_at() <= now {
            return None;
        }
        session.last_activity_at = session.last_activity_at.max(now);
        Some((key, session.clone()))
    }

    /// Ends a session.
    pub(super) fn end(&self, identity: &IdentityId, key: Key) {
        let mut kept = self.kept();
        if let Some(own) = kept.get_mut(identity) {
            own.retain(|(known, _)| *known != key);
            if own.is_empty() {
                kept.remove(identity);
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<IdentityId, Vec<(Key, ApiSession)>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn laptop() -> IdentityId {
        IdentityId::from("laptop")
    }

    fn begun(sessions: &ApiSessions, now: Timestamp) -> Secret {
        sessions.begin(&laptop(), "aa", None, WantedConfigTypes::Nothing, now).unwrap().0
    }

    fn is_good(sessions: &ApiSessions, token: &Secret, certificate: &str, now: Timestamp) -> bool {
        sessions.used(token.expose().as_bytes(), &laptop(), certificate, now).is_some()
    }

    #[test]
    fn a_session_belongs_to_its_certificate_and_lasts_while_it_is_used() {
        let sessions = ApiSessions::default();
        let token = begun(&sessions, START);
        assert!(!is_good(&sessions, &token, "bb", START), "another certificate of the same identity");
        assert!(sessions.used(token.expose().as_bytes(), &IdentityId::from("phone"), "aa", START).is_none());
        let minutes = |minutes: u64| START.after(Duration::from_secs(60 * minutes));
        (1..10).for_each(|part| assert!(is_good(&sessions, &token, "aa", minutes(part * 29))));
        assert!(!is_good(&sessions, &token, "aa", minutes(9 * 29 + 30)));
    }

    #[test]
    fn the_sessions_of_an_identity_are_bounded_and_the_quietest_goes() {
        let sessions = ApiSessions::default();
        let at = |millis: usize| START.after(Duration::from_millis(millis as u64));
        let tokens: Vec<_> =
            (0..=limits::API_SESSIONS_PER_IDENTITY_MAX).map(|number| begun(&sessions, at(number))).collect();
        assert!(!is_good(&sessions, &tokens[0], "aa", START));
        assert!(tokens[1..].iter().all(|token| is_good(&sessions, token, "aa", START)));
        let (key, _) = sessions.used(tokens[1].expose().as_bytes(), &laptop(), "aa", START).unwrap();
        sessions.end(&laptop(), key);
        assert!(!is_good(&sessions, &tokens[1], "aa", START));
    }
}
