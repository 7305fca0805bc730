//! Forms: what authors in other languages write and read.

use super::*;

fn map(entries: &[(&str, Ipld)]) -> Ipld {
    Ipld::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

#[test]
fn an_input_is_written_as_json_in_one_way() {
    let value = map(&[
        ("zwölf", Ipld::List(vec![Ipld::Null, Ipld::Bool(true), Ipld::Integer(i128::from(u64::MAX)), Ipld::Integer(-1)])),
        ("a", Ipld::String("\"\\\n\u{1}\u{7f}é\u{2028}".to_owned())),
        ("bytes", Ipld::Bytes(vec![1, 2, 3])),
    ]);
    let expected =
        "{\"a\":\"\\\"\\\\\\n\\u0001\u{7f}é\u{2028}\",\"bytes\":{\"/\":{\"bytes\":\"AQID\"}},\"zwölf\":[null,true,18446744073709551615,-1]}";
    assert_eq!(InputForm::Json.stdin(codec::encode(&value)), expected.as_bytes());
    assert_eq!(InputForm::DagCbor.stdin(codec::encode(&value)), codec::encode(&value));
    assert_eq!(InputForm::Json.stdin(vec![0xff]), vec![0xff], "what is no DAG-CBOR is left as it is");
}

#[test]
fn numbers_after_the_point_are_written_as_rfc_8785_says_and_stay_such() {
    let written = [
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (1.0, "1.0"),
        (-2.5, "-2.5"),
        (0.000_001, "0.000001"),
        (0.000_000_1, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e+21"),
        (1.25e300, "1.25e+300"),
        (9_007_199_254_740_993.0, "9007199254740992.0"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
    ];
    for (number, text) in written {
        assert_eq!(to_json(&Ipld::Float(number)), text);
        assert_eq!(from_json(text.as_bytes()), Ok(Ipld::Float(number)));
    }
}

#[test]
fn json_that_a_guest_wrote_is_one_value_whoever_reads_it() {
    let value = map(&[("n", Ipld::Integer(7)), ("x", Ipld::Float(7.0)), ("/", Ipld::String("no link".to_owned()))]);
    assert_eq!(OutputForm::Json.read(b" {\"n\": 7, \"x\": 7.0, \"/\": \"no link\"}\r\n"), Ok(value));
    assert_eq!(from_json(b"18446744073709551616"), Ok(Ipld::Float(18_446_744_073_709_551_616.0)));
    let deep = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
    assert!(from_json(&deep(codec::DEPTH_MAX)).is_ok());
    let refused: [(&[u8], usize, &str); 7] = [
        (b"", 0, "EOF"),
        (b"{\"a\": 1, \"a\": 2}", 14, "second time"),
        (b"[1,\n 2,\n x]", 9, "expected value"),
        (b"{} {}", 3, "trailing"),
        (b"\"\xff\"", 1, "UTF-8"),
        (b"1e999", 4, "out of range"),
        (b"{'a': 1}", 1, "key must be a string"),
    ];
    for (text, at, words) in refused {
        let (found, reason) = from_json(text).expect_err("it is no JSON");
        assert!(found.abs_diff(at) <= 1 && reason.contains(words), "{}: {reason} at {found}", String::from_utf8_lossy(text));
    }
    assert!(from_json(&deep(codec::DEPTH_MAX + 1)).unwrap_err().1.contains("deeper"));
}

#[test]
fn what_common_libraries_write_is_told_by_the_byte_that_is_not_dag_cbor() {
    let faults: [(&[u8], usize, &str); 14] = [
        (b"Hello", 0, "end in the middle"),
        (b"7", 0, ""),
        (b"", 0, "end where a value"),
        (b"\xa0\n", 1, "more after"),
        (b"\xa2\x61b\x01\x61a\x02", 4, "out of order"),
        (b"\xa2\x62aa\x01\x61a\x02", 5, "out of order"),
        (b"\xa2\x61a\x01\x61a\x02", 4, "second time"),
        (b"\xa1\x01\x02", 1, "no text"),
        (b"\x9f\xff", 0, "in advance"),
        (b"\xf9\x3c\x00", 0, "16 or 32"),
        (b"\xfb\x7f\xf8\0\0\0\0\0\0", 0, "NaN"),
        (b"\x18\x07", 0, "more bytes than it needs"),
        (b"\xc0\x60", 0, "the tag 0"),
        (b"\x82\x01\x61\xff", 3, "not UTF-8"),
    ];
    for (bytes, at, words) in faults {
        if words.is_empty() {
            assert_eq!(OutputForm::DagCbor.read(bytes), Ok(Ipld::Integer(-24)), "one letter may be a number");
            continue;
        }
        let malformed = OutputForm::DagCbor.read(bytes).expect_err("it is no DAG-CBOR");
        assert!(malformed.at == at && malformed.reason.contains(words), "{bytes:02x?}: {malformed}");
    }
}

#[test]
fn every_fault_of_dag_cbor_is_found_by_the_walk_that_explains_it() {
    // All texts of up to two bytes, and of three that begin as a map, a list or a tag.
    for first in 0..=255u8 {
        for second in 0..=255u8 {
            for bytes in [vec![first], vec![first, second], vec![0xa1, first, second], vec![0x81, first, second], vec![0xd8, first, second]] {
                let decoded = codec::decode::<Ipld>(&bytes, bytes.len());
                let is_link = bytes.starts_with(&[0xd8, 42]);
                assert!(decoded.is_ok() == cbor::fault(&bytes).is_none() || is_link, "{bytes:02x?}: {decoded:?} {:?}", cbor::fault(&bytes));
            }
        }
    }
}

#[test]
fn an_output_that_is_no_map_has_one_field() {
    assert_eq!(OutputForm::Text.fields(b"ok\n"), BTreeMap::from([(WHOLE.to_owned(), Ipld::String("ok\n".to_owned()))]));
    assert_eq!(OutputForm::Json.fields(b"[1]")[WHOLE], Ipld::List(vec![Ipld::Integer(1)]));
    assert_eq!(OutputForm::Json.fields(b"{\"a\":1}").keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(OutputForm::Bytes.fields(&[0xff])[WHOLE], Ipld::Bytes(vec![0xff]));
    assert!(OutputForm::Text.fields(&[0xff]).is_empty() && OutputForm::DagCbor.fields(b"Hello").is_empty());
}
