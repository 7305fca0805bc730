//! What is said of a store that cannot be read: which file it is, what is lost with it, and what to do.
//!
//! Guarantees: what the system refused, like a file of somebody else's, is not called damaged. Deliberately lacks mending: redb does what can
//! be done by itself.

use super::home::{Home, quoted};
use crate::store::StoreError;

/// The words for a store that failed before anything was done with it; nothing where something else is the matter.
#[must_use]
pub fn of_store(home: &Home, error: &StoreError) -> Option<String> {
    match error {
        StoreError::Damaged { reason, .. } => Some(of(home, reason)),
        StoreError::Failed { .. } | StoreError::Locked { .. } | StoreError::Full { .. } => None,
    }
}

/// The words for records that cannot be read, for this `reason`.
#[must_use]
pub fn of(home: &Home, reason: &str) -> String {
    let (store, run) = (home.path("store"), home.call("run"));
    let (file, moved) = (store.join("records.redb"), home.path("store.damaged"));
    let (file, store, moved) = (file.display(), quoted(&store), quoted(&moved));
    format!(
        "{file} is damaged, or a newer station wrote it, which then reads it: {reason}. Lost with it are own \
         experiments with their results, receipts that were to be delivered, the ledger of \
         activity and what was used of today's budgets; key, settings, policy and network are whole. Put a copy of the folder back if there is \
         one, else `mv {store} {moved}` and then `{run}`: the station begins with an empty store"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::offline::Offline;
    use super::super::store::{Bounds, RedbStore};
    use super::*;

    #[tokio::test]
    async fn a_damaged_store_is_named_with_what_is_lost_and_what_to_do() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let home = Home::new(dir.path().join("station"));
        home.init().expect("a home");
        let store = home.private_folder("store").expect("a folder");
        drop(RedbStore::open(&store, Bounds::of(1 << 30)).await.expect("a store"));
        assert!(Offline::open(&home).await.is_ok());
        let records = store.join("records.redb");
        let whole = fs::read(&records).expect("it is there");
        for damaged in [b"no records at all".repeat(1_000), [&[0; 4096], &whole[4096..]].concat(), Vec::new()] {
            fs::write(&records, damaged).expect("written");
            let error = RedbStore::open(&store, Bounds::of(1 << 30)).await.expect_err("damaged");
            let words = of_store(&home, &error).unwrap_or_else(|| panic!("{error} is damage"));
            let offline = Offline::open(&home).await.expect_err("damaged").to_string();
            for said in [words, offline] {
                assert!(
                    ["records.redb is damaged", "Lost with it", "results", "key, settings", "mv "].iter().all(|part| said.contains(part)),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn what_the_system_refuses_is_not_called_damaged() {
        let home = Home::new("/nowhere".into());
        let refused = StoreError::Failed { path: "/nowhere/store".into(), reason: "Permission denied (os error 13)".into() };
        assert_eq!(of_store(&home, &refused), None);
        assert_eq!(of_store(&home, &StoreError::Locked { path: "p".into() }), None);
    }
}
