//! The entry for the fuzz target `car_request` in `node/fuzz` and for the replay of its corpus.
//!
//! Guarantees: nothing here is called by a station. Deliberately lacks CARs: `station-car` has its own targets.

use futures::FutureExt;
use futures::io::Cursor;

use super::wire;

/// What somebody sends who asks for content, and the status byte of an answer: a request is written in the bytes it was read from.
pub fn car_request(bytes: &[u8]) {
    let there = "what is in memory is there";
    if let Ok(Some(request)) = wire::read_request(&mut Cursor::new(bytes)).now_or_never().expect(there) {
        let mut written = Cursor::new(Vec::new());
        wire::write_request(&mut written, &request).now_or_never().expect(there).expect("memory takes it");
        assert!(bytes.starts_with(written.get_ref()), "a request has one form");
        assert!(written.get_ref().len() <= wire::REQUEST_BYTES_MAX + 2);
    }
    let _ = wire::read_status(&mut Cursor::new(bytes)).now_or_never().expect(there);
}
