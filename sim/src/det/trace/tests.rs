use super::*;

fn run(events: &[(u64, u32, Kind, u64)]) -> Trace {
    let trace = Trace::default();
    for (now, node, kind, content) in events {
        trace.event(*now, *node, *kind, *content);
    }
    trace
}

#[test]
fn every_part_of_an_event_and_the_order_are_in_the_hash() {
    let base = [(5, 1, Kind::Wrote, 9), (1_500, 2, Kind::Read, 9)];
    let hash = |events: &[_]| run(events).hash(2_000);
    let one = hash(&base);
    assert_eq!(one, hash(&base));
    for other in [
        [(6, 1, Kind::Wrote, 9), base[1]],
        [(5, 2, Kind::Wrote, 9), base[1]],
        [(5, 1, Kind::Read, 9), base[1]],
        [(5, 1, Kind::Wrote, 8), base[1]],
        [(5, 2, Kind::Read, 9), (1_500, 1, Kind::Wrote, 9)],
    ] {
        assert_ne!(one, hash(&other), "{other:?}");
    }
    assert_ne!(one, hash(&base[..1]), "an event less");
    assert_ne!(one, run(&base).hash(3_000), "a second more");
}

#[test]
fn checkpoints_agree_up_to_the_first_second_that_differs() {
    let ours = run(&[(5, 1, Kind::Wrote, 9), (2_500, 2, Kind::Read, 1), (4_000, 0, Kind::Note, 0)]);
    let theirs = run(&[(5, 1, Kind::Wrote, 9), (2_500, 2, Kind::Read, 2), (4_000, 0, Kind::Note, 0)]);
    let (ours, theirs) = (ours.checkpoints(), theirs.checkpoints());
    assert_eq!(ours.len(), 4);
    assert_eq!(ours[..2], theirs[..2]);
    assert_ne!(ours[2], theirs[2]);
    assert_ne!(ours[3], theirs[3], "what differed once stays different");
}

#[test]
fn contents_of_different_bytes_differ() {
    let all: Vec<u64> = (0..64u8).flat_map(|len| (0..4u8).map(move |fill| content(&vec![fill; usize::from(len)]))).collect();
    let mut distinct = all.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // The empty slice is one content, whatever would fill it.
    assert_eq!(distinct.len(), all.len() - 3);
}
