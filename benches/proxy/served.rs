//! What runs in the process of a proxy.

use std::any::Any;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::{Args, ValueEnum};
use pingora::apps::ServerApp;
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::server::Server;
use pingora::services::listening::Service;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy};
use postern::app::{Gateway, Postern};
use postern::limits::CLIENT_STREAMS_MAX;
use postern::proxy::{GatedProxy, Listener, UpstreamRouter};
use postern::telemetry::logs;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Result, process, world};

/// How long Pingora's server may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);

/// What stands between the load and the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Bare,
    Gate,
    Gateway,
}

impl Kind {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Kind::Bare => "bare Pingora",
            Kind::Gate => "gate",
            Kind::Gateway => "gateway",
        }
    }
}

/// What this bench's executable is told when it shall be one of the proxies.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[arg(long, hide = true, value_enum, requires_all = ["config", "origin"])]
    serve: Option<Kind>,
    #[arg(long, hide = true)]
    config: Option<PathBuf>,
    #[arg(long, hide = true)]
    origin: Option<SocketAddr>,
    #[arg(long, hide = true)]
    logged: bool,
    #[arg(long, hide = true)]
    processor: Option<usize>,
}

impl Serve {
    /// Serves until standard input ends; false when that was not what was asked for.
    pub(crate) fn run(&self) -> Result<bool> {
        let (Some(kind), Some(config), Some(origin)) = (self.serve, &self.config, self.origin) else {
            return Ok(false);
        };
        if let Some(processor) = self.processor {
            process::stay_on(processor)?;
        }
        if self.logged {
            logs::init(logs::Format::Json, "info")?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let postern = Postern::from_config(config)?;
        runtime.block_on(world::report_posture(&postern, world::Size::USUAL))?;
        let (address, _serving) = runtime.block_on(start(kind, postern, origin))?;
        let ended = process::answer(address);
        runtime.shutdown_background();
        ended.map(|()| true)
    }
}

/// Serves for as long as the value returned lives.
async fn start(kind: Kind, postern: Postern, origin: SocketAddr) -> Result<(SocketAddr, Box<dyn Any>)> {
    let trivial = Trivial { origin };
    let configuration = UpstreamRouter::configuration();
    match kind {
        Kind::Bare => {
            let mut app = http_proxy(&configuration, trivial);
            // As the gate sets them.
            let mut h2_options = default_h2_options();
            h2_options.max_concurrent_streams(CLIENT_STREAMS_MAX);
            app.h2_options = Some(h2_options);
            listen_by_itself(&postern, app).await
        }
        Kind::Gate => listen(&postern, postern.gate().protect(trivial, &configuration)).await,
        Kind::Gateway => {
            let gateway = Gateway::start(postern).await?;
            Ok((gateway.addresses().gateway, Box::new(gateway)))
        }
    }
}

async fn listen<A>(postern: &Postern, app: A) -> Result<(SocketAddr, Box<dyn Any>)>
where
    A: ServerApp + Send + Sync + 'static,
{
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), postern.tls_settings()?, app).await?;
    let address = listener.address();
    let (stop, stopped) = watch::channel(None);
    tokio::spawn(listener.serve(stopped));
    Ok((address, Box::new((stop, postern.clone()))))
}

/// As whoever uses Pingora without us does it: with its own server and the listener of that, buffers and all.
async fn listen_by_itself<A>(postern: &Postern, app: A) -> Result<(SocketAddr, Box<dyn Any>)>
where
    A: ServerApp + Send + Sync + 'static,
{
    // It does not tell which port it was given, so it is given one.
    let address = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?;
    let configuration = Arc::into_inner(UpstreamRouter::configuration()).ok_or("somebody else holds the settings")?;
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut service = Service::new("bare".to_owned(), app);
    service.add_tls_with_settings(&address.to_string(), None, postern.tls_settings()?);
    server.add_service(service);
    std::thread::spawn(move || server.run_forever());
    timeout(LISTENS_WITHIN, async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await?;
    Ok((address, Box::new(postern.clone())))
}

/// The least that is a proxy: one upstream, with the time limits the gateway's router sets.
struct Trivial {
    origin: SocketAddr,
}

impl GatedProxy for Trivial {}

#[async_trait]
impl ProxyHttp for Trivial {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.origin, false, String::new());
        peer.options.connection_timeout = Some(world::CONNECT_TIMEOUT);
        peer.options.total_connection_timeout = Some(world::CONNECT_TIMEOUT);
        peer.options.read_timeout = Some(world::READ_TIMEOUT);
        peer.options.write_timeout = Some(world::READ_TIMEOUT);
        peer.options.idle_timeout = Some(world::IDLE_TIMEOUT);
        Ok(Box::new(peer))
    }
}
