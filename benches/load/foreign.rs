//! Other people's proxies, with the configuration that comes nearest to ours: one worker, client certificates with a revocation
//! list, kept-alive connections to the origin, the same header fields for it, no access log.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postern::clock::Stopwatch;
use tempfile::TempDir;

use super::Result;
use super::world::World;

/// Longest wait until one of them listens.
const START_WAIT_MAX: Duration = Duration::from_secs(10);

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    Nginx,
    /// nginx that asks a local service about every request, which is how it is taught to authorize today.
    NginxAuthRequest,
    HaProxy,
}

/// It, running. It ends when this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Foreign {
    pub(crate) const ALL: [Foreign; 3] = [Foreign::Nginx, Foreign::NginxAuthRequest, Foreign::HaProxy];

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Foreign::Nginx => "nginx",
            Foreign::NginxAuthRequest => "nginx + auth_request",
            Foreign::HaProxy => "HAProxy",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Foreign::Nginx | Foreign::NginxAuthRequest => "/usr/sbin/nginx",
            Foreign::HaProxy => "/usr/sbin/haproxy",
        }
    }

    /// Whether it is there at all.
    pub(crate) fn is_installed(self) -> bool {
        Path::new(self.program()).exists()
    }

    /// Starts it on a processor of its own, in front of `origin`; `authorizer` is the service that nginx asks.
    pub(crate) fn start(
        self,
        world: &World,
        origin: SocketAddr,
        authorizer: SocketAddr,
        processor: Option<usize>,
    ) -> Result<Running> {
        let folder = TempDir::new()?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let file = folder.path().join("configuration");
        let asks = (self == Foreign::NginxAuthRequest).then_some(authorizer);
        let (text, arguments) = match self {
            Foreign::Nginx | Foreign::NginxAuthRequest => {
                (nginx(folder.path(), world, address, origin, asks), nginx_arguments(folder.path(), &file))
            }
            Foreign::HaProxy => {
                let both = certificate_with_key(folder.path(), world)?;
                (haproxy(&both, world, address, origin), vec!["-db".into(), "-f".into(), file.clone()])
            }
        };
        fs::write(&file, text)?;
        let mut command = match processor {
            Some(processor) => {
                let mut pinned = Command::new("taskset");
                pinned.arg("-c").arg(processor.to_string()).arg(self.program());
                pinned
            }
            None => Command::new(self.program()),
        };
        let process =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut running = Running { address, process, _folder: folder };
        running.wait_until_it_listens(self)?;
        Ok(running)
    }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_it_listens(&mut self, which: Foreign) -> Result<()> {
        let waited = Stopwatch::start();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("{} did not start: {status}", which.describe()).into());
            }
            if waited.elapsed() > START_WAIT_MAX {
                return Err(format!("{} does not listen", which.describe()).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked to, nginx ends its worker too; killed, it would leave it behind.
        if let Some(process) = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

fn nginx_arguments(folder: &Path, file: &Path) -> Vec<PathBuf> {
    vec!["-p".into(), folder.into(), "-e".into(), "/dev/null".into(), "-c".into(), file.into()]
}

fn nginx(
    folder: &Path,
    world: &World,
    address: SocketAddr,
    origin: SocketAddr,
    authorizer: Option<SocketAddr>,
) -> String {
    let (folder, pki) = (folder.display(), |name| world.pki_file(name).display().to_string());
    // What Postern tells the origin, as far as nginx has a word for it.
    let told = "
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Client-Cert \"Hash=$ssl_client_fingerprint;Subject=\\\"$ssl_client_s_dn\\\"\";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header X-Postern-Identity $ssl_client_serial;
            add_header X-Request-Id $request_id;";
    let asking = if authorizer.is_some() { "auth_request /authorize;" } else { "" };
    let asked = authorizer.map_or(String::new(), |address| {
        format!(
            "
        location = /authorize {{
            internal;
            proxy_pass http://authorizer;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header X-Client $ssl_client_fingerprint;
            proxy_set_header X-Original-URI $request_uri;
            proxy_pass_request_body off;
            proxy_set_header Content-Length \"\";
        }}
    }}
    upstream authorizer {{
        server {address};
        keepalive 128;"
        )
    });
    format!(
        "daemon off;
worker_processes 1;
pid {folder}/pid;
error_log /dev/null crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    upstream origin {{
        server {origin};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} ssl http2 backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_client_certificate {ca};
        ssl_crl {crl};
        ssl_verify_client on;
        ssl_session_cache shared:sessions:10m;
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            {asking}
            proxy_pass http://origin;{told}
        }}{asked}
    }}
}}
",
        certificate = pki("server.pem"),
        key = pki("server.key"),
        ca = pki("ca.pem"),
        crl = pki("crl.pem"),
    )
}

/// HAProxy wants both in one file.
fn certificate_with_key(folder: &Path, world: &World) -> Result<PathBuf> {
    let file = folder.join("server-with-key.pem");
    let text = fs::read_to_string(world.pki_file("server.pem"))? + &fs::read_to_string(world.pki_file("server.key"))?;
    fs::write(&file, text)?;
    Ok(file)
}

fn haproxy(certificate: &Path, world: &World, address: SocketAddr, origin: SocketAddr) -> String {
    format!(
        "global
    nbthread 1
    maxconn 4096
    tune.ssl.cachesize 20000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    http-reuse always
frontend gate
    bind {address} ssl crt {certificate} ca-file {ca} crl-file {crl} verify required alpn h2,http/1.1
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-Client-Cert \"Hash=%[ssl_c_sha1,hex];Subject=%{{+Q}}[ssl_c_s_dn]\"
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Postern-Identity %[ssl_c_serial,hex]
    http-response set-header X-Request-Id %[unique-id]
    default_backend origin
backend origin
    server origin {origin} pool-max-conn 128
",
        certificate = certificate.display(),
        ca = world.pki_file("ca.pem").display(),
        crl = world.pki_file("crl.pem").display(),
    )
}
