//! Random batches on the disk and in memory, with restarts: both keep the same blobs, and exactly those that somebody owns.

use std::collections::BTreeSet;

use station_protocol::content::sha256;
use station_protocol::durable::Key;

use super::*;
use crate::store::MemoryStore;

/// Even in `0..count`, the same for each seed.
struct Luck(u64, u64);

impl Luck {
    fn below(&mut self, count: u64) -> u64 {
        self.1 += 1;
        let hash = sha256(&[&self.0.to_be_bytes(), &self.1.to_be_bytes()]);
        u64::from_be_bytes(std::array::from_fn(|at| hash[at])) % count
    }

    fn owner(&mut self) -> (Table, Key) {
        let tables = [Table::Worker, Table::Requester, Table::Library];
        let table = tables[usize::try_from(self.below(3)).unwrap()];
        // Names that begin alike, and an empty one.
        let name = [&b""[..], b"a", b"ab", b"b"][usize::try_from(self.below(4)).unwrap()];
        (table, Key(name.to_vec()))
    }

    fn batch(&mut self, owned: &mut BTreeSet<(Table, Key, Cid)>) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..1 + self.below(3) {
            let ((table, key), blob) = (self.owner(), block(&self.below(6).to_be_bytes()));
            // Now and then the file comes without an owner, as if the process had died between the two.
            if self.below(5) > 0 {
                owned.insert((table, key.clone(), blob.0));
                batch.owns.push((table, key, blob.0));
            }
            batch.blobs.push(blob);
        }
        for _ in 0..self.below(3) {
            let (table, key) = self.owner();
            owned.retain(|(of, owner, _)| (of, owner) != (&table, &key));
            batch.deletes.push((table, key));
        }
        batch
    }
}

/// One history; the blobs of records that were lost.
async fn history(seed: u64, batches: usize) {
    let (home, mut luck, mut owned) = (home(), Luck(seed, 0), BTreeSet::new());
    let mut memory = MemoryStore::default();
    let mut disk = open(home.path()).await.unwrap();
    for _ in 0..batches {
        let batch = luck.batch(&mut owned);
        let [mut on_disk, mut in_memory] = [disk.commit(batch.clone()).await.unwrap(), memory.commit(batch).await.unwrap()];
        on_disk.sort();
        in_memory.sort();
        in_memory.dedup();
        assert_eq!(on_disk, in_memory, "seed {seed}: what went");
        if luck.below(4) == 0 {
            drop(disk);
            disk = open(home.path()).await.unwrap();
            memory = memory.crash();
            let files: BTreeSet<String> =
                files_in(&home.path().join("blobs")).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
            let names: BTreeSet<String> = owned.iter().map(|(.., cid)| cid.to_string()).collect();
            assert_eq!(files, names, "seed {seed}: after a start exactly what is owned is there");
            assert_eq!(memory.blobs().into_iter().map(|cid| cid.to_string()).collect::<BTreeSet<_>>(), names);
        }
        for (.., cid) in &owned {
            assert!(disk.blob(*cid).await.unwrap().is_some() && memory.blob(*cid).await.unwrap().is_some(), "seed {seed}: a blob is lost");
        }
    }
}

#[tokio::test]
async fn the_disk_and_the_memory_keep_exactly_what_is_owned_whatever_is_committed_and_whenever_they_restart() {
    for seed in 0..8 {
        history(seed, 16).await;
    }
}

#[tokio::test]
async fn a_blob_named_in_the_old_way_is_owned_as_any_other() {
    let home = home();
    let old = Cid::new_v0(*block(b"old").0.hash()).unwrap();
    let owns = vec![(Table::Library, Key(b"o".to_vec()), old)];
    let store = open(home.path()).await.unwrap();
    store.commit(Batch { blobs: vec![(old, b"old".to_vec())], owns, ..Batch::default() }).await.unwrap();
    drop(store);
    let store = open(home.path()).await.unwrap();
    assert!(store.blob(old).await.unwrap().is_some());
    assert_eq!(store.commit(delete(Table::Library, "o")).await.unwrap().len(), 1);
    assert_eq!(store.blob(old).await, Ok(None));
}
