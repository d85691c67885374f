//! The door of the admin API: who comes in by what, and who is kept out for a while.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use crate::clock::Timestamp;
use crate::config;
use crate::dialect::openziti::{CertificateLogin, ErrorCode, PasswordLogin, WantedConfigTypes};
use crate::enforce::{Connection, Enforcer};
use crate::limits;
use crate::secret::Secret;

use super::access::{Operator, Presented};
use super::guessing::Guessing;
use super::language::Language;
use super::passwords::Passwords;
use super::refusal::Refusal;
use super::sessions::{Session, Sessions, Shown};
use super::token::Key;

/// Who may come in, who is in, and who tries to get in.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) enforcer: Arc<Enforcer>,
    access: Arc<config::Admin>,
    guessing: Guessing,
    pub(super) sessions: Sessions,
    passwords: Passwords,
    /// Since when the operators of the configuration are known here.
    pub(super) since: Timestamp,
}

/// Somebody who may come in.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) operator: Operator,
    /// The session they came in by; none with a configured token or a certificate.
    pub(super) session: Option<Key>,
    /// The types of configs whose data they want to see with services.
    config_types: Arc<WantedConfigTypes>,
}

impl Admitted {
    /// Somebody who came in without a session.
    fn by_credential(operator: Operator) -> Self {
        Admitted { operator, session: None, config_types: Arc::default() }
    }

    /// The types of configs whose data is wanted with services: those of the query, or else those of the login.
    pub(super) fn wanted_config_types(&self, query: &[(String, String)]) -> Result<Arc<WantedConfigTypes>, Refusal> {
        Ok(WantedConfigTypes::read(query)?.map_or_else(|| Arc::clone(&self.config_types), Arc::new))
    }
}

/// Somebody who has just logged in.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) operator: Operator,
    pub(super) session: Session,
    pub(super) token: Secret,
}

impl Guard {
    pub(super) fn new(enforcer: Arc<Enforcer>, access: Arc<config::Admin>) -> Arc<Self> {
        Arc::new(Guard {
            since: enforcer.clock().now(),
            enforcer,
            guessing: Guessing::new(),
            sessions: Sessions::new(access.session),
            passwords: Passwords::new(Arc::clone(&access)),
            access,
        })
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.enforcer.clock().now()
    }

    /// Who a request comes from. A token that is sent must be right, whatever certificate comes with it.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        language: Language,
        connection: &Connection,
    ) -> Result<Admitted, Refusal> {
        let now = self.now();
        let Some(presented) = Presented::of(headers, language) else {
            let operator = self.by_certificate(connection, now).ok_or(ErrorCode::Unauthorized)?;
            return Ok(Admitted::by_credential(operator));
        };
        // Before the lock-out: nobody guesses a session's token, and who is in stays in, whoever shares the address.
        let used = presented.email.is_none().then(|| self.sessions.used(presented.token, &self.access, now)).flatten();
        if let Some(used) = used {
            let (operator, key) = used.ok_or(ErrorCode::Unauthorized)?;
            let config_types = self.sessions.get(key).map(|session| session.config_types).unwrap_or_default();
            return Ok(Admitted { operator, session: Some(key), config_types });
        }
        let source = address(connection);
        if let Some(remaining) = source.and_then(|source| self.guessing.locked_out(source, now)) {
            return Err(Refusal::locked_out(remaining));
        }
        let operator = Operator::of_token(&self.access, presented).ok_or_else(|| {
            if let Some(source) = source {
                self.guessing.wrong(source, self.guessing.fingerprint(&[presented.token]), now);
            }
            ErrorCode::Unauthorized
        })?;
        Ok(Admitted::by_credential(operator))
    }

    /// Begins a session for the holder of the connection's certificate.
    pub(super) fn login_by_certificate(
        &self,
        told: CertificateLogin,
        connection: &Connection,
    ) -> Result<LoggedIn, Refusal> {
        let now = self.now();
        let known = connection.credential().zip(self.by_certificate(connection, now));
        let Some((credential, operator)) = known else {
            let described = connection.credential().map_or("none", |credential| credential.describe());
            tracing::warn!(method = "cert", certificate = described, peer = peer(connection), "login refused");
            return Err(ErrorCode::Unauthorized.into());
        };
        self.begin(operator, Shown::Certificate(Arc::clone(credential)), told.config_types, connection)
    }

    /// Begins a session for who knows a user's password.
    pub(super) async fn login_by_password(
        &self,
        login: &PasswordLogin,
        connection: &Connection,
    ) -> Result<LoggedIn, Refusal> {
        let (user, source) = (login.username.as_str(), address(connection));
        let keep_out = |now| match self.guessing.login_locked_out(user, source, now) {
            Some(remaining) => Err(Refusal::locked_out(remaining)),
            None => Ok(()),
        };
        keep_out(self.now())?;
        let turn = self.passwords.turn().await?;
        // Others from there may have guessed meanwhile.
        keep_out(self.now())?;
        let right = self.passwords.verify(turn, login).await?;
        let Some(operator) = Operator::of_user(&self.access, user).filter(|_| right) else {
            let guess = self.guessing.fingerprint(&[user.as_bytes(), login.password.expose().as_bytes()]);
            self.guessing.wrong_login(user, source, guess, self.now());
            tracing::warn!(method = "password", user = excerpt(user), peer = peer(connection), "login refused");
            return Err(ErrorCode::Unauthorized.into());
        };
        self.guessing.right_login(user, source);
        let shown = Shown::Password(Arc::clone(&operator.name));
        self.begin(operator, shown, login.config_types.clone(), connection)
    }

    /// Ends the session somebody came in by.
    pub(super) fn log_out(&self, admitted: &Admitted, key: Key) {
        self.sessions.end(key);
        tracing::info!(operator = &*admitted.operator.name, "logged out");
    }

    fn begin(
        &self,
        operator: Operator,
        shown: Shown,
        config_types: WantedConfigTypes,
        connection: &Connection,
    ) -> Result<LoggedIn, Refusal> {
        let method = shown.method();
        let begun = self.sessions.begin(&operator, shown, address(connection), config_types, self.now());
        let (token, session) = begun.map_err(|_| {
            tracing::error!("no session can begin: the system gives no random bytes");
            ErrorCode::Unavailable
        })?;
        let (operator_name, session_id) = (&*operator.name, &*session.id);
        tracing::info!(method, operator = operator_name, session = session_id, peer = peer(connection), "logged in");
        Ok(LoggedIn { operator, session, token })
    }

    fn by_certificate(&self, connection: &Connection, now: Timestamp) -> Option<Operator> {
        Operator::of_credential(&self.access, &**connection.credential()?, now)
    }
}

/// Where a connection comes from, as far as guessing and sessions want to know.
fn address(connection: &Connection) -> Option<IpAddr> {
    connection.peer().map(|peer| peer.ip())
}

fn peer(connection: &Connection) -> String {
    connection.peer().map(|peer| peer.to_string()).unwrap_or_default()
}

/// The beginning of a name that a stranger sent.
fn excerpt(name: &str) -> &str {
    name.get(..name.floor_char_boundary(limits::LOGGED_NAME_BYTES_MAX)).unwrap_or_default()
}
