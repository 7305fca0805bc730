//! Files as people have them.

use super::ColumnKind::{Decimal, Text as Words, Whole};
use super::*;
use crate::work::INPUT_BYTES_MAX;

fn read(kind: FileKind, bytes: &[u8]) -> Result<Listed, FileError> {
    let mut reader = Reader::new(kind);
    reader.push(bytes)?;
    reader.finish()
}

/// Read whole, and cut after every byte: both are the same.
fn inputs(kind: FileKind, bytes: &[u8], text: &[&str]) -> Vec<Ipld> {
    let text: Vec<String> = text.iter().map(|name| (*name).to_owned()).collect();
    let jobs = read(kind, bytes).and_then(|listed| listed.into_jobs(&text)).unwrap();
    let mut reader = Reader::new(kind);
    bytes.iter().try_for_each(|byte| reader.push(&[*byte])).unwrap();
    assert_eq!(reader.finish().and_then(|listed| listed.into_jobs(&text)).unwrap(), jobs);
    (0..jobs.count()).map(|index| crate::codec::decode(&jobs.input(index).unwrap(), INPUT_BYTES_MAX).unwrap()).collect()
}

fn csv(text: &str) -> Vec<Ipld> {
    inputs(FileKind::Csv, text.as_bytes(), &[])
}

fn error(kind: FileKind, bytes: &[u8]) -> String {
    let whole = read(kind, bytes).unwrap_err().to_string();
    let mut reader = Reader::new(kind);
    let cut = bytes.iter().try_for_each(|byte| reader.push(&[*byte])).and_then(|()| reader.finish().map(drop));
    assert_eq!(cut.unwrap_err().to_string(), whole);
    whole
}

fn row(cells: &[(&str, &str)]) -> Ipld {
    Ipld::Map(cells.iter().map(|(name, cell)| ((*name).to_owned(), Ipld::String((*cell).to_owned()))).collect())
}

#[test]
fn rows_of_a_csv_become_maps_of_text() {
    let text = "\u{feff}host,note\r\nexample.org,plain\n\n\"a, b\",\"say \"\"hi\"\"\nthere\"\r\n,x\n";
    let expected = [
        row(&[("host", "example.org"), ("note", "plain")]),
        row(&[("host", "a, b"), ("note", "say \"hi\"\nthere")]),
        row(&[("host", ""), ("note", "x")]),
    ];
    assert_eq!(csv(text), expected);
}

#[test]
fn semicolons_tabs_and_a_line_that_says_so_separate_cells_too() {
    let expected = [row(&[("url", "https://a, b"), ("who", "x y")])];
    for text in [
        "url;who\nhttps://a, b;x y\n",
        "url\twho\r\nhttps://a, b\tx y\r\n",
        "sep=;\r\nurl;who\r\nhttps://a, b;x y",
        "sep=|\nurl|who\nhttps://a, b|x y\n",
        "\u{feff}\"url\";\"who\"\n\"https://a, b\";x y\n",
        "\n\r\n url ; who \nhttps://a, b;x y\n",
    ] {
        assert_eq!(csv(text), expected, "{text:?}");
    }
    assert!(error(FileKind::Csv, b"a;b,c\n1;2,3\n").contains("line 1 of the inputs: the names are separated by commas and by semicolons"));
}

#[test]
fn rows_end_as_old_and_new_machines_end_them_and_empty_ones_are_none() {
    let expected = [row(&[("a", "x"), ("b", "y")]), row(&[("a", "z"), ("b", "")])];
    for text in ["a,b\rx,y\rz,\r", "a,b\nx,y\nz,", "a,b,,\r\nx,y,,\r\n,,,\r\n  , ,,\r\nz,,,\r\n,,,", "a,b\n\nx,y\n\n\nz,\n\n"] {
        assert_eq!(csv(text), expected, "{text:?}");
    }
}

#[test]
fn a_column_is_one_of_numbers_where_each_cell_is_written_again_as_it_stands() {
    let text =
        "from,big,part,zip,version,mixed,quoted\n0,18446744073709551615,1,01234,1.10,7,\"3\"\n-17,-9223372036854775808,2.5,98765,1.2,x,\"4\"\n";
    let first = |of: &[&str]| match inputs(FileKind::Csv, text.as_bytes(), of).swap_remove(0) {
        Ipld::Map(map) => map,
        other => panic!("{other:?}"),
    };
    let map = first(&[]);
    let string = |text: &str| Ipld::String(text.to_owned());
    assert_eq!((&map["from"], &map["big"]), (&Ipld::Integer(0), &Ipld::Integer(u64::MAX.into())));
    assert_eq!(map["part"], Ipld::Float(1.0), "of a column with a point all are such");
    assert_eq!([&map["zip"], &map["version"], &map["mixed"]], [&string("01234"), &string("1.10"), &string("7")]);
    assert_eq!(map["quoted"], Ipld::Integer(3));
    assert_eq!(first(&["from"])["from"], string("0"), "the author may say otherwise");
    let listed = read(FileKind::Csv, text.as_bytes()).unwrap();
    let kinds: Vec<ColumnKind> = listed.columns().into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [Whole, Whole, Decimal, Words, Words, Words, Whole]);
    assert_eq!(listed.into_jobs(&["form".to_owned()]), Err(FileError::TextColumn("form".to_owned())));
    for odd in ["1e5", "+1", "NaN", "inf", "1_000", " 1", "0x10", "18446744073709551616", "1.", ".5", "3,5", "-0", "-0.0", ""] {
        let text = format!("a;b\n{odd};x\n");
        assert_eq!(csv(&text), [row(&[("a", odd), ("b", "x")])], "{odd:?} is text");
    }
}

#[test]
fn values_where_names_must_stand_are_not_taken_for_names() {
    for (text, words) in [
        ("https://a.example\nhttps://b.example\n", "\"https://a.example\" looks like a value"),
        ("1,google.com\n2,youtube.com\n", "\"1\" looks like a value"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
        ("a,a\n1,2\n", "the column \"a\" stands there twice"),
    ] {
        let error = error(FileKind::Csv, text.as_bytes());
        assert!(error.starts_with("line 1 of the inputs: ") && error.contains(words), "{error}");
    }
}

#[test]
fn a_broken_csv_names_the_line() {
    let rows = [
        ("a,b\n1,2\n3\n", "line 3"),
        ("a,b\n\"1\n1\",2\n3\n", "line 4"),
        ("a,b\r1,2\r3\r", "line 3"),
        ("\r\n\r\na,b\r\n3\r\n", "line 4"),
        ("a\n\"1\n", "line 2 of the inputs: the quote that opens here is never closed"),
        ("a,b\n\"1\n1\",\"2\n3,4\n5,6\n", "line 3 of the inputs: the quote that opens here"),
        ("a,b\n1,2\n3,\"4\n5,6\n7,8\n9,10\n", "line 3 of the inputs: the quote that opens here"),
        ("a\n\"1\"x\n", "line 2"),
        ("", "at least one"),
        ("a,b\n", "at least one"),
    ];
    for (text, word) in rows {
        let error = error(FileKind::Csv, text.as_bytes());
        assert!(error.contains(word), "{text:?}: {error}");
    }
    let long = format!("a\n{}\n", "x".repeat(INPUT_BYTES_MAX));
    assert!(error(FileKind::Csv, long.as_bytes()).contains("line 2 of the inputs: input 0 takes"));
    assert!(read(FileKind::Csv, format!("a\n\"{}", "x".repeat(LINE_BYTES_MAX)).as_bytes()).unwrap_err().to_string().contains("line 2"));
}

#[test]
fn lines_of_ndjson_become_values() {
    let list = vec![Ipld::Integer(1), Ipld::Integer(-2), Ipld::Float(0.5), Ipld::Null, Ipld::Bool(true)];
    let expected = [Ipld::Map([("a".to_owned(), Ipld::List(list))].into()), Ipld::String("text".into())];
    for text in ["{\"a\": [1, -2, 0.5, null, true]}\n\n\"text\"\r\n", "\u{feff}{\"a\":[1,-2,0.5,null,true]}\r\"text\""] {
        assert_eq!(inputs(FileKind::Ndjson, text.as_bytes(), &[]), expected);
    }
    assert!(error(FileKind::Ndjson, b"1\n\n{").contains("line 3 of the inputs: not JSON"));
    assert!(error(FileKind::Ndjson, b"1\r\n{\"a\": NaN}\r\n").contains("line 2 of the inputs: not JSON at column 7"));
    assert_eq!(read(FileKind::Ndjson, b"").map(drop), Err(FileError::Jobs(JobsError::Empty)));
    assert!(read(FileKind::Ndjson, &vec![b' '; LINE_BYTES_MAX + 1]).unwrap_err().to_string().contains("line 1"));
}

#[test]
fn other_encodings_are_named_with_the_line_and_what_to_do() {
    let utf16: Vec<u8> = "host\r\nexample.org\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &utf16].concat();
    for (kind, bytes) in [(FileKind::Csv, &marked), (FileKind::Csv, &utf16), (FileKind::Ndjson, &marked)] {
        let error = error(kind, bytes);
        assert!(error.contains("line 1 of the inputs: the file is written in UTF-16") && error.contains("iconv -f UTF-16"), "{error}");
    }
    let latin = error(FileKind::Csv, b"name\nK\xc3\xb6ln\nM\xfcnchen\n");
    assert!(latin.contains("line 3 of the inputs") && latin.contains("0xfc") && latin.contains("'ü' in Latin-1"), "{latin}");
    assert!(latin.contains("iconv -f WINDOWS-1252 -t UTF-8"), "{latin}");
    assert_eq!(not_utf8("Köln".as_bytes()), None);
}

#[test]
fn a_long_list_is_read_with_only_its_encodings_in_memory() {
    let mut reader = Reader::new(FileKind::Csv);
    reader.push(b"n,url\n").unwrap();
    for n in 0..50_000 {
        reader.push(format!("{n},https://host-{n}.example/\n").as_bytes()).unwrap();
    }
    let listed = reader.finish().unwrap();
    assert_eq!(listed.count(), 50_000);
    let jobs = listed.into_jobs(&[]).unwrap();
    assert_eq!((jobs.count(), jobs.target(49_999, "url").as_deref()), (50_000, Some("https://host-49999.example/")));
    let mut endless = Reader::new(FileKind::Ndjson);
    endless.bytes = INPUTS_BYTES_MAX - 1;
    assert_eq!(endless.push(b"\n"), Ok(()));
    assert_eq!(endless.push(b"\n"), Err(FileError::Jobs(JobsError::TooManyBytes)));
}
