use super::*;

fn text(key: &str) -> Text<64> {
    Text::new(key).unwrap()
}

fn product(lists: &[(&str, Vec<Ipld>)]) -> Jobs {
    Jobs::product(lists.iter().map(|(key, values)| (text(key), values.clone())).collect()).unwrap()
}

fn strings(values: &[&str]) -> Vec<Ipld> {
    values.iter().map(|value| Ipld::String((*value).to_owned())).collect()
}

fn map(entries: &[(&str, &str)]) -> Ipld {
    Ipld::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), Ipld::String((*value).to_owned()))).collect())
}

#[test]
fn the_last_key_in_bytewise_order_varies_fastest() {
    let jobs = product(&[("gateway", strings(&["a", "b"])), ("cid", strings(&["x", "y", "z"]))]);
    let all: Vec<Ipld> = (0..jobs.count()).map(|index| codec::decode(&jobs.input(index).unwrap(), INPUT_BYTES_MAX).unwrap()).collect();
    let expected: Vec<Ipld> = ["x", "y", "z"].iter().flat_map(|cid| ["a", "b"].map(|gateway| map(&[("cid", cid), ("gateway", gateway)]))).collect();
    assert_eq!(all, expected);
    assert_eq!(jobs.input(jobs.count()), None);
    assert_eq!(jobs.target(1, "gateway").as_deref(), Some("b"));
    assert_eq!(jobs.target(0, "nothing"), None);
}

#[test]
fn an_input_of_a_product_is_what_the_codec_would_have_encoded() {
    let values = vec![Ipld::Integer(-70_000), Ipld::Float(0.5), Ipld::Null, Ipld::Bytes(vec![1; 300]), map(&[("bb", "1"), ("c", "2")])];
    let jobs = product(&[("long-key", values.clone()), ("z", values.clone()), ("a", values)]);
    for index in 0..jobs.count() {
        let bytes = jobs.input(index).unwrap();
        let value: Ipld = codec::decode(&bytes, INPUT_BYTES_MAX).expect("canonical");
        assert_eq!(codec::encode(&value), bytes);
    }
}

#[test]
fn a_huge_product_is_reached_by_arithmetic() {
    let thousand: Vec<Ipld> = (0..1_000).map(Ipld::Integer).collect();
    let jobs = product(&[("a", thousand.clone()), ("b", thousand.clone()), ("c", thousand)]);
    assert_eq!(jobs.count(), PRODUCT_MAX);
    let input: Ipld = codec::decode(&jobs.input(123_456_789).unwrap(), INPUT_BYTES_MAX).unwrap();
    let expected = [("a", 123), ("b", 456), ("c", 789)].map(|(key, value)| (key.to_owned(), Ipld::Integer(value)));
    assert_eq!(input, Ipld::Map(expected.into_iter().collect()));
}

#[test]
fn explicit_inputs_keep_their_order_across_chunks() {
    let inputs: Vec<Ipld> = (0..2_500).map(|n| map(&[("n", &n.to_string())])).collect();
    let jobs = Jobs::explicit(inputs.clone()).unwrap();
    assert_eq!(jobs.count(), 2_500);
    assert_eq!((jobs.blobs().len(), jobs.block_count()), (1 + 3, 1 + 3));
    for (index, input) in inputs.iter().enumerate() {
        assert_eq!(jobs.input(index as u64).unwrap(), codec::encode(input));
    }
    assert_eq!(jobs.input(2_500), None);
    assert_eq!(jobs.input(u64::MAX), None);
    assert_eq!(jobs.target(2_049, "n").as_deref(), Some("2049"));
}

#[test]
fn a_chunk_ends_before_it_is_too_large() {
    let inputs = vec![Ipld::Bytes(vec![0; 16_000]); 40];
    let jobs = Jobs::explicit(inputs).unwrap();
    let sizes: Vec<usize> = jobs.blobs()[1..].iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= CHUNK_BYTES_MAX), "{sizes:?}");
}

#[test]
fn jobs_come_back_from_their_blocks_and_from_their_record() {
    let of_lists = product(&[("a", strings(&["1", "2"])), ("b", strings(&["3"]))]);
    let of_inputs = Jobs::explicit((0..3_000).map(Ipld::Integer).collect()).unwrap();
    for jobs in [of_lists, of_inputs] {
        let blobs: BTreeMap<Cid, Vec<u8>> = jobs.blobs().into_iter().collect();
        assert_eq!(Jobs::read(&jobs.root(), |cid| blobs.get(cid).cloned()).unwrap(), jobs);
        let record = codec::encode(&jobs);
        assert_eq!(codec::decode::<Jobs>(&record, record.len()).unwrap(), jobs);
    }
}

#[test]
fn a_missing_or_exchanged_block_is_named() {
    let jobs = product(&[("a", strings(&["1", "2"]))]);
    let blobs = jobs.blobs();
    let (list, _) = blobs[1].clone();
    let without = |cid: &Cid| blobs.iter().find(|(own, _)| own == cid && *own != list).map(|(_, bytes)| bytes.clone());
    assert_eq!(Jobs::read(&jobs.root(), without), Err(JobsError::Missing(list)));
    let exchanged = |cid: &Cid| if *cid == list { Some(vec![0x80]) } else { without(cid) };
    assert_eq!(Jobs::read(&jobs.root(), exchanged), Err(JobsError::WrongBlock(list)));
}

#[test]
fn a_root_that_miscounts_its_list_is_refused() {
    let list = Packed::new(&[codec::encode(&Ipld::Integer(1))]);
    let root = codec::encode(&Root::Product(vec![(text("a"), list.cid(), 2)]));
    let name = cid_of(DAG_CBOR, &root);
    let read = Jobs::read(&name, |cid| Some(if *cid == name { root.clone() } else { list.bytes().to_vec() }));
    assert_eq!(read, Err(JobsError::WrongBlock(list.cid())));
}

#[test]
fn every_bound_refuses_with_a_reason() {
    assert_eq!(Jobs::explicit(vec![]), Err(JobsError::Empty));
    assert_eq!(Jobs::product(BTreeMap::new()), Err(JobsError::Empty));
    assert_eq!(Jobs::product([(text("a"), vec![])].into()), Err(JobsError::EmptyList("a".into())));
    let many: Vec<Ipld> = (0..1_001).map(Ipld::Integer).collect();
    let lists = ["a", "b", "c"].map(|key| (text(key), many.clone()));
    assert_eq!(Jobs::product(lists.into()), Err(JobsError::ProductTooLarge));
    let keys = (0..=KEYS_MAX).map(|n| (text(&n.to_string()), vec![Ipld::Null])).collect();
    assert_eq!(Jobs::product(keys), Err(JobsError::TooManyKeys { count: KEYS_MAX + 1 }));
    let long = Ipld::Bytes(vec![0; INPUT_BYTES_MAX]);
    assert!(matches!(Jobs::explicit(vec![Ipld::Null, long.clone()]), Err(JobsError::InputTooLarge { index: 1, .. })));
    assert!(matches!(Jobs::product([(text("a"), vec![long])].into()), Err(JobsError::InputTooLarge { .. })));
    let wide = vec![Ipld::Bytes(vec![0; 16_000]); 140];
    assert_eq!(Jobs::product([(text("a"), wide)].into()), Err(JobsError::ListTooLarge { key: "a".into() }));
}

#[test]
fn values_without_a_canonical_form_are_refused() {
    let mut deep = Ipld::Null;
    for _ in 0..codec::DEPTH_MAX {
        deep = Ipld::List(vec![deep]);
    }
    for bad in [Ipld::Float(f64::NAN), Ipld::Float(f64::INFINITY), Ipld::Integer(i128::MAX), deep] {
        assert!(matches!(Jobs::explicit(vec![bad.clone()]), Err(JobsError::NotEncodable { .. })), "{bad:?}");
        assert!(matches!(Jobs::product([(text("a"), vec![bad])].into()), Err(JobsError::NotEncodable { .. })));
    }
}

#[test]
fn the_deepest_input_that_is_taken_can_be_read_back() {
    let mut deep = Ipld::Null;
    for _ in 0..codec::DEPTH_MAX - 1 {
        deep = Ipld::List(vec![deep]);
    }
    for jobs in [Jobs::explicit(vec![deep.clone()]).unwrap(), product(&[("a", vec![deep])])] {
        let blobs: BTreeMap<Cid, Vec<u8>> = jobs.blobs().into_iter().collect();
        assert_eq!(Jobs::read(&jobs.root(), |cid| blobs.get(cid).cloned()).unwrap(), jobs);
        assert!(codec::decode::<Ipld>(&jobs.input(0).unwrap(), INPUT_BYTES_MAX).is_ok());
    }
}
