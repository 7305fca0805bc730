//! A channel where streams know no deadline: two pipes, and a thread for each.
//!
//! Guarantees: reading and writing end at the deadline however slowly the other end drips; an error of kind `TimedOut` means that
//! moment and nothing else, and the channel is of no use after it; at most a few [`PIECE_BYTES`] wait in it. The threads end when the
//! other end is gone. Deliberately lacks anything of one system, so that its tests run on all.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use super::left;

/// Most bytes that one of the threads moves at once.
const PIECE_BYTES: usize = 64 << 10;

/// The parent's end.
pub(crate) struct Channel {
    arrived: Receiver<io::Result<Vec<u8>>>,
    /// What arrived and was not read yet, from `at` on.
    piece: Vec<u8>,
    at: usize,
    to_write: SyncSender<Vec<u8>>,
    written: Receiver<io::Result<()>>,
}

/// The worker's end: two plain blocking pipes.
#[derive(Debug)]
pub struct Socket {
    pub(super) from: PipeReader,
    pub(super) to: PipeWriter,
}

/// Both ends.
pub(crate) fn pair() -> io::Result<(Channel, Socket)> {
    let (from, theirs_to) = io::pipe()?;
    let (theirs_from, to) = io::pipe()?;
    Ok((Channel::new(from, to)?, Socket { from: theirs_from, to: theirs_to }))
}

impl Channel {
    fn new(mut from: PipeReader, mut to: PipeWriter) -> io::Result<Self> {
        let (arriving, arrived) = sync_channel(1);
        let reads = move || {
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let read = from.read(&mut piece).map(|bytes| {
                    piece.truncate(bytes);
                    piece
                });
                let last = !matches!(&read, Ok(piece) if !piece.is_empty());
                if arriving.send(read).is_err() || last {
                    return;
                }
            }
        };
        let (to_write, pieces) = sync_channel::<Vec<u8>>(1);
        let (done, written) = sync_channel(1);
        let writes = move || {
            for piece in pieces {
                if done.send(to.write_all(&piece)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("station-read".into()).spawn(reads)?;
        std::thread::Builder::new().name("station-write".into()).spawn(writes)?;
        Ok(Self { arrived, piece: Vec::new(), at: 0, to_write, written })
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.piece = match self.arrived.recv_timeout(left(deadline)?) {
                Ok(piece) => piece?,
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => Vec::new(),
            };
            self.at = 0;
        }
        let rest = &self.piece[self.at..];
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        self.at += bytes;
        Ok(bytes)
    }

    pub(crate) fn write(&mut self, buffer: &[u8], deadline: Instant) -> io::Result<usize> {
        let left = left(deadline)?;
        let piece = &buffer[..buffer.len().min(PIECE_BYTES)];
        self.to_write.send(piece.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        match self.written.recv_timeout(left) {
            Ok(written) => written.map(|()| piece.len()),
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.from).read(buffer)
    }
}

impl Write for &Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&self.to).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn bytes_arrive_in_order_in_pieces_of_any_size() {
        let (mut ours, theirs) = pair().unwrap();
        let sent = (0..300_000_u32).map(|n| n as u8).collect::<Vec<_>>();
        let echo = std::thread::spawn(move || {
            let mut bytes = vec![0; 300_000];
            (&theirs).read_exact(&mut bytes).unwrap();
            (&theirs).write_all(&bytes).unwrap();
        });
        let mut at = 0;
        while at < sent.len() {
            at += ours.write(&sent[at..], later()).unwrap();
        }
        let mut got = Vec::new();
        loop {
            let mut buffer = [0; 7_777];
            match ours.read(&mut buffer, later()).unwrap() {
                0 => break,
                bytes => got.extend_from_slice(&buffer[..bytes]),
            }
        }
        echo.join().unwrap();
        assert!(got == sent);
    }

    #[test]
    fn reading_ends_at_the_deadline() {
        let (mut ours, theirs) = pair().unwrap();
        assert_eq!(ours.read(&mut [0], soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        (&theirs).write_all(b"x").unwrap();
        assert_eq!(ours.read(&mut [0; 2], later()).unwrap(), 1);
    }

    #[test]
    fn writing_to_an_end_that_does_not_read_ends_at_the_deadline() {
        let (mut ours, theirs) = pair().unwrap();
        let error = loop {
            match ours.write(&[0; PIECE_BYTES], soon()) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[test]
    fn an_end_that_is_gone_is_an_end_of_file_and_a_broken_pipe() {
        let (mut ours, theirs) = pair().unwrap();
        (&theirs).write_all(b"last").unwrap();
        drop(theirs);
        assert_eq!(ours.read(&mut [0; 8], later()).unwrap(), 4);
        assert_eq!(ours.read(&mut [0; 8], later()).unwrap(), 0);
        assert_eq!(ours.read(&mut [0; 8], later()).unwrap(), 0);
        assert_eq!(ours.write(b"x", later()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
