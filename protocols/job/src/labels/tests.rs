use super::*;
use crate::codec::{self, DecodeError};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn label<const N: usize>(label: &str, values: [&str; N]) -> (Name, List<Name, LABEL_VALUES_MAX>) {
    (name(label), List::new(values.map(name).to_vec()).unwrap())
}

#[test]
fn labels_beyond_a_bound_can_neither_be_made_nor_decoded() {
    let many = (0..17).map(|number| label(&format!("l{number}"), ["v"]));
    assert_eq!(Labels::of(many.clone()), Err(LabelsError::TooMany(17)));
    let long: Vec<Name> = (0..16).map(|number| name(&format!("{number:a>64}"))).collect();
    let wide = |labels: usize| (0..labels).map(|number| (name(&format!("{number:b>64}")), List::new(long.clone()).unwrap()));
    assert!(Labels::of(wide(1)).is_ok());
    assert_eq!(Labels::of(wide(2)), Err(LabelsError::TooLong(2 * 17 * 64)));
    let bytes = |labels: &BTreeMap<_, _>| codec::decode::<Labels>(&codec::encode(labels), 1 << 20);
    assert!(matches!(bytes(&many.collect()), Err(DecodeError::Shape(_))));
    assert!(matches!(bytes(&wide(2).collect()), Err(DecodeError::Shape(_))));
    assert!(bytes(&wide(1).collect()).is_ok());
    let values = BTreeMap::from([("l", vec!["v"; 17])]);
    assert!(matches!(codec::decode::<Labels>(&codec::encode(&values), 1 << 20), Err(DecodeError::Shape(_))));
}

#[test]
fn a_value_that_a_station_says_often_takes_no_more_room_than_one_that_was_asked_for() {
    let long = format!("{:a>64}", "");
    let asked = Labels::of([label("net", [&long, "home"])]).unwrap();
    let often = Labels::of([label("net", [long.as_str(); 16]), label("region", ["eu"; 16])]).unwrap();
    let kept = often.of_interest(&asked);
    assert_eq!(kept, Labels::of([label("net", [&long]), label("region", ["eu"])]).unwrap());
    assert!(codec::encode(&often.of_interest(&asked)[&name("net")]).len() <= codec::encode(&asked[&name("net")]).len());
}

#[test]
fn of_a_stations_labels_a_receipt_keeps_what_was_asked_for_and_the_region() {
    let own = Labels::of([label("region", ["eu", "us"]), label("net", ["home", "cable"]), label("colour", ["red"])]).unwrap();
    let kept = |asked: &Labels| own.of_interest(asked);
    assert_eq!(kept(&Labels::new()), Labels::of([label("region", ["eu"])]).unwrap());
    let asked = Labels::of([label("region", ["us", "asia"]), label("net", ["cable"])]).unwrap();
    assert!(own.carry(&asked) && !own.carry(&Labels::of([label("region", ["asia"])]).unwrap()));
    assert_eq!(kept(&asked), Labels::of([label("region", ["us"]), label("net", ["cable"])]).unwrap());
    assert_eq!(kept(&asked).region(), Some(&name("us")));
}
