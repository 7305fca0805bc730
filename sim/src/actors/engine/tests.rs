use super::*;

/// Says its input back.
struct Echo;
struct EchoSession;

impl Engine for Echo {
    fn open(&self, _: Asker, _: Cid, _: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        async { Ok(Box::new(EchoSession) as Box<dyn Session>) }.boxed()
    }
}

impl Session for EchoSession {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        async move { Ok(Step::Done(completed(load.input, 77))) }.boxed()
    }

    fn step(&mut self, _: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        async { Err(EngineError::Failed("it asks for nothing".to_owned())) }.boxed()
    }
}

fn asker() -> Asker {
    Asker { requester: station_protocol::NodeId([1; 32]), purse: Arc::new(station_node::engine::Own) }
}

fn load(input: &[u8]) -> Load {
    Load { input: input.to_vec(), fuel: 1_000, memory_bytes: 1 << 20, wall_ms: 1_000, output_bytes: 1 << 10, pure: Some([0; 32]) }
}

fn truth(number: i128) -> Vec<u8> {
    codec::encode(&Ipld::Map(BTreeMap::from([("verdict".to_owned(), Ipld::String("ok".to_owned())), ("n".to_owned(), Ipld::Integer(number))])))
}

async fn says(conduct: Conduct, rate: Share, seed: u8, input: &[u8]) -> Done {
    let engine = Dishonest::new(Arc::new(Echo), conduct, rate, [seed; 32]);
    let cid = station_protocol::Content::raw(b"module").cid;
    let mut session = engine.open(asker(), cid, b"module".to_vec()).await.expect("it opens");
    match session.start(load(input)).await.expect("it runs") {
        Step::Done(done) => done,
        Step::Call(call) => panic!("it asked for {call:?}"),
    }
}

#[tokio::test]
async fn a_liar_keeps_the_shape_of_the_truth_and_changes_every_value() {
    let lie = says(Conduct::WrongResult, Share::ALL, 1, &truth(5)).await;
    assert_eq!(lie.fuel, 77, "it did the work");
    let Ok(Ipld::Map(map)) = codec::decode::<Ipld>(&lie.output, 1 << 10) else { panic!("not a map") };
    assert_eq!(map.keys().collect::<Vec<_>>(), ["n", "verdict"]);
    assert_ne!(map["n"], Ipld::Integer(5));
    assert_ne!(map["verdict"], Ipld::String("ok".to_owned()));
}

#[tokio::test]
async fn liars_differ_and_colluders_agree() {
    let alone = [says(Conduct::WrongResult, Share::ALL, 1, &truth(5)).await, says(Conduct::WrongResult, Share::ALL, 2, &truth(5)).await];
    assert_ne!(alone[0].output, alone[1].output);
    let group = || Conduct::Collude { group: "ring".to_owned() };
    let together = [says(group(), Share::ALL, 1, &truth(5)).await, says(group(), Share::ALL, 2, &truth(5)).await];
    assert_eq!(together[0].output, together[1].output);
    assert_ne!(together[0].output, truth(5));
}

#[tokio::test]
async fn half_a_liar_lies_on_about_half_of_its_jobs_and_always_on_the_same_ones() {
    let half = Share::millionths(500_000).expect("a share");
    let mut lies = 0;
    for number in 0..400 {
        let first = says(Conduct::WrongResult, half, 3, &truth(number)).await;
        assert_eq!(first, says(Conduct::WrongResult, half, 3, &truth(number)).await);
        lies += usize::from(first.output != truth(number));
    }
    // Five standard deviations around 200.
    assert!((150..250).contains(&lies), "{lies}");
    assert_eq!(says(Conduct::WrongResult, Share::NONE, 3, &truth(1)).await.output, truth(1));
}

#[tokio::test]
async fn a_lazy_worker_says_nothing_and_says_that_it_ran() {
    let done = says(Conduct::Lazy, Share::ALL, 1, &truth(5)).await;
    assert_eq!((done.outcome, done.fuel), (Outcome::Completed, LAZY_FUEL));
    assert_ne!(done.output, truth(5));
}

#[tokio::test]
async fn a_copier_says_what_the_first_of_its_operator_found() {
    let board = Board::default();
    assert_eq!(board.read(&(station_protocol::Content::raw(b"module").cid, sha256(&[&truth(5)]))), None);
    let first = says(Conduct::Copy(board.clone()), Share::ALL, 1, &truth(5)).await;
    assert_eq!(first.output, truth(5));
    assert_eq!(board.read(&(station_protocol::Content::raw(b"module").cid, sha256(&[&truth(5)]))), Some(first.clone()));
    assert_eq!(says(Conduct::Copy(board), Share::ALL, 2, &truth(5)).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_says_the_truth_late() {
    let begun = tokio::time::Instant::now();
    let done = says(Conduct::Late(Duration::from_secs(90)), Share::ALL, 1, &truth(5)).await;
    assert_eq!((done.output, begun.elapsed()), (truth(5), Duration::from_secs(90)));
}

#[tokio::test(start_paused = true)]
async fn who_withholds_never_says_anything() {
    let waited = tokio::time::timeout(Duration::from_secs(86_400), says(Conduct::Withhold, Share::ALL, 1, &truth(5))).await;
    assert!(waited.is_err());
}

#[test]
fn an_output_that_is_no_dag_cbor_is_falsified_too() {
    assert_ne!(falsified(b"\xff plain", &[1; 32]), b"\xff plain");
    assert_ne!(falsified(&codec::encode(&Ipld::Null), &[1; 32]), codec::encode(&Ipld::Null));
}
