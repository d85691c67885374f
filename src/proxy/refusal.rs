//! Why a request gets an answer from the gate instead of from the service it asked for.

use std::sync::Arc;

use http::StatusCode;
use pingora::{Error, ErrorSource, ErrorType};

use super::hygiene::Fault;
use crate::decision::{Denial, DenialReason};
use crate::policy::objects::Service;

/// A request that is answered by the gate.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It is too ambiguous to be judged.
    Malformed(Fault),
    /// It came over a connection that was made for another service.
    Misdirected,
    /// It was judged and denied.
    Denied {
        /// The evidence.
        denial: Arc<Denial>,
        /// The service it was for; `None` when there is no such service.
        service: Option<Arc<Service>>,
    },
    /// It was let through, but the service behind the gate did not answer.
    Upstream(UpstreamFault),
    /// The client stopped sending in the middle of its body.
    SlowBody,
    /// The client sends less of its body than it must.
    TrickledBody,
    /// Something went wrong inside the gate.
    Internal,
}

macro_rules! upstream_faults {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:ident, $detail:literal;)*) => {
        /// What went wrong between the gate and an upstream. Codes are stable and part of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum UpstreamFault { $($(#[$doc])* $variant,)* }

        impl UpstreamFault {
            /// Every fault, for metrics, tables and tests.
            pub const ALL: &'static [UpstreamFault] = &[$(UpstreamFault::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(UpstreamFault::$variant => $code,)* }
            }

            /// The status it is answered with.
            pub const fn status(self) -> StatusCode {
                match self { $(UpstreamFault::$variant => StatusCode::$status,)* }
            }

            /// One plain sentence.
            pub const fn detail(self) -> &'static str {
                match self { $(UpstreamFault::$variant => $detail,)* }
            }
        }
    };
}

upstream_faults! {
    /// The service has no upstream.
    NoUpstream = "no-upstream", SERVICE_UNAVAILABLE, "The service has nowhere to send this request.";
    /// Every upstream fails its health check.
    NoHealthyUpstream = "no-healthy-upstream", SERVICE_UNAVAILABLE, "No server of the service is healthy.";
    /// No connection could be made.
    Unreachable = "upstream-unreachable", BAD_GATEWAY, "No server of the service could be reached.";
    /// The upstream's name has no address.
    Unresolved = "upstream-unresolved", BAD_GATEWAY, "The service's server has no known address.";
    /// TLS could not be agreed on, or the upstream's certificate is not believed.
    TlsFailed = "upstream-tls-failed", BAD_GATEWAY, "No secure connection to the service could be made.";
    /// The upstream's answer cannot be understood, or ended early.
    Broken = "upstream-broken", BAD_GATEWAY, "The service's answer was incomplete or could not be understood.";
    /// Connecting took too long.
    ConnectTimeout = "upstream-connect-timeout", GATEWAY_TIMEOUT, "The service could not be reached in time.";
    /// The answer took too long.
    Timeout = "upstream-timeout", GATEWAY_TIMEOUT, "The service did not answer in time.";
}

impl Refusal {
    /// The stable reason code, as logs and metrics have it. What the client is told may say less.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Malformed(fault) => fault.code(),
            Refusal::Misdirected => "misdirected-request",
            Refusal::Denied { denial, .. } => denial.reason.code(),
            Refusal::Upstream(fault) => fault.code(),
            Refusal::SlowBody => "request-body-timeout",
            Refusal::TrickledBody => "request-body-too-slow",
            Refusal::Internal => "internal-error",
        }
    }

    /// Whether nothing that follows on the same HTTP/1 connection may be read.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Refusal::Malformed(_)
            | Refusal::Upstream(_)
            | Refusal::SlowBody
            | Refusal::TrickledBody
            | Refusal::Internal => true,
            Refusal::Misdirected => false,
            Refusal::Denied { denial, .. } => is_about_the_connection(denial.reason),
        }
    }
}

/// Whether every request on the connection would be denied for the same reason.
fn is_about_the_connection(reason: DenialReason) -> bool {
    match reason {
        DenialReason::NoIdentity
        | DenialReason::UnknownIdentity
        | DenialReason::IdentityDisabled
        | DenialReason::IdentityLocked
        | DenialReason::CertificateExpired
        | DenialReason::CertificateNotYetValid
        | DenialReason::CertificateRevoked
        | DenialReason::CertificateUntrusted
        | DenialReason::TooManyConnections
        | DenialReason::CrlExpired => true,
        DenialReason::NoSnapshot
        | DenialReason::UnknownService
        | DenialReason::NoPolicy
        | DenialReason::CertificateRequired
        | DenialReason::PostureFailed
        | DenialReason::EndedByOperator
        | DenialReason::TooManySessions
        | DenialReason::EvaluationFailed => false,
    }
}

impl UpstreamFault {
    /// The error by which a hook reports this fault to Pingora.
    pub(super) fn into_error(self) -> Box<Error> {
        Error::new_up(ErrorType::Custom(self.code()))
    }

    /// The fault behind an error of Pingora's; `None` when it is not an upstream's doing.
    pub(super) fn of(error: &Error) -> Option<Self> {
        use ErrorType as Kind;
        if *error.esource() != ErrorSource::Upstream {
            return None;
        }
        Some(match error.etype() {
            Kind::Custom(code) => {
                return UpstreamFault::ALL.iter().copied().find(|fault| fault.code() == *code);
            }
            Kind::ConnectTimedout | Kind::TLSHandshakeTimedout => UpstreamFault::ConnectTimeout,
            Kind::ConnectRefused
            | Kind::ConnectNoRoute
            | Kind::ConnectError
            | Kind::BindError
            | Kind::SocketError
            | Kind::ConnectProxyFailure => UpstreamFault::Unreachable,
            Kind::TLSHandshakeFailure | Kind::TLSWantX509Lookup | Kind::InvalidCert | Kind::HandshakeError => {
                UpstreamFault::TlsFailed
            }
            Kind::ReadTimedout | Kind::WriteTimedout => UpstreamFault::Timeout,
            _ => UpstreamFault::Broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_kebab_case() {
        let codes: std::collections::HashSet<_> = UpstreamFault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), UpstreamFault::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }

    #[test]
    fn faults_survive_the_way_through_pingora() {
        for fault in UpstreamFault::ALL {
            assert_eq!(UpstreamFault::of(&fault.into_error()), Some(*fault));
        }
        assert_eq!(UpstreamFault::of(&Error::new_up(ErrorType::ReadTimedout)), Some(UpstreamFault::Timeout));
        assert_eq!(UpstreamFault::of(&Error::new_down(ErrorType::ReadTimedout)), None);
        assert_eq!(UpstreamFault::of(&Error::new_up(ErrorType::Custom("SomethingElse"))), None);
    }
}
