//! Who asks: the identity of the connection's certificate, with each request anew, and the session it shows if it shows one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use super::Client;
use super::api_sessions::ApiSession;
use crate::api::access::Presented;
use crate::api::edge::Caller;
use crate::api::language::Language;
use crate::api::refusal::Refusal;
use crate::api::token::Key;
use crate::decision::DenialReason;
use crate::dialect::openziti::ErrorCode;
use crate::enforce::{Connection, Device};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// The device of the certificate's identity.
    pub(super) device: Arc<Device>,
    /// The connection the request came over.
    pub(super) connection: Arc<Connection>,
    /// The session it showed the token of; none for whoever comes with the certificate alone.
    pub(super) session: Option<(Key, ApiSession)>,
}

impl Asker {
    /// The id of the session, or what stands for it where there is none: the same for every request with the same certificate.
    pub(super) fn session_id(&self) -> Arc<str> {
        match &self.session {
            Some((_, session)) => Arc::clone(&session.id),
            None => {
                let fingerprint = self.connection.fingerprint();
                fingerprint.get(..SESSION_STAND_IN_CHARS).unwrap_or(fingerprint).into()
            }
        }
    }
}

/// Letters of a certificate's fingerprint that stand for a session: as many as two certificates never share.
const SESSION_STAND_IN_CHARS: usize = 32;

/// Lets requests in that come with the certificate of an identity; a token that is sent must be one of this certificate's.
pub(super) async fn admit(State(client): State<Client>, mut request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let admitted = match connection {
        Some(connection) => client.asker(connection, request.headers()).await,
        None => Err(ErrorCode::Unauthorized.into()),
    };
    match admitted {
        Ok(asker) => {
            let caller = Caller(asker.device.identity().as_str().into());
            request.extensions_mut().insert(asker);
            let mut response = next.run(request).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(refusal) => refusal.into_response(),
    }
}

impl Client {
    async fn asker(&self, connection: Arc<Connection>, headers: &HeaderMap) -> Result<Asker, Refusal> {
        let device = self.device(&connection).await?;
        let session = match Presented::of(headers, Language::OpenZiti) {
            None => None,
            Some(presented) => {
                let now = self.enforcer.clock().now();
                let known = self.api_sessions.used(presented.token, device.identity(), connection.fingerprint(), now);
                Some(known.ok_or(ErrorCode::Unauthorized)?)
            }
        };
        Ok(Asker { device, connection, session })
    }

    /// The device behind a connection, its certificate and identity asked again. A certificate of a CA that enrols
    /// automatically gets its identity here when it has none.
    pub(super) async fn device(&self, connection: &Connection) -> Result<Arc<Device>, Refusal> {
        let mut answer = self.enforcer.identify(&self.enforcer.published(), connection);
        if matches!(answer, Err(DenialReason::UnknownIdentity)) {
            // Admission also asks whether the identity can reach anything, which a report does not have to.
            let _ = self.enforcer.admit(connection).await;
            answer = self.enforcer.identify(&self.enforcer.published(), connection);
        }
        let device = answer.map_err(Refusal::nobody)?;
        self.enforcer.not_locked(&device).map_err(Refusal::nobody)?;
        Ok(device)
    }
}
