//! What is here and was changed is not what is absent.

use station_protocol::content::DAG_CBOR;

use super::*;
use crate::store::{Batch, MemoryStore};

#[tokio::test(start_paused = true)]
async fn jobs_that_are_here_and_were_changed_are_told_apart_from_jobs_that_are_absent() {
    let store = MemoryStore::default();
    let (root, bytes) = (station_protocol::content::cid_of(DAG_CBOR, b"jobs"), b"jobs".to_vec());
    assert!(matches!(jobs(&store, &root).await, Ok(None)));
    store.commit(Batch { blobs: vec![(root, bytes)], ..Batch::default() }).await.expect("kept");
    assert!(store.flip_bit(&root));
    let changed = jobs(&store, &root).await.expect_err("they are no jobs");
    assert!(matches!(changed, HandleError::Damaged(cid) if cid == root));
    assert!(changed.to_string().contains("other bytes"), "{changed}");
    let absent = station_protocol::content::cid_of(DAG_CBOR, b"absent");
    assert!(are_whole(&store, vec![absent]).await.is_ok());
    assert!(are_whole(&store, vec![absent, root]).await.is_err());
}
