//! Small writes on one connection, gathered until they are flushed. Pure of sockets.
//!
//! Pingora writes the head of a response and its body one after the other and flushes at the end. Over TLS each write by itself is
//! a record to encrypt, a call into the system and a packet that wakes the client; gathered they are one of each.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::limits::GATHERED_BYTES_MAX;

/// Room for the head of most responses and a short body.
const USUAL: usize = 1024;

/// What was written and has not gone out: at most [`GATHERED_BYTES_MAX`], and no memory while it is nothing.
#[derive(Debug, Default)]
pub(super) struct Gathering(Vec<u8>);

impl Gathering {
    /// Writes to `to`, or gathers what is small. `outgoing` is told of all bytes that go out, in their order.
    pub(super) fn poll_write<W>(
        &mut self,
        mut to: Pin<&mut W>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        outgoing: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + ?Sized,
    {
        let length = slices.iter().map(|slice| slice.len()).fold(0, usize::saturating_add);
        if length <= GATHERED_BYTES_MAX.saturating_sub(self.0.len()) {
            self.gather(slices, length);
            return Poll::Ready(Ok(length));
        }
        loop {
            let before = (!self.0.is_empty()).then(|| IoSlice::new(&self.0));
            let all = before.into_iter().chain(slices.iter().copied()).collect::<Vec<_>>();
            let written = ready!(to.as_mut().poll_write_vectored(context, &all))?;
            let of_slices = written.saturating_sub(self.0.len());
            self.let_go(written, outgoing)?;
            if of_slices > 0 {
                tell(slices, of_slices, outgoing);
                return Poll::Ready(Ok(of_slices));
            }
        }
    }

    /// Has everything gathered go out.
    pub(super) fn poll_drain<W>(
        &mut self,
        mut to: Pin<&mut W>,
        context: &mut Context<'_>,
        outgoing: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + ?Sized,
    {
        while !self.0.is_empty() {
            let written = ready!(to.as_mut().poll_write(context, &self.0))?;
            self.let_go(written, outgoing)?;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has not gone out, for whoever will send it instead.
    pub(super) fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.0)
    }

    fn gather(&mut self, slices: &[IoSlice<'_>], length: usize) {
        if self.0.capacity() == 0 && length > 0 {
            self.0.reserve(length.max(USUAL));
        }
        slices.iter().for_each(|slice| self.0.extend_from_slice(slice));
    }

    /// Up to `written` bytes of these have gone out.
    fn let_go(&mut self, written: usize, outgoing: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        match self.0.get(written..) {
            Some(rest) if !rest.is_empty() => {
                outgoing(self.0.get(..written).unwrap_or_default());
                self.0.drain(..written);
            }
            _ if self.0.is_empty() => {}
            _ => outgoing(&self.take()),
        }
        Ok(())
    }
}

/// Tells of the first `length` bytes of `slices`.
fn tell(slices: &[IoSlice<'_>], length: usize, outgoing: &mut dyn FnMut(&[u8])) {
    let mut left = length;
    for slice in slices {
        let part = slice.get(..left).unwrap_or(slice);
        outgoing(part);
        left = left.saturating_sub(part.len());
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    /// A peer that takes so many bytes at each call, and makes the writer wait where that is 0.
    struct Peer {
        takes: Vec<usize>,
        got: Vec<u8>,
        calls: usize,
    }

    impl Peer {
        fn taking(takes: &[usize]) -> Self {
            Peer { takes: takes.to_vec(), got: Vec::new(), calls: 0 }
        }
    }

    impl AsyncWrite for Peer {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(context, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.calls += 1;
            let bytes = slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<_>>();
            let takes = self.takes.pop().unwrap_or(bytes.len()).min(bytes.len());
            if takes == 0 {
                return Poll::Pending;
            }
            self.got.extend_from_slice(&bytes[..takes]);
            Poll::Ready(Ok(takes))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_head_and_a_short_body_go_out_in_one_write() {
        let mut gathering = Gathering::default();
        let mut peer = Peer::taking(&[]);
        let context = &mut Context::from_waker(Waker::noop());
        for piece in [&b"head"[..], b"body"] {
            let written = gathering.poll_write(Pin::new(&mut peer), context, &[IoSlice::new(piece)], &mut |_| {});
            assert!(matches!(written, Poll::Ready(Ok(4))));
        }
        assert_eq!(peer.calls, 0);
        assert!(gathering.poll_drain(Pin::new(&mut peer), context, &mut |_| {}).is_ready());
        assert_eq!((peer.calls, &*peer.got), (1, &b"headbody"[..]));
        assert_eq!(gathering.0.capacity(), 0);
    }

    #[test]
    fn a_head_goes_out_together_with_a_long_body() {
        let mut gathering = Gathering::default();
        let mut peer = Peer::taking(&[]);
        let context = &mut Context::from_waker(Waker::noop());
        let body = vec![7; GATHERED_BYTES_MAX];
        for piece in [&b"head"[..], &body] {
            let written = gathering.poll_write(Pin::new(&mut peer), context, &[IoSlice::new(piece)], &mut |_| {});
            assert!(matches!(written, Poll::Ready(Ok(length)) if length == piece.len()));
        }
        assert_eq!((peer.calls, peer.got.len()), (1, 4 + body.len()));
    }

    #[test]
    fn a_peer_that_takes_nothing_any_more_is_an_error() {
        struct Deaf;
        impl AsyncWrite for Deaf {
            fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
                Poll::Ready(Ok(0))
            }
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
        let context = &mut Context::from_waker(Waker::noop());
        let mut gathering = Gathering(b"head".to_vec());
        let drained = gathering.poll_drain(Pin::new(&mut Deaf), context, &mut |_| {});
        assert!(matches!(drained, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WriteZero));
    }

    proptest! {
        /// Whatever is written in whatever pieces, and however slowly it is taken: it arrives whole and in order, what is told
        /// of is what arrived, and no more is kept than the bound.
        #[test]
        fn everything_arrives_in_order(
            pieces in prop::collection::vec((0..6000usize, 0..6000usize, any::<bool>()), 0..12),
            takes in prop::collection::vec(0..9000usize, 0..24),
        ) {
            let mut gathering = Gathering::default();
            let mut peer = Peer::taking(&takes);
            let context = &mut Context::from_waker(Waker::noop());
            let (mut said, mut told) = (Vec::new(), Vec::new());
            for (one, two, drain) in pieces {
                let bytes = (0..one + two).map(|n| (said.len() + n) as u8).collect::<Vec<_>>();
                let mut left = &bytes[..];
                while !left.is_empty() {
                    let (first, second) = left.split_at(one.min(left.len()));
                    let slices = [IoSlice::new(first), IoSlice::new(second)];
                    match gathering.poll_write(Pin::new(&mut peer), context, &slices, &mut |out| told.extend_from_slice(out)) {
                        Poll::Pending => {}
                        Poll::Ready(written) => left = &left[written.unwrap()..],
                    }
                    prop_assert!(gathering.0.len() <= GATHERED_BYTES_MAX);
                }
                said.extend(bytes);
                while drain
                    && gathering.poll_drain(Pin::new(&mut peer), context, &mut |out| told.extend_from_slice(out)).is_pending()
                {}
                prop_assert_eq!(&told, &peer.got);
                prop_assert_eq!([&peer.got[..], &gathering.0].concat(), said.clone());
                prop_assert!(!drain || gathering.is_empty());
            }
        }
    }
}
