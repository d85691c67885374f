//! Reports under way: how many are in memory at once, and how many of them one identity may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::dialect::openziti::ErrorCode;
use crate::id::IdentityId;
use crate::limits;

/// Places for reports. One identity cannot take them all, or one slow device would keep every other from reporting.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    reporters: Mutex<HashMap<IdentityId, usize>>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    home: Arc<Places>,
    identity: IdentityId,
    permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        let free = Arc::new(Semaphore::new(limits::API_REPORTS_MAX));
        Arc::new(Places { free, reporters: Mutex::default() })
    }

    /// Waits for a place; refuses at once when the identity has its share already.
    pub(super) async fn place(self: &Arc<Self>, identity: &IdentityId) -> Result<Place, ErrorCode> {
        let mut place = self.share(identity).ok_or(ErrorCode::RateLimited)?;
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| ErrorCode::Unhandled)?;
        place.permit = Some(permit);
        Ok(place)
    }

    fn share(self: &Arc<Self>, identity: &IdentityId) -> Option<Place> {
        let mut reporters = self.reporters.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = reporters.entry(identity.clone()).or_default();
        if *taken >= limits::API_REPORTS_PER_IDENTITY_MAX {
            return None;
        }
        *taken = taken.saturating_add(1);
        Some(Place { home: Arc::clone(self), identity: identity.clone(), permit: None })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut reporters = self.home.reporters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = reporters.get_mut(&self.identity) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                reporters.remove(&self.identity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_identity_has_its_share_and_gives_it_back() {
        let places = Places::new();
        let (one, other) = (IdentityId::from("one"), IdentityId::from("other"));
        let mut taken = Vec::new();
        for _ in 0..limits::API_REPORTS_PER_IDENTITY_MAX {
            taken.push(places.place(&one).await.unwrap());
        }
        assert_eq!(places.place(&one).await.unwrap_err(), ErrorCode::RateLimited);
        drop(places.place(&other).await.unwrap());
        taken.pop();
        taken.push(places.place(&one).await.unwrap());
        drop(taken);
        assert!(places.reporters.lock().unwrap().is_empty());
        assert_eq!(places.free.available_permits(), limits::API_REPORTS_MAX);
    }
}
