use super::*;
use crate::bounded::Text;
use crate::capability::{Capability, Needs};
use crate::content::{Content, RAW, cid_of};
use crate::experiment::{Class, EXECUTIONS_MAX, FIELDS_MAX, JobsRef, Labels, MODULE_BYTES_MAX, Measurement, Spread, Trust};
use crate::identity::{Hash32, SigningKey};
use crate::limits::{LIMITS_MAX, Limits};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn address(seed: u8) -> Address {
    Address::parse(&format!("/ip4/192.0.2.1/tcp/1/p2p/{}", key(seed).node())).unwrap()
}

fn experiment() -> Experiment {
    Experiment {
        requester: key(1).node(),
        network: name("net"),
        topic: name("topic"),
        name: Text::default(),
        module: Content::raw(b"module"),
        profile: name("profile"),
        needs: Needs::new(),
        limits: Limits::default(),
        class: Class::Pure(Trust::Fixed(3)),
        jobs: JobsRef { root: cid_of(RAW, b"jobs"), count: 1, target: None },
        labels: Labels::new(),
        deadline: Time(0),
        contact: Text::default(),
        commitment: Hash32::default(),
        input: crate::experiment::InputForm::DagCbor,
        output: crate::experiment::OutputForm::DagCbor,
        previous: None,
    }
}

fn call(experiment: Signed<Experiment>) -> Call {
    let at = List::new(vec![address(1)]).unwrap();
    Call { experiment, seq: 0, state: CallState::Open, claim_below: 0, wanted: 1, at, nbf: Time(5), exp: Time(5 + CALL_VALID_MS_MAX) }
}

/// What a station says to the Call that `change` makes of a good one, all of it signed by its requester.
fn said(change: impl FnOnce(&mut Call)) -> Result<(), CallError> {
    let mut call = call(key(1).sign(&name("net"), experiment()));
    change(&mut call);
    check(&codec::encode(&key(1).sign(&name("net"), call)), &name("net"), &name("topic")).map(|_| ())
}

/// The same for a change of the experiment.
fn said_of(change: impl FnOnce(&mut Experiment)) -> Result<(), CallError> {
    let mut experiment = experiment();
    change(&mut experiment);
    said(|call| call.experiment = key(1).sign(&name("net"), experiment))
}

#[test]
fn a_good_call_passes() {
    assert_eq!(said(|_| ()), Ok(()));
    assert_eq!(said(|call| call.at = List::default()), Ok(()));
}

#[test]
fn only_the_requester_calls_for_its_experiment() {
    let (net, topic) = (name("net"), name("topic"));
    let stolen = key(2).sign(&net, call(key(1).sign(&net, experiment())));
    assert_eq!(check_decoded(&stolen, &net, &topic), Err(CallError::Author));
    assert_eq!(said(|call| call.experiment = key(2).sign(&net, experiment())), Err(CallError::Author));
}

#[test]
fn a_call_belongs_to_one_network_and_topic() {
    assert_eq!(said_of(|experiment| experiment.network = name("other")), Err(CallError::Elsewhere));
    assert_eq!(said_of(|experiment| experiment.topic = name("other")), Err(CallError::Elsewhere));
}

#[test]
fn both_signatures_must_match() {
    let (net, topic) = (name("net"), name("topic"));
    let mut flipped = key(1).sign(&net, call(key(1).sign(&net, experiment())));
    flipped.signature.0[5] ^= 1;
    assert_eq!(check_decoded(&flipped, &net, &topic), Err(CallError::CallSignature));
    assert_eq!(said(|call| call.experiment.signature.0[5] ^= 1), Err(CallError::ExperimentSignature));
    assert_eq!(said(|call| call.experiment = key(1).sign(&name("other"), experiment())), Err(CallError::ExperimentSignature));
}

#[test]
fn a_call_is_valid_for_ten_minutes_at_most_and_not_never() {
    assert_eq!(said(|call| call.exp = call.nbf.plus(CALL_VALID_MS_MAX + 1)), Err(CallError::Validity));
    assert_eq!(said(|call| call.exp = call.nbf), Err(CallError::Validity));
    assert_eq!(said(|call| call.nbf = Time(u64::MAX)), Err(CallError::Validity));
}

#[test]
fn a_deadline_is_at_most_thirty_one_days_after_the_beginning_of_its_call() {
    let latest = Time(5).plus(DEADLINE_MS_MAX);
    assert_eq!(said_of(|experiment| experiment.deadline = latest), Ok(()));
    for deadline in [latest.plus(1), Time(u64::MAX)] {
        assert_eq!(said_of(|experiment| experiment.deadline = deadline), Err(CallError::Experiment(ExperimentError::Deadline)));
        // What a record of before says is read as if it were allowed.
        assert_eq!(call(key(1).sign(&name("net"), Experiment { deadline, ..experiment() })).deadline(), latest);
    }
}

#[test]
fn all_addresses_lead_to_the_requester() {
    assert_eq!(said(|call| call.at = List::new(vec![address(1), address(2)]).unwrap()), Err(CallError::Address));
}

#[test]
fn an_experiment_that_breaks_a_rule_is_named() {
    let refused = |change: fn(&mut Experiment)| match said_of(change) {
        Err(CallError::Experiment(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(|experiment| experiment.jobs.count = 0), ExperimentError::NoJobs);
    assert_eq!(refused(|experiment| experiment.module.bytes = 0), ExperimentError::EmptyModule);
    assert_eq!(refused(|experiment| experiment.module.bytes = MODULE_BYTES_MAX + 1), ExperimentError::ModuleTooLarge(MODULE_BYTES_MAX + 1));
    let verifier = |experiment: &mut Experiment| {
        experiment.class = Class::SelfVerifying { verifier: Content { bytes: u64::MAX, ..Content::raw(b"verifier") } };
    };
    assert_eq!(refused(verifier), ExperimentError::ModuleTooLarge(u64::MAX));
    assert_eq!(refused(|experiment| experiment.class = Class::Pure(Trust::Fixed(0))), ExperimentError::Executions(0));
    assert_eq!(refused(|experiment| experiment.class = Class::Pure(Trust::Fixed(1_001))), ExperimentError::Executions(EXECUTIONS_MAX + 1));
    let needs = |experiment: &mut Experiment| drop(experiment.needs.insert(Capability::Http, List::default()));
    assert_eq!(refused(needs), ExperimentError::PureWithNeeds);
    type Change = fn(&mut Limits);
    let limits: [(&str, Change, u64); 6] = [
        ("fuel", |limits| limits.fuel = 0, 0),
        ("fuel", |limits| limits.fuel = LIMITS_MAX.fuel + 1, LIMITS_MAX.fuel + 1),
        ("memory", |limits| limits.memory_bytes = 0, 0),
        ("wall", |limits| limits.wall_ms = LIMITS_MAX.wall_ms + 1, LIMITS_MAX.wall_ms + 1),
        ("output", |limits| limits.output_bytes = LIMITS_MAX.output_bytes + 1, LIMITS_MAX.output_bytes + 1),
        ("bytes_in", |limits| limits.in_bytes = u64::MAX, u64::MAX),
    ];
    for (name, change, value) in limits {
        match said_of(|experiment| change(&mut experiment.limits)) {
            Err(CallError::Experiment(ExperimentError::Limit(error))) => assert_eq!((error.name, error.value), (name, value)),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(said_of(|experiment| experiment.limits = Limits { in_bytes: 0, ..LIMITS_MAX }), Ok(()));
}

#[test]
fn a_call_above_four_kilobytes_is_refused() {
    let long: Vec<Name> = (0..16).map(|n| name(&format!("{n:a>60}"))).collect();
    let fields: List<_, FIELDS_MAX> = List::first((0..32).map(|n| Text::cut(&format!("{n:a>60}"))));
    let labels = |experiment: &mut Experiment| {
        experiment.labels = Labels::of([(name("label"), List::new(long.clone()).unwrap())]).unwrap();
        let measurement = Measurement { stations: 3, spread: Spread::Network, exact: fields.clone(), report: fields.clone() };
        experiment.class = Class::Measurement(measurement);
    };
    assert!(matches!(said_of(labels), Err(CallError::Decode(DecodeError::TooLarge { max: CALL_BYTES_MAX, .. }))));
    // In an answer too, whose frame has room for it.
    let (net, mut large) = (name("net"), experiment());
    labels(&mut large);
    let told = key(1).sign(&net, call(key(1).sign(&net, large)));
    let refused = check_decoded(&told, &net, &name("topic"));
    assert!(matches!(refused, Err(CallError::Decode(DecodeError::TooLarge { max: CALL_BYTES_MAX, .. }))), "{refused:?}");
}

#[test]
fn the_id_of_an_experiment_does_not_depend_on_signatures() {
    let call = call(key(1).sign(&name("net"), experiment()));
    let mut other = call.clone();
    other.experiment.signature.0 = [0; 64];
    assert_eq!(call.id(), other.id());
    assert_ne!(call.id(), Experiment { deadline: Time(1), ..experiment() }.id());
}
