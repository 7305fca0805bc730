use std::fmt::Debug;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::*;
use crate::arbitrary as any_of;
use crate::call::CALL_BYTES_MAX;
use crate::log::{PAGE_BYTES_MAX, ROOT_BYTES_MAX};
use crate::receipt::RECEIPT_BYTES_MAX;
use crate::work::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

/// A message and the attacks on it: `T` is decoded from whatever an attack makes of its bytes.
trait Message: Serialize + DeserializeOwned + PartialEq + Debug {}
impl<T: Serialize + DeserializeOwned + PartialEq + Debug> Message for T {}

/// Runs `attack` on the encodings of values from `strategy`.
fn for_each<T: Message>(strategy: impl Strategy<Value = T>, max: usize, attack: fn(&[u8], usize, Decoder)) {
    let config = Config { cases: 3, rng_seed: RngSeed::Fixed(7), failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let decoder: Decoder = |bytes, max| {
        let value: T = decode(bytes, max)?;
        assert_eq!(encode(&value), bytes, "a value has one encoding");
        Ok(())
    };
    let run = TestRunner::new(config).run(&strategy, |value| {
        let bytes = encode(&value);
        let back: T = decode(&bytes, max).expect("our own encoding");
        assert_eq!(back, value);
        attack(&bytes, max, decoder);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

/// Decodes some message; whatever is accepted must be canonical.
type Decoder = fn(&[u8], usize) -> Result<(), DecodeError>;

fn for_each_kind(attack: fn(&[u8], usize, Decoder)) {
    for_each(any_of::experiment(), CALL_BYTES_MAX, attack);
    for_each(any_of::signed(any_of::call()), CALL_BYTES_MAX, attack);
    for_each(any_of::request(), REQUEST_BYTES_MAX, attack);
    for_each(any_of::response(), RESPONSE_BYTES_MAX, attack);
    for_each(any_of::signed(any_of::leases()), RESPONSE_BYTES_MAX, attack);
    for_each(any_of::signed(any_of::refusal()), RESPONSE_BYTES_MAX, attack);
    for_each(any_of::signed(any_of::ack()), RESPONSE_BYTES_MAX, attack);
    for_each(any_of::signed(any_of::receipt()), RECEIPT_BYTES_MAX, attack);
    for_each(any_of::signed(any_of::peer_record()), RESPONSE_BYTES_MAX, attack);
    for_each(any_of::page(), PAGE_BYTES_MAX, attack);
    for_each(any_of::root(), ROOT_BYTES_MAX, attack);
}

/// Begin, end of the head, and end of every item in `bytes`, containers before their content.
fn items(bytes: &[u8]) -> Vec<(usize, usize, usize)> {
    let (mut at, mut items) = (0, Vec::new());
    while at < bytes.len() {
        let (head, argument) = read_head(bytes, at).unwrap();
        let body = at + head.bytes;
        items.push((at, body, skip(bytes, at, DEPTH_MAX).unwrap()));
        at = if matches!(head.major, 2 | 3) { body + usize::try_from(argument).unwrap() } else { body };
    }
    items
}

/// The ends of a map's entries.
fn entries(bytes: &[u8], body: usize, count: u64) -> Vec<(usize, usize)> {
    let mut at = body;
    let entry = |at: &mut usize| {
        let from = *at;
        let value = skip(bytes, from, DEPTH_MAX).unwrap();
        *at = skip(bytes, value, DEPTH_MAX).unwrap();
        (from, *at)
    };
    (0..count).map(|_| entry(&mut at)).collect()
}

#[test]
fn every_message_cut_anywhere_is_refused() {
    for_each_kind(|bytes, max, decode| {
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end], max), Err(DecodeError::Truncated), "cut at {end}");
        }
    });
}

#[test]
fn every_message_with_something_after_it_is_refused() {
    for_each_kind(|bytes, max, decode| {
        for more in [0x00, 0x60, 0xf6, 0xff] {
            assert_eq!(decode(&[bytes, &[more]].concat(), max), Err(DecodeError::NotCanonical));
        }
    });
}

#[test]
fn every_message_above_its_size_is_refused_unread() {
    for_each_kind(|bytes, _, decode| {
        let max = bytes.len() - 1;
        assert_eq!(decode(bytes, max), Err(DecodeError::TooLarge { bytes: bytes.len(), max }));
        // The same for bytes that are nothing at all.
        assert_eq!(decode(&vec![0xff; max + 1], max), Err(DecodeError::TooLarge { bytes: max + 1, max }));
    });
}

#[test]
fn every_item_in_a_longer_form_is_refused() {
    for_each_kind(|bytes, max, decode| {
        for (at, body, _) in items(bytes) {
            let (head, argument) = read_head(bytes, at).unwrap();
            if head.major < 7 && head.bytes < 9 {
                let long = [&[head.major << 5 | 27][..], &argument.to_be_bytes()].concat();
                let attacked = [&bytes[..at], &long, &bytes[body..]].concat();
                assert!(matches!(decode(&attacked, max), Err(DecodeError::NotCanonical | DecodeError::Shape(_) | DecodeError::TooLarge { .. })));
            }
        }
    });
}

#[test]
fn every_map_with_a_repeated_an_exchanged_or_a_strange_key_is_refused() {
    for_each_kind(|bytes, _, decode| {
        let max = 2 * bytes.len() + 64;
        for (at, body, end) in items(bytes) {
            let (head, count) = read_head(bytes, at).unwrap();
            if head.major != 5 || count == 0 || count > 22 {
                continue;
            }
            let entries = entries(bytes, body, count);
            let more = [0xa0 | u8::try_from(count + 1).unwrap()];
            let (first, last) = (entries[0], entries[entries.len() - 1]);
            let repeated = [&bytes[..at], &more, &bytes[first.0..first.1], &bytes[body..]].concat();
            assert!(decode(&repeated, max).is_err(), "a repeated key at {at}");
            let repeated = [&bytes[..at], &more, &bytes[body..end], &bytes[last.0..last.1], &bytes[end..]].concat();
            assert!(decode(&repeated, max).is_err(), "a repeated last key at {at}");
            // Shorter than every key of ours and put last: strange in a record, out of order in a table.
            let strange = [&bytes[..at], &more, &bytes[body..end], b"\x60\xf6", &bytes[end..]].concat();
            assert!(decode(&strange, max).is_err(), "a strange key at {at}");
            if let [.., (from, middle), (same, to)] = entries[..] {
                assert_eq!(middle, same);
                let exchanged = [&bytes[..from], &bytes[middle..to], &bytes[from..middle], &bytes[to..]].concat();
                assert!(decode(&exchanged, max).is_err(), "exchanged keys at {at}");
            }
        }
    });
}

#[test]
fn a_strange_field_of_a_record_is_named() {
    let call = |bytes: &[u8]| decode::<crate::Experiment>(bytes, CALL_BYTES_MAX);
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() });
    let value = any_of::experiment().new_tree(&mut runner).unwrap().current();
    let bytes = encode(&value);
    let strange = [&[bytes[0] + 1][..], &bytes[1..], b"\x6bzzz-strange\xf6"].concat();
    match call(&strange) {
        Err(DecodeError::Shape(reason)) => assert!(reason.contains("zzz-strange"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_item_of_another_type_is_refused_or_canonical() {
    for_each_kind(|bytes, _, decode| {
        let max = bytes.len() + 16;
        let others: [&[u8]; 9] = [b"\x00", b"\x20", b"\x41\x00", b"\x61a", b"\x80", b"\xa0", b"\xf5", b"\xf6", b"\xfb\x7f\xf8\0\0\0\0\0\0"];
        for (at, _, end) in items(bytes) {
            for other in others {
                // The decoder itself asserts that what it accepts is canonical.
                let _ = decode(&[&bytes[..at], other, &bytes[end..]].concat(), max);
            }
            // What none of our messages holds: a float, a simple value, an undefined, another tag.
            for never in [&b"\xfb\x3f\xf0\0\0\0\0\0\0"[..], b"\xe0", b"\xf7", b"\xc0\x60", b"\x5f\xff", b"\x9f\xff", b"\xf9\x3c\0"] {
                assert!(decode(&[&bytes[..at], never, &bytes[end..]].concat(), max).is_err(), "{never:x?} at {at}");
            }
        }
    });
}

#[test]
fn a_flipped_bit_is_refused_or_canonical() {
    for_each_kind(|bytes, max, decode| {
        for at in 0..bytes.len() {
            let mut attacked = bytes.to_vec();
            attacked[at] ^= 1 << ((at + bytes.len()) % 8);
            let _ = decode(&attacked, max);
        }
    });
}

#[test]
fn a_declared_length_is_not_believed() {
    for_each_kind(|bytes, max, decode| {
        for major in 2..=5u8 {
            for length in [max as u64 + 1, u64::from(u32::MAX), u64::MAX / 2, u64::MAX] {
                let huge = [&[major << 5 | 27][..], &length.to_be_bytes()].concat();
                assert_eq!(decode(&huge, max), Err(DecodeError::Truncated), "alone");
                for (at, _, end) in items(bytes).into_iter().take(40) {
                    let attacked = [&bytes[..at], &huge, &bytes[end..]].concat();
                    // What follows becomes the content of the attack, which may then nest too deep before it ends too early.
                    let refused = decode(&attacked, max + 16);
                    assert!(matches!(refused, Err(DecodeError::Truncated | DecodeError::TooDeep)), "type {major} at {at}: {refused:?}");
                }
            }
        }
    });
}

#[test]
fn deep_nesting_is_refused_before_it_is_followed() {
    for_each_kind(|_, max, decode| {
        for open in [0x81, 0xc6] {
            let deep = vec![open; max.min(4096)];
            assert_eq!(decode(&deep, max), Err(DecodeError::TooDeep), "type {open:x}");
        }
        let maps: Vec<u8> = b"\xa1\x60".repeat(max.min(4096) / 2);
        assert_eq!(decode(&maps, max), Err(DecodeError::TooDeep));
    });
}

#[test]
fn depth_is_counted_in_containers() {
    let nested = |depth: usize| [&vec![0x81; depth][..], &[0x00]].concat();
    assert_eq!(check_depth(&nested(DEPTH_MAX)), Ok(()));
    assert_eq!(check_depth(&nested(DEPTH_MAX + 1)), Err(DecodeError::TooDeep));
    // Empty containers hold nothing to follow.
    assert_eq!(check_depth(&[&vec![0x81; DEPTH_MAX][..], &[0x80]].concat()), Ok(()));
    assert_eq!(check_depth(&[0x1c]), Err(DecodeError::Malformed(0)));
}

proptest! {
    #![proptest_config(Config { cases: 500, rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..Config::default() })]

    #[test]
    fn noise_is_never_more_than_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<crate::work::Request>(&bytes, 4096);
        let _ = decode::<crate::work::Response>(&bytes, 4096);
        let _ = decode::<crate::log::Page>(&bytes, 4096);
        let _ = decode::<crate::jobs::Jobs>(&bytes, 4096);
        if let Ok(end) = skip(&bytes, 0, DEPTH_MAX) {
            prop_assert!(end <= bytes.len());
        }
    }

    #[test]
    fn spliced_messages_are_refused_or_canonical(one in any_of::request(), other in any_of::response(), at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let (one, other) = (encode(&one), encode(&other));
        let spliced = [&one[..at.index(one.len())], &other[to.index(other.len())..]].concat();
        if let Ok(value) = decode::<crate::work::Request>(&spliced, REQUEST_BYTES_MAX) {
            prop_assert_eq!(encode(&value), spliced);
        }
    }

    #[test]
    fn every_input_of_a_job_survives(input in any_of::input()) {
        let bytes = encode(&input);
        prop_assert_eq!(decode::<std::collections::BTreeMap<String, String>>(&bytes, 4096), Ok(input));
    }
}

#[test]
fn our_deepest_message_nests_twelve_deep() {
    use crate::bounded::List;
    use crate::receipt::{Outcome, Trap};
    use crate::verdict::{Decision, Group, JobVerdict, Stratum};
    use crate::work::{Ack, Response};
    let group = Group { outcome: Outcome::Trapped(Trap::Other), exact: [].into(), receipts: List::default() };
    let stratum = Stratum { region: None, groups: List::first([group]), certified: false };
    let decision = Decision::Measured { strata: List::first([stratum]), unusable: List::default() };
    let key = crate::SigningKey::from_bytes(&[1; 32]);
    let ack = Ack {
        experiment: crate::content::cid_of(crate::content::RAW, b""),
        node: key.node(),
        held: List::default(),
        refused: List::default(),
        again_ms: 0,
        verdicts: List::first([JobVerdict { index: 0, decision }]),
        cursor: 0,
        leases: None,
        no_more: None,
    };
    let bytes = encode(&Response::Acked(Box::new(key.sign(&any_of::network(), ack))));
    assert_eq!(skip(&bytes, 0, 12), Ok(bytes.len()));
    assert_eq!(skip(&bytes, 0, 11), Err(DecodeError::TooDeep));
}
