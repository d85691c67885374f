//! From host and path to a service, by one hash look-up for an exact host.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::snapshot::ServiceIndex;

/// The routing table of a snapshot.
///
/// Hashed fast rather than against flooding: operators choose the keys, clients only look them up.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Exact host names.
    exact: HashMap<Box<str>, Prefixes, RandomState>,
    /// `suffix` of `*.suffix`.
    wildcard: HashMap<Box<str>, Prefixes, RandomState>,
}

/// Path prefixes of one host, longest first.
#[derive(Debug, Default)]
struct Prefixes(Vec<(Box<str>, ServiceIndex)>);

/// Two services claim the same host and prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken(pub(super) ServiceIndex);

impl Routes {
    /// Adds a service under a host pattern and a path prefix.
    pub(super) fn insert(&mut self, host: &str, prefix: &str, service: ServiceIndex) -> Result<(), Taken> {
        let host = host.to_ascii_lowercase();
        let prefixes = match host.strip_prefix("*.") {
            Some(suffix) => self.wildcard.entry(suffix.into()).or_default(),
            None => self.exact.entry(host.into()).or_default(),
        };
        prefixes.insert(prefix, service)
    }

    /// The service for a host (any letter case, port ignored) and a path.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<ServiceIndex> {
        self.prefixes(host).find_map(|prefixes| prefixes.find(path))
    }

    /// A service of the most fitting host pattern, whatever its path.
    pub(super) fn any_of_host(&self, host: &str) -> Option<ServiceIndex> {
        self.prefixes(host).next().and_then(|prefixes| prefixes.0.first()).map(|(_, service)| *service)
    }

    /// Whether any service answers under this host.
    pub(super) fn knows_host(&self, host: &str) -> bool {
        self.prefixes(host).next().is_some()
    }

    /// Prefix lists for the host: the exact one, then wildcards from the longest suffix to the shortest.
    /// Letter case costs an allocation only where a client did not send lower case.
    fn prefixes<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a Prefixes> + use<'a> {
        let host = without_port(host);
        let exact = match self.exact.get(host) {
            None if host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.exact.get(host.to_ascii_lowercase().as_str())
            }
            found => found,
        };
        let suffixes = if self.wildcard.is_empty() { Vec::new() } else { suffixes(&host.to_ascii_lowercase()) };
        exact.into_iter().chain(suffixes.into_iter().filter_map(|suffix| self.wildcard.get(&*suffix)))
    }
}

/// `a.b.c` gives `b.c` and `c`.
fn suffixes(host: &str) -> Vec<Box<str>> {
    host.match_indices('.').filter_map(|(dot, _)| host.get(dot + 1..)).map(Into::into).collect()
}

impl Prefixes {
    fn insert(&mut self, prefix: &str, service: ServiceIndex) -> Result<(), Taken> {
        let prefix = prefix.trim_end_matches('/');
        if let Some((_, holder)) = self.0.iter().find(|(known, _)| &**known == prefix) {
            return Err(Taken(*holder));
        }
        let place = self.0.partition_point(|(known, _)| known.len() >= prefix.len());
        self.0.insert(place, (prefix.into(), service));
        Ok(())
    }

    fn find(&self, path: &str) -> Option<ServiceIndex> {
        let covers = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        };
        self.0.iter().find(|(prefix, _)| covers(prefix)).map(|(_, service)| *service)
    }
}

/// A host without its port; an IPv6 literal keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(entries: &[(&str, &str)]) -> Routes {
        let mut routes = Routes::default();
        for (position, (host, prefix)) in entries.iter().enumerate() {
            routes.insert(host, prefix, ServiceIndex(position as u32)).unwrap();
        }
        routes
    }

    #[test]
    fn exact_hosts_win_and_longer_suffixes_beat_shorter_ones() {
        let routes = routes(&[("*.example", "/"), ("*.b.example", "/"), ("a.b.example", "/")]);
        let find = |host| routes.find(host, "/").map(|index| index.0);
        assert_eq!(find("a.b.example"), Some(2));
        assert_eq!(find("A.B.Example:8443"), Some(2));
        assert_eq!(find("x.b.example"), Some(1));
        assert_eq!(find("y.x.b.example"), Some(1));
        assert_eq!(find("x.example"), Some(0));
        assert_eq!(find("example"), None);
        assert_eq!(find("[::1]:443"), None);
    }

    #[test]
    fn prefixes_match_whole_segments_longest_first() {
        let routes = routes(&[("h", "/"), ("h", "/api"), ("h", "/api/v2/")]);
        let find = |path| routes.find("h", path).map(|index| index.0);
        assert_eq!(find("/"), Some(0));
        assert_eq!(find("/apiary"), Some(0));
        assert_eq!(find("/api"), Some(1));
        assert_eq!(find("/api?x=1"), Some(1));
        assert_eq!(find("/api/v1"), Some(1));
        assert_eq!(find("/api/v2"), Some(2));
        assert_eq!(find("/api/v2/x"), Some(2));
    }

    #[test]
    fn a_path_outside_the_exact_hosts_prefixes_falls_back_to_a_wildcard() {
        let routes = routes(&[("a.example", "/only"), ("*.example", "/")]);
        assert_eq!(routes.find("a.example", "/else"), Some(ServiceIndex(1)));
    }

    #[test]
    fn the_same_place_cannot_be_taken_twice() {
        let mut routes = routes(&[("h", "/api")]);
        assert_eq!(routes.insert("H", "/api/", ServiceIndex(9)), Err(Taken(ServiceIndex(0))));
    }
}
