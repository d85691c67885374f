//! Certificates in, identities out: the only floor that decides whose certificate is believed.
//!
//! It owns the trusted client CAs and revocation lists ([`TrustStore`]), the server's own certificates
//! ([`ReloadableResolver`]), both reloadable while the gateway serves, and the one way to a [`VerifiedIdentity`].
//!
//! # What must always hold
//!
//! * An identity is read from the verified leaf only, never from other certificates that were sent along.
//! * TLS resumption restores a session without asking the verifier, so a successful handshake proves nothing about
//!   *now*: [`TrustBundle::recheck`] is asked for every connection and every request.
//! * A reload never loosens: a file that cannot be read or believed leaves everything as it was.
//! * No private key is ever logged, returned in an error or shown by `Debug`.

pub mod client;
mod credential;
mod crl;
mod distinguished_name;
mod distrust;
mod enrolment_ca;
mod evidence;
mod handshake;
mod identity;
mod jwt;
mod material;
mod ocsp;
mod pem;
pub mod pkcs7;
pub mod pki;
mod server_cert;
mod settings;
mod trust;
mod verifier;

pub use self::credential::{CredentialFactory, EnrolmentRule};
pub use self::distrust::DistrustReason;
pub use self::enrolment_ca::{Enrolled, EnrolmentCa, EnrolmentCaError, NotIssued, pem_of};
pub use self::evidence::{DeviceSigner, SigningError};
pub use self::handshake::{
    HandshakeInspector, HandshakeObserver, HandshakeOutcome, NoIdentity, SilentObserver, TlsPeer,
};
pub use self::identity::{Certificate, MalformedCertificate, VerifiedIdentity};
pub use self::material::{Concern, MaterialError, MaterialProblem, MaterialWarning, load_certificates};
pub use self::ocsp::OcspProblem;
pub use self::server_cert::{
    ReloadableResolver, ServerCertificateError, ServerCertificateFiles, ServerCertificateInfo,
};
pub use self::settings::{gateway_settings, install_crypto_provider, server_config};
pub use self::trust::{CrlPolicy, Reloaded, TrustBundle, TrustError, TrustSources, TrustStore};
pub use self::verifier::ReloadableVerifier;
