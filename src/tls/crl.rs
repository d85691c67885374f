//! Certificate revocation lists: reading, believing, looking up.
//!
//! rustls judges revocation when a chain is verified. What is kept here besides answers two questions without any
//! signature arithmetic: *is this serial listed?* and *until when do these lists count?*

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::distinguished_name;
use super::identity::timestamp;
use super::material::{Concern, MaterialError, MaterialProblem, MaterialWarning, read};
use crate::clock::Timestamp;
use crate::limits::CRL_FILE_BYTES_MAX;

/// One revocation list, and what is known of it.
pub(super) struct LoadedCrl {
    file: PathBuf,
    der: CertificateRevocationListDer<'static>,
    issuer: String,
    issuer_der: Box<[u8]>,
    authority_key: Option<Box<[u8]>>,
    number: Option<Vec<u8>>,
    next_update: Option<Timestamp>,
    revoked: HashSet<Box<[u8]>>,
}

impl LoadedCrl {
    /// Reads every list of a PEM or DER file.
    pub(super) fn load(file: &Path) -> Result<Vec<LoadedCrl>, MaterialError> {
        let bytes = read(file, CRL_FILE_BYTES_MAX)?;
        let lists = if is_pem(&bytes) {
            CertificateRevocationListDer::pem_slice_iter(&bytes)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| MaterialError::new(file, MaterialProblem::NotPem(error)))?
        } else {
            vec![CertificateRevocationListDer::from(bytes)]
        };
        if lists.is_empty() {
            return Err(unusable(file, "no `BEGIN X509 CRL` block"));
        }
        lists.into_iter().map(|der| LoadedCrl::read(file, der)).collect()
    }

    fn read(file: &Path, der: CertificateRevocationListDer<'static>) -> Result<Self, MaterialError> {
        let (rest, list) = CertificateRevocationList::from_der(&der)
            .map_err(|_| unusable(file, "it is neither a PEM nor a DER revocation list"))?;
        if !rest.is_empty() {
            return Err(unusable(file, "bytes follow the end of the list"));
        }
        let loaded = LoadedCrl {
            file: file.to_owned(),
            issuer: distinguished_name::to_text(list.issuer()),
            issuer_der: list.issuer().as_raw().into(),
            authority_key: authority_key(&list),
            number: list.crl_number().map(|number| number.to_bytes_be()),
            next_update: list.next_update().map(timestamp),
            revoked: list.iter_revoked_certificates().map(|entry| entry.raw_serial().into()).collect(),
            der: CertificateRevocationListDer::from(Vec::new()),
        };
        Ok(LoadedCrl { der, ..loaded })
    }

    /// The list itself.
    pub(super) fn der(&self) -> &CertificateRevocationListDer<'static> {
        &self.der
    }

    /// The file the list came from.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Refuses a list that names one of `cas` as its issuer without carrying that CA's signature.
    ///
    /// A list by nobody among the CAs may belong to an intermediate that clients send; it is judged when used.
    pub(super) fn check_signature(&self, cas: &[X509Certificate<'_>]) -> Result<SignedBy, MaterialError> {
        let Ok((_, list)) = CertificateRevocationList::from_der(&self.der) else {
            return Err(unusable(&self.file, "it is not a revocation list"));
        };
        let mut named = cas.iter().filter(|ca| ca.subject().as_raw() == &*self.issuer_der).peekable();
        if named.peek().is_none() {
            return Ok(SignedBy::Unknown);
        }
        // Two CAs may share a name while their key is being replaced.
        if named.any(|ca| list.verify_signature(ca.public_key()).is_ok()) {
            return Ok(SignedBy::Ca);
        }
        let problem = MaterialProblem::ForgedCrl { issuer: self.issuer.clone() };
        Err(MaterialError::new(&self.file, problem))
    }

    /// What should be known about this list at `now`.
    pub(super) fn date_warning(&self, now: Timestamp) -> Option<MaterialWarning> {
        let next_update = self.next_update.filter(|next_update| *next_update <= now)?;
        let concern = Concern::CrlExpired { issuer: self.issuer.clone(), next_update };
        Some(MaterialWarning { file: self.file.clone(), concern })
    }

    /// The warning that no CA file holds the issuer.
    pub(super) fn unknown_issuer_warning(&self) -> MaterialWarning {
        let concern = Concern::CrlIssuerUnknown { issuer: self.issuer.clone() };
        MaterialWarning { file: self.file.clone(), concern }
    }

    fn replaces_a_newer_one_of(&self, earlier: &LoadedCrl) -> bool {
        let same_scope = self.issuer_der == earlier.issuer_der && self.authority_key == earlier.authority_key;
        match (&self.number, &earlier.number) {
            (Some(number), Some(before)) => same_scope && (number.len(), number) < (before.len(), before),
            _ => false,
        }
    }
}

/// Who signed a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SignedBy {
    /// A CA of the bundle, checked.
    Ca,
    /// Somebody who is not among the CAs.
    Unknown,
}

/// All revocation lists of one trust bundle.
#[derive(Default)]
pub(super) struct CrlIndex {
    lists: Vec<LoadedCrl>,
    /// Where the lists of an issuer are, by the issuer's name as signed.
    by_issuer: HashMap<Box<[u8]>, Vec<usize>>,
}

impl CrlIndex {
    pub(super) fn new(lists: Vec<LoadedCrl>) -> Self {
        let mut by_issuer: HashMap<Box<[u8]>, Vec<usize>> = HashMap::new();
        for (position, list) in lists.iter().enumerate() {
            by_issuer.entry(list.issuer_der.clone()).or_default().push(position);
        }
        CrlIndex { lists, by_issuer }
    }

    pub(super) fn lists(&self) -> &[LoadedCrl] {
        &self.lists
    }

    /// Whether `issuer` has revoked `serial`, both as they were signed.
    pub(super) fn revokes(&self, issuer: &[u8], serial: &[u8]) -> bool {
        self.of_issuer(issuer).any(|list| list.revoked.contains(serial))
    }

    /// Whether `issuer` has any list here.
    pub(super) fn covers(&self, issuer: &[u8]) -> bool {
        self.by_issuer.contains_key(issuer)
    }

    /// The first moment after `now` at which a list of `issuer` should have been replaced.
    pub(super) fn next_update_after(&self, now: Timestamp, issuer: &[u8]) -> Option<Timestamp> {
        self.of_issuer(issuer).filter_map(|list| list.next_update).filter(|next_update| *next_update > now).min()
    }

    /// Refuses to take the place of `earlier` with an older list: what was revoked would be good again.
    pub(super) fn check_not_older_than(&self, earlier: &CrlIndex) -> Result<(), MaterialError> {
        for list in &self.lists {
            if earlier.lists.iter().any(|before| list.replaces_a_newer_one_of(before)) {
                let problem = MaterialProblem::OlderCrl { issuer: list.issuer.clone() };
                return Err(MaterialError::new(&list.file, problem));
            }
        }
        Ok(())
    }

    fn of_issuer(&self, issuer: &[u8]) -> impl Iterator<Item = &LoadedCrl> {
        let positions = self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default();
        positions.iter().filter_map(|position| self.lists.get(*position))
    }
}

fn authority_key(list: &CertificateRevocationList<'_>) -> Option<Box<[u8]>> {
    list.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|key| key.0.into())
        }
        _ => None,
    })
}

fn is_pem(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN ";
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

fn unusable(file: &Path, why: &str) -> MaterialError {
    MaterialError::new(file, MaterialProblem::UnusableCrl(why.to_owned()))
}
