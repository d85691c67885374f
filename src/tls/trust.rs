//! Whose certificates are believed: client CA roots and revocation lists, reloadable while the gateway serves.
//!
//! A [`TrustBundle`] is immutable and complete; [`TrustStore`] swaps whole bundles. Whoever holds a
//! [`VerifiedIdentity`] asks [`TrustBundle::recheck`] before acting on it: a TLS session that was resumed, or that has
//! been open for a week, was verified by a bundle that may no longer be the current one.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::digest::{Context, SHA256};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertRevocationListError, CertificateError, RootCertStore};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::crl::{CrlIndex, LoadedCrl, SignedBy};
use super::distrust::DistrustReason;
use super::identity::{Certificate, VerifiedIdentity};
use super::material::{
    Concern, MaterialError, MaterialProblem, MaterialWarning, date_concern, load_certificates, parse_at,
};
use super::settings::crypto_provider;
use crate::clock::Timestamp;
use crate::enforce::Trust;
use crate::limits::CLIENT_CHAIN_CERTIFICATES_MAX;

/// Where trust comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustSources {
    /// PEM files with the CA certificates that may vouch for clients; at least one.
    pub ca_files: Vec<PathBuf>,
    /// PEM or DER files with revocation lists.
    pub crl_files: Vec<PathBuf>,
    /// What revocation lists that are old or absent mean.
    pub crl_policy: CrlPolicy,
}

/// What revocation lists that are old or absent mean. The default refuses in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrlPolicy {
    /// Go on believing a list past its next update. What has been revoked since is then not noticed.
    pub accept_expired: bool,
    /// Where some lists are given, also believe certificates of a CA that has none.
    pub accept_missing: bool,
}

/// Trust that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// No CA was named, so no client could ever be believed.
    #[error("no client CA file is configured")]
    NoCaFile,
    /// The files are fine one by one, but not together.
    #[error("the client CAs and revocation lists cannot be used together")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The epoch that is now current.
    pub epoch: u64,
    /// Whether trust is different from before; when the files say the same, nothing is swapped.
    pub changed: bool,
    /// What should be known about files that work.
    pub warnings: Vec<MaterialWarning>,
}

/// The current trust, and the way to replace it.
pub struct TrustStore {
    current: ArcSwap<TrustBundle>,
    /// The number of the bundle in use, read on its own where nothing else of it is needed.
    epoch: AtomicU64,
    /// Held while files are read, so that reloads happen one after the other.
    sources: Mutex<TrustSources>,
    epochs: watch::Sender<u64>,
}

impl TrustStore {
    /// Loads the first bundle. Blocks on files.
    pub fn load(sources: TrustSources, now: Timestamp) -> Result<Arc<Self>, TrustError> {
        let bundle = TrustBundle::load(&sources, FIRST_EPOCH, now)?;
        Ok(Arc::new(TrustStore {
            current: ArcSwap::from_pointee(bundle),
            epoch: AtomicU64::new(FIRST_EPOCH),
            sources: Mutex::new(sources),
            epochs: watch::Sender::new(FIRST_EPOCH),
        }))
    }

    /// The bundle in use.
    pub fn current(&self) -> Arc<TrustBundle> {
        self.current.load_full()
    }

    /// [`TrustBundle::recheck`] by the bundle in use, without taking a share in it: the call for the request path.
    pub fn recheck(&self, identity: &VerifiedIdentity, now: Timestamp) -> Result<(), DistrustReason> {
        self.current.load().recheck(identity, now)
    }

    /// The number of the bundle in use.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The same as [`TrustStore::recheck`], and how long the answer lasts.
    pub fn trust(&self, identity: &VerifiedIdentity, now: Timestamp) -> Result<Trust, DistrustReason> {
        let bundle = self.current.load();
        let standing = bundle.standing_of(identity, now)?;
        Ok(Trust { epoch: bundle.epoch, from: standing.from, until: standing.until })
    }

    /// [`TrustBundle::trusted_until`] by the bundle in use.
    pub fn trusted_until(&self, identity: &VerifiedIdentity, now: Timestamp) -> Result<Timestamp, DistrustReason> {
        self.current.load().trusted_until(identity, now)
    }

    /// Reads the same files again. On any error the bundle in use stays. Blocks on files.
    pub fn reload(&self, now: Timestamp) -> Result<Reloaded, TrustError> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        self.swap_in(&sources, now)
    }

    /// Reads other files from now on. On any error the bundle and the files in use stay. Blocks on files.
    pub fn replace(&self, sources: TrustSources, now: Timestamp) -> Result<Reloaded, TrustError> {
        let mut current = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let reloaded = self.swap_in(&sources, now)?;
        *current = sources;
        Ok(reloaded)
    }

    /// The epochs to come: the receiver wakes when trust has changed, so that live sessions can be asked again.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.epochs.subscribe()
    }

    fn swap_in(&self, sources: &TrustSources, now: Timestamp) -> Result<Reloaded, TrustError> {
        let current = self.current();
        let next = TrustBundle::load(sources, current.epoch.saturating_add(1), now)?;
        next.crls.check_not_older_than(&current.crls)?;
        let warnings = next.warnings.clone();
        if next.digest == current.digest {
            return Ok(Reloaded { epoch: current.epoch, changed: false, warnings });
        }
        let epoch = next.epoch;
        self.current.store(Arc::new(next));
        self.epoch.store(epoch, Ordering::Release);
        self.epochs.send_replace(epoch);
        Ok(Reloaded { epoch, changed: true, warnings })
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TrustStore").field(&self.current.load()).finish()
    }
}

const FIRST_EPOCH: u64 = 1;

/// What trust said about a chain when it was last asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The digest of the bundle that was asked.
    trust: [u8; 32],
    /// The answer holds from here,
    from: Timestamp,
    /// to just before here: the next moment at which time alone could change it.
    until: Timestamp,
}

/// Client CAs and revocation lists, checked and immutable.
pub struct TrustBundle {
    epoch: u64,
    /// Over everything that decides: two bundles with the same digest give the same answers.
    digest: [u8; 32],
    verifier: Arc<dyn ClientCertVerifier>,
    authorities: Vec<CertificateDer<'static>>,
    crls: CrlIndex,
    crl_policy: CrlPolicy,
    warnings: Vec<MaterialWarning>,
}

impl TrustBundle {
    /// The number of this bundle; it grows with every swap of its store.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What should be known about files that work.
    pub fn warnings(&self) -> &[MaterialWarning] {
        &self.warnings
    }

    /// The CA certificates that may vouch for clients.
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Whether `identity` is still believed at `now`. Asked for every connection and every request.
    ///
    /// While the bundle is the one that was asked before and no date has been passed, this compares 32 bytes and two
    /// times. Otherwise the chain is verified again, once, and the answer kept beside the identity.
    pub fn recheck(&self, identity: &VerifiedIdentity, now: Timestamp) -> Result<(), DistrustReason> {
        self.trusted_until(identity, now).map(drop)
    }

    /// Like [`recheck`](Self::recheck), and until when the answer holds if this bundle stays the current one: the
    /// deadline for asking again about a session that stays open.
    pub fn trusted_until(&self, identity: &VerifiedIdentity, now: Timestamp) -> Result<Timestamp, DistrustReason> {
        self.standing_of(identity, now).map(|standing| standing.until)
    }

    fn standing_of(&self, identity: &VerifiedIdentity, now: Timestamp) -> Result<Standing, DistrustReason> {
        let standing = **identity.standing().load();
        if standing.trust == self.digest && standing.from <= now && now < standing.until {
            return Ok(standing);
        }
        if self.lists_as_revoked(identity) {
            return Err(DistrustReason::CertificateRevoked);
        }
        self.verify(identity.chain(), now).map_err(|error| DistrustReason::of(&error))?;
        let standing = self.standing(identity, identity.chain(), now);
        identity.standing().store(Arc::new(standing));
        Ok(standing)
    }

    /// Whether a revocation list names the leaf of `identity`: one look-up, no signature arithmetic. It lets whoever
    /// goes through all live sessions after a reload cut the revoked ones first.
    pub fn lists_as_revoked(&self, identity: &VerifiedIdentity) -> bool {
        self.crls.revokes(identity.issuer_der(), identity.serial_der())
    }

    /// Verifies a chain, the leaf first, as at `now`.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), rustls::Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        if chain.len() > CLIENT_CHAIN_CERTIFICATES_MAX {
            return Err(CertificateError::BadEncoding.into());
        }
        self.verifier.verify_client_cert(leaf, intermediates, unix_time(now)).map(drop)
    }

    /// What this bundle has to say about a chain it has just verified.
    pub(super) fn standing(&self, leaf: &Certificate, chain: &[CertificateDer<'_>], now: Timestamp) -> Standing {
        // A certificate is good through its last second, a revocation list up to its next update. Moments already
        // past did not matter to the verification and are left out.
        let last_second = Duration::from_secs(1);
        let mut until = leaf.not_after().after(last_second);
        for der in chain {
            let Ok(certificate) = Certificate::parse(der) else {
                continue;
            };
            let ends = Some(certificate.not_after().after(last_second)).filter(|end| *end > now);
            let crl_ends = if self.crl_policy.accept_expired {
                None
            } else {
                self.crls.next_update_after(now, certificate.issuer_der())
            };
            until = [ends, crl_ends].into_iter().flatten().fold(until, Ord::min);
        }
        Standing { trust: self.digest, from: leaf.not_before(), until }
    }

    /// The TLS library's verifier, for the parts that do not concern trust.
    pub(super) fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }

    fn load(sources: &TrustSources, epoch: u64, now: Timestamp) -> Result<Self, TrustError> {
        if sources.ca_files.is_empty() {
            return Err(TrustError::NoCaFile);
        }
        let mut warnings = Vec::new();
        let cas = TrustedCas::load(&sources.ca_files, now, &mut warnings)?;
        let crls = load_crls(&sources.crl_files, &cas, now, &mut warnings)?;
        cas.warn_of_missing_lists(&crls, &mut warnings);
        let verifier = build_verifier(&cas.roots, crls.lists(), sources.crl_policy).map_err(TrustError::Verifier)?;
        Ok(TrustBundle {
            epoch,
            digest: digest_of(&cas, &crls, sources.crl_policy),
            verifier,
            authorities: cas.certificates.into_iter().map(|(_, der)| der).collect(),
            crls,
            crl_policy: sources.crl_policy,
            warnings,
        })
    }
}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TrustBundle")
            .field("epoch", &self.epoch)
            .field("revocation_lists", &self.crls.lists().len())
            .finish_non_exhaustive()
    }
}

/// The CA certificates of a bundle while it is being built.
struct TrustedCas {
    roots: Arc<RootCertStore>,
    certificates: Vec<(PathBuf, CertificateDer<'static>)>,
}

impl TrustedCas {
    fn load(files: &[PathBuf], now: Timestamp, warnings: &mut Vec<MaterialWarning>) -> Result<Self, MaterialError> {
        let mut roots = RootCertStore::empty();
        let mut certificates = Vec::new();
        for file in files {
            for (der, position) in load_certificates(file)?.into_iter().zip(1..) {
                let certificate = parse_at(file, &der, position)?;
                if !certificate.is_ca() {
                    let subject = Arc::clone(certificate.subject());
                    return Err(MaterialError::new(file, MaterialProblem::NotACa { position, subject }));
                }
                let concern = date_concern(&certificate, now);
                warnings.extend(concern.map(|concern| MaterialWarning { file: file.clone(), concern }));
                roots
                    .add(der.clone())
                    .map_err(|cause| MaterialError::new(file, MaterialProblem::Unusable { position, cause }))?;
                certificates.push((file.clone(), der));
            }
        }
        Ok(TrustedCas { roots: Arc::new(roots), certificates })
    }

    fn parsed(&self) -> Vec<X509Certificate<'_>> {
        let parsed = self.certificates.iter().map(|(_, der)| X509Certificate::from_der(der));
        parsed.filter_map(|result| result.ok().map(|(_, certificate)| certificate)).collect()
    }

    fn warn_of_missing_lists(&self, crls: &CrlIndex, warnings: &mut Vec<MaterialWarning>) {
        if crls.lists().is_empty() {
            return;
        }
        for (file, der) in &self.certificates {
            let Ok((_, ca)) = X509Certificate::from_der(der) else {
                continue;
            };
            if !crls.covers(ca.subject().as_raw()) {
                let subject = super::distinguished_name::to_text(ca.subject()).into();
                warnings.push(MaterialWarning { file: file.clone(), concern: Concern::NoCrl { subject } });
            }
        }
    }
}

fn load_crls(
    files: &[PathBuf],
    cas: &TrustedCas,
    now: Timestamp,
    warnings: &mut Vec<MaterialWarning>,
) -> Result<CrlIndex, MaterialError> {
    let parsed_cas = cas.parsed();
    let mut lists = Vec::new();
    for file in files {
        for list in LoadedCrl::load(file)? {
            check_usable(&cas.roots, &list)?;
            if list.check_signature(&parsed_cas)? == SignedBy::Unknown {
                warnings.push(list.unknown_issuer_warning());
            }
            warnings.extend(list.date_warning(now));
            lists.push(list);
        }
    }
    Ok(CrlIndex::new(lists))
}

/// The TLS library reads lists more strictly than the index does; asking it about one list at a time tells the file.
fn check_usable(roots: &Arc<RootCertStore>, list: &LoadedCrl) -> Result<(), MaterialError> {
    build_verifier(roots, std::slice::from_ref(list), CrlPolicy::default()).map(drop).map_err(|error| {
        let why = match error {
            rustls::server::VerifierBuilderError::InvalidCrl(cause) => crl_problem(&cause),
            other => other.to_string(),
        };
        MaterialError::new(list.file(), MaterialProblem::UnusableCrl(why))
    })
}

fn crl_problem(cause: &CertRevocationListError) -> String {
    match cause {
        CertRevocationListError::UnsupportedDeltaCrl => "delta lists are not supported".to_owned(),
        CertRevocationListError::UnsupportedIndirectCrl => "indirect lists are not supported".to_owned(),
        CertRevocationListError::UnsupportedCrlVersion => "only version 2 lists are supported".to_owned(),
        other => format!("{other:?}"),
    }
}

fn build_verifier(
    roots: &Arc<RootCertStore>,
    crls: &[LoadedCrl],
    policy: CrlPolicy,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::server::VerifierBuilderError> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), crypto_provider())
        .with_crls(crls.iter().map(|list| list.der().clone()))
        .clear_root_hint_subjects();
    if !policy.accept_expired {
        builder = builder.enforce_revocation_expiration();
    }
    if policy.accept_missing {
        builder = builder.allow_unknown_revocation_status();
    }
    builder.build()
}

fn digest_of(cas: &TrustedCas, crls: &CrlIndex, policy: CrlPolicy) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&[u8::from(policy.accept_expired), u8::from(policy.accept_missing)]);
    let parts = cas.certificates.iter().map(|(_, der)| (b"a", der.as_ref()));
    for (kind, der) in parts.chain(crls.lists().iter().map(|list| (b"r", list.der().as_ref()))) {
        context.update(kind);
        context.update(&der.len().to_be_bytes());
        context.update(der);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

fn unix_time(now: Timestamp) -> UnixTime {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_millis(millis))
}
