//! Where services are found, as operators write it, in whichever language. What is wrong is told without the text itself.

/// A host name, exact or `*.suffix`, in lower case.
pub fn host_pattern(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let exact = host.strip_prefix("*.").unwrap_or(&host);
    let label = |label: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.len() <= 63 && label.chars().all(allowed)
    };
    if exact.len() <= 253 && (exact.split('.').all(label) || is_ipv6(&host)) {
        return Ok(host);
    }
    let advice = if text.contains("://") {
        "; leave out the scheme"
    } else if text.contains('/') {
        "; a path goes into `path_prefix`"
    } else if text.contains(':') {
        "; leave out the port"
    } else {
        ""
    };
    Err(format!("is not a host name such as `app.example` or `*.apps.example`{advice}"))
}

fn is_ipv6(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.is_some_and(|bare| bare.parse::<core::net::Ipv6Addr>().is_ok())
}

/// `host:port`, an IPv6 address in brackets.
pub fn host_and_port(text: &str) -> Result<String, String> {
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
        let plain = !host.is_empty() && !host.starts_with('*') && !host.contains([':', '[', ']']);
        let host_is_fine = is_ipv6(host) || (plain && host_pattern(host).is_ok());
        host_is_fine && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if valid {
        return Ok(text.to_owned());
    }
    let advice = if text.contains("://") { "; TLS and HTTP version are set under `upstream`" } else { "" };
    Err(format!("is not `host:port`, such as `127.0.0.1:8080` or `app.internal:8080`{advice}"))
}

/// A path prefix without the `/` at its end: prefixes match whole segments.
pub fn path_prefix(text: &str) -> Result<String, String> {
    let path = request_path(text)?;
    let odd = |segment: &str| matches!(segment, "." | "..");
    let trimmed = path.trim_end_matches('/');
    if path.contains("//") || path.split('/').any(odd) || path.contains('?') {
        return Err("holds an empty segment, `.`, `..` or a query".to_owned());
    }
    Ok(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
}

/// The path of a request, with its query.
pub fn request_path(text: &str) -> Result<String, String> {
    let printable = |c: char| c.is_ascii_graphic() && c != '#';
    if text.starts_with('/') && text.chars().all(printable) {
        return Ok(text.to_owned());
    }
    Err("is not a path: paths begin with `/`, and blanks and letters beyond ASCII are percent-encoded".to_owned())
}
