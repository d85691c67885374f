//! Active health checks: who asks an upstream how it is, and when its answer counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pingora::connectors::TransportConnector;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::peer::Template;
use super::pool::Member;
use crate::limits::HEALTH_CHECK_INTERVAL_MIN;
use crate::policy::service::HealthCheck;

/// Asks `member` for as long as its pool exists. The first answer counts at once; later ones when enough agree.
pub(super) async fn watch(member: Arc<Member>, template: Arc<Template>, check: HealthCheck, probes: Arc<Probes>) {
    let mut record = Record::default();
    let mut ticks = interval(check.interval.max(HEALTH_CHECK_INTERVAL_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = probes.ask(&member, &template, &check).await;
        let healthy = member.healthy.load(Ordering::Relaxed);
        let now = record.count(healthy, answer.is_ok(), &check);
        if now != healthy {
            member.healthy.store(now, Ordering::Relaxed);
            let upstream = format!("{}:{}", member.host, member.port);
            match answer {
                Ok(()) => tracing::info!(upstream, "upstream healthy"),
                Err(error) => tracing::warn!(upstream, %error, "upstream unhealthy"),
            }
        }
    }
}

/// The latest answers.
#[derive(Debug, Default)]
struct Record {
    asked: bool,
    contradictions: u32,
}

impl Record {
    /// Whether the upstream counts as healthy after one more answer.
    fn count(&mut self, healthy: bool, well: bool, check: &HealthCheck) -> bool {
        if !std::mem::replace(&mut self.asked, true) {
            return well;
        }
        if well == healthy {
            self.contradictions = 0;
            return healthy;
        }
        self.contradictions = self.contradictions.saturating_add(1);
        let needed = if well { check.healthy_after } else { check.unhealthy_after };
        if self.contradictions < needed {
            return healthy;
        }
        self.contradictions = 0;
        well
    }
}

/// The means to ask, shared by all pools: making one reads the system's CA certificates.
pub(super) struct Probes {
    plain: TransportConnector,
    http: Connector,
}

impl Default for Probes {
    fn default() -> Self {
        Probes { plain: TransportConnector::new(None), http: Connector::new(None) }
    }
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Probes")
    }
}

impl Probes {
    async fn ask(&self, member: &Member, template: &Template, check: &HealthCheck) -> pingora::Result<()> {
        let asking = async {
            let addresses = member.addresses.current(check.timeout).await;
            let preferred = addresses.get(member.preferred.load(Ordering::Relaxed)).or(addresses.first());
            let address = preferred.ok_or_else(|| Error::new_up(ErrorType::Custom("no address")))?;
            let peer = template.probe(*address, &member.host, check.timeout);
            match &check.path {
                None => self.plain.new_stream(&peer).await.map(drop),
                Some(path) => request(&self.http, &peer, member, path).await,
            }
        };
        timeout(check.timeout, asking).await.unwrap_or_else(|_| Err(Error::new_up(ErrorType::ReadTimedout)))
    }
}

async fn request(connector: &Connector, peer: &HttpPeer, member: &Member, path: &str) -> pingora::Result<()> {
    let (mut session, _) = connector.get_http_session(peer).await?;
    let mut head = RequestHeader::build("GET", path.as_bytes(), None)?;
    head.insert_header(http::header::HOST, format!("{}:{}", member.host, member.port))?;
    head.insert_header(http::header::USER_AGENT, concat!("postern/", env!("CARGO_PKG_VERSION")))?;
    if let HttpSession::H2(_) = &session {
        head.set_version(http::Version::HTTP_2);
        let uri = http::Uri::builder()
            .scheme(if peer.is_tls() { "https" } else { "http" })
            .authority(format!("{}:{}", member.host, member.port))
            .path_and_query(path)
            .build()
            .or_err(ErrorType::InternalError, "while building a health check")?;
        head.set_uri(uri);
        head.remove_header(&http::header::HOST);
    }
    session.write_request_header(Box::new(head)).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let status = session.response_header().map(|response| response.status);
    session.shutdown().await;
    match status {
        Some(status) if status.is_success() || status.is_redirection() => Ok(()),
        Some(status) => Err(Error::new_up(ErrorType::HTTPStatus(status.as_u16()))),
        None => Err(Error::new_up(ErrorType::ReadError)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_answer_counts_and_later_ones_when_enough_agree() {
        let check = HealthCheck {
            path: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
        };
        let mut record = Record::default();
        let mut healthy = true;
        let mut seen = Vec::new();
        for well in [false, true, true, false, false, true, false, false, false, true] {
            healthy = record.count(healthy, well, &check);
            seen.push(healthy);
        }
        assert_eq!(seen, [false, false, true, true, true, true, true, true, false, false]);
    }
}
