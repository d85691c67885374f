//! A proxied request, counted from outside: two runs that differ in the number of requests and in nothing else.

use tempfile::TempDir;

use super::load::{Client, Origin};
use super::process::{Launch, Proxy};
use super::served::Kind;
use super::world::{Size, World};
use super::{Result, callgrind};

/// Requests of the shorter and of the longer run.
const REQUESTS: (u32, u32) = (200, 1000);

const BARE: &str = "request, bare Pingora";
const GATE: &str = "request, behind the gate";

pub(crate) const NAMES: [&str; 2] = [BARE, GATE];

/// Instructions of a kept-alive HTTP/1.1 request through a bare proxy and through the same behind the gate.
pub(crate) fn count() -> Result<Vec<(&'static str, u64)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let origin = runtime.block_on(Origin::start())?;
    let world = World::build(origin.address, Size::SMALL)?;
    let client = Client::of(&world)?;
    let this = std::env::current_exe()?;
    let run = |kind: Kind, requests: u32| -> Result<u64> {
        let folder = TempDir::new()?;
        let mut launch = Launch::of(&this, kind, &world, origin.address);
        launch.under = Some(("valgrind".into(), callgrind::arguments(folder.path())));
        let proxy = Proxy::start(&launch)?;
        let mut lanes = runtime.block_on(client.open_one(proxy.address()))?;
        runtime.block_on(lanes.times(requests))?;
        drop(lanes);
        drop(proxy);
        callgrind::total(folder.path())
    };
    let each = |kind: Kind| -> Result<u64> {
        let more = run(kind, REQUESTS.1)?.saturating_sub(run(kind, REQUESTS.0)?);
        Ok(more / u64::from(REQUESTS.1 - REQUESTS.0))
    };
    Ok(vec![(BARE, each(Kind::Bare)?), (GATE, each(Kind::Gate)?)])
}
