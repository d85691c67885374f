//! What makes the gateway's listener safe to be reached by strangers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::proxy::positive;
use crate::config::document::{Field, Session};
use crate::config::network::Network;
use crate::config::values::{DurationText, NetworkText, Whole};
use crate::limits::{
    CLIENT_BODY_RATE_CEILING, CLIENT_BODY_RATE_MIN, CLIENT_BODY_WAIT_MAX, CLIENT_HEAD_WAIT_MAX, CLIENT_IDLE_WAIT_MAX,
    CLIENT_RESETS_MAX, CLIENT_STREAMS_MAX, CONNECTIONS_PER_ADDRESS_MAX, CONNECTIONS_PER_IDENTITY_MAX,
    GATEWAY_CONNECTIONS_CEILING, GATEWAY_CONNECTIONS_MAX, HANDSHAKE_WAIT_MAX, HANDSHAKES_MAX, REQUEST_FIELDS_MAX,
    REQUEST_HEAD_BYTES_MAX, REQUEST_TARGET_BYTES_MAX,
};

/// Bounds of the gateway's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontDoor {
    /// Connections open at once; more wait in the system's queue.
    pub connections: usize,
    /// Connections of one address (of one /64 network with IPv6).
    pub connections_per_address: usize,
    /// Connections of one identity.
    pub connections_per_identity: usize,
    /// TLS handshakes under way at once; more wait their turn.
    pub handshakes: usize,
    /// Longest wait for a client to finish its handshake, its turn and its PROXY header included.
    pub handshake_time: Duration,
    /// Longest wait for the first request of a connection.
    pub head_time: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub header_fields: usize,
    /// Bytes of a request's target: path and query.
    pub target_bytes: usize,
    /// Longest wait for the next bytes of a request's body.
    pub body_time: Duration,
    /// Bytes of a body that must come in each second, on average, once it takes longer than `body_time`; 0 for any.
    pub body_rate: u64,
    /// How long a connection is kept for its next request.
    pub idle_time: Duration,
    /// Requests in progress on one HTTP/2 connection.
    pub streams_per_connection: u32,
    /// Requests that the client of one HTTP/2 connection may give up in a short time.
    pub resets: usize,
    /// Load balancers that send a PROXY header, and must.
    pub proxy_protocol: Vec<Network>,
}

impl Default for FrontDoor {
    fn default() -> Self {
        FrontDoor {
            connections: GATEWAY_CONNECTIONS_MAX,
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
            connections_per_identity: CONNECTIONS_PER_IDENTITY_MAX,
            handshakes: HANDSHAKES_MAX,
            handshake_time: HANDSHAKE_WAIT_MAX,
            head_time: CLIENT_HEAD_WAIT_MAX,
            head_bytes: REQUEST_HEAD_BYTES_MAX,
            header_fields: REQUEST_FIELDS_MAX,
            target_bytes: REQUEST_TARGET_BYTES_MAX,
            body_time: CLIENT_BODY_WAIT_MAX,
            body_rate: CLIENT_BODY_RATE_MIN,
            idle_time: CLIENT_IDLE_WAIT_MAX,
            streams_per_connection: CLIENT_STREAMS_MAX,
            resets: CLIENT_RESETS_MAX,
            proxy_protocol: Vec::new(),
        }
    }
}

type Count = Whole<1, { GATEWAY_CONNECTIONS_CEILING as i64 }>;

/// Bounds of the gateway's listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFrontDoor {
    /// Connections open at once; more wait in the system's queue. Default: 65536.
    connections: Field<Count>,
    /// Connections of one address, or of one /64 network with IPv6. Networks in `proxy_protocol` count as whom they speak
    /// for. Default: 4096.
    connections_per_address: Field<Count>,
    /// Connections of one identity. Default: 512.
    connections_per_identity: Field<Count>,
    /// TLS handshakes under way at once; more wait their turn. Default: 1024.
    handshakes: Field<Count>,
    /// Longest wait for a client to finish its TLS handshake. Default: 10s.
    handshake_time: Field<DurationText>,
    /// Longest wait for the first request of a connection. Default: 30s.
    head_time: Field<DurationText>,
    /// Bytes of a request's head. Default: 65536, which is the most.
    head_bytes: Field<Whole<1024, { REQUEST_HEAD_BYTES_MAX as i64 }>>,
    /// Header fields of a request. Default: 128, which is the most.
    header_fields: Field<Whole<8, { REQUEST_FIELDS_MAX as i64 }>>,
    /// Bytes of a request's target, path and query. Default: 16384, which is the most.
    target_bytes: Field<Whole<64, { REQUEST_TARGET_BYTES_MAX as i64 }>>,
    /// Longest wait for the next bytes of a request's body; streams of gRPC and WebSocket may be silent. Default: 60s.
    body_time: Field<DurationText>,
    /// Bytes that must come in each second, on average, of a body that takes longer than `body_time`; streams of gRPC and
    /// WebSocket may be slower. Default: 64. 0 lets every body take as long as it likes.
    body_rate: Field<Whole<0, { CLIENT_BODY_RATE_CEILING as i64 }>>,
    /// How long a connection is kept for its next request. Default: 75s.
    idle_time: Field<DurationText>,
    /// Requests in progress on one HTTP/2 connection. Default: 128.
    streams_per_connection: Field<Whole<1, 10_000>>,
    /// Requests the client of one HTTP/2 connection may give up within ten seconds before the connection is closed.
    /// Default: 200.
    resets: Field<Whole<1, 1_000_000>>,
    /// Networks of load balancers that send a PROXY header (version 1 or 2) before the handshake. From there one is
    /// demanded, from everywhere else none is understood. Default: none.
    proxy_protocol: Field<Vec<Field<NetworkText>>>,
}

impl RawFrontDoor {
    pub(super) fn check(self, session: &Session) -> FrontDoor {
        let default = FrontDoor::default();
        let count = |given: Field<Count>, default| given.value().map_or(default, Whole::to);
        FrontDoor {
            connections: count(self.connections, default.connections),
            connections_per_address: count(self.connections_per_address, default.connections_per_address),
            connections_per_identity: count(self.connections_per_identity, default.connections_per_identity),
            handshakes: count(self.handshakes, default.handshakes),
            handshake_time: positive(session, self.handshake_time, default.handshake_time),
            head_time: positive(session, self.head_time, default.head_time),
            head_bytes: self.head_bytes.value().map_or(default.head_bytes, Whole::to),
            header_fields: self.header_fields.value().map_or(default.header_fields, Whole::to),
            target_bytes: self.target_bytes.value().map_or(default.target_bytes, Whole::to),
            body_time: positive(session, self.body_time, default.body_time),
            body_rate: self.body_rate.value().map_or(default.body_rate, Whole::to),
            idle_time: positive(session, self.idle_time, default.idle_time),
            streams_per_connection: self
                .streams_per_connection
                .value()
                .map_or(default.streams_per_connection, Whole::to),
            resets: self.resets.value().map_or(default.resets, Whole::to),
            proxy_protocol: self.proxy_protocol.items().into_iter().map(|network| network.value.0).collect(),
        }
    }
}
