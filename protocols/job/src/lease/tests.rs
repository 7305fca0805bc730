use super::*;

#[test]
fn a_lease_has_thirty_seconds_its_wall_its_fetch_and_its_place_in_the_queue() {
    assert_eq!(duration_ms(0, 60_000, 0, 1), 90_000);
    assert_eq!(duration_ms(6_500_000, 60_000, 0, 1), 190_000);
    assert_eq!(duration_ms(0, 60_000, 4, 2), 210_000);
}

#[test]
fn numbers_of_strangers_neither_overflow_nor_divide_by_zero() {
    assert_eq!(duration_ms(u64::MAX, u64::MAX, u64::MAX, 0), LEASE_MS_MAX);
}
