use super::*;

fn pattern(text: &str) -> TargetPattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_pattern_covers_what_its_text_says() {
    let rows = [
        ("*", "anything.example", 1, true),
        ("*:443", "anything.example", 443, true),
        ("*:443", "anything.example", 80, false),
        ("ipfs.io", "ipfs.io", 443, true),
        ("ipfs.io", "www.ipfs.io", 443, false),
        ("ipfs.io", "xipfs.io", 443, false),
        ("ipfs.io:443", "ipfs.io", 80, false),
        ("*.ipfs.io", "ipfs.io", 443, false),
        ("*.ipfs.io", ".ipfs.io", 443, false),
        ("*.ipfs.io", "a.ipfs.io", 443, true),
        ("*.ipfs.io", "a.b.ipfs.io", 443, true),
        ("*.ipfs.io", "xipfs.io", 443, false),
        ("*.ipfs.io", "a.ipfs.io.evil.example", 443, false),
        ("127.0.0.1:8080", "127.0.0.1", 8080, true),
        ("127.0.0.1:8080", "127.0.0.1", 8081, false),
        ("[2001:db8::1]:443", "2001:db8::1", 443, true),
        ("[2001:0DB8:0::1]", "2001:db8::1", 80, true),
        ("[2001:db8::1]", "2001:db8::2", 443, false),
    ];
    for (text, host, port, covered) in rows {
        assert_eq!(pattern(text).covers(host, port), covered, "{text} and {host}:{port}");
    }
}

#[test]
fn including_and_narrowing_agree_with_the_table() {
    // (allowed, needed, what of it is granted, whether all of it is)
    let rows = [
        ("*", "*.ipfs.io", Some("*.ipfs.io"), true),
        ("*:443", "ipfs.io", Some("ipfs.io:443"), false),
        ("*.ipfs.io:443", "*.ipfs.io", Some("*.ipfs.io:443"), false),
        ("*.ipfs.io", "*.ipfs.io:8443", Some("*.ipfs.io:8443"), true),
        ("*.ipfs.io:443", "*.ipfs.io:80", None, false),
        ("*.ipfs.io", "*.a.ipfs.io", Some("*.a.ipfs.io"), true),
        ("*.a.ipfs.io", "*.ipfs.io", None, false),
        ("*.ipfs.io", "ipfs.io", None, false),
        ("*.ipfs.io", "*.xipfs.io", None, false),
        ("*.ipfs.io", "*", None, false),
        ("ipfs.io", "*.ipfs.io", None, false),
        ("ipfs.io", "ipfs.io", Some("ipfs.io"), true),
        ("ipfs.io", "*", None, false),
    ];
    for (allowed, needed, granted, whole) in rows {
        assert_eq!(pattern(allowed).narrow(&pattern(needed)), granted.map(pattern), "{allowed} narrows {needed}");
        assert_eq!(pattern(allowed).includes(&pattern(needed)), whole, "{allowed} includes {needed}");
    }
}

#[test]
fn a_pattern_keeps_its_text() {
    for text in ["*", "*:1", "*.a.b", "*.a.b:65535", "a", "a_b-c.d:80", "10.0.0.1", "[::1]", "[2001:db8::1]:443"] {
        assert_eq!(pattern(text).to_string(), text);
    }
    assert_eq!(pattern("[2001:0DB8:0::1]:1").to_string(), "[2001:db8::1]:1");
}

#[test]
fn text_that_is_no_pattern_is_refused() {
    let long = "a".repeat(HOST_BYTES_MAX + 1);
    let bad = [
        "",
        ":",
        ":80",
        "*.",
        "*.*",
        "**",
        "a*",
        "*a",
        "a.*",
        "A.example",
        "a b",
        "a/b",
        "https://a",
        "a:0",
        "a:65536",
        "a:+80",
        "a:080",
        "a:",
        "a:b",
        "a:b:80",
        ".a",
        "a.",
        "*.a.",
        "::1",
        "[::1",
        "[::1]80",
        "[::1]:",
        "[a]",
        "[*]",
        "ä.example",
        "a\0b",
        &long,
    ];
    for text in bad {
        assert!(text.parse::<TargetPattern>().is_err(), "{text:?}");
    }
}

#[test]
fn what_people_write_is_read_in_either_case_and_what_is_on_the_wire_has_one_spelling() {
    assert_eq!(TargetPattern::written("*.IPFS.io:443"), Ok(pattern("*.ipfs.io:443")));
    assert!("IPFS.io".parse::<TargetPattern>().is_err());
}
