use proptest::prelude::*;

use super::*;

fn frame(kind: u8, length: u32, body: usize) -> Vec<u8> {
    let mut out = vec![0, kind, 0, 1, 0, 0, 0, 3];
    out.extend(length.to_be_bytes());
    out.resize(out.len() + body, 7);
    out
}

fn data(length: u32) -> Vec<u8> {
    frame(DATA, length, length as usize)
}

#[test]
fn frames_that_carry_content_are_not_counted_and_all_others_are() {
    let mut frames = Frames::default();
    assert_eq!(frames.read(&data(BODY_MIN)), 0);
    assert_eq!(frames.read(&data(BODY_MIN - 1)), 1);
    assert_eq!(frames.read(&data(0)), 1, "the end of a stream");
    // What looks like a length is a credit or a number: no body follows.
    assert_eq!(frames.read(&[frame(1, 1 << 20, 0), frame(2, u32::MAX, 0), data(1)].concat()), 3);
}

#[test]
fn what_was_read_is_told_to_whoever_polls_and_only_once() {
    let bytes = [data(3), data(BODY_MIN), data(0)].concat();
    let mut counted = Counted::new(futures::io::Cursor::new(bytes));
    let mut read = |most: usize| {
        let mut buffer = vec![0; most];
        let mut context = Context::from_waker(std::task::Waker::noop());
        during(|| Pin::new(&mut counted).poll_read(&mut context, &mut buffer)).1
    };
    assert_eq!(read(HEAD_BYTES - 1), 0, "a head that is not whole");
    assert_eq!(read(1), 1);
    assert_eq!(read(1 << 20), 1);
    assert_eq!(read(1), 0);
}

proptest! {
    #[test]
    fn reads_of_any_size_count_the_same(lengths in prop::collection::vec((0u8..4, 0u32..2_048), 0..20), size in 1usize..40) {
        let bytes: Vec<u8> = lengths.iter().flat_map(|(kind, length)| frame(*kind, *length, if *kind == DATA { *length as usize } else { 0 })).collect();
        let whole = Frames::default().read(&bytes);
        let mut frames = Frames::default();
        prop_assert_eq!(bytes.chunks(size).map(|chunk| frames.read(chunk)).sum::<u64>(), whole);
        prop_assert_eq!(whole as usize, lengths.iter().filter(|(kind, length)| *kind != DATA || *length < BODY_MIN).count());
    }
}
