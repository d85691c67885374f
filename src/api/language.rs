//! Which peer's language is spoken where.

/// Where Cloudflare's API lies.
pub(super) const CLOUDFLARE: &str = "/client/v4";

/// The language in which a path is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// OpenZiti's, and Postern's own paths.
    OpenZiti,
    /// Cloudflare's.
    Cloudflare,
}

impl Language {
    /// The language of a path.
    pub(super) fn of_path(path: &str) -> Self {
        match path.strip_prefix(CLOUDFLARE) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Language::Cloudflare,
            _ => Language::OpenZiti,
        }
    }
}
