//! [`Room`]: whether the disk has room for what work brings.
//!
//! Guarantees: it is asked again and again without waiting for the answer; below `ROOM_BYTES_MIN` no work is taken, and above it work
//! is taken again, each said once. Deliberately lacks what ends a station: a Commit for which there is no room does.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::store::{ROOM_BYTES_MIN, Store, StoreError};

pub(super) struct Room {
    store: Arc<dyn Store>,
    asked: Option<BoxFuture<'static, Result<u64, StoreError>>>,
    enough: bool,
}

impl Room {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, asked: None, enough: true }
    }

    /// Asks, unless an answer is still to come.
    pub(super) fn ask(&mut self) {
        if self.asked.is_none() {
            self.asked = Some(self.store.room());
        }
    }

    /// Whether there is enough, when that has changed; never when nothing was asked. Cancel-safe.
    pub(super) async fn changed(&mut self) -> Result<bool, StoreError> {
        loop {
            let Some(asked) = &mut self.asked else { return std::future::pending().await };
            let room = asked.await;
            self.asked = None;
            let enough = room? >= ROOM_BYTES_MIN;
            if enough != std::mem::replace(&mut self.enough, enough) {
                return Ok(enough);
            }
        }
    }

    pub(super) fn is_enough(&self) -> bool {
        self.enough
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn only_a_change_is_told() {
        let store = MemoryStore::default();
        let mut room = Room::new(Arc::new(store.clone()));
        assert!(room.changed().now_or_never().is_none(), "nothing was asked");
        for (bytes, told) in [(ROOM_BYTES_MIN, None), (ROOM_BYTES_MIN - 1, Some(Ok(false))), (0, None), (u64::MAX, Some(Ok(true)))] {
            store.set_room(bytes);
            room.ask();
            assert_eq!(room.changed().now_or_never(), told, "{bytes} bytes");
        }
    }
}
