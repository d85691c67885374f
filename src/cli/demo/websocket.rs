//! As much of a WebSocket client as it takes to hear one word back (RFC 6455).

use reqwest::{Method, StatusCode, Url};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::client::{Client, NoAnswer};

/// Sixteen bytes in base64, as the protocol asks for.
pub(super) const KEY: &str = "cG9zdGVybi1kZW1vLWtleQ==";
/// Longest word: lengths up to here take one byte.
const WORD_BYTES_MAX: usize = 125;
const FINAL_TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;
/// Clients mask what they send so that no cache in between mistakes it for HTTP; it keeps no secret.
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// What became of a word that was sent.
#[derive(Debug)]
pub(super) enum Heard {
    /// This came back.
    Back(String),
    /// The upgrade was answered with this.
    Refused(StatusCode),
}

/// Opens a WebSocket, sends `word` and waits for the answer.
pub(super) async fn say(client: &Client, url: &Url, word: &str) -> Result<Heard, NoAnswer> {
    let response = client
        .request(Method::GET, url)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .send()
        .await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Heard::Refused(response.status()));
    }
    let socket = response.upgrade().await?;
    match exchange(socket, word).await {
        Ok(answer) => Ok(Heard::Back(answer)),
        Err(error) => Ok(Heard::Back(format!("(the connection broke off: {error})"))),
    }
}

async fn exchange(mut socket: impl AsyncRead + AsyncWrite + Unpin, word: &str) -> std::io::Result<String> {
    let word = word.get(..word.len().min(WORD_BYTES_MAX)).unwrap_or_default();
    let length = u8::try_from(word.len()).unwrap_or_default();
    let mut frame = vec![FINAL_TEXT, MASKED | length];
    frame.extend(MASK);
    frame.extend(word.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    socket.write_all(&frame).await?;
    socket.flush().await?;
    let mut head = [0; 2];
    socket.read_exact(&mut head).await?;
    let [_, length] = head;
    let mut payload = vec![0; usize::from(length & !MASKED).min(WORD_BYTES_MAX)];
    socket.read_exact(&mut payload).await?;
    socket.shutdown().await?;
    Ok(String::from_utf8_lossy(&payload).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_word_is_sent_masked_and_heard_plain() {
        let (near, mut far) = tokio::io::duplex(64);
        let peer = async {
            let mut frame = [0; 8];
            far.read_exact(&mut frame).await.unwrap();
            assert_eq!(frame, [0x81, 0x82, 0x12, 0x34, 0x56, 0x78, b'h' ^ 0x12, b'i' ^ 0x34]);
            far.write_all(&[0x81, 2, b'y', b'o']).await.unwrap();
        };
        let (heard, ()) = tokio::join!(exchange(near, "hi"), peer);
        assert_eq!(heard.unwrap(), "yo");
    }
}
