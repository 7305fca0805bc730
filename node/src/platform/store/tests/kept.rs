//! Reading what a station left.

use super::*;

/// Every file of a folder with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files_in(folder).into_iter().map(|path| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in contents(from) {
        fs::create_dir_all(to.join(&name).parent().unwrap()).unwrap();
        fs::write(to.join(name), bytes).unwrap();
    }
}

#[tokio::test]
async fn who_only_reads_finds_what_was_left_and_changes_none_of_it() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    store.commit(put(Table::Requester, "k", "v")).await.unwrap();
    store.commit(with_blob("o", b"owned")).await.unwrap();
    store.commit(Batch { blobs: vec![block(b"nobody's")], ..Batch::default() }).await.unwrap();
    store.cache(dag(b"cached")).await.unwrap();
    drop(store);
    fs::write(home.path().join("temp/half"), b"hal").unwrap();
    let before = contents(home.path());
    let both = [Kept::open(home.path()).unwrap(), Kept::open(home.path()).unwrap()];
    for kept in &both {
        assert_eq!(records(kept, Table::Requester).await, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(kept.blob(block(b"owned").0).await, Ok(Some(b"owned".to_vec())));
        assert_eq!(kept.blob(block(b"never here").0).await, Ok(None));
        assert_eq!(kept.owned(Table::Worker, |_| true).await.unwrap(), [block(b"owned").0]);
        assert!(kept.commit(put(Table::Requester, "k", "another")).await.is_err());
    }
    assert!(matches!(open(home.path()).await, Err(StoreError::Locked { .. })), "no station starts meanwhile");
    drop(both);
    assert!(contents(home.path()) == before, "nothing is swept, emptied or committed");
    assert!(open(home.path()).await.is_ok());
}

#[tokio::test]
async fn where_a_station_runs_or_none_ever_ran_nothing_is_read_and_nothing_is_made() {
    let home = home();
    let kept = Kept::open(&home.path().join("nowhere")).unwrap();
    assert_eq!((records(&kept, Table::Requester).await, kept.blob(block(b"b").0).await), (Vec::new(), Ok(None)));
    assert!(!home.path().join("nowhere").exists());
    let store = open(home.path()).await.unwrap();
    assert!(matches!(Kept::open(home.path()), Err(StoreError::Locked { .. })));
    drop(store);
}

#[tokio::test]
async fn records_that_a_crash_left_are_mended_and_read() {
    let (home, crashed) = (home(), super::home());
    let store = open(home.path()).await.unwrap();
    store.commit(put(Table::Requester, "k", "v")).await.unwrap();
    copy(home.path(), crashed.path());
    drop(store);
    let kept = Kept::open(crashed.path()).unwrap();
    assert_eq!(records(&kept, Table::Requester).await, [("k".to_owned(), "v".to_owned())]);
}
