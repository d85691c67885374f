//! Reports being read: how many bodies are in memory at once, and how many of them one identity may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::dialect::openziti::ErrorCode;
use crate::id::IdentityId;
use crate::limits;

/// Places for bodies. One identity cannot take them all, or one slow device would keep every other from reporting.
#[derive(Debug)]
pub(super) struct Reading {
    places: Arc<Semaphore>,
    readers: Mutex<HashMap<IdentityId, usize>>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    reading: Arc<Reading>,
    identity: IdentityId,
    permit: Option<OwnedSemaphorePermit>,
}

impl Reading {
    pub(super) fn new() -> Arc<Self> {
        let places = Arc::new(Semaphore::new(limits::API_REPORT_BODIES_MAX));
        Arc::new(Reading { places, readers: Mutex::default() })
    }

    /// Waits for a place; refuses at once when the identity has its share already.
    pub(super) async fn place(self: &Arc<Self>, identity: &IdentityId) -> Result<Place, ErrorCode> {
        let mut place = self.share(identity).ok_or(ErrorCode::RateLimited)?;
        let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| ErrorCode::Unhandled)?;
        place.permit = Some(permit);
        Ok(place)
    }

    fn share(self: &Arc<Self>, identity: &IdentityId) -> Option<Place> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = readers.entry(identity.clone()).or_default();
        if *taken >= limits::API_REPORT_BODIES_PER_IDENTITY_MAX {
            return None;
        }
        *taken = taken.saturating_add(1);
        Some(Place { reading: Arc::clone(self), identity: identity.clone(), permit: None })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut readers = self.reading.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = readers.get_mut(&self.identity) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                readers.remove(&self.identity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_identity_has_its_share_and_gives_it_back() {
        let reading = Reading::new();
        let (one, other) = (IdentityId::from("one"), IdentityId::from("other"));
        let mut places = Vec::new();
        for _ in 0..limits::API_REPORT_BODIES_PER_IDENTITY_MAX {
            places.push(reading.place(&one).await.unwrap());
        }
        assert_eq!(reading.place(&one).await.unwrap_err(), ErrorCode::RateLimited);
        drop(reading.place(&other).await.unwrap());
        places.pop();
        places.push(reading.place(&one).await.unwrap());
        drop(places);
        assert!(reading.readers.lock().unwrap().is_empty());
        assert_eq!(reading.places.available_permits(), limits::API_REPORT_BODIES_MAX);
    }
}
