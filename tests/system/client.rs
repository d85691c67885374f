//! Clients on their way to services.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::Value;

use super::process::Running;
use super::support::client::{RawConnection, tls};
use super::support::{Authority, Issued};

/// Leads every name to the gateway.
struct ToGateway(SocketAddr);

impl Resolve for ToGateway {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(std::iter::once(self.0));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// An HTTP client with a certificate, or without one.
pub(crate) struct Client {
    http: reqwest::Client,
    port: u16,
}

impl Client {
    /// Speaks HTTP/2.
    pub(crate) fn http2(gateway: &Running, authority: &Authority, certificate: &Issued) -> Client {
        Client::build(gateway, authority, certificate, reqwest::Client::builder())
    }

    /// Speaks HTTP/1.1 and keeps its connection.
    pub(crate) fn http1(gateway: &Running, authority: &Authority, certificate: &Issued) -> Client {
        Client::build(gateway, authority, certificate, reqwest::Client::builder().http1_only())
    }

    /// Speaks HTTP/1.1 and makes a connection for each request.
    pub(crate) fn one_connection_a_request(gateway: &Running, authority: &Authority, certificate: &Issued) -> Client {
        let builder = reqwest::Client::builder().http1_only().pool_max_idle_per_host(0);
        Client::build(gateway, authority, certificate, builder)
    }

    fn build(
        gateway: &Running,
        authority: &Authority,
        certificate: &Issued,
        builder: reqwest::ClientBuilder,
    ) -> Client {
        let address = gateway.addresses.gateway;
        let builder = builder.dns_resolver(Arc::new(ToGateway(address)));
        let tls = tls(authority, Some(certificate));
        let http = builder.tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        Client { http, port: address.port() }
    }

    /// A request to a host's path, at the gateway's port.
    pub(crate) fn request(&self, method: &str, host: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("https://{host}:{}{path}", self.port))
    }

    pub(crate) async fn get(&self, host: &str, path: &str) -> reqwest::Response {
        self.request("GET", host, path).send().await.unwrap()
    }

    pub(crate) async fn status(&self, host: &str, path: &str) -> u16 {
        let response = self.get(host, path).await;
        let status = response.status().as_u16();
        // Read to the end, so that the connection is used again.
        response.bytes().await.unwrap();
        status
    }

    /// What the origin says it saw.
    pub(crate) async fn described(&self, host: &str, path: &str) -> Value {
        let response = self.get(host, path).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}

/// A connection in HTTP/1.1 on which anything can be said.
pub(crate) async fn connect(
    gateway: &Running,
    authority: &Authority,
    certificate: &Issued,
    server_name: &str,
) -> std::io::Result<RawConnection> {
    RawConnection::open(gateway.addresses.gateway, tls(authority, Some(certificate)), server_name, b"http/1.1").await
}

/// A request without a body, as it goes over the wire.
pub(crate) fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")
}
