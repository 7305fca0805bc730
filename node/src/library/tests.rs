//! Files go in and come out as they were, or not at all.

use super::*;
use crate::store::MemoryStore;

#[tokio::test]
async fn a_bundled_module_is_here_and_an_unknown_one_is_not() {
    let library = Library::new(Arc::new(MemoryStore::default()));
    let root = station_car::unixfs::build(BUNDLED[0].bytes).root;
    assert_eq!(library.bundled(&root), Some(BUNDLED[0].bytes));
    let [right, wrong] = [0, 1].map(|more| Content { cid: root, bytes: BUNDLED[0].bytes.len() as u64 + more });
    assert_eq!([library.contradicts(&right), library.contradicts(&wrong)], [false, true]);
    let unknown = Content { cid: station_car::unixfs::build(&[7; 100]).root, bytes: 100 };
    assert!(!library.contradicts(&unknown));
    assert_eq!(library.file(&unknown).await, Ok(None));
}

#[tokio::test]
async fn a_file_of_several_blocks_comes_back_as_it_was_until_one_is_damaged() {
    let store = MemoryStore::default();
    let library = Library::new(Arc::new(store.clone()));
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| index.to_le_bytes()[1] ^ index.to_le_bytes()[2]).collect();
    let content = library.keep(&bytes).await.expect("the disk works");
    assert!(library.file(&content).await.expect("the disk works").as_ref() == Some(&bytes));
    let blocks = station_car::unixfs::build(&bytes).blocks;
    assert!(blocks.len() > 2);
    assert!(store.flip_bit(&blocks[0].0));
    assert_eq!(library.file(&content).await, Ok(None));
}
