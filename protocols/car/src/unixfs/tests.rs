//! Files against CIDs that another implementation gave (`fixtures/cids.txt`), and against nodes that lie.

use cid::Cid;
use ipld_dagpb::{PbLink, PbNode};
use proptest::prelude::*;

use super::build::build_with;
use super::node::{FileNode, NodeError, TYPE_FILE};
use super::*;
use crate::block::{DAG_CBOR, DAG_PB, RAW, cid_of};
use crate::tests::content;

const PLENTY: u64 = 1 << 20;

fn node(links: &[(Cid, &str)], message: Vec<u8>) -> (Cid, Vec<u8>) {
    let links = links.iter().map(|(cid, name)| PbLink { cid: *cid, name: Some((*name).to_owned()), size: None }).collect();
    let bytes = PbNode { links, data: Some(message.into()) }.into_bytes();
    (cid_of(DAG_PB, &bytes), bytes)
}

fn file(file_bytes: u64, block_bytes: &[u64]) -> Vec<u8> {
    FileNode { data: Vec::new(), file_bytes, block_bytes: block_bytes.to_vec() }.encode()
}

/// The message of a file with inline bytes, which we never write.
fn inline_file(data: &[u8], file_bytes: u64, block_bytes: &[u64]) -> Vec<u8> {
    let mut out = vec![1 << 3, TYPE_FILE as u8, 2 << 3 | 2, data.len() as u8];
    out.extend_from_slice(data);
    out.extend_from_slice(&file(file_bytes, block_bytes)[2..]);
    out
}

/// Whichever way a file is read, it is the same.
fn read(root: &Cid, blocks: &[(Cid, Vec<u8>)]) -> Result<Vec<u8>, FileError> {
    let file = assemble(root, blocks, PLENTY);
    assert_eq!(assemble_owned(root, blocks.to_vec(), PLENTY), file);
    assert_eq!(check(root, blocks, PLENTY), file.as_ref().map(|bytes| bytes.len() as u64).map_err(Clone::clone));
    file
}

#[test]
fn cids_are_those_of_another_implementation() {
    let mut lines = 0;
    for line in include_str!("../../fixtures/cids.txt").lines() {
        let [kind, length, salt, cid] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let bytes = content(length.parse().unwrap(), salt.parse().unwrap());
        let dag = if kind == "profile" { build(&bytes) } else { build_with(&bytes, 256, 4) };
        assert_eq!(dag.root.to_string(), cid, "{line}");
        lines += 1;
    }
    assert_eq!(lines, 10);
}

#[test]
fn a_file_of_one_chunk_is_one_raw_block() {
    for length in [0, 1, CHUNK_BYTES] {
        let dag = build(&content(length, 1));
        assert_eq!((dag.root.codec(), dag.blocks.len()), (RAW, 1));
    }
    assert_eq!(build(&content(CHUNK_BYTES + 1, 1)).root.codec(), DAG_PB);
}

#[test]
fn a_node_must_give_one_size_per_link() {
    let leaf = (cid_of(RAW, b"leaf"), b"leaf".to_vec());
    for sizes in [&[][..], &[4, 4]] {
        let root = node(&[(leaf.0, "")], file(sizes.iter().sum(), sizes));
        let found = read(&root.0, &[root.clone(), leaf.clone()]);
        assert_eq!(found, Err(FileError::SizesMissing { cid: Box::new(root.0), links: 1, sizes: sizes.len() }));
    }
}

#[test]
fn links_in_a_file_have_no_names() {
    let leaf = (cid_of(RAW, b"leaf"), b"leaf".to_vec());
    let root = node(&[(leaf.0, "x")], file(4, &[4]));
    assert_eq!(read(&root.0, &[root.clone(), leaf]), Err(FileError::NamedLink { cid: root.0 }));
}

#[test]
fn a_file_is_as_long_as_it_says_at_every_level() {
    let leaf = (cid_of(RAW, b"leaf"), b"leaf".to_vec());
    let root = node(&[(leaf.0, "")], file(5, &[4]));
    let mismatch = |cid: Cid, declared, found| Err(FileError::SizeMismatch { cid: Box::new(cid), declared, found });
    assert_eq!(read(&root.0, &[root.clone(), leaf.clone()]), mismatch(root.0, 5, 4));
    let root = node(&[(leaf.0, "")], file(3, &[3]));
    assert_eq!(read(&root.0, &[root.clone(), leaf.clone()]), mismatch(leaf.0, 3, 4));
    let inner = node(&[(leaf.0, "")], file(4, &[4]));
    let root = node(&[(inner.0, "")], file(9, &[9]));
    assert_eq!(read(&root.0, &[root.clone(), inner.clone(), leaf]), mismatch(inner.0, 9, 4));
}

#[test]
fn sizes_that_overflow_are_refused() {
    let leaf = (cid_of(RAW, b"leaf"), b"leaf".to_vec());
    let root = node(&[(leaf.0, ""), (leaf.0, "")], file(3, &[u64::MAX, 4]));
    assert!(matches!(read(&root.0, &[root.clone(), leaf.clone()]), Err(FileError::SizeMismatch { .. })));
    let root = node(&[(leaf.0, ""), (leaf.0, "")], file(u64::MAX, &[u64::MAX, 4]));
    assert_eq!(read(&root.0, &[root.clone(), leaf]), Err(FileError::TooLarge { max: PLENTY }));
}

#[test]
fn inline_bytes_come_before_the_children_and_count() {
    let leaf = (cid_of(RAW, b"leaf"), b"leaf".to_vec());
    let root = node(&[(leaf.0, "")], inline_file(b"in", 6, &[4]));
    assert_eq!(read(&root.0, &[root.clone(), leaf.clone()]).unwrap(), b"inleaf");
    let root = node(&[(leaf.0, "")], inline_file(b"in", 4, &[4]));
    assert!(matches!(read(&root.0, &[root.clone(), leaf]), Err(FileError::SizeMismatch { .. })));
}

#[test]
fn a_few_blocks_cannot_stand_for_terabytes() {
    // Each level names the level below 1,000 times: 10^15 bytes in six blocks.
    let mut below = (cid_of(RAW, b"x"), b"x".to_vec());
    let mut blocks = vec![below.clone()];
    let mut size = 1;
    for _ in 0..5 {
        let sizes = vec![size; 1_000];
        size *= 1_000;
        below = node(&vec![(below.0, ""); 1_000], file(size, &sizes));
        blocks.push(below.clone());
    }
    assert_eq!(assemble(&below.0, &blocks, PLENTY), Err(FileError::TooLarge { max: PLENTY }));
}

#[test]
fn children_of_no_bytes_are_not_visited() {
    let absent = cid_of(RAW, b"");
    let leaf = (cid_of(RAW, b"leaf"), b"leaf".to_vec());
    let root = node(&[(absent, ""), (leaf.0, "")], file(4, &[0, 4]));
    assert_eq!(read(&root.0, &[root.clone(), leaf]).unwrap(), b"leaf");
}

#[test]
fn a_large_node_that_is_linked_again_and_again_is_read_a_bounded_number_of_times() {
    // One byte of file and 20 kB of a field that nobody knows, sent once and linked 40,000 times.
    let mut message = inline_file(&[7], 1, &[]);
    message.push(15 << 3 | 2);
    crate::varint::encode(20_000, &mut message);
    message.extend([0; 20_000]);
    let heavy = node(&[], message);
    let middle = node(&[(heavy.0, ""); 200], file(200, &[1; 200]));
    let root = node(&[(middle.0, ""); 200], file(40_000, &[200; 200]));
    let blocks = [root.clone(), middle, heavy];
    assert!(matches!(assemble(&root.0, &blocks, 40_000), Err(FileError::TooMuchWork { .. })));
}

#[test]
fn a_block_that_is_linked_again_and_again_is_there_until_its_last_use() {
    let leaf = (cid_of(RAW, b"leaf"), b"leaf".to_vec());
    let other = (cid_of(RAW, b"other"), b"other".to_vec());
    let root = node(&[(leaf.0, ""), (other.0, ""), (leaf.0, "")], file(13, &[4, 5, 4]));
    assert_eq!(read(&root.0, &[root.clone(), leaf, other]).unwrap(), b"leafotherleaf");
}

#[test]
fn depth_is_bounded_in_files_too() {
    let mut below = (cid_of(RAW, b"x"), b"x".to_vec());
    let mut blocks = vec![below.clone()];
    for _ in 0..crate::DEPTH_MAX + 1 {
        below = node(&[(below.0, "")], file(1, &[1]));
        blocks.push(below.clone());
    }
    assert_eq!(assemble(&below.0, &blocks, PLENTY), Err(FileError::TooDeep));
}

#[test]
fn links_waiting_are_bounded_in_files_too() {
    let leaf = (cid_of(RAW, b"x"), b"x".to_vec());
    let inner = node(&vec![(leaf.0, ""); 40_000], file(40_000, &vec![1; 40_000]));
    let sizes = [vec![40_000], vec![1; 40_000]].concat();
    let root = node(&[vec![(inner.0, "")], vec![(leaf.0, ""); 40_000]].concat(), file(80_000, &sizes));
    // Room enough for nodes of megabytes.
    let room = 16 << 20;
    assert_eq!(assemble(&root.0, &[root.clone(), inner.clone(), leaf.clone()], room), Err(FileError::TooManyLinks));
    assert_eq!(assemble(&inner.0, &[inner.clone(), leaf], room).unwrap().len(), 40_000);
}

#[test]
fn what_is_not_a_file_is_named() {
    let directory = node(&[], vec![1 << 3, 1]);
    assert_eq!(
        read(&directory.0, std::slice::from_ref(&directory)),
        Err(FileError::Node { cid: Box::new(directory.0), reason: NodeError::NotAFile(1) })
    );
    let nothing = node(&[], Vec::new());
    assert_eq!(read(&nothing.0, std::slice::from_ref(&nothing)), Err(FileError::Node { cid: Box::new(nothing.0), reason: NodeError::Malformed }));
    let other = cid_of(DAG_CBOR, &[0xa0]);
    assert!(matches!(read(&other, &[(other, vec![0xa0])]), Err(FileError::Block(_))));
    let root = cid_of(RAW, b"gone");
    assert_eq!(read(&root, &[]), Err(FileError::Missing { cid: root }));
}

#[test]
fn a_file_larger_than_allowed_is_refused_at_its_root() {
    let dag = build_with(&content(5_000, 1), 256, 4);
    assert_eq!(assemble(&dag.root, &dag.blocks, 4_999), Err(FileError::TooLarge { max: 4_999 }));
    assert_eq!(assemble(&dag.root, &dag.blocks, 5_000).unwrap().len(), 5_000);
    let mut reader = FileReader::new(dag.root, 4_999);
    let root = dag.blocks.iter().find(|(cid, _)| *cid == dag.root).unwrap();
    assert_eq!(reader.supply(&root.1), Err(FileError::TooLarge { max: 4_999 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_comes_back_from_its_blocks(bytes in prop::collection::vec(any::<u8>(), 0..3_000), chunk in 1usize..300, links in 2usize..6) {
        let dag = build_with(&bytes, chunk, links);
        prop_assert_eq!(assemble(&dag.root, &dag.blocks, PLENTY).unwrap(), bytes);
    }

    #[test]
    fn strange_messages_are_read_without_a_panic(message in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = FileNode::decode(&message);
        let root = node(&[], message);
        let _ = read(&root.0, std::slice::from_ref(&root));
    }
}
