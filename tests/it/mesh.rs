//! A mesh of real stations in one process: experiments whose guests measure real HTTP servers on loopback.

use std::collections::BTreeSet;

use station_node::demo::gateway::{Behaviour, Gateway};
use station_node::demo::{Mesh, MeshPlan};
use station_node::library::BUNDLED;
use station_node::prepare;
use station_node::results::{Results, Verdict};
use station_node::station::{Handle, Note};
use station_protocol::bounded::Name;
use station_protocol::experiment::file::ExperimentFile;
use station_protocol::requester;

/// The program whose processes become sandbox workers: a test program's `main` is not ours.
fn program() -> std::path::PathBuf {
    env!("CARGO_BIN_EXE_station-e2e").into()
}

/// Publishes `file` on `handle` and waits for its end.
async fn complete(handle: &Handle, module: &str, file: &str) -> Results {
    let module = BUNDLED.iter().find(|bundled| bundled.name == module).expect("bundled");
    let content = handle.library().keep(module.bytes).await.expect("the store works");
    let draft = prepare::draft(ExperimentFile::parse(file).expect("a good file"), content, None).expect("good jobs");
    let mut notes = handle.notes();
    let id = handle.publish(draft).await.expect("published");
    loop {
        if let Note::Requester(requester::Note::Closed { experiment, .. }) = notes.recv().await.expect("the station runs")
            && experiment == id
        {
            break;
        }
    }
    let view = handle.view(id).await.expect("known");
    handle.results(&view).await.expect("readable")
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_agree_that_one_gateway_is_good_and_that_another_lies() {
    let file = station_car::unixfs::build(&vec![7; 100_000]);
    let good = Gateway::start(Behaviour::Good, file.blocks.clone()).await.expect("a loopback port");
    let lying = Gateway::start(Behaviour::Lying, file.blocks.clone()).await.expect("a loopback port");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let targets = format!("\"{}\", \"{}\"", good.addr(), lying.addr());
    let plan = MeshPlan {
        stations: 4,
        topic: Name::new("tests").expect("a name"),
        policy: format!("[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [{targets}]\n"),
        exempt: BTreeSet::from([good.addr(), lying.addr()]),
        capacity: 2,
        program: Some(program()),
    };
    let mesh = Mesh::start(&plan, dir.path()).await.expect("a mesh");
    let experiment = format!(
        "name = \"g\"\ntopic = \"tests\"\nmodule = \"gateway-check\"\ncontact = \"mailto:t@example.org\"\n[jobs]\ngateway = [{:?}, {:?}]\ncid = [\"{}\"]\n\
         [measurement]\nstations = 3\nexact = [\"verdict\", \"body_sha256\"]\nreport = [\"ttfb_ms\"]\n[needs]\nhttp = [{targets}]\n[run]\ndeadline = \"10m\"\n",
        good.url(),
        lying.url(),
        file.root
    );
    let results = complete(&mesh.handles()[3], "gateway-check", &experiment).await;
    mesh.stop().await;
    assert_eq!(results.rows.len(), 2, "{results:?}");
    for row in &results.rows {
        let expected = if row.input["gateway"] == good.url() { "ok" } else { "wrong_bytes" };
        assert_eq!((row.verdict, row.agree, row.answer()["verdict"].as_str()), (Verdict::Certified, 3, Some(expected)), "{row:?}");
        let nodes: BTreeSet<&str> = row.executions.iter().map(|execution| execution.node.as_str()).collect();
        assert_eq!(nodes.len(), 3, "three different stations: {row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pure_experiment_agrees_on_output_and_fuel() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let plan = MeshPlan {
        stations: 4,
        topic: Name::new("tests").expect("a name"),
        policy: String::new(),
        exempt: BTreeSet::new(),
        capacity: 2,
        program: Some(program()),
    };
    let mesh = Mesh::start(&plan, dir.path()).await.expect("a mesh");
    let experiment = "name = \"p\"\ntopic = \"tests\"\nmodule = \"primes\"\ncontact = \"mailto:t@example.org\"\n[jobs]\nfrom = [0, 50]\nto = [100, 1000]\n\
                      [pure]\ntrust = \"fixed:3\"\n[run]\ndeadline = \"10m\"\n";
    let results = complete(&mesh.handles()[0], "primes", experiment).await;
    mesh.stop().await;
    assert_eq!(results.rows.len(), 4, "{results:?}");
    // π(100) = 25, π(1000) = 168, and 15 primes lie below 50.
    let counts: Vec<Option<u64>> = results.rows.iter().map(|row| row.answer()["primes"].as_u64()).collect();
    assert_eq!(counts, [Some(25), Some(168), Some(10), Some(153)]);
    assert!(results.rows.iter().all(|row| row.verdict == Verdict::Agreed && row.agree == 3), "{results:?}");
}
