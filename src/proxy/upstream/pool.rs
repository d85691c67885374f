//! The upstreams of one service: which are there, which are well, how busy they are, and how they are spoken to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;
use tokio::task::AbortHandle;

use super::balance::{Turns, attraction, fingerprint};
use super::health::{self, Probes};
use super::peer::{Template, Wanted};
use super::resolve::Addresses;
use crate::policy::objects::Service;
use crate::policy::service::{Balance, Transport, Upstream};
use crate::proxy::refusal::UpstreamFault;

/// The upstreams of one service. Ends its background work when it is dropped.
#[derive(Debug)]
pub(in crate::proxy) struct Pool {
    upstreams: Vec<Upstream>,
    transport: Transport,
    members: Vec<Arc<Member>>,
    turns: Turns,
    turn: AtomicUsize,
    template: Option<Arc<Template>>,
    background: Vec<AbortHandle>,
}

/// One upstream.
#[derive(Debug)]
pub(in crate::proxy) struct Member {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) weight: u16,
    pub(super) seed: u64,
    pub(super) addresses: Addresses,
    pub(super) healthy: AtomicBool,
    /// Requests on their way to it.
    busy: AtomicUsize,
    /// Which of its addresses answered last.
    pub(super) preferred: AtomicUsize,
}

impl Pool {
    /// The upstreams of `service`, with their look-ups and health checks under way. `number` tells its connections from
    /// those of other pools. Must be called inside a runtime.
    pub(super) fn open(service: &Service, number: u64, probes: &LazyLock<Arc<Probes>>) -> Arc<Self> {
        let members: Vec<_> = service.upstreams.iter().filter_map(Member::new).map(Arc::new).collect();
        let weights: Vec<u16> = members.iter().map(|member| member.weight).collect();
        let template = Template::new(&service.transport, number)
            .inspect_err(|error| {
                let service = &*service.name;
                tracing::error!(service, error = error as &dyn std::error::Error, "upstreams cannot be used");
            })
            .ok()
            .map(Arc::new);
        let mut background = Vec::new();
        for member in &members {
            if member.addresses.is_name() {
                background.push(tokio::spawn(resolve(Arc::clone(member))).abort_handle());
            }
            if let (Some(check), Some(template)) = (&service.transport.health_check, &template) {
                let watch = health::watch(Arc::clone(member), Arc::clone(template), check.clone(), Arc::clone(probes));
                background.push(tokio::spawn(watch).abort_handle());
            }
        }
        Arc::new(Pool {
            upstreams: service.upstreams.clone(),
            transport: service.transport.clone(),
            turns: Turns::new(&weights),
            turn: AtomicUsize::new(0),
            members,
            template,
            background,
        })
    }

    /// Whether it is what `service` asks for.
    pub(super) fn serves(&self, service: &Service) -> bool {
        self.upstreams == service.upstreams && self.transport == service.transport
    }

    pub(in crate::proxy) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// How connections are made; an error when that cannot be done as it is configured.
    pub(in crate::proxy) fn template(&self) -> Result<&Template, UpstreamFault> {
        self.template.as_deref().ok_or(UpstreamFault::TlsFailed)
    }

    /// The upstream for a request of `identity` that has `tried` some already.
    pub(in crate::proxy) fn choose(&self, identity: &str, tried: &[Arc<Member>]) -> Result<Arc<Member>, UpstreamFault> {
        if self.members.is_empty() {
            return Err(UpstreamFault::NoUpstream);
        }
        let open = |member: &&Arc<Member>| {
            member.healthy.load(Ordering::Relaxed) && !tried.iter().any(|known| Arc::ptr_eq(known, member))
        };
        let chosen = match self.transport.balance {
            Balance::RoundRobin => self.in_turn().find(open),
            Balance::LeastLoaded => self.in_turn().filter(open).min_by(|a, b| a.load().total_cmp(&b.load())),
            Balance::Hash => {
                let key = fingerprint(identity);
                let drawn = |member: &Arc<Member>| attraction(key, member.seed, member.weight);
                self.members.iter().filter(open).max_by(|a, b| drawn(a).total_cmp(&drawn(b)))
            }
        };
        chosen.cloned().ok_or(UpstreamFault::NoHealthyUpstream)
    }

    fn in_turn(&self) -> impl Iterator<Item = &Arc<Member>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.turns.from(turn).filter_map(|member| self.members.get(member))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.background.iter().for_each(AbortHandle::abort);
    }
}

async fn resolve(member: Arc<Member>) {
    member.addresses.keep_fresh(&member.host, member.port).await;
}

impl Member {
    /// `None` for an address without a port, which no policy that was checked has.
    fn new(upstream: &Upstream) -> Option<Self> {
        let (host, port) = upstream.address.rsplit_once(':')?;
        let port = port.parse().ok()?;
        Some(Member {
            host: host.to_owned(),
            port,
            weight: upstream.weight,
            seed: fingerprint(&upstream.address),
            addresses: Addresses::new(host, port),
            healthy: AtomicBool::new(true),
            busy: AtomicUsize::new(0),
            preferred: AtomicUsize::new(0),
        })
    }

    /// Requests on their way to it for each unit of weight, as if one more came.
    fn load(&self) -> f64 {
        (self.busy.load(Ordering::Relaxed) as f64 + 1.0) / f64::from(self.weight.max(1))
    }
}

/// A request on its way to an upstream.
#[derive(Debug)]
pub(in crate::proxy) struct Attempt {
    pub(super) member: Arc<Member>,
    /// Addresses not tried yet, the next one last.
    untried: Vec<(usize, std::net::SocketAddr)>,
    current: Option<usize>,
}

impl Attempt {
    /// Sets out for `member`. The address that answered last comes first, then the others in their order.
    pub(in crate::proxy) async fn begin(member: Arc<Member>, patience: Duration) -> Result<Self, UpstreamFault> {
        let addresses = member.addresses.current(patience).await;
        let mut untried: Vec<_> = addresses.iter().copied().enumerate().collect();
        if untried.is_empty() {
            return Err(UpstreamFault::Unresolved);
        }
        let preferred = member.preferred.load(Ordering::Relaxed);
        untried.sort_by_key(|(position, _)| (*position != preferred, *position));
        untried.reverse();
        member.busy.fetch_add(1, Ordering::Relaxed);
        Ok(Attempt { member, untried, current: None })
    }

    /// Whether the upstream has an address that was not tried.
    pub(in crate::proxy) fn has_more(&self) -> bool {
        !self.untried.is_empty()
    }

    /// Where to connect next.
    pub(in crate::proxy) fn next_peer(
        &mut self,
        template: &Template,
        wanted: Wanted,
    ) -> Result<HttpPeer, UpstreamFault> {
        let (position, address) = self.untried.pop().ok_or(UpstreamFault::Unreachable)?;
        self.current = Some(position);
        Ok(template.peer(address, &self.member.host, wanted))
    }

    /// The connection was made: the next request begins with the same address.
    pub(in crate::proxy) fn connected(&self) {
        if let Some(position) = self.current {
            self.member.preferred.store(position, Ordering::Relaxed);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.member.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::policy::service::UpstreamProtocol;

    pub(in crate::proxy) fn transport(balance: Balance) -> Transport {
        Transport {
            tls: None,
            protocol: UpstreamProtocol::Auto,
            balance,
            health_check: None,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            retries: 1,
        }
    }

    fn pool(balance: Balance, weights: &[u16]) -> Pool {
        let upstreams: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(number, weight)| Upstream { address: format!("10.0.0.{number}:80"), weight: *weight })
            .collect();
        let transport = transport(balance);
        Pool {
            members: upstreams.iter().filter_map(Member::new).map(Arc::new).collect(),
            turns: Turns::new(weights),
            turn: AtomicUsize::new(0),
            template: Template::new(&transport, 0).ok().map(Arc::new),
            background: Vec::new(),
            upstreams,
            transport,
        }
    }

    fn chosen(pool: &Pool, identity: &str) -> String {
        pool.choose(identity, &[]).unwrap().host.clone()
    }

    #[test]
    fn turns_pass_over_the_sick_and_the_tried() {
        let pool = pool(Balance::RoundRobin, &[1, 1, 1]);
        assert_eq!([chosen(&pool, "a"), chosen(&pool, "a"), chosen(&pool, "a")], ["10.0.0.0", "10.0.0.1", "10.0.0.2"]);
        pool.members[0].healthy.store(false, Ordering::Relaxed);
        assert_eq!([chosen(&pool, "a"), chosen(&pool, "a"), chosen(&pool, "a")], ["10.0.0.1", "10.0.0.1", "10.0.0.2"]);
        let tried = [Arc::clone(&pool.members[1])];
        assert_eq!(pool.choose("a", &tried).unwrap().host, "10.0.0.2");
        pool.members[2].healthy.store(false, Ordering::Relaxed);
        assert_eq!(pool.choose("a", &tried).unwrap_err(), UpstreamFault::NoHealthyUpstream);
        assert_eq!(self::pool(Balance::RoundRobin, &[]).choose("a", &[]).unwrap_err(), UpstreamFault::NoUpstream);
    }

    #[tokio::test]
    async fn the_least_loaded_takes_the_next_request() {
        let pool = pool(Balance::LeastLoaded, &[1, 2]);
        let mut under_way = Vec::new();
        let mut order = Vec::new();
        for _ in 0..6 {
            let attempt = Attempt::begin(pool.choose("a", &[]).unwrap(), Duration::ZERO).await.unwrap();
            order.push(attempt.member.host.clone());
            under_way.push(attempt);
        }
        let heavy = order.iter().filter(|host| *host == "10.0.0.1").count();
        assert_eq!(heavy, 4, "{order:?}");
        under_way.retain(|attempt| attempt.member.host == "10.0.0.1");
        assert_eq!(chosen(&pool, "a"), "10.0.0.0");
    }

    #[test]
    fn an_identity_stays_with_its_upstream() {
        let pool = pool(Balance::Hash, &[1, 1, 1, 1]);
        let home = chosen(&pool, "laptop");
        assert!((0..20).all(|_| chosen(&pool, "laptop") == home));
        let others: std::collections::HashSet<_> = (0..50).map(|id| chosen(&pool, &format!("device-{id}"))).collect();
        assert_eq!(others.len(), 4);
        pool.members.iter().find(|member| member.host == home).unwrap().healthy.store(false, Ordering::Relaxed);
        assert_ne!(chosen(&pool, "laptop"), home);
    }

    #[tokio::test]
    async fn the_address_that_answered_comes_first() {
        let pool = pool(Balance::RoundRobin, &[1]);
        let template = pool.template().unwrap();
        let member = Arc::clone(&pool.members[0]);
        let mut attempt = Attempt::begin(member, Duration::ZERO).await.unwrap();
        assert!(attempt.has_more());
        attempt.next_peer(template, Wanted::Http1).unwrap();
        assert!(!attempt.has_more());
        assert_eq!(attempt.next_peer(template, Wanted::Http1).unwrap_err(), UpstreamFault::Unreachable);
    }
}
