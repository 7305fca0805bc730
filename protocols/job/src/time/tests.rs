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

/// Whether a count is over on each of `days`, where it begins on the first.
fn over(days: &[u64]) -> Vec<bool> {
    let mut counted = CountedDay::of(days[0]);
    let over = |day: &u64| {
        let covers = counted.covers(*day);
        let over = counted.turn(*day);
        assert_eq!(over, !covers);
        over
    };
    days[1..].iter().map(over).collect()
}

#[test]
fn a_count_ends_at_midnight_and_goes_on_where_the_clock_is_set_back() {
    assert_eq!(over(&[10, 10, 11, 11, 12]), [false, true, false, true]);
    assert_eq!(over(&[11, 10, 10, 11, 12]), [false, false, false, true], "a day at most: as if it were tomorrow already");
}

#[test]
fn a_count_of_a_clock_that_was_years_ahead_ends_tomorrow() {
    assert_eq!(over(&[375, 10, 10, 11, 11, 12, 375]), [false, false, true, false, true, true]);
    assert_eq!(over(&[u64::MAX, 10, 11]), [false, true]);
}

#[test]
fn a_count_goes_on_when_a_machine_without_a_clock_boots_in_1970_and_is_told_the_time() {
    assert_eq!(over(&[20_000, 0, 0, 20_000, 20_001]), [false, false, false, true]);
    assert_eq!(over(&[20_000, 0, 20_001]), [false, true], "past midnight it is over");
}
