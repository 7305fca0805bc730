//! The whole crate against CARs that other implementations made (`fixtures/make.mjs`), against damage, and against itself.

use std::collections::BTreeMap;

use cid::Cid;
use ipld_core::ipld::Ipld;
use ipld_dagpb::{PbLink, PbNode};
use multihash::Multihash;
use proptest::prelude::*;

use crate::block::{BLOCK_BYTES_MAX, BlockError, DAG_CBOR, DAG_PB, IDENTITY, RAW, SHA2_256, cid_of};
use crate::unixfs::{assemble, build};
use crate::varint::{self, VarintError};
use crate::*;

const RAW_LEAVES: &[u8] = include_bytes!("../fixtures/file-raw-leaves.car");
const VERSION_0: &[u8] = include_bytes!("../fixtures/file-version-0.car");
const DUPS_Y: &[u8] = include_bytes!("../fixtures/file-dups-y.car");
const DUPS_N: &[u8] = include_bytes!("../fixtures/file-dups-n.car");
const CBOR: &[u8] = include_bytes!("../fixtures/dag-cbor.car");
const IPFS_CAR: &[u8] = include_bytes!("../fixtures/ipfs-car.car");
const UNORDERED: &[u8] = include_bytes!("../fixtures/unordered.car");
const NO_ROOTS: &[u8] = include_bytes!("../fixtures/no-roots.car");
/// What gateways append when they give up in the middle.
const MARKER: &[u8] = b"\n\n[Gateway Error: Response truncated - timeout]";
const PLENTY: u64 = 1 << 20;

/// The formula of `fixtures/make.mjs`.
pub(crate) fn content(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + (i >> 8) * 7 + salt) as u8).collect()
}

fn header_bytes(car: &[u8]) -> usize {
    let (length, prefix) = varint::decode(car).unwrap().unwrap();
    prefix + length as usize
}

fn root_of(car: &[u8]) -> Cid {
    let mut reader = Reader::new();
    reader.push(car);
    match reader.poll() {
        Ok(Some(Event::Header(roots))) => roots[0],
        other => panic!("no header: {other:?}"),
    }
}

fn read(car: &[u8]) -> Result<Vec<Block>, CarError> {
    let mut reader = Reader::new();
    reader.push(car);
    reader.end();
    let mut blocks = Vec::new();
    loop {
        match reader.poll()? {
            Some(Event::Block(block)) => blocks.push(block),
            Some(Event::Header(_)) => {}
            Some(Event::End) => return Ok(blocks),
            None => panic!("a reader whose stream ended waits for more"),
        }
    }
}

/// What was released, and how it ended: the number of trailing bytes, or why not.
type Verified = (Vec<Block>, Result<u64, DagError>);

fn verify_in(pieces: &[&[u8]], root: Cid, max_bytes: u64) -> Verified {
    let mut verifier = match Verifier::new(root, max_bytes) {
        Ok(verifier) => verifier,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut blocks = Vec::new();
    for index in 0..=pieces.len() {
        match pieces.get(index) {
            Some(piece) => verifier.push(piece),
            None => verifier.end(),
        }
        loop {
            match verifier.poll() {
                Ok(Progress::Block(block)) => blocks.push(block),
                Ok(Progress::More) => break,
                Ok(Progress::Complete) if index < pieces.len() => break,
                Ok(Progress::Complete) => return (blocks, Ok(verifier.trailing_bytes())),
                Err(error) => return (blocks, Err(error)),
            }
        }
    }
    panic!("a verifier whose stream ended waits for more")
}

fn verify_whole(car: &[u8], root: Cid) -> Verified {
    verify_in(&[car], root, PLENTY)
}

fn refusal(car: &[u8], root: Cid) -> DagError {
    verify_whole(car, root).1.expect_err("this stream must be refused")
}

/// Each once, in the order of their CIDs.
fn by_cid(blocks: &[Block]) -> Vec<(Cid, Vec<u8>)> {
    blocks.iter().map(|block| (block.cid, block.bytes.clone())).collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn section(cid: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::encode((cid.len() + bytes.len()) as u64, &mut out);
    out.extend_from_slice(cid);
    out.extend_from_slice(bytes);
    out
}

fn car_of(root: Cid, sections: &[Vec<u8>]) -> Vec<u8> {
    let mut car = Writer::new(root).unwrap().header();
    for section in sections {
        car.extend_from_slice(section);
    }
    car
}

fn cbor(value: &Ipld) -> (Cid, Vec<u8>) {
    let bytes = serde_ipld_dagcbor::to_vec(value).unwrap();
    (cid_of(DAG_CBOR, &bytes), bytes)
}

#[test]
fn files_that_other_implementations_wrote_come_back_byte_for_byte() {
    for (car, bytes) in [(RAW_LEAVES, content(2000, 10)), (VERSION_0, content(2000, 11)), (DUPS_N, vec![42; 2048]), (DUPS_Y, vec![42; 2048])] {
        let root = root_of(car);
        let (blocks, end) = verify_whole(car, root);
        assert_eq!(assemble(&root, &by_cid(&blocks), PLENTY).unwrap(), bytes);
        // Repeated blocks at the very end are, to a receiver that has them, trailing.
        assert!(end.is_ok());
    }
    assert_eq!(verify_whole(DUPS_N, root_of(DUPS_N)).0, verify_whole(DUPS_Y, root_of(DUPS_Y)).0);
}

#[test]
fn a_block_alone_is_whole_without_what_it_links_to() {
    let elsewhere = cid_of(RAW, b"not here");
    let (root, bytes) = cbor(&Ipld::List(vec![Ipld::Link(elsewhere), Ipld::Integer(1)]));
    let mut writer = Writer::alone(root).unwrap();
    let mut car = writer.header();
    assert_eq!(writer.wants(), Some(root));
    car.extend(writer.supply(&bytes).unwrap());
    assert_eq!(writer.wants(), None, "its link is data");
    let mut verifier = Verifier::alone(root, PLENTY).unwrap();
    verifier.push(&car);
    assert_eq!(verifier.poll(), Ok(Progress::Block(Block { cid: root, bytes: bytes.clone() })));
    assert_eq!(verifier.poll(), Ok(Progress::Complete));
    let mut whole = Verifier::new(root, PLENTY).unwrap();
    whole.push(&car);
    whole.end();
    assert_eq!(whole.poll(), Ok(Progress::Block(Block { cid: root, bytes })));
    assert_eq!(whole.poll(), Err(DagError::Car(CarError::Truncated)), "as a DAG it lacks a block");
}

#[test]
fn a_car_without_roots_serves_whoever_knows_what_was_asked_for() {
    let whole = read(IPFS_CAR).unwrap();
    assert_eq!(whole, [Block { cid: cid_of(RAW, &content(3000, 14)), bytes: content(3000, 14) }]);
    assert_eq!(verify_whole(IPFS_CAR, whole[0].cid), (whole.clone(), Ok(0)));
    let root = cid_of(RAW, &content(100, 12));
    assert_eq!(verify_whole(NO_ROOTS, root).1, Ok(0));
}

#[test]
fn dag_cbor_links_are_followed_in_the_order_of_their_encoding() {
    let (blocks, end) = verify_whole(CBOR, root_of(CBOR));
    assert_eq!(end, Ok(0));
    assert_eq!(blocks.len(), 4);
    assert_eq!(blocks[1].bytes, content(100, 12));
    assert_eq!(blocks[3].bytes, content(100, 13));
}

#[test]
fn what_the_writer_writes_is_what_the_other_implementation_wrote() {
    for fixture in [RAW_LEAVES, VERSION_0, DUPS_N, CBOR] {
        let root = root_of(fixture);
        let dag = Dag { root, blocks: by_cid(&read(fixture).unwrap()) };
        assert_eq!(car(&dag).unwrap().unwrap(), fixture);
    }
}

#[test]
fn a_writer_without_a_block_says_so_and_never_writes_a_wrong_one() {
    let mut dag = build(&content(3 << 20, 1));
    let at = dag.blocks.iter().position(|(cid, _)| cid.codec() == RAW).unwrap();
    let leaf = dag.blocks[at].0;
    dag.blocks[at].1[7] ^= 1;
    assert_eq!(car(&dag), Err(DagError::Block(BlockError::HashMismatch { cid: leaf })));
    dag.blocks.remove(at);
    assert_eq!(car(&dag), Ok(None));
}

#[test]
fn blocks_in_another_order_are_named_as_unexpected() {
    assert!(read(UNORDERED).is_ok());
    let root = root_of(UNORDERED);
    let (released, end) = verify_whole(UNORDERED, root);
    assert!(released.is_empty());
    assert!(matches!(end, Err(DagError::Unexpected { expected, .. }) if *expected == root));
}

#[test]
fn every_flipped_bit_is_refused_and_nothing_wrong_is_released() {
    for fixture in [RAW_LEAVES, VERSION_0, CBOR] {
        let root = root_of(fixture);
        let right = verify_whole(fixture, root).0;
        for at in 0..fixture.len() {
            for bit in [0, 3, 7] {
                let mut damaged = fixture.to_vec();
                damaged[at] ^= 1 << bit;
                let (released, end) = verify_whole(&damaged, root);
                assert!(end.is_err(), "bit {bit} of byte {at} was not noticed");
                assert!(right.starts_with(&released), "bit {bit} of byte {at} let something else through");
            }
        }
    }
}

#[test]
fn a_stream_that_ends_early_is_truncated_wherever_it_ends() {
    for fixture in [RAW_LEAVES, VERSION_0, DUPS_N, CBOR] {
        let root = root_of(fixture);
        for length in 0..fixture.len() {
            assert_eq!(refusal(&fixture[..length], root), DagError::Car(CarError::Truncated), "at {length}");
        }
    }
}

#[test]
fn a_header_alone_is_not_a_dag() {
    let car = &RAW_LEAVES[..header_bytes(RAW_LEAVES)];
    assert_eq!(read(car), Ok(Vec::new()));
    assert_eq!(refusal(car, root_of(RAW_LEAVES)), DagError::Car(CarError::Truncated));
}

#[test]
fn a_text_marker_in_the_middle_is_malformed() {
    let root = root_of(RAW_LEAVES);
    let mut at = header_bytes(RAW_LEAVES);
    while at < RAW_LEAVES.len() {
        let car = [&RAW_LEAVES[..at], MARKER].concat();
        assert_eq!(refusal(&car, root), DagError::Car(CarError::CidMalformed));
        assert_eq!(read(&car), Err(CarError::CidMalformed));
        let (length, prefix) = varint::decode(&RAW_LEAVES[at..]).unwrap().unwrap();
        at += prefix + length as usize;
    }
}

#[test]
fn what_follows_a_whole_dag_is_counted_and_not_looked_at() {
    let root = root_of(RAW_LEAVES);
    let right = verify_whole(RAW_LEAVES, root).0;
    for tail in [MARKER, IPFS_CAR, &[0]] {
        let together = [RAW_LEAVES, tail].concat();
        assert_eq!(verify_whole(&together, root), (right.clone(), Ok(tail.len() as u64)));
        assert_eq!(verify_in(&[RAW_LEAVES, tail], root, PLENTY), (right.clone(), Ok(tail.len() as u64)));
    }
}

#[test]
fn a_valid_block_that_is_not_the_next_one_is_refused() {
    let root = root_of(RAW_LEAVES);
    let stranger = cid_of(RAW, b"stranger");
    let at = header_bytes(RAW_LEAVES);
    let car = [&RAW_LEAVES[..at], &section(&stranger.to_bytes(), b"stranger"), &RAW_LEAVES[at..]].concat();
    assert_eq!(refusal(&car, root), DagError::Unexpected { expected: Box::new(root), found: Box::new(stranger) });
}

#[test]
fn the_wrong_block_is_refused_before_its_bytes_arrive() {
    let root = root_of(RAW_LEAVES);
    let stranger = cid_of(RAW, &vec![1; 1 << 20]).to_bytes();
    let mut car = RAW_LEAVES[..header_bytes(RAW_LEAVES)].to_vec();
    varint::encode((stranger.len() + (1 << 20)) as u64, &mut car);
    car.extend(stranger);
    car.extend([1; 200]);
    let mut verifier = Verifier::new(root, PLENTY).unwrap();
    verifier.push(&car);
    assert!(matches!(verifier.poll(), Err(DagError::Unexpected { .. })));
}

#[test]
fn a_header_with_other_roots_answers_another_question() {
    let root = cid_of(RAW, b"mine");
    let car = car_of(cid_of(RAW, b"other"), &[section(&root.to_bytes(), b"mine")]);
    assert_eq!(refusal(&car, root), DagError::BadRoots { root });
}

#[test]
fn more_than_the_declared_bytes_are_refused_before_they_are_kept() {
    let root = root_of(RAW_LEAVES);
    let exact: u64 = verify_whole(RAW_LEAVES, root).0.iter().map(|block| block.bytes.len() as u64).sum();
    assert_eq!(verify_in(&[RAW_LEAVES], root, exact).1, Ok(0));
    assert_eq!(verify_in(&[RAW_LEAVES], root, exact - 1).1, Err(DagError::TooLarge { max: exact - 1 }));
}

#[test]
fn repeated_blocks_count_against_the_declared_bytes() {
    let (leaf, last) = (cid_of(RAW, b"leaf"), cid_of(RAW, b"last"));
    let (root, bytes) = cbor(&Ipld::List(vec![Ipld::Link(leaf), Ipld::Link(leaf), Ipld::Link(last)]));
    let [top, leaf, last] = [(root, &bytes[..]), (leaf, b"leaf"), (last, b"last")].map(|(cid, bytes)| section(&cid.to_bytes(), bytes));
    let once = bytes.len() as u64 + 8;
    let (dups_n, dups_y) = (car_of(root, &[top.clone(), leaf.clone(), last.clone()]), car_of(root, &[top, leaf.clone(), leaf, last]));
    assert_eq!(verify_in(&[&dups_n], root, once).1, Ok(0));
    assert_eq!(verify_in(&[&dups_y], root, once).1, Err(DagError::TooLarge { max: once }));
    assert_eq!(verify_in(&[&dups_y], root, once + 4), verify_in(&[&dups_n], root, once));
}

#[test]
fn lengths_are_judged_before_anything_is_kept() {
    let header = &RAW_LEAVES[..header_bytes(RAW_LEAVES)];
    let after_header = |bytes: &[u8]| read(&[header, bytes].concat());
    assert_eq!(after_header(&[0]), Err(CarError::EmptySection));
    assert_eq!(after_header(&[0x81, 0x00]), Err(CarError::Length(VarintError::NotMinimal)));
    assert_eq!(after_header(&[0xff; 10]), Err(CarError::Length(VarintError::TooLong)));
    assert_eq!(after_header(&[0x80; 11]), Err(CarError::Length(VarintError::TooLong)));
    assert_eq!(after_header(&[0x80]), Err(CarError::Truncated));
    let mut large = Vec::new();
    varint::encode(SECTION_BYTES_MAX as u64 + 1, &mut large);
    assert_eq!(after_header(&large), Err(CarError::SectionTooLarge { bytes: SECTION_BYTES_MAX as u64 + 1 }));
    let mut reader = Reader::new();
    let mut bomb = Vec::new();
    varint::encode(HEADER_BYTES_MAX as u64 + 1, &mut bomb);
    reader.push(&bomb);
    assert_eq!(reader.poll(), Err(CarError::HeaderSize { bytes: HEADER_BYTES_MAX as u64 + 1 }));
    assert_eq!(reader.poll(), Err(CarError::HeaderSize { bytes: HEADER_BYTES_MAX as u64 + 1 }), "an error stays");
    assert_eq!(read(&[0]), Err(CarError::HeaderSize { bytes: 0 }));
}

#[test]
fn the_largest_block_passes_and_one_byte_more_does_not() {
    let block = content(BLOCK_BYTES_MAX, 3);
    let root = cid_of(RAW, &block);
    let car = car_of(root, &[section(&root.to_bytes(), &block)]);
    assert_eq!(verify_in(&[&car], root, 4 << 20).1, Ok(0));
    let block = content(BLOCK_BYTES_MAX + 1, 3);
    let root = cid_of(RAW, &block);
    let car = car_of(root, &[section(&root.to_bytes(), &block)]);
    assert!(matches!(verify_in(&[&car], root, 4 << 20).1, Err(DagError::Car(CarError::SectionTooLarge { .. }))));
}

#[test]
fn headers_have_one_shape() {
    let framed = |bytes: &[u8]| {
        let mut car = Vec::new();
        varint::encode(bytes.len() as u64, &mut car);
        car.extend_from_slice(bytes);
        read(&car)
    };
    // {"version": 2} is the beginning of a CARv2.
    assert_eq!(framed(b"\xa1\x67version\x02"), Err(CarError::VersionRefused { version: 2 }));
    assert!(matches!(framed(b"\xa1\x67version\x01"), Err(CarError::HeaderMalformed { .. })));
    assert!(matches!(framed(b"<html>not a CAR</html>"), Err(CarError::HeaderMalformed { .. })));
    assert!(matches!(framed(b"\xa3\x61a\x01\x65roots\x80\x67version\x01"), Err(CarError::HeaderMalformed { .. })));
    assert_eq!(framed(b"\xa2\x65roots\x80\x67version\x01"), Ok(Vec::new()));
    let roots = vec![cid_of(RAW, b"root"); ROOTS_MAX + 1];
    let bytes = crate::header::encode(&roots);
    assert_eq!(framed(&bytes), Err(CarError::TooManyRoots { roots: ROOTS_MAX + 1 }));
    assert_eq!(framed(&crate::header::encode(&roots[1..])), Ok(Vec::new()));
}

#[test]
fn only_whole_sha2_256_digests_are_believed() {
    let good = cid_of(RAW, b"x");
    for (code, digest) in [(SHA2_256, &good.hash().digest()[..20]), (0x11, &[7; 20][..]), (0xb220, &[7; 32][..]), (0xd5, &[7; 16][..])] {
        let cid = Cid::new_v1(RAW, Multihash::wrap(code, digest).unwrap());
        let refused = BlockError::HashRefused { code, digest_bytes: digest.len() as u8 };
        assert_eq!(block::verify(&cid, b"x"), Err(refused.clone()));
        assert_eq!(read(&car_of(good, &[section(&cid.to_bytes(), b"x")])), Err(CarError::Block(refused.clone())));
        assert_eq!(Verifier::new(cid, 10).err(), Some(DagError::Block(refused)));
    }
    let other_codec = Cid::new_v1(0x0129, *good.hash());
    assert_eq!(Verifier::new(other_codec, 10).err(), Some(DagError::Block(BlockError::CodecRefused { codec: 0x0129 })));
}

#[test]
fn identity_cids_bring_their_bytes_and_are_never_sections() {
    let inline = Cid::new_v1(RAW, Multihash::wrap(IDENTITY, b"hello").unwrap());
    let leaf = cid_of(RAW, b"leaf");
    let (root, bytes) = cbor(&Ipld::List(vec![Ipld::Link(inline), Ipld::Link(leaf)]));
    let right = [section(&root.to_bytes(), &bytes), section(&leaf.to_bytes(), b"leaf")];
    assert_eq!(verify_whole(&car_of(root, &right), root).1, Ok(0));
    let wrong = [section(&root.to_bytes(), &bytes), section(&inline.to_bytes(), b"hello"), section(&leaf.to_bytes(), b"leaf")];
    assert_eq!(refusal(&car_of(root, &wrong), root), DagError::Car(CarError::IdentitySection { cid: inline }));
    assert_eq!(verify_whole(&Writer::new(inline).unwrap().header(), inline), (Vec::new(), Ok(0)));
    assert_eq!(assemble(&inline, &[], 5).unwrap(), b"hello");
}

#[test]
fn a_block_is_read_by_the_codec_of_its_link() {
    let leaf = build(&content(3 << 20, 1));
    // The same bytes named as raw: same hash, other meaning.
    let as_raw = Cid::new_v1(RAW, *leaf.root.hash());
    let car = car_of(leaf.root, &[section(&as_raw.to_bytes(), &leaf.blocks.iter().find(|(cid, _)| *cid == leaf.root).unwrap().1)]);
    assert!(matches!(refusal(&car, leaf.root), DagError::Unexpected { .. }));
}

/// A chain of nodes of the given length above one leaf, and the CAR of it.
fn chain(length: usize) -> (Cid, Vec<u8>) {
    let mut below = cid_of(RAW, b"leaf");
    let mut sections = vec![section(&below.to_bytes(), b"leaf")];
    for _ in 0..length {
        let (cid, bytes) = cbor(&Ipld::List(vec![Ipld::Link(below)]));
        sections.push(section(&cid.to_bytes(), &bytes));
        below = cid;
    }
    sections.reverse();
    (below, car_of(below, &sections))
}

#[test]
fn depth_is_bounded() {
    let (root, car) = chain(DEPTH_MAX);
    assert_eq!(verify_whole(&car, root).1, Ok(0));
    let (root, car) = chain(DEPTH_MAX + 1);
    assert_eq!(refusal(&car, root), DagError::TooDeep);
}

#[test]
fn links_waiting_are_bounded_however_few_bytes_name_them() {
    let leaf = cid_of(RAW, b"leaf");
    let wide = Ipld::List(vec![Ipld::Link(leaf); 40_000]);
    let (inner, inner_bytes) = cbor(&wide);
    let (root, root_bytes) = cbor(&Ipld::List([vec![Ipld::Link(inner)], vec![Ipld::Link(leaf); 40_000]].concat()));
    let car = car_of(root, &[section(&root.to_bytes(), &root_bytes), section(&inner.to_bytes(), &inner_bytes)]);
    assert_eq!(verify_in(&[&car], root, 8 << 20).1, Err(DagError::TooManyLinks));
    // One such node alone is fine, and its single leaf comes once.
    let car = car_of(inner, &[section(&inner.to_bytes(), &inner_bytes), section(&leaf.to_bytes(), b"leaf")]);
    assert_eq!(verify_in(&[&car], inner, 8 << 20).1, Ok(0));
}

#[test]
fn blocks_remembered_are_bounded_and_both_sides_forget_alike() {
    let leaves: Vec<(Cid, Vec<u8>)> = (0..66_000u32).map(|n| (cid_of(RAW, &n.to_be_bytes()), n.to_be_bytes().to_vec())).collect();
    let list = |leaves: &[(Cid, Vec<u8>)]| cbor(&Ipld::List(leaves.iter().map(|(cid, _)| Ipld::Link(*cid)).collect()));
    let nodes = [list(&leaves[..33_000]), list(&leaves[33_000..]), list(&leaves[65_999..])];
    let top = list(&nodes);
    let root = top.0;
    let mut blocks = leaves;
    blocks.extend(nodes);
    blocks.push(top);
    let distinct: usize = blocks.len();
    let written = car(&Dag { root, blocks }).unwrap().unwrap();
    assert_eq!(read(&written).unwrap().len(), distinct + 1, "the block beyond the bound is written again");
    assert_eq!(verify_in(&[&written], root, 16 << 20).1, Ok(0));
}

#[test]
fn a_node_that_is_not_its_codec_is_named() {
    for codec in [DAG_PB, DAG_CBOR] {
        let root = cid_of(codec, b"\xff not a node");
        let car = car_of(root, &[section(&root.to_bytes(), b"\xff not a node")]);
        assert!(matches!(refusal(&car, root), DagError::Block(BlockError::Malformed { cid, .. }) if *cid == root));
    }
}

/// A node of two kinds of children over a few leaves, so that subtrees repeat.
fn tree(seed: &[u8]) -> Dag {
    let mut blocks = BTreeMap::new();
    let mut known: Vec<Cid> = Vec::new();
    for (index, byte) in seed.iter().enumerate() {
        let picks: Vec<Cid> = known.iter().copied().skip(usize::from(*byte) % known.len().max(1)).take(3).collect();
        let (cid, bytes) = if picks.is_empty() || index < 3 {
            (cid_of(RAW, &[*byte]), vec![*byte])
        } else if byte % 2 == 0 {
            cbor(&Ipld::List(picks.into_iter().map(Ipld::Link).collect()))
        } else {
            let links = picks.into_iter().map(|cid| PbLink { cid, name: None, size: None }).collect();
            let bytes = PbNode { links, data: None }.into_bytes();
            (cid_of(DAG_PB, &bytes), bytes)
        };
        blocks.insert(cid, bytes);
        known.push(cid);
    }
    let (root, bytes) = cbor(&Ipld::List(known.into_iter().map(Ipld::Link).collect()));
    blocks.insert(root, bytes);
    Dag { root, blocks: blocks.into_iter().collect() }
}

fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut points: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    points.extend([0, bytes.len()]);
    points.sort_unstable();
    points.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn how_a_stream_is_cut_changes_nothing(cuts in prop::collection::vec(any::<usize>(), 0..40), which in 0usize..5, damage in any::<Option<(usize, u8)>>()) {
        let fixture = [RAW_LEAVES, VERSION_0, DUPS_Y, DUPS_N, CBOR][which];
        let root = root_of(fixture);
        let mut car = fixture.to_vec();
        if let Some((at, mask)) = damage {
            let at = at % car.len();
            car[at] ^= mask;
        }
        let (whole, pieces) = (verify_whole(&car, root), verify_in(&cut(&car, &cuts), root, PLENTY));
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn what_the_writer_writes_the_verifier_releases(seed in prop::collection::vec(any::<u8>(), 1..30)) {
        let dag = tree(&seed);
        let (released, end) = verify_whole(&car(&dag).unwrap().unwrap(), dag.root);
        prop_assert_eq!(end, Ok(0));
        prop_assert_eq!(by_cid(&released), dag.blocks);
    }

    #[test]
    fn strange_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), keep in any::<usize>()) {
        let root = root_of(VERSION_0);
        let _ = read(&bytes);
        prop_assert!(verify_whole(&bytes, root).1.is_err());
        // The same after a good beginning, where more of the code is reached.
        let keep = keep % VERSION_0.len();
        let mixed = [&VERSION_0[..keep], &bytes[..]].concat();
        let end = verify_whole(&mixed, root).1;
        prop_assert!(end.is_err() || mixed.starts_with(VERSION_0));
    }

    #[test]
    fn strange_nodes_under_a_right_hash_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for codec in [RAW, DAG_PB, DAG_CBOR] {
            let root = cid_of(codec, &bytes);
            let car = car_of(root, &[section(&root.to_bytes(), &bytes)]);
            let (released, end) = verify_whole(&car, root);
            prop_assert!(codec != RAW || end == Ok(0));
            let _ = assemble(&root, &by_cid(&released), PLENTY);
        }
    }

    #[test]
    fn damaged_nodes_under_a_right_hash_are_read_without_a_panic(at in any::<usize>(), mask in 1u8.., which in 0usize..2) {
        let fixture = [VERSION_0, CBOR][which];
        let mut block = read(fixture).unwrap().swap_remove(0);
        let at = at % block.bytes.len();
        block.bytes[at] ^= mask;
        let root = cid_of(block.cid.codec(), &block.bytes);
        let (released, _) = verify_whole(&car_of(root, &[section(&root.to_bytes(), &block.bytes)]), root);
        prop_assert!(assemble(&root, &by_cid(&released), PLENTY).is_err());
    }

    #[test]
    fn varints_come_back_and_are_unique(value in any::<u64>(), bytes in prop::collection::vec(any::<u8>(), 1..12)) {
        let mut encoded = Vec::new();
        varint::encode(value, &mut encoded);
        prop_assert_eq!(varint::decode(&encoded), Ok(Some((value, encoded.len()))));
        if let Ok(Some((value, length))) = varint::decode(&bytes) {
            let mut again = Vec::new();
            varint::encode(value, &mut again);
            prop_assert_eq!(&again[..], &bytes[..length]);
        }
    }
}
