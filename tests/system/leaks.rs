//! What comes and goes leaves nothing behind: no file descriptor, no place in a count, no memory.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postern::limits::FAILURES_PER_IDENTITY_MAX;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::admin::Admin;
use super::client::get;
use super::process::{PATIENCE, Running};
use super::support::client::{RawConnection, tls};
use super::support::origin::echoing;
use super::support::{Authority, Origin};
use super::world::{World, policy};

const FILES: &str = "files.example.test";
const WIKI: &str = "wiki.example.test";
const DATABASE: &str = "database.example.test";

/// Visitors at once.
const LANES: usize = 4;
/// Visits between two sessions that are cut.
const CUT_EVERY: usize = 50;
/// Connections of one identity and of one address that the gateway allows: more than ever are open by chance.
const PER_IDENTITY: usize = 24;
const PER_ADDRESS: usize = 60;
/// Anonymous memory that may come with use and not with the number of visits, in bytes: fragmented heaps, the store's own cache.
const MEMORY_SLACK: usize = 1024 * 1024;
/// The same for each visit and each request: far less than the least that a forgotten one keeps, of which there were 600 bytes and
/// more when sessions and their signals held each other.
const MEMORY_EACH: usize = 64;

/// Those who visit, each with a certificate of their own.
struct Visitors {
    /// How much they ask for over a connection that is made to ask something.
    requests: usize,
    gateway: SocketAddr,
    alice: ClientConfig,
    bob: ClientConfig,
    carol: ClientConfig,
    mallory: ClientConfig,
    foreigner: ClientConfig,
}

impl Visitors {
    fn new(gateway: &Running, world: &World, requests: usize) -> Self {
        let of = |name: &str| tls(&world.authority, Some(&world.certificate(name)));
        Visitors {
            requests,
            gateway: gateway.addresses.gateway,
            alice: of("alice"),
            bob: of("bob"),
            carol: of("carol"),
            mallory: of("mallory"),
            foreigner: tls(&world.authority, Some(&Authority::new("Another CA").client("alice"))),
        }
    }

    async fn open(&self, who: &ClientConfig, host: &str, protocol: &[u8]) -> std::io::Result<RawConnection> {
        RawConnection::open(self.gateway, who.clone(), host, protocol).await
    }

    /// One connection with whatever may happen on it, by its number.
    async fn visit(&self, number: usize) {
        match number % 10 {
            0 => self.ask_and_close().await,
            1 => self.ask_over_http2().await,
            2 => drop(TcpStream::connect(self.gateway).await.unwrap()),
            3 => self.talk_nonsense().await,
            4 => self.give_up_the_handshake().await,
            5 => self.give_up_a_request("/never", None).await,
            6 => self.give_up_a_request("/stream", Some("one")).await,
            7 => self.be_refused(if (number / 10).is_multiple_of(2) { &self.mallory } else { &self.foreigner }).await,
            8 => self.be_denied().await,
            _ => self.leave_the_database().await,
        }
    }

    async fn ask_and_close(&self) {
        let mut connection = self.open(&self.alice, FILES, b"http/1.1").await.unwrap();
        for _ in 0..self.requests {
            connection.say(&get(FILES, "/")).await;
            assert_eq!(connection.answer().await.unwrap().status, 200);
        }
        connection.into_stream().shutdown().await.unwrap();
    }

    async fn ask_over_http2(&self) {
        let stream = self.open(&self.bob, FILES, b"h2").await.unwrap().into_stream();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let driven = tokio::spawn(connection);
        for _ in 0..self.requests {
            let request = http::Request::get(format!("https://{FILES}/")).body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            assert_eq!(response.await.unwrap().status(), 200);
        }
        drop(client);
        // Closed in order or not: it is closed.
        let _ = driven.await.unwrap();
    }

    async fn talk_nonsense(&self) {
        let mut stream = TcpStream::connect(self.gateway).await.unwrap();
        stream.write_all(get(FILES, "/").as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
    }

    /// Says hello, and is gone before the answer.
    async fn give_up_the_handshake(&self) {
        let mut hello = Vec::new();
        let name = ServerName::try_from(FILES).unwrap();
        let mut tls = ClientConnection::new(Arc::new(self.alice.clone()), name).unwrap();
        tls.write_tls(&mut hello).unwrap();
        TcpStream::connect(self.gateway).await.unwrap().write_all(&hello).await.unwrap();
    }

    /// Asks, waits for `piece` of the answer, and is gone without a word.
    async fn give_up_a_request(&self, path: &str, piece: Option<&str>) {
        let mut connection = self.open(&self.alice, FILES, b"http/1.1").await.unwrap();
        connection.say(&get(FILES, path)).await;
        if let Some(piece) = piece {
            until(&mut connection.into_stream(), piece).await;
        }
    }

    async fn be_refused(&self, who: &ClientConfig) {
        // In TLS 1.3 a client learns that it was refused when it reads.
        if let Ok(mut connection) = self.open(who, FILES, b"http/1.1").await {
            assert_eq!(connection.rest().await, "");
        }
    }

    async fn be_denied(&self) {
        let mut connection = self.open(&self.bob, WIKI, b"http/1.1").await.unwrap();
        connection.say(&get(WIKI, "/")).await;
        assert_eq!(connection.answer().await.unwrap().reason(), "posture-failed");
    }

    async fn leave_the_database(&self) {
        let mut stream = self.open(&self.alice, DATABASE, b"http/1.1").await.unwrap().into_stream();
        stream.write_all(b"hello").await.unwrap();
        until(&mut stream, "hello").await;
    }

    /// What an identity has under way is cut by a lock, which is taken away again.
    async fn be_cut(&self, admin: &Admin) {
        let mut stream = self.open(&self.carol, FILES, b"http/1.1").await.unwrap().into_stream();
        stream.write_all(get(FILES, "/stream").as_bytes()).await.unwrap();
        until(&mut stream, "one").await;
        let reason = serde_json::json!({ "reason": "a test" });
        let lock = admin.request("PUT", "/api/v1/identities/carol/lock").json(&reason).send().await.unwrap();
        assert!(lock.status().is_success(), "{}", lock.status());
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is cut");
        assert!(admin.request("DELETE", "/api/v1/identities/carol/lock").send().await.unwrap().status().is_success());
    }
}

/// Reads until `piece` came.
async fn until(stream: &mut (impl AsyncReadExt + Unpin), piece: &str) {
    let mut came = Vec::new();
    while !came.windows(piece.len()).any(|window| window == piece.as_bytes()) {
        assert!(stream.read_buf(&mut came).await.unwrap() > 0, "{}", String::from_utf8_lossy(&came));
    }
}

/// A gateway with those who visit it.
struct Stage {
    gateway: Running,
    admin: Admin,
    visitors: Arc<Visitors>,
}

impl Stage {
    /// So many visits, some at a time.
    async fn visits(&self, count: usize) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            let (visitors, next) = (Arc::clone(&self.visitors), Arc::clone(&next));
            lanes.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    visitors.visit(number).await;
                }
            });
        }
        for _ in 0..count / CUT_EVERY {
            self.visitors.be_cut(&self.admin).await;
        }
        while let Some(lane) = lanes.join_next().await {
            lane.unwrap();
        }
    }

    /// Waits until nothing is under way and there are no more descriptors than `descriptors`.
    async fn at_rest(&self, descriptors: usize) {
        let rest = timeout(PATIENCE, async {
            while self.open_things().await != 0.0 || self.descriptors() > descriptors {
                tokio::task::yield_now().await;
            }
        });
        if rest.await.is_err() {
            panic!("{} things and {} descriptors are left", self.open_things().await, self.descriptors());
        }
    }

    async fn open_things(&self) -> f64 {
        let mut open = self.admin.metric("postern_live_connections").await;
        open += self.admin.metric("postern_live_requests").await;
        for protocol in ["connection", "http1", "http2", "grpc", "websocket", "tcp"] {
            open += self.admin.metric(&format!("postern_live_sessions{{protocol=\"{protocol}\"}}")).await;
        }
        open
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.gateway.id())).unwrap().count()
    }

    /// Memory that is no file's, in bytes.
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gateway.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Every place that an identity and an address have is free: so many connections come in, and not one more.
    async fn assert_places_are_free(&self) {
        let mut open = Vec::new();
        let visitors = &self.visitors;
        for (who, count) in [
            (&visitors.alice, PER_IDENTITY),
            (&visitors.bob, PER_IDENTITY),
            (&visitors.carol, PER_ADDRESS - 2 * PER_IDENTITY),
        ] {
            for _ in 0..count {
                let mut connection = visitors.open(who, FILES, b"http/1.1").await.unwrap();
                connection.say(&get(FILES, "/")).await;
                assert_eq!(connection.answer().await.expect("there is a place").status, 200);
                open.push(connection);
            }
            if count == PER_IDENTITY {
                let one_more = visitors.open(who, FILES, b"http/1.1").await;
                assert_eq!(one_more.unwrap().rest().await, "", "the identity has no more places");
            }
        }
        assert!(visitors.open(&visitors.carol, FILES, b"http/1.1").await.is_err(), "the address has no more places");
    }
}

/// Fills the histories of refusals and makes half as many visits as are counted afterwards, so that everything that is kept once is
/// there before memory is measured.
async fn nothing_is_left_of(visits: usize, requests: usize) {
    let (origin, database) = (Origin::start().await, echoing().await);
    let service = format!(
        "services:\n  - {{ name: database, protocol: tcp, hosts: [{DATABASE}], upstreams: [\"{}\"] }}\n",
        database.address
    );
    let leads =
        "service_policies:\n  - { name: staff-store, identity_roles: [\"#staff\"], service_roles: [\"@database\"] }\n";
    let policy = policy(&origin.upstream());
    let policy = policy.replace("services:\n", &service).replace("service_policies:\n", leads);
    let world = World::new(&policy).configured(&format!(
        "front_door: {{ connections_per_identity: {PER_IDENTITY}, connections_per_address: {PER_ADDRESS} }}\n\
         proxy: {{ timeouts: {{ idle: 250ms }} }}\n"
    ));
    let mut command = world.command();
    // Memory that is free stays with the gateway until it is used again, and comes in small pages: then what grows is what is kept.
    command.envs([("MIMALLOC_PURGE_DELAY", "-1"), ("MIMALLOC_ALLOW_THP", "0")]);
    let gateway = world.start_command(command).await;
    let admin = Admin::new(&gateway, &world.authority);
    let visitors = Arc::new(Visitors::new(&gateway, &world, requests));
    let stage = Stage { gateway, admin, visitors };
    // What is made once and kept is there before anything is counted.
    stage.visitors.be_cut(&stage.admin).await;
    stage.at_rest(usize::MAX).await;
    let descriptors = stage.descriptors();
    for _ in 0..FAILURES_PER_IDENTITY_MAX {
        stage.visitors.be_denied().await;
        stage.visitors.be_refused(&stage.visitors.mallory).await;
    }
    stage.visits(visits / 2).await;
    stage.at_rest(descriptors).await;

    let before = stage.memory();
    stage.visits(visits).await;
    stage.at_rest(descriptors).await;
    let after = stage.memory();
    // Two of ten visits ask for more than one thing.
    let things = visits + visits / 5 * requests;
    println!("{visits} visits, {things} things; {descriptors} descriptors; {before} bytes before, {after} after");
    let allowed = before + MEMORY_SLACK + things * MEMORY_EACH;
    assert!(after <= allowed, "{before} bytes grew to {after} by {visits} visits");

    stage.assert_places_are_free().await;
    stage.at_rest(descriptors).await;
    stage.gateway.stop().await;
}

#[tokio::test]
async fn nothing_is_left_of_what_comes_and_goes() {
    nothing_is_left_of(400, 20).await;
}

#[tokio::test]
#[ignore = "takes many minutes: cargo test --release --test system leaks -- --ignored --nocapture"]
async fn nothing_is_left_of_a_hundred_thousand_connections() {
    nothing_is_left_of(100_000, 1).await;
}
