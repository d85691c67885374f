//! The PROXY protocol, versions 1 and 2: what a load balancer says about whom it speaks for, before the first byte of TLS.
//!
//! Only peers that are told to send one are asked (see [`super::listener`]); nobody else's bytes come this way. Reading takes
//! exactly the header's bytes, so that the handshake finds the stream as the client began it. The protocol is HAProxy's
//! `proxy-protocol.txt`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// Longest line of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The peer sends something else.
    #[error("not a PROXY header")]
    NotOne,
    /// It is one, and broken.
    #[error("the PROXY header cannot be read: {0}")]
    Broken(&'static str),
    /// The connection ended or failed before it was complete.
    #[error("the PROXY header is incomplete: {0}")]
    Incomplete(#[from] io::Error),
}

/// Reads a header. `None` when the balancer speaks for itself, as its health checks do, or does not know for whom.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, HeaderError> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return binary(stream).await;
    }
    if !start.starts_with(WORD) {
        return Err(HeaderError::NotOne);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE_BYTES_MAX {
            return Err(HeaderError::Broken("the line is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| HeaderError::Broken("the line is not text"))?;
    text(line.trim_end_matches("\r\n"))
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`.
fn text(line: &str) -> Result<Option<SocketAddr>, HeaderError> {
    let broken = |what| HeaderError::Broken(what);
    let mut words = line.split(' ').skip(1);
    let mut next = || words.next().ok_or(broken("a word is missing"));
    let family = next()?;
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    let address = |text: &str| -> Result<IpAddr, HeaderError> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::from).map_err(|_| broken("an address is none")),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::from).map_err(|_| broken("an address is none")),
            _ => Err(broken("the protocol is neither TCP4 nor TCP6")),
        }
    };
    let port = |text: &str| text.parse::<u16>().map_err(|_| broken("a port is none"));
    address(destination)?;
    port(destination_port)?;
    let source = SocketAddr::new(address(source)?, port(source_port)?);
    if words.next().is_some() { Err(broken("the line has too many words")) } else { Ok(Some(source)) }
}

/// Version 2, after its signature.
async fn binary<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, HeaderError> {
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > PROXY_HEADER_BYTES_MAX {
        return Err(HeaderError::Broken("it is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    let spoken_for = match command {
        0x20 => return Ok(None),
        0x21 => addresses(family, &rest),
        _ => return Err(HeaderError::Broken("version or command is unknown")),
    };
    spoken_for.ok_or(HeaderError::Broken("it is too short for its addresses"))
}

/// The source out of the addresses of version 2; what follows them is for others.
#[expect(clippy::option_option, reason = "the outer one says whether it could be read, the inner whether there is one")]
fn addresses(family: u8, rest: &[u8]) -> Option<Option<SocketAddr>> {
    const TCP4: u8 = 0x11;
    const TCP6: u8 = 0x21;
    match family {
        TCP4 => {
            let (source, rest) = rest.split_first_chunk::<4>()?;
            let (_, ports) = rest.split_first_chunk::<4>()?;
            let (port, _) = ports.get(..4)?.split_first_chunk::<2>()?;
            Some(Some((Ipv4Addr::from(*source), u16::from_be_bytes(*port)).into()))
        }
        TCP6 => {
            let (source, rest) = rest.split_first_chunk::<16>()?;
            let (_, ports) = rest.split_first_chunk::<16>()?;
            let (port, _) = ports.get(..4)?.split_first_chunk::<2>()?;
            Some(Some((Ipv6Addr::from(*source), u16::from_be_bytes(*port)).into()))
        }
        // Whatever else it is for, it is not for a TCP connection over the internet.
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read, and how many bytes are left.
    fn reading(bytes: &[u8]) -> (Result<Option<SocketAddr>, String>, usize) {
        let mut stream = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(read(&mut stream)).map_err(|error| error.to_string());
        (read, stream.len())
    }

    fn version2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[test]
    fn version_1_is_read_to_the_end_of_its_line_and_no_further() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443", Some("192.0.2.1:56324")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443", Some("[2001:db8::1]:56324")),
            ("PROXY UNKNOWN", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535", None),
        ] {
            let read = reading(format!("{line}\r\n\x16\x03\x01").as_bytes());
            assert_eq!(read, (Ok(source.map(|source| source.parse().unwrap())), 3), "{line}");
        }
    }

    #[test]
    fn version_2_is_read_with_what_follows_its_addresses() {
        let v4 = [&[192, 0, 2, 1, 198, 51, 100, 1][..], &56324u16.to_be_bytes(), &443u16.to_be_bytes()].concat();
        let with_extension = [&v4[..], &[0x04, 0, 1, 0]].concat();
        for rest in [&v4, &with_extension] {
            let read = reading(&[&version2(0x21, 0x11, rest)[..], b"tls"].concat());
            assert_eq!(read, (Ok(Some("192.0.2.1:56324".parse().unwrap())), 3));
        }
        let source: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let v6 = [&source.octets()[..], &[0; 16], &1u16.to_be_bytes(), &2u16.to_be_bytes()].concat();
        assert_eq!(reading(&version2(0x21, 0x21, &v6)).0, Ok(Some("[2001:db8::1]:1".parse().unwrap())));
        // A health check of the balancer itself, and a socket of its machine.
        for header in
            [version2(0x20, 0x11, &v4), version2(0x20, 0, &[]), version2(0x21, 0, &[]), version2(0x21, 0x31, &[0; 216])]
        {
            assert_eq!(reading(&header), (Ok(None), 0));
        }
    }

    #[test]
    fn what_is_no_header_or_half_of_one_is_refused() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00"[..],
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 9\r\n",
            b"PROXY TCP4 192.0.2.256 198.51.100.1 56324 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.1 56324 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443",
            b"",
        ] {
            assert!(reading(bytes).0.is_err(), "{bytes:?}");
        }
        let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 1000]].concat();
        assert_eq!(reading(&endless).0.unwrap_err(), "the PROXY header cannot be read: the line is too long");
        for header in [
            version2(0x11, 0x11, &[0; 12]),
            version2(0x22, 0x11, &[0; 12]),
            version2(0x21, 0x11, &[0; 11]),
            version2(0x21, 0x21, &[0; 35]),
            version2(0x20, 0, &vec![0; PROXY_HEADER_BYTES_MAX + 1]),
        ] {
            assert!(reading(&header).0.is_err(), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..300), v2: bool) {
            let bytes = if v2 { [&SIGNATURE[..], &bytes].concat() } else { [WORD, &bytes].concat() };
            let _ = reading(&bytes);
        }
    }
}
