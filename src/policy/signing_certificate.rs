//! Certificates that sign those of devices, uploaded by operators.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::objects::Meta;
use crate::id::CertificateId;
use crate::posture::certificate::Signer;

/// An uploaded certificate. It says nothing about whom the gateway believes in a handshake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningCertificate {
    /// The id.
    pub id: CertificateId,
    /// The name, if it was given one.
    pub name: Option<Arc<str>>,
    /// The certificate as it was uploaded, in PEM.
    pub pem: Arc<str>,
    /// The certificate itself.
    pub signer: Signer,
    /// Times, tags and origin.
    pub meta: Meta,
}
