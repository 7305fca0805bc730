//! Who owns what, and what cannot be written.

use super::*;
use crate::content::Content;

fn cid(name: &str) -> Cid {
    Content::raw(name.as_bytes()).cid
}

#[test]
fn a_blob_goes_with_its_last_owner() {
    let mut owners = Owners::default();
    for (owner, name) in [("worker", "a"), ("requester", "a"), ("worker", "b")] {
        owners.own(owner, cid(name));
    }
    assert_eq!(owners.release(&"worker"), [cid("b")]);
    assert!(owners.is_owned(&cid("a")) && !owners.is_owned(&cid("b")));
    assert_eq!(owners.release(&"requester"), [cid("a")]);
}

#[test]
fn to_own_twice_is_to_own_once_and_to_let_go_twice_is_nothing() {
    let mut owners = Owners::default();
    owners.own(1, cid("a"));
    owners.own(1, cid("a"));
    owners.own(2, cid("a"));
    assert_eq!(owners.release(&1), []);
    assert_eq!(owners.release(&1), []);
    assert_eq!(owners.release(&2), [cid("a")]);
}

#[test]
#[should_panic(expected = "could not be read back")]
fn a_blob_that_could_not_be_read_back_is_not_written() {
    Commit::<()>::default().bring(Key(b"k".to_vec()), cid("large"), vec![0; BLOB_BYTES_MAX + 1]);
}

#[test]
fn what_no_wanted_record_owns_is_brought_for_nobody() {
    let mut commit = Commit::<()>::default();
    for (owner, name) in [("public", "a"), ("private", "b"), ("private", "both"), ("public", "both")] {
        commit.bring(Key(owner.into()), cid(name), name.as_bytes().to_vec());
    }
    let brought: BTreeSet<(Cid, u64)> = commit.brought(|key| key.0 == b"public").collect();
    assert_eq!(brought, [(cid("a"), 1), (cid("both"), 4)].into());
}
