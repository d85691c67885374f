//! Verifies passwords, a few at a time: each takes memory and a processor for a while, which is the point of it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::Admin as Access;
use crate::dialect::openziti::{ErrorCode, PasswordLogin};
use crate::limits;

use super::refusal::Refusal;

/// The users' passwords, and how many are being verified.
#[derive(Debug)]
pub(super) struct Passwords {
    access: Arc<Access>,
    waiting: Semaphore,
    working: Arc<Semaphore>,
    /// Chooses the user whose hash a name without one is tried with. The same for the same name, or a second try would tell.
    stand_in: RandomState,
}

/// One's turn to have a password verified.
pub(super) type Turn = OwnedSemaphorePermit;

impl Passwords {
    pub(super) fn new(access: Arc<Access>) -> Self {
        Passwords {
            access,
            waiting: Semaphore::new(limits::API_LOGINS_WAITING_MAX),
            working: Arc::new(Semaphore::new(limits::API_LOGINS_MAX)),
            stand_in: RandomState::new(),
        }
    }

    /// Waits for one's turn, which has a bound; refuses at once when too many wait already.
    pub(super) async fn turn(&self) -> Result<Turn, Refusal> {
        let _place = self.waiting.try_acquire().map_err(|_| Refusal::too_many_logins())?;
        match timeout(limits::API_LOGIN_WAIT_MAX, Arc::clone(&self.working).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(ErrorCode::Unhandled.into()),
            Err(_) => Err(Refusal::too_many_logins()),
        }
    }

    /// Whether there is such a user and this is the password. A name that nobody has costs as much as one that somebody has.
    pub(super) async fn verify(&self, turn: Turn, login: &PasswordLogin) -> Result<bool, Refusal> {
        let users = &self.access.users;
        let known = users.iter().find(|user| *user.name == *login.username);
        let stand_in = || {
            let hash = usize::try_from(self.stand_in.hash_one(&login.username)).unwrap_or_default();
            users.get(hash.checked_rem(users.len())?)
        };
        let Some(tried) = known.or_else(stand_in) else {
            // Without users there is no name to tell from others.
            return Ok(false);
        };
        let (hash, password) = (tried.password_hash.clone(), login.password.clone());
        let is_known = known.is_some();
        let verified = spawn_blocking(move || {
            // The turn lasts as long as the work, which goes on when nobody waits for it any more.
            let _turn = turn;
            hash.matches(&password)
        });
        let matches = verified.await.map_err(|_| ErrorCode::Unhandled)?;
        Ok(matches && is_known)
    }
}
