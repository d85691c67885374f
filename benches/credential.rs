//! Certificates for benches: real ones, and names that are simply believed.

use std::sync::Arc;

use postern::clock::{ManualClock, Timestamp};
use postern::decision::DenialReason;
use postern::enforce::{Credential, Enrollment, SignatureRefused, Trust};
use postern::policy::Subject;
use postern::policy::subject::SubjectKind;
use postern::tls::pki::{self, ClientRequest};
use postern::tls::{
    CredentialFactory, CrlPolicy, ReloadableVerifier, SilentObserver, TrustSources, TrustStore, load_certificates,
};
use tempfile::TempDir;

use super::Result;

/// A CA whose certificates are trusted, and its revocation list.
pub(crate) struct Authority {
    folder: TempDir,
    trust: Arc<TrustStore>,
    now: Timestamp,
}

impl Authority {
    pub(crate) fn new(now: Timestamp) -> Result<Self> {
        let folder = TempDir::new()?;
        pki::init(folder.path(), "Bench CA", now)?;
        let (ca, crl) = (folder.path().join("ca.pem"), folder.path().join("crl.pem"));
        let sources = TrustSources { ca_files: vec![ca], crl_files: vec![crl], crl_policy: CrlPolicy::default() };
        Ok(Authority { trust: TrustStore::load(sources, now)?, folder, now })
    }

    /// The credential of a connection made with a certificate for `uri`, whose trust is asked as in the gateway.
    pub(crate) fn credential(&self, uri: &str) -> Result<Arc<dyn Credential>> {
        let request = ClientRequest { name: "bench", spiffe_uri: Some(uri), emails: &[], dns_names: &[], days: 1 };
        let issued = pki::issue_client(self.folder.path(), &request, self.now)?;
        let clock = ManualClock::at(self.now);
        let verifier = ReloadableVerifier::new(Arc::clone(&self.trust), clock, Arc::new(SilentObserver));
        let chain = load_certificates(&issued.certificate_file)?;
        let identity = verifier.identify(&chain).map_err(|reason| format!("not trusted: {}", reason.code()))?;
        let factory = CredentialFactory::new(Arc::clone(&self.trust), &[SubjectKind::Spiffe], None);
        Ok(factory.credential(&identity))
    }
}

/// A certificate that is always trusted.
#[derive(Debug)]
pub(crate) struct Believed(pub(crate) Vec<Subject>);

impl Believed {
    pub(crate) fn of(uri: &str) -> Result<Arc<dyn Credential>> {
        Ok(Arc::new(Believed(vec![uri.parse()?])))
    }
}

impl Credential for Believed {
    fn recheck(&self, _now: Timestamp) -> std::result::Result<(), DenialReason> {
        Ok(())
    }

    fn trust(&self, now: Timestamp) -> std::result::Result<Trust, DenialReason> {
        Ok(Trust { epoch: self.trust_epoch(), from: now, until: Timestamp::MAX })
    }

    fn names(&self) -> &[Subject] {
        &self.0
    }

    fn fingerprint(&self) -> &str {
        "bench"
    }

    fn describe(&self) -> &str {
        "bench"
    }

    fn verify(&self, _message: &[u8], _signature: &[u8]) -> std::result::Result<(), SignatureRefused> {
        Err(SignatureRefused::UnsupportedKey)
    }

    fn enrollment(&self) -> Option<Enrollment> {
        None
    }
}
