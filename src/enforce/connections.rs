//! How the connections to posture providers fare: when each last answered, and what went wrong since.

use std::sync::Arc;

use dashmap::DashMap;

use crate::id::ConnectionId;
use crate::policy::Snapshot;
use crate::policy::integration::ConnectionState;

/// The state of each connection that was ever used. Nothing of it outlives the process.
///
/// Bounded by the integrations of the policy in force.
#[derive(Debug, Default)]
pub struct ConnectionStates {
    states: DashMap<ConnectionId, Arc<ConnectionState>>,
}

impl ConnectionStates {
    /// How a connection fares; `None` when it was not used yet.
    pub fn state(&self, connection: &ConnectionId) -> Option<Arc<ConnectionState>> {
        self.states.get(connection).map(|state| Arc::clone(&state))
    }

    /// Keeps how a connection fares.
    pub fn keep(&self, connection: &ConnectionId, state: ConnectionState) {
        self.states.insert(connection.clone(), Arc::new(state));
    }

    pub(super) fn forget_departed(&self, snapshot: &Snapshot) {
        self.states.retain(|connection, _| snapshot.objects().integrations.contains_key(connection));
    }
}
