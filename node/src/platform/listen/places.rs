//! [`Places`]: so many connections at once, and who goes when one more comes.
//!
//! Guarantees: never more places than there are; who is worked for, from a whole request to the end of its answer, is not let go; of the others,
//! also those in the middle of a request, the one of whom nothing came for longest is, but none in its first moments. Deliberately lacks sockets, and a queue: who comes waits at the listener.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) struct Places {
    max: usize,
    settle: Duration,
    next: u64,
    room: Arc<Room>,
}

/// A connection's place, free again when it is dropped.
pub(super) struct Place {
    id: u64,
    go: CancellationToken,
    room: Arc<Room>,
}

/// A request in progress: once it is whole its connection is not let go before this is dropped.
pub(super) struct Work {
    id: u64,
    room: Arc<Room>,
}

/// A request whose body is on its way: until this is dropped its connection waits, since the last that came.
pub(super) struct Receiving {
    id: u64,
    room: Arc<Room>,
}

impl Receiving {
    /// Something came.
    pub(super) fn came(&self) {
        if let Some(place) = self.room.taken().get_mut(&self.id) {
            place.waits_since = Instant::now();
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(place) = self.room.taken().get_mut(&self.id) {
            place.receiving -= 1;
            place.waits_since = Instant::now();
        }
    }
}

impl Places {
    pub(super) fn new(max: usize, settle: Duration) -> Self {
        Self { max, settle, next: 0, room: Arc::default() }
    }

    /// A place as soon as one is free; who waits longest is let go for it.
    pub(super) async fn take(&mut self) -> Place {
        loop {
            if let Some(place) = self.free() {
                return place;
            }
            match self.room.make(self.settle) {
                Some(settled) => tokio::select! {
                    () = tokio::time::sleep_until(settled) => {}
                    () = self.room.changed.notified() => {}
                },
                None => self.room.changed.notified().await,
            }
        }
    }

    fn free(&mut self) -> Option<Place> {
        let mut taken = self.room.taken();
        if taken.len() >= self.max {
            return None;
        }
        let (id, go) = (self.next, CancellationToken::new());
        self.next += 1;
        taken.insert(id, Taken { waits_since: Instant::now(), works: 0, receiving: 0, go: go.clone() });
        Some(Place { id, go, room: self.room.clone() })
    }
}

impl Place {
    /// A request begins; none does on a connection that was let go.
    pub(super) fn work(&self) -> Option<Work> {
        let mut taken = self.room.taken();
        let place = taken.get_mut(&self.id).filter(|place| !place.go.is_cancelled())?;
        place.works += 1;
        Some(Work { id: self.id, room: self.room.clone() })
    }

    /// The body of a request that has begun is to come.
    pub(super) fn receives(&self) -> Receiving {
        if let Some(place) = self.room.taken().get_mut(&self.id) {
            place.receiving += 1;
            place.waits_since = Instant::now();
        }
        self.room.changed.notify_one();
        Receiving { id: self.id, room: self.room.clone() }
    }

    /// Returns when another needs the place.
    pub(super) async fn let_go(&self) {
        self.go.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.taken().remove(&self.id);
        self.room.changed.notify_one();
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(place) = self.room.taken().get_mut(&self.id) {
            place.works -= 1;
            place.waits_since = Instant::now();
        }
        self.room.changed.notify_one();
    }
}

struct Taken {
    waits_since: Instant,
    /// Answers that have not ended. The next request may begin a moment before the last one's answer is dropped.
    works: u32,
    /// How many of them are requests that are not whole.
    receiving: u32,
    go: CancellationToken,
}

#[derive(Default)]
struct Room {
    taken: Mutex<BTreeMap<u64, Taken>>,
    /// A place is free, or somebody waits who did not.
    changed: Notify,
}

impl Room {
    fn taken(&self) -> MutexGuard<'_, BTreeMap<u64, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go who waits longest, or says when that may be: never while somebody goes already, or all work.
    fn make(&self, settle: Duration) -> Option<Instant> {
        let taken = self.taken();
        if taken.values().any(|place| place.go.is_cancelled()) {
            return None;
        }
        let (_, longest) = taken.iter().filter(|(_, place)| place.works == place.receiving).min_by_key(|(id, place)| (place.waits_since, **id))?;
        let settled = longest.waits_since + settle;
        if settled > Instant::now() {
            return Some(settled);
        }
        longest.go.cancel();
        None
    }
}
