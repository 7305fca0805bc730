//! Entries for the fuzz targets in `protocols/fuzz` and for the replay of their corpora: hostile bytes in, a panic where a promise is
//! broken.
//!
//! Guarantees: nothing here is called by a station. Deliberately lacks the generation of inputs, which is the fuzzer's part.

use cid::Cid;
use ipld_dagpb::{PbLink, PbNode};

use crate::block::{self, BLOCK_BYTES_MAX, Block, DAG_CBOR, DAG_PB, RAW, cid_of};
use crate::unixfs::{self, FileReader, declared_bytes};
use crate::{DagError, Event, Progress, Reader, Verifier, header, varint};

/// Blocks of one made-up DAG.
const BLOCKS_MAX: usize = 48;

/// Any bytes as a CAR, in pieces of a size that the first byte chooses: what is released matches its CID, and the pieces do not matter.
pub fn stream(bytes: &[u8]) {
    let [size, car @ ..] = bytes else { return };
    let whole = read(car, car.len().max(1));
    assert_eq!(whole, read(car, usize::from(size % 31) + 1), "how the bytes are cut changes nothing");
    let (blocks, _) = whole;
    for Block { cid, bytes } in &blocks {
        assert!(bytes.len() <= BLOCK_BYTES_MAX);
        assert!(block::verify(cid, bytes).is_ok());
        // Whether it is what its codec says or not.
        let _ = block::links(cid, bytes);
        let _ = FileReader::new(*cid, u64::MAX).supply(bytes);
    }
}

/// The blocks that a reader releases, and whether it met the end.
fn read(car: &[u8], piece: usize) -> (Vec<Block>, bool) {
    let (mut reader, mut blocks) = (Reader::new(), Vec::new());
    let mut pieces = car.chunks(piece);
    loop {
        match reader.poll() {
            Ok(Some(Event::Header(_))) => {}
            Ok(Some(Event::Block(block))) => blocks.push(block),
            Ok(Some(Event::End)) => return (blocks, true),
            Ok(None) => match pieces.next() {
                Some(bytes) => reader.push(bytes),
                None => reader.end(),
            },
            Err(error) => {
                assert_eq!(reader.poll(), Err(error), "after an error only that error comes");
                return (blocks, false);
            }
        }
    }
}

/// A sender that knows how to hash: the bytes are instructions for blocks, their links and the order they are sent in.
pub fn dag(bytes: &[u8]) {
    let mut script = Script(bytes);
    let blocks = script.blocks();
    let Some(last) = blocks.last() else { return };
    let root = last.cid;
    let (car, all) = script.car(&root, &blocks);
    let max_bytes = u64::from(script.byte()) << (script.byte() % 16);
    let (piece, content_bytes) = (usize::from(script.byte()) + 1, u64::from(script.byte()));
    let verified = verified(root, max_bytes, &car, piece);
    assert_eq!(verified, self::verified(root, max_bytes, &car, car.len().max(1)), "how the bytes are cut changes nothing");
    let (released, end) = verified;
    let sum: u64 = released.iter().map(|block| block.bytes.len() as u64).sum();
    assert!(sum <= max_bytes && released.len() <= all, "{sum} bytes of {max_bytes}, {} blocks of {all}", released.len());
    for (at, Block { cid, bytes }) in released.iter().enumerate() {
        assert!(block::verify(cid, bytes).is_ok());
        assert!(!released[..at].iter().any(|other| other.cid == *cid), "a block is released once");
    }
    if end.is_ok() {
        let pairs: Vec<(Cid, Vec<u8>)> = released.into_iter().map(|block| (block.cid, block.bytes)).collect();
        if let Ok(file) = unixfs::assemble(&root, &pairs, content_bytes) {
            assert!(file.len() as u64 <= content_bytes, "no file is longer than asked");
            assert_eq!(
                Some(file.len() as u64),
                pairs.iter().find(|(cid, _)| *cid == root).and_then(|(cid, bytes)| size(cid, bytes)),
                "as long as it says"
            );
        }
    }
}

/// The blocks that a verifier releases, and its end.
fn verified(root: Cid, max_bytes: u64, car: &[u8], piece: usize) -> (Vec<Block>, Result<(), DagError>) {
    let mut verifier = match Verifier::new(root, max_bytes) {
        Ok(verifier) => verifier,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let (mut blocks, mut pieces) = (Vec::new(), car.chunks(piece));
    loop {
        match verifier.poll() {
            Ok(Progress::Block(block)) => blocks.push(block),
            Ok(Progress::Complete) => return (blocks, Ok(())),
            Ok(Progress::More) => match pieces.next() {
                Some(bytes) => verifier.push(bytes),
                None => verifier.end(),
            },
            Err(error) => {
                assert_eq!(verifier.poll(), Err(error.clone()), "after an error only that error comes");
                return (blocks, Err(error));
            }
        }
    }
}

/// Instructions, a byte at a time; zeros when there are no more.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes.to_vec()
    }

    /// Blocks that link to those before them, each under its right CID.
    fn blocks(&mut self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for _ in 0..usize::from(self.byte()) % BLOCKS_MAX {
            let (codec, bytes) = match self.byte() % 8 {
                0 | 1 => (RAW, self.raw()),
                2..=4 => (DAG_PB, self.node(&blocks)),
                5 => (DAG_PB, self.raw()),
                6 => (DAG_CBOR, self.raw()),
                _ => (DAG_CBOR, self.list(&blocks)),
            };
            blocks.push(Block { cid: cid_of(codec, &bytes), bytes });
        }
        blocks
    }

    fn raw(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte());
        self.bytes(length)
    }

    fn link(&mut self, blocks: &[Block]) -> Option<Cid> {
        let back = usize::from(self.byte()) % blocks.len().max(1);
        blocks.iter().rev().nth(back).map(|block| block.cid)
    }

    /// A UnixFS file whose declared sizes are right, unless the script says otherwise.
    fn node(&mut self, blocks: &[Block]) -> Vec<u8> {
        let links: Vec<Cid> = (0..self.byte() % 12).filter_map(|_| self.link(blocks)).collect();
        let lie = self.byte();
        let mut sizes: Vec<u64> =
            links.iter().map(|cid| blocks.iter().find(|block| block.cid == *cid).and_then(|block| size(cid, &block.bytes)).unwrap_or(0)).collect();
        if lie & 1 == 1 {
            sizes.iter_mut().for_each(|size| *size = size.wrapping_add(u64::from(lie) << (lie % 60)));
        }
        let inline = if lie & 2 == 2 { self.raw() } else { Vec::new() };
        let total = sizes.iter().fold(inline.len() as u64, |sum, size| sum.wrapping_add(*size));
        let mut file = vec![0x08, 0x02];
        if !inline.is_empty() {
            file.push(0x12);
            varint::encode(inline.len() as u64, &mut file);
            file.extend(&inline);
        }
        file.push(0x18);
        varint::encode(total, &mut file);
        for size in sizes {
            file.push(0x20);
            varint::encode(size, &mut file);
        }
        let name = (lie & 4 == 0).then(String::new);
        let links = links.into_iter().map(|cid| PbLink { cid, name: name.clone(), size: Some(u64::from(lie)) }).collect();
        PbNode { links, data: Some(file.into()) }.into_bytes()
    }

    fn list(&mut self, blocks: &[Block]) -> Vec<u8> {
        let count = self.byte() % 12;
        let links: Vec<Cid> = (0..count).filter_map(|_| self.link(blocks)).collect();
        serde_ipld_dagcbor::to_vec(&links).expect("a list of links has an encoding")
    }

    /// A CAR of some of the blocks in some order, and how many blocks were sent; the script may spoil one byte.
    fn car(&mut self, root: &Cid, blocks: &[Block]) -> (Vec<u8>, usize) {
        let head = header::encode(&[*root]);
        let mut car = Vec::new();
        varint::encode(head.len() as u64, &mut car);
        car.extend(head);
        let order = self.byte();
        let mut sent = 0;
        for at in 0..blocks.len() {
            let at = match order % 4 {
                // From the root down, which is right where each node's links follow it.
                0 | 1 => blocks.len() - 1 - at,
                2 => at,
                _ => usize::from(self.byte()) % blocks.len(),
            };
            let Block { cid, bytes } = &blocks[at];
            let cid = cid.to_bytes();
            varint::encode((cid.len() + bytes.len()) as u64, &mut car);
            car.extend(cid);
            car.extend(bytes);
            sent += 1;
        }
        if order & 0x80 != 0 {
            let place = (usize::from(self.byte()) << 8 | usize::from(self.byte())) % car.len();
            car[place] ^= self.byte();
        }
        (car, sent)
    }
}

/// What a file says that it has, where it is one.
fn size(cid: &Cid, bytes: &[u8]) -> Option<u64> {
    if cid.codec() == RAW { Some(bytes.len() as u64) } else { declared_bytes(cid, bytes) }
}
