//! How far a response over HTTP/1 has got, by the bytes that went out. Pure.

/// How far a response has got.
#[derive(Debug)]
pub(super) enum Progress {
    /// Its head is on the way.
    Head(Head),
    /// Its body is.
    Body,
    /// The connection became something else; if that is a WebSocket, this knows where its frames begin.
    Upgraded(Frames),
}

impl Default for Progress {
    fn default() -> Self {
        Progress::Head(Head::default())
    }
}

/// The part of a head that was seen.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// `HTTP/1.1 nnn`, as far as it was seen.
    line: [u8; 12],
    seen: usize,
    /// How much of the empty line at the end was seen.
    ending: usize,
}

/// The end of a head.
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

impl Head {
    /// The status of a head that lies in `bytes` whole, and what follows it. Heads hardly ever go out in pieces, and those that do
    /// are taken in byte by byte.
    fn whole(&self, bytes: &[u8]) -> Option<(u16, usize)> {
        if self.seen > 0 {
            return None;
        }
        let ends = |end: &usize| bytes.get(..=*end).is_some_and(|head| head.ends_with(EMPTY_LINE));
        let end = memchr::memchr_iter(b'\n', bytes).find(ends)?;
        let line = bytes.first_chunk().filter(|line| line.len() <= end)?;
        Some((Head { line: *line, ..Head::default() }.status(), end + 1))
    }

    /// Takes in one byte; returns the status when the head is complete.
    fn take(&mut self, byte: u8) -> Option<u16> {
        if let Some(place) = self.line.get_mut(self.seen) {
            *place = byte;
        }
        self.seen += 1;
        self.ending = match EMPTY_LINE.get(self.ending) {
            Some(expected) if *expected == byte => self.ending + 1,
            _ => usize::from(byte == b'\r'),
        };
        (self.ending == EMPTY_LINE.len()).then(|| self.status())
    }

    /// The status; 0 when it cannot be read.
    fn status(&self) -> u16 {
        let digits = self.line.get(9..).unwrap_or_default();
        digits
            .iter()
            .try_fold(0u16, |status, digit| char::from(*digit).to_digit(10).map(|digit| status * 10 + digit as u16))
            .unwrap_or(0)
    }
}

/// Where in a sequence of WebSocket frames (RFC 6455, 5.2) the bytes have got.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; 14],
    seen: usize,
    payload_left: u64,
}

impl Frames {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                let skipped = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
                self.payload_left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.seen) {
                *place = *first;
            }
            self.seen += 1;
            bytes = rest;
            if self.seen >= 2 && self.seen == self.head_len() {
                self.payload_left = self.payload_len();
                self.seen = 0;
            }
        }
    }

    fn short_len(&self) -> u8 {
        self.head.get(1).map_or(0, |byte| byte & 0x7f)
    }

    fn extended(&self) -> usize {
        match self.short_len() {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn head_len(&self) -> usize {
        let masked = self.head.get(1).is_some_and(|byte| byte & 0x80 != 0);
        2 + self.extended() + if masked { 4 } else { 0 }
    }

    fn payload_len(&self) -> u64 {
        match self.extended() {
            0 => u64::from(self.short_len()),
            bytes => {
                let extended = self.head.get(2..2 + bytes).unwrap_or_default();
                extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
            }
        }
    }

    fn is_between_frames(&self) -> bool {
        self.seen == 0 && self.payload_left == 0
    }
}

impl Progress {
    /// Takes in bytes that went out.
    pub(super) fn advance(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        loop {
            match self {
                Progress::Body => return,
                Progress::Upgraded(frames) => return frames.take(bytes),
                Progress::Head(head) => {
                    let Some((first, rest)) = bytes.split_first() else { return };
                    let (status, rest) = match head.whole(bytes) {
                        Some((status, length)) => (Some(status), bytes.get(length..).unwrap_or_default()),
                        None => (head.take(*first), rest),
                    };
                    bytes = rest;
                    match status {
                        None => {}
                        Some(101) => *self = Progress::Upgraded(Frames::default()),
                        // The answer itself is still to come.
                        Some(100..=199) => *self = Progress::default(),
                        Some(_) => *self = Progress::Body,
                    }
                }
            }
        }
    }

    /// Whether nothing of the answer went out.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self, Progress::Head(head) if head.seen == 0)
    }

    /// Whether the connection became something else, and a frame may begin now.
    pub(super) fn takes_a_frame(&self) -> bool {
        matches!(self, Progress::Upgraded(frames) if frames.is_between_frames())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The progress after each piece of a text that is cut into pieces of `size`.
    fn after(text: &[u8], size: usize) -> Progress {
        let mut progress = Progress::default();
        text.chunks(size).for_each(|piece| progress.advance(piece));
        progress
    }

    #[test]
    fn the_answer_begins_after_what_only_announces_it() {
        for size in [1, 3, 100] {
            assert!(after(b"", size).is_untouched());
            assert!(after(b"HTTP/1.1 100 Continue\r\n\r\n", size).is_untouched());
            assert!(
                after(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", size)
                    .is_untouched()
            );
            assert!(!after(b"HTTP/1.1 100 Continue\r\n\r\nH", size).is_untouched());
            assert!(!after(b"H", size).is_untouched());
            assert!(matches!(after(b"HTTP/1.1 200 OK\r\n\r\n", size), Progress::Body));
            assert!(matches!(after(b"HTTP/1.1 200 OK\r\na: b\r\r\n\r\n", size), Progress::Body));
        }
    }

    #[test]
    fn a_frame_may_begin_where_another_has_ended() {
        const UPGRADE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let longer = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65536]].concat();
        let frames: [&[u8]; 6] =
            [&[0x81, 0], &[0x81, 2, b'h', b'i'], &long, &longer, &[0x89, 0x81, 1, 2, 3, 4, 5], &[0x81, 0]];
        for size in [1, 7, 4096] {
            let mut said = UPGRADE.to_vec();
            for frame in frames {
                assert!(after(&said, size).takes_a_frame());
                let end = said.len() + frame.len();
                said.extend_from_slice(frame);
                assert!((end - frame.len() + 1..end).step_by(97).all(|cut| !after(&said[..cut], size).takes_a_frame()));
            }
            assert!(after(&said, size).takes_a_frame());
        }
        assert!(!after(b"HTTP/1.1 200 OK\r\n\r\n", 5).takes_a_frame());
    }
}
