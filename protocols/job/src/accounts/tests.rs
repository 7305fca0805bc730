use proptest::prelude::*;

use super::*;
use crate::time::{HOUR, MINUTE};

const START: Time = Time(1_800_000_000_000);

fn key(number: u32) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    NodeId(bytes)
}

fn stranger(number: u32, network: u8) -> Payer {
    Payer::node(key(number), Some(Cluster::V4([198, 51, network])), Acquaintance::Stranger)
}

/// How much of `charge` is paid, unit by unit, before the first refusal.
fn paid(accounts: &mut Accounts, payer: &Payer, charge: Charge, now: Time) -> u64 {
    (0..u64::MAX).find(|_| accounts.charge(payer, charge, 1, now).is_err()).expect("refused in the end")
}

#[test]
fn the_table_keeps_its_promise_that_no_network_can_shut_the_door() {
    for charge in CHARGES {
        let (payer, cluster, strangers) = (charge.payer(), charge.cluster(), charge.strangers());
        assert!(payer.burst <= cluster.burst && payer.per_minute <= cluster.per_minute, "{charge:?}");
        assert!(cluster.burst * 4 <= strangers.burst && cluster.per_minute * 4 <= strangers.per_minute, "{charge:?}");
        assert!(payer.burst > 0 && payer.per_minute > 0, "{charge:?}");
    }
}

#[test]
fn a_stranger_pays_its_burst_and_then_its_rate() {
    let (mut accounts, charge) = (Accounts::default(), Charge::NotAccepted);
    let share = charge.payer();
    assert_eq!(paid(&mut accounts, &stranger(1, 1), charge, START), share.burst);
    assert_eq!(paid(&mut accounts, &stranger(1, 1), charge, START.plus(MINUTE)), share.per_minute.min(share.burst));
    assert_eq!(paid(&mut accounts, &stranger(1, 1), charge, START.plus(10 * HOUR)), share.burst, "no more than the burst is saved up");
}

#[test]
fn a_flood_of_frames_is_let_go_within_a_second_and_whoever_asks_as_often_as_it_may_lacks_no_stream() {
    // 64 frames each 640 µs are 100,000 a second.
    let mut accounts = Accounts::default();
    let outcome = |at: u64| accounts.charge(&stranger(1, 1), Charge::Frames, 64, START.plus(at * 640 / 1_000));
    let ended = (0..).map(outcome).position(|outcome| outcome.is_err_and(|over| over.let_go)).expect("let go");
    assert!(ended as u64 * 640 < 1_000_000, "{ended}");
    // Its burst of questions at once, and then its rate for ten minutes, a dozen frames in each, beside messages of two frames.
    let mut accounts = Accounts::default();
    let mut pays = |charge, amount, now| assert_eq!(accounts.charge(&stranger(1, 1), charge, amount, now), Ok(()));
    for second in 0..600 {
        let of = |share: Share| if second == 0 { share.burst } else { share.per_minute / 60 };
        let (questions, messages, now) = (of(Charge::Questions.payer()), of(Charge::Gossip.payer()), START.plus(second * SECOND));
        for (charge, amount) in [(Charge::Questions, questions), (Charge::Streams, 4 * questions), (Charge::Frames, 12 * questions + 2 * messages)] {
            pays(charge, amount, now);
        }
    }
}

#[test]
fn a_hundred_thousand_keys_of_one_network_pay_together_what_one_network_may() {
    let (mut accounts, charge) = (Accounts::default(), Charge::NotAccepted);
    let total = (0..100_000).filter(|number| accounts.charge(&stranger(*number, 1), charge, 8 * MESSAGE, START).is_ok()).count();
    assert_eq!(8 * MESSAGE * total as u64, charge.cluster().burst);
    assert_eq!(accounts.payers.len(), CLUSTER_PAYERS_MAX);
    assert_eq!(paid(&mut accounts, &stranger(200_000, 2), charge, START), charge.payer().burst, "another network is not refused");
}

#[test]
fn who_has_a_history_is_not_refused_for_what_strangers_of_its_network_do() {
    let (mut accounts, charge) = (Accounts::default(), Charge::Questions);
    for number in 0..10_000 {
        let _ = accounts.charge(&stranger(number, u8::try_from(number % 250).expect("small")), charge, 10, START);
    }
    let known = Payer { acquaintance: Acquaintance::Known, ..stranger(70_000, 1) };
    assert_eq!(paid(&mut accounts, &known, charge, START), charge.payer().burst * KNOWN_TIMES, "larger, and not infinite");
}

#[test]
fn whoever_goes_on_when_refused_is_let_go_and_whoever_keeps_to_its_rate_is_not() {
    let (mut accounts, charge) = (Accounts::default(), Charge::NotAccepted);
    let share = charge.payer();
    let outcomes: Vec<_> = (0..1_000).map(|_| accounts.charge(&stranger(1, 1), charge, MESSAGE, START)).collect();
    let first = outcomes.iter().position(|outcome| outcome.is_err_and(|over| over.let_go)).expect("let go");
    assert_eq!(first as u64, 2 * share.burst / MESSAGE, "its share, and as much again that was refused");
    let figure = accounts.figure(charge);
    assert_eq!((figure.charged, figure.refused), (share.burst, 1_000 * MESSAGE - share.burst));
    assert_eq!(figure.let_go, 1, "however much of what was under way came after it");
    let later = START.plus(2 * share.burst * MINUTE / share.per_minute);
    let again = (0..1_000).map(|_| accounts.charge(&stranger(1, 1), charge, MESSAGE, later)).filter(Result::is_err).count();
    assert!(again > 0);
    assert_eq!(accounts.figure(charge).let_go, 2, "one that came back and did the same");
    // Nobody is let go for what others name or for bytes that it wants: nothing is counted that is not done.
    for charge in CHARGES.into_iter().filter(|charge| !charge.closes()) {
        let amount = charge.payer().burst;
        let over = (0..10).filter_map(|_| accounts.charge(&stranger(2, 2), charge, amount, later).err()).collect::<Vec<_>>();
        assert_eq!(over.len(), 9, "{charge:?}");
        assert!(over.iter().all(|over| !over.let_go), "{charge:?}");
        assert_eq!(accounts.figure(charge).let_go, 0, "{charge:?}");
    }
    // One that sends at its rate for hours, and its network is full of others.
    let mut accounts = Accounts::default();
    for step in 0..10_000 {
        let now = START.plus(step * MINUTE / share.per_minute);
        let _ = accounts.charge(&stranger(u32::try_from(step).expect("small") + 10, 1), charge, 100, now);
        let outcome = accounts.charge(&stranger(1, 1), charge, 1, now);
        assert!(!outcome.is_err_and(|over| over.let_go), "at {step}");
    }
}

#[test]
fn the_tables_are_bounded_and_being_forgotten_gives_nothing() {
    let mut accounts = Accounts::default();
    let victim = stranger(1, 1);
    while accounts.charge(&victim, Charge::Questions, 1, START).is_ok() {}
    for number in 0..200_000_u32 {
        let [_, high, low, _] = number.to_be_bytes();
        let payer = Payer::node(key(number + 10), Some(Cluster::V4([100, high, low])), Acquaintance::Stranger);
        let _ = accounts.charge(&payer, Charge::NotAccepted, 1_024, START.plus(u64::from(number) / 100));
    }
    assert!(accounts.gauges().iter().all(|gauge| !gauge.is_exceeded()), "{:?}", accounts.gauges());
    assert_eq!(accounts.payers.len(), STRANGERS_MAX, "all that strangers may have");
    assert!(accounts.payers.contains_key(&victim.who), "who owes is not forgotten for those who come");
    let again = paid(&mut accounts, &victim, Charge::Questions, START.plus(2_000));
    assert_eq!(again, Charge::Questions.payer().per_minute * 2_000 / MINUTE, "no more than what two seconds added");
}

#[test]
fn a_network_whose_names_are_used_up_shares_one_account() {
    let (mut accounts, charge) = (Accounts::default(), Charge::Records);
    for number in 0..u32::try_from(CLUSTER_PAYERS_MAX).expect("small") {
        accounts.charge(&stranger(number, 1), charge, 1, START).expect("paid");
    }
    let crowd: u64 = (1_000..1_010).map(|number| paid(&mut accounts, &stranger(number, 1), charge, START)).sum();
    assert_eq!(crowd, charge.payer().burst, "all together what one may");
}

#[test]
fn what_is_not_used_comes_back_and_what_is_owed_is_paid_later() {
    let (mut accounts, charge) = (Accounts::default(), Charge::CompileMs);
    let (payer, share) = (stranger(1, 1), charge.payer());
    accounts.charge(&payer, charge, share.burst, START).expect("paid");
    assert!(!accounts.could_pay(&payer, charge, 1, START));
    accounts.give_back(&payer, charge, 100, START);
    assert_eq!(paid(&mut accounts, &payer, charge, START), 100);
    accounts.give_back(&payer, charge, u64::MAX, START);
    assert_eq!(paid(&mut accounts, &payer, charge, START), share.burst, "no more than the burst comes back");
    accounts.owe(&payer, charge, u64::MAX, START);
    let whole = share.burst * MINUTE / share.per_minute;
    assert!(!accounts.could_pay(&payer, charge, 1, START.plus(whole)), "what is owed comes first");
    assert!(accounts.could_pay(&payer, charge, share.burst, START.plus(2 * whole + MINUTE)), "and has an end");
}

#[test]
fn a_neighbour_that_forwards_what_it_takes_itself_is_never_refused_however_many_topics_are_flooded() {
    for topics in [1, 4, 5, 8, 12, 32] {
        let (mut accounts, neighbour) = (Accounts::default(), stranger(1, 1));
        // It takes sixteen at once in each topic, and then one a second; of all of it this station takes nothing.
        let mut forwards = |calls: usize, now: Time| {
            for _ in 0..calls {
                accounts.charge(&neighbour, Charge::NotAccepted, MESSAGE, now).expect("not refused");
                accounts.charge(&neighbour, Charge::Signatures, 2, now).expect("not refused");
                accounts.give_back(&neighbour, Charge::NotAccepted, MESSAGE - over_quota(topics), now);
            }
        };
        forwards(16 * topics, START);
        for second in 1..3_600 {
            forwards(topics, START.plus(second * 1_000));
        }
    }
}

#[test]
fn one_machine_is_an_ipv4_address_or_a_64() {
    let host = |text: &str| Host::of(text.parse().expect("an address"));
    assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
    assert_ne!(host("192.0.2.1"), host("192.0.2.2"));
    assert_eq!(host("2001:db8:1:2::1"), host("2001:db8:1:2:ffff::9"));
    assert_ne!(host("2001:db8:1:2::1"), host("2001:db8:1:3::1"));
}

#[test]
fn all_strangers_have_one_purse_and_all_others_another() {
    let (mut accounts, charge) = (Accounts::default(), Charge::Dials);
    let strange: u64 = (0..80).map(|number| paid(&mut accounts, &stranger(number, (number / 2) as u8), charge, START)).sum();
    assert_eq!(strange, charge.strangers().burst);
    let shared = Payer { acquaintance: Acquaintance::SharedHost, ..stranger(100, 100) };
    let refused = accounts.charge(&shared, charge, 1, START).map_err(|over| over.scope);
    assert_eq!(refused, Err(Scope::Strangers), "who shares an address pays with them");
    let known = |number: u32| Payer { acquaintance: Acquaintance::Known, ..stranger(1_000 + number, 101) };
    let acquainted: u64 = (0..100).map(|number| paid(&mut accounts, &known(number), charge, START)).sum();
    assert_eq!(acquainted, charge.strangers().burst * ACQUAINTED_TIMES);
}

#[test]
fn a_clock_that_is_set_back_and_comes_again_gives_nothing() {
    let (mut accounts, charge, payer) = (Accounts::default(), Charge::Dials, stranger(1, 1));
    paid(&mut accounts, &payer, charge, START);
    for now in [START.minus(HOUR), START, START.minus(HOUR), START] {
        assert!(!accounts.could_pay(&payer, charge, 1, now));
    }
}

#[test]
fn payers_and_clusters_are_bounded_and_those_beyond_pay_together() {
    let (mut accounts, charge) = (Accounts::default(), Charge::Questions);
    for number in 0..2_000_u32 {
        let [.., high, low] = number.to_be_bytes();
        let _ = accounts.charge(&Payer::node(key(number), Some(Cluster::V4([100, high, low])), Acquaintance::Stranger), charge, 1, START);
    }
    assert_eq!(accounts.clusters.len(), CLUSTERS_MAX);
    let mut accounts = Accounts::default();
    (0..6_000).for_each(|number| _ = accounts.charge(&Payer { acquaintance: Acquaintance::Known, ..stranger(number, 1) }, charge, 1, START));
    assert_eq!(accounts.payers.len(), PAYERS_MAX);
    let mut accounts = Accounts::default();
    let strangers = u32::try_from(STRANGERS_MAX).expect("small");
    (0..strangers).for_each(|number| accounts.charge(&stranger(number, (number % 200) as u8), charge, 1, START).expect("paid"));
    let beyond: u64 = (0..20).map(|number| paid(&mut accounts, &stranger(strangers + number, 201), charge, START)).sum();
    assert_eq!(beyond, charge.payer().burst);
}

#[test]
fn only_what_is_whole_is_forgotten_and_it_is_looked_for_once_a_second() {
    let (charge, share) = (Charge::Dials, Charge::Dials.payer());
    let whole = START.plus(share.burst * MINUTE / share.per_minute);
    // The payer owes longer than its network does, and is counted there.
    let mut accounts = Accounts::default();
    paid(&mut accounts, &stranger(1, 1), charge, START);
    accounts.sweep(START.plus(5 * MINUTE));
    assert_eq!((accounts.payers.len(), accounts.clusters.len()), (1, 1));
    accounts.sweep(whole.plus(MINUTE));
    assert_eq!((accounts.payers.len(), accounts.clusters.len()), (0, 0));
    // Its patience is not whole yet although its budget is.
    let (charge, share) = (Charge::Records, Charge::Records.payer());
    let whole = START.plus(share.burst * MINUTE / share.per_minute + 1);
    let mut accounts = Accounts::default();
    accounts.charge(&stranger(1, 1), charge, share.burst, START).expect("paid");
    assert!(accounts.charge(&stranger(1, 1), charge, share.burst, whole.minus(SECOND)).is_err());
    accounts.sweep(whole);
    assert_eq!(accounts.payers.len(), 1);
    // Those of a network that are not known by name owe still.
    let mut accounts = Accounts::default();
    for number in 0..u32::try_from(CLUSTER_PAYERS_MAX).expect("small") {
        accounts.charge(&stranger(number, 1), Charge::Records, 1, START).expect("paid");
    }
    paid(&mut accounts, &stranger(1_000, 1), Charge::Records, START.plus(MINUTE));
    accounts.sweep(START.plus(MINUTE + SECOND));
    assert_eq!((accounts.payers.len(), accounts.clusters.len()), (0, 1));
    // Once a second.
    let mut accounts = Accounts::default();
    accounts.sweep(START);
    accounts.charge(&stranger(1, 1), Charge::Gossip, 1, START).expect("paid");
    accounts.sweep(START.plus(SECOND - 1));
    assert_eq!(accounts.payers.len(), 1);
    accounts.sweep(START.plus(SECOND));
    assert_eq!(accounts.payers.len(), 0);
}

#[derive(Clone, Debug)]
struct Step {
    payer: u32,
    network: u8,
    known: bool,
    charge: usize,
    amount: u64,
    pause_ms: i64,
}

fn step() -> impl Strategy<Value = Step> {
    // Pauses may be negative: clocks are set back.
    (0u32..6, 0u8..3, prop::bool::weighted(0.1), 0..CHARGES.len(), 1u64..400, -5_000i64..20_000)
        .prop_map(|(payer, network, known, charge, amount, pause_ms)| Step { payer, network, known, charge, amount, pause_ms })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]
    #[test]
    fn nobody_ever_pays_more_than_its_burst_and_what_time_added(steps in prop::collection::vec(step(), 0..300)) {
        let mut accounts = Accounts::default();
        let (mut now, mut latest) = (START, START);
        let mut by_payer = BTreeMap::<(u32, Charge), u64>::new();
        let mut by_network = BTreeMap::<(u8, Charge), u64>::new();
        let mut by_all = BTreeMap::<(bool, Charge), u64>::new();
        for step in steps {
            now = Time(now.0.saturating_add_signed(step.pause_ms));
            latest = latest.max(now);
            let charge = CHARGES[step.charge];
            // Amounts near the bursts, so that refusals happen.
            let amount = step.amount * charge.payer().burst.div_ceil(200);
            // Who has a history has it all the time here: with another key.
            let (number, acquaintance) = if step.known { (step.payer + 100, Acquaintance::Known) } else { (step.payer, Acquaintance::Stranger) };
            let payer = Payer { acquaintance, ..stranger(number, step.network) };
            if accounts.charge(&payer, charge, amount, now).is_ok() {
                *by_payer.entry((number, charge)).or_default() += amount;
                *by_all.entry((step.known, charge)).or_default() += amount;
                if !step.known {
                    *by_network.entry((step.network, charge)).or_default() += amount;
                }
            }
        }
        let lasted = latest.since(START);
        let most = |share: Share, times: u64| times * (share.burst + (share.per_minute * lasted).div_ceil(MINUTE));
        for ((number, charge), total) in by_payer {
            let times = if number < 100 { 1 } else { KNOWN_TIMES };
            prop_assert!(total <= most(charge.payer(), times));
        }
        for ((_, charge), total) in by_network {
            prop_assert!(total <= most(charge.cluster(), 1));
        }
        for ((known, charge), total) in by_all {
            let times = if known { ACQUAINTED_TIMES } else { 1 };
            prop_assert!(total <= most(charge.strangers(), times));
        }
    }
}

#[test]
fn of_an_answer_as_much_is_left_as_was_paid_for_and_no_part_is_asked_for_after_one_that_was_not() {
    use crate::bounded::List;
    use crate::census::PeerRecord;
    use crate::identity::SigningKey;
    use crate::work::Response;
    let key = SigningKey::from_bytes(&[7; 32]);
    let topic = crate::bounded::Name::new("topic").expect("a name");
    let record = key.sign(&topic, PeerRecord { node: key.node(), topic: topic.clone(), at: List::default(), made: START });
    let answer = Response::Peers { time: Time(0), records: List::first(std::iter::repeat_n(record, 200)) };
    let (mut accounts, payer, mut asked) = (Accounts::default(), stranger(1, 1), 0);
    let mut left = |answer: &Response| match told::paid(answer.clone(), |charge, amount| {
        asked += 1;
        accounts.charge(&payer, charge, amount, START).is_ok()
    }) {
        Response::Peers { records, .. } => records.len(),
        other => panic!("{other:?}"),
    };
    let told: Vec<usize> = (0..7).map(|_| left(&answer)).collect();
    assert_eq!(told, [200, 200, 200, 200, 200, 24, 0]);
    assert_eq!(told::paid(Response::Noted, |_, _| panic!("an answer without parts costs nothing")), Response::Noted);
    assert_eq!(asked, 2 * 1_026, "one refusal for each answer that was cut");
}

#[test]
fn of_a_purse_that_many_share_only_who_goes_on_by_itself_is_let_go() {
    let (mut accounts, charge) = (Accounts::default(), Charge::NotAccepted);
    let share = charge.payer();
    for number in 0..u32::try_from(CLUSTER_PAYERS_MAX).expect("small") {
        let _ = accounts.charge(&stranger(number, 1), charge, 1, START);
    }
    // One of the others of the network uses up what they have together, and goes on: for ten minutes little is left for the rest.
    let mut ended = None;
    for second in 0..600 {
        let now = START.plus(second * SECOND);
        let floods = |accounts: &mut Accounts| accounts.charge(&stranger(1_000, 1), charge, share.per_minute / 10, now);
        let let_go = (0..10).map(|_| floods(&mut accounts)).filter(|outcome| outcome.is_err_and(|over| over.let_go)).count();
        ended = ended.or((let_go > 0).then_some(second));
        let innocent = accounts.charge(&stranger(1_001, 1), charge, share.per_minute / 60, now);
        assert!(!innocent.is_err_and(|over| over.let_go), "who keeps to its rate is borne: {second}");
    }
    assert_eq!(ended, Some(1), "whoever goes on is let go in the second second");
    assert_eq!(accounts.figure(charge).let_go, 1);
    let goes_on = (0..1_000).map(|_| accounts.charge(&stranger(1, 1), charge, MESSAGE, START));
    assert!(goes_on.last().expect("many").is_err_and(|over| over.let_go), "it is remembered by name");
}

#[test]
fn those_who_are_refused_without_an_account_are_a_bounded_number_and_who_still_goes_on_is_not_forgotten_for_new_ones() {
    let (mut accounts, charge) = (Accounts::default(), Charge::Questions);
    let share = charge.payer();
    let goes_on = |accounts: &mut Accounts, now| accounts.charge(&stranger(u32::MAX, 1), charge, share.burst / 8, now).is_err_and(|over| over.let_go);
    for number in 0..u32::try_from(CLUSTER_PAYERS_MAX).expect("small") {
        let _ = accounts.charge(&stranger(number, 1), charge, 1, START);
    }
    let mut let_go = false;
    for number in 0..u32::try_from(3 * SUFFERED_MAX).expect("small") {
        let now = START.plus(u64::from(number));
        let _ = accounts.charge(&stranger(10_000 + number, 1), charge, share.burst, now);
        if number % 100 == 0 {
            let_go |= goes_on(&mut accounts, now);
        }
        let [_, _, refused] = accounts.gauges();
        assert!(!refused.is_exceeded(), "{number}");
    }
    assert!(let_go);
}
