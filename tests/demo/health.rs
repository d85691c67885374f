//! `postern health`.

use std::net::TcpListener;

use crate::support::{Gateway, Running, arg, output, text};

#[test]
fn a_gateway_is_ready_while_it_serves_and_not_when_it_is_gone() {
    let gateway = Gateway::new();
    let config = gateway.config();
    let mut running = Running::start(&["run", "--config", arg(&config)]);
    let ops = running.read_log_until("listening")["ops"].as_str().unwrap().to_owned();
    let url = format!("http://{ops}");

    let alive = output(&["health", "--url", &url]);
    assert!(alive.status.success(), "{}", text(&alive.stdout));
    assert_eq!(text(&alive.stdout).lines().count(), 1);
    let lives = output(&["health", "--url", &format!("{url}/livez")]);
    assert!(lives.status.success());
    let odd = output(&["health", "--url", &format!("{url}/nothing-here")]);
    assert_eq!(odd.status.code(), Some(1));

    running.signal("TERM");
    let (status, stderr) = running.wait();
    assert!(status.success(), "{stderr}");
    let gone = output(&["health", "--url", &url]);
    assert_eq!(gone.status.code(), Some(1));
    assert_eq!(text(&gone.stdout).lines().count(), 1);
}

#[test]
fn the_configuration_says_where_to_ask() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::new();
    let port = silent.local_addr().unwrap().port();
    let settings = crate::support::SETTINGS
        .replace("ops: { address: 127.0.0.1:0 }", &format!("ops: {{ address: 0.0.0.0:{port} }}"));
    gateway.write("postern.yaml", &settings);
    // Whoever listens there never answers.
    let asked = output(&["health", "--config", arg(&gateway.config()), "--timeout", "1"]);
    assert_eq!(asked.status.code(), Some(1));
    let said = text(&asked.stdout);
    assert!(said.contains(&format!("http://127.0.0.1:{port}/readyz")) && said.contains("no answer in time"), "{said}");
}

#[test]
fn an_address_that_is_none_is_an_error() {
    let asked = output(&["health", "--url", "nowhere"]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(text(&asked.stderr).contains("`nowhere`"));
}
