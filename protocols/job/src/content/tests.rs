use super::*;

#[test]
fn a_raw_block_has_the_cid_that_the_world_knows() {
    // Computed from the CID specification with another program: version 1, raw, sha2-256, 32 bytes, base32.
    let empty = Content::raw(b"");
    assert_eq!(empty.cid.to_string(), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
    assert_eq!(empty.bytes, 0);
    assert_eq!(cid_of(DAG_CBOR, b"").codec(), DAG_CBOR);
}

#[test]
fn parts_are_hashed_as_one() {
    assert_eq!(sha256(&[b"sta", b"", b"tion"]), sha256(&[b"station"]));
    assert_ne!(sha256(&[b"station"]), sha256(&[b"statio"]));
}
