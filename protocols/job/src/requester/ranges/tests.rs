use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn neighbours_become_one_range() {
    let ranges: Ranges = [1, 3, 2, 7].into_iter().collect();
    assert_eq!(ranges.iter().collect::<Vec<_>>(), vec![(1, 4), (7, 8)]);
    assert_eq!((ranges.len(), ranges.next_gap(1), ranges.next_gap(4), ranges.next_gap(0)), (4, 4, 4, 0));
}

proptest! {
    #[test]
    fn it_is_the_set_that_it_stands_for(first in prop::collection::vec(0..60_u64, 0..60), second in prop::collection::vec(0..60_u64, 0..60)) {
        let mut ranges = Ranges::default();
        let mut set = BTreeSet::new();
        for number in &first {
            prop_assert_eq!(ranges.insert(*number), set.insert(*number));
        }
        ranges.absorb(&second.iter().copied().collect());
        set.extend(&second);
        for number in 0..62 {
            prop_assert_eq!(ranges.contains(number), set.contains(&number));
            prop_assert_eq!(ranges.next_gap(number), (number..).find(|other| !set.contains(other)).unwrap());
        }
        prop_assert_eq!(ranges.len(), set.len() as u64);
        prop_assert_eq!(&ranges, &set.into_iter().collect::<Ranges>());
        let bytes = crate::codec::encode(&ranges);
        prop_assert_eq!(crate::codec::decode::<Ranges>(&bytes, bytes.len()).unwrap(), ranges);
    }
}
