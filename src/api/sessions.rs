//! Sessions of operators who logged in: what is kept of each, and when it ends.
//!
//! A token is known by its SHA-256 only and exists as text once, in the answer to the login. A session ends when it was not
//! used for long enough, when its lifetime is over, when it is logged out, and when whatever was shown at the login is good no
//! more, which is asked with each request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::error::Unspecified;

use crate::clock::Timestamp;
use crate::config::{Admin as Access, AdminSession};
use crate::dialect::openziti::WantedConfigTypes;
use crate::enforce::Credential;
use crate::limits;
use crate::secret::Secret;

use super::access::Operator;
use super::edge::unique_id;
use super::token::{self, Key};

/// What was shown at the login.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// The password of this user.
    Password(Arc<str>),
    /// This certificate.
    Certificate(Arc<dyn Credential>),
}

impl Shown {
    /// What logging in by it is called.
    pub(super) const fn method(&self) -> &'static str {
        match self {
            Shown::Password(_) => "password",
            Shown::Certificate(_) => "cert",
        }
    }

    /// Whose it is, if it is good now.
    pub(super) fn operator(&self, access: &Access, now: Timestamp) -> Option<Operator> {
        match self {
            Shown::Password(user) => Operator::of_user(access, user),
            Shown::Certificate(credential) => Operator::of_credential(access, &**credential, now),
        }
    }
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Its id, which opens nothing.
    pub(super) id: Arc<str>,
    shown: Shown,
    /// Whose it is, for the bound on each operator's sessions.
    operator: Arc<str>,
    pub(super) address: Option<IpAddr>,
    pub(super) created_at: Timestamp,
    pub(super) last_activity_at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// The types of configs whose data its holder wants to see with services.
    pub(super) config_types: Arc<WantedConfigTypes>,
}

/// The sessions that have not ended. Their number is bounded for each operator, and the configuration names the operators.
#[derive(Debug)]
pub(super) struct Sessions {
    lasting: AdminSession,
    kept: Mutex<HashMap<Key, Session>>,
}

impl Sessions {
    pub(super) fn new(lasting: AdminSession) -> Self {
        Sessions { lasting, kept: Mutex::default() }
    }

    /// How long a session lasts.
    pub(super) fn lasting(&self) -> AdminSession {
        self.lasting
    }

    /// Begins a session; its token is told this once.
    pub(super) fn begin(
        &self,
        operator: &Operator,
        shown: Shown,
        address: Option<IpAddr>,
        config_types: WantedConfigTypes,
        now: Timestamp,
    ) -> Result<(Secret, Session), Unspecified> {
        let token = token::fresh()?;
        let session = Session {
            id: unique_id(now),
            shown,
            operator: operator.id().into(),
            address,
            created_at: now,
            last_activity_at: now,
            expires_at: self.end_of(now, now),
            config_types: Arc::new(config_types),
        };
        let mut kept = self.kept();
        kept.retain(|_, session| now < session.expires_at);
        make_room(&mut kept, &session.operator);
        kept.insert(Key::of(token.expose().as_bytes()), session.clone());
        Ok((token, session))
    }

    /// The operator a token's session belongs to, which counts as a use of it. `None` when there is no such session;
    /// `Some(None)` when there was, until now.
    pub(super) fn used(&self, token: &[u8], access: &Access, now: Timestamp) -> Option<Option<(Operator, Key)>> {
        let key = Key::of(token);
        let session = self.get(key)?;
        let operator = session.shown.operator(access, now).filter(|_| now < session.expires_at);
        let Some(operator) = operator else {
            self.end(key);
            return Some(None);
        };
        // It may have been logged out in the meantime; then this is its last use.
        if let Some(session) = self.kept().get_mut(&key) {
            session.last_activity_at = session.last_activity_at.max(now);
            session.expires_at = self.end_of(session.created_at, session.last_activity_at);
        }
        Some(Some((operator, key)))
    }

    /// The session as it is now.
    pub(super) fn get(&self, key: Key) -> Option<Session> {
        self.kept().get(&key).cloned()
    }

    /// Ends a session.
    pub(super) fn end(&self, key: Key) {
        self.kept().remove(&key);
    }

    fn end_of(&self, created_at: Timestamp, last_activity_at: Timestamp) -> Timestamp {
        last_activity_at.after(self.lasting.idle).min(created_at.after(self.lasting.lifetime))
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Session>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the operator's quietest session when there are as many as there may be.
fn make_room(kept: &mut HashMap<Key, Session>, operator: &str) {
    let own = || kept.iter().filter(|(_, session)| *session.operator == *operator);
    if own().count() < limits::API_SESSIONS_PER_OPERATOR_MAX {
        return;
    }
    let quietest = own().min_by_key(|(_, session)| session.last_activity_at).map(|(key, _)| *key);
    if let Some(quietest) = quietest {
        kept.remove(&quietest);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{AdminRole, AdminUser, PasswordHash};

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HASH: &str =
        "$argon2id$v=19$m=7168,t=5,p=1$c29tZSBzYWx0IHRoZXJlIQ$KAUGBMVXf7Se8WUD93wsRWmcFVRDWPp+GkGJyXKDvZk";

    fn access() -> Access {
        let user = |name: &str| AdminUser {
            name: name.into(),
            password_hash: PasswordHash::parse(HASH).unwrap(),
            role: AdminRole::Admin,
        };
        Access { users: vec![user("grace"), user("alan")], ..Access::default() }
    }

    fn begin(sessions: &Sessions, user: &str, now: Timestamp) -> Secret {
        let operator = Operator::of_user(&access(), user).unwrap();
        let nothing = WantedConfigTypes::Nothing;
        sessions.begin(&operator, Shown::Password(user.into()), None, nothing, now).unwrap().0
    }

    fn is_good(sessions: &Sessions, token: &Secret, now: Timestamp) -> bool {
        matches!(sessions.used(token.expose().as_bytes(), &access(), now), Some(Some(_)))
    }

    #[test]
    fn a_session_lasts_while_it_is_used_and_not_for_ever() {
        let sessions = Sessions::new(AdminSession::default());
        let minutes = |minutes: u64| START.after(Duration::from_secs(60 * minutes));
        let (idle, used) = (begin(&sessions, "grace", START), begin(&sessions, "grace", START));
        (1..48).for_each(|quarter| assert!(is_good(&sessions, &used, minutes(quarter * 15))));
        assert!(!is_good(&sessions, &used, minutes(12 * 60)), "its lifetime is over");
        assert!(!is_good(&sessions, &idle, minutes(30)));
        assert!(sessions.used(idle.expose().as_bytes(), &access(), START).is_none(), "forgotten once it has ended");
    }

    #[test]
    fn a_session_ends_with_its_user() {
        let sessions = Sessions::new(AdminSession::default());
        let token = begin(&sessions, "grace", START);
        let without = Access::default();
        assert!(matches!(sessions.used(token.expose().as_bytes(), &without, START), Some(None)));
        assert!(!is_good(&sessions, &token, START));
    }

    #[test]
    fn the_sessions_of_an_operator_are_bounded_and_ended_ones_forgotten() {
        let sessions = Sessions::new(AdminSession::default());
        let alans = begin(&sessions, "alan", START);
        let tokens: Vec<_> = (0..=limits::API_SESSIONS_PER_OPERATOR_MAX)
            .map(|number| begin(&sessions, "grace", START.after(Duration::from_millis(number as u64))))
            .collect();
        assert!(!is_good(&sessions, &tokens[0], START) && is_good(&sessions, &tokens[1], START));
        assert!(is_good(&sessions, &alans, START), "another's");
        begin(&sessions, "alan", START.after(Duration::from_secs(24 * 60 * 60)));
        assert_eq!(sessions.kept().len(), 1);
    }

    #[test]
    fn a_token_is_long_random_and_shown_nowhere() {
        let sessions = Sessions::new(AdminSession::default());
        let (one, other) = (begin(&sessions, "grace", START), begin(&sessions, "grace", START));
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 43);
        let shown = format!("{sessions:?}");
        assert!(shown.contains("grace") && !shown.contains(one.expose()), "{shown}");
        assert!(!is_good(&sessions, &Secret::new(one.expose().to_ascii_lowercase()), START));
    }
}
