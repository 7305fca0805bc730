use super::*;

#[test]
fn arithmetic_stops_at_both_ends() {
    assert_eq!(Time(u64::MAX).plus(1), Time(u64::MAX));
    assert_eq!(Time(5).minus(6), Time(0));
    assert_eq!(Time(5).since(Time(7)), 0);
    assert_eq!(Time(7).since(Time(5)), 2);
}

#[test]
fn days_begin_at_midnight_utc() {
    assert_eq!((Time(DAY - 1).day(), Time(DAY).day()), (0, 1));
}
