use super::*;
use crate::codec::{self, DecodeError};

fn decoded<T: serde::de::DeserializeOwned + Serialize>(value: &impl Serialize) -> Result<T, DecodeError> {
    codec::decode(&codec::encode(value), 1_000)
}

#[test]
fn text_is_bounded_in_bytes_built_or_decoded() {
    assert_eq!(Text::<4>::new("über").unwrap_err(), BoundError::TooLong { length: 5, max: 4 });
    assert_eq!(decoded::<Text<5>>(&"über").unwrap().as_str(), "über");
    assert!(matches!(decoded::<Text<4>>(&"über"), Err(DecodeError::Shape(reason)) if reason.contains("longer than the 4")));
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(Text::<4>::cut("aüüü").as_str(), "aü");
    assert_eq!(Text::<3>::cut("abc").as_str(), "abc");
    assert_eq!(Text::<0>::cut("ü").as_str(), "");
    assert_eq!(Text::<1>::cut("ü").as_str(), "");
}

#[test]
fn a_name_is_safe_in_paths_and_protocol_ids() {
    for good in ["a", "0", "a-b.c_d", &"a".repeat(64)] {
        assert_eq!(Name::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "-a", ".a", "_a", "..", "A", "a/b", "a b", "a\0", "ä", &"a".repeat(65)] {
        assert!(matches!(Name::new(bad), Err(BoundError::NotAName(_))), "{bad:?}");
        assert!(matches!(decoded::<Name>(&bad), Err(DecodeError::Shape(_))), "{bad:?}");
    }
}

#[test]
fn a_list_and_bytes_are_bounded_built_or_decoded() {
    assert_eq!(List::<u8, 2>::new(vec![1, 2, 3]).unwrap_err(), BoundError::TooLong { length: 3, max: 2 });
    assert_eq!(List::<u8, 2>::first([1, 2, 3]).into_vec(), [1, 2]);
    assert!(decoded::<List<u8, 2>>(&[1, 2]).is_ok());
    assert!(matches!(decoded::<List<u8, 2>>(&[1, 2, 3]), Err(DecodeError::Shape(_))));
    assert_eq!(Bytes::<2>::new(vec![0; 3]).unwrap_err(), BoundError::TooLong { length: 3, max: 2 });
    assert!(decoded::<Bytes<2>>(&Bytes::<9>::new(vec![0; 2]).unwrap()).is_ok());
    assert!(matches!(decoded::<Bytes<2>>(&Bytes::<9>::new(vec![0; 3]).unwrap()), Err(DecodeError::Shape(_))));
}
