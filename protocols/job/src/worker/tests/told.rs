//! What goes to the guest and comes from it beside its answer.

use super::*;

/// What a station delivers of a guest that wrote this.
fn told(output: usize, log: &[u8]) -> crate::work::Delivery {
    let lab = Lab::new(REQUESTER, "told");
    let mut station = Station::with_leases(config(), &lab, 1, HOUR);
    let (execution, _) = station.started.pop_front().expect("an execution");
    let output = vec![7; output];
    let report = Report { outcome: Outcome::Completed, output, transcript: Vec::new(), log: log.to_vec(), fuel: 1, duration_ms: 1 };
    station.handle(Event::Finished { execution, report: Ok(report) });
    let (_, deliver) = station.deliver();
    deliver.receipts[0].clone()
}

#[test]
fn the_end_of_a_guests_log_goes_with_its_receipt_as_far_as_it_fits() {
    assert_eq!(told(1, b"").log, None);
    assert_eq!(told(1, b"a line\n").log.expect("it travels").into_vec(), b"a line\n");
    let long = format!("{}é the end", "é".repeat(5_000));
    let end = told(1, long.as_bytes()).log.expect("its end travels");
    assert!(end.len() > 4_000 && end.len() <= crate::receipt::LOG_BYTES_MAX);
    assert!(std::str::from_utf8(&end).is_ok_and(|text| text.ends_with("é the end") && text.starts_with("…é")), "cut between characters");
    let fits = "x".repeat(crate::receipt::LOG_BYTES_MAX);
    assert_eq!(told(1, fits.as_bytes()).log.expect("it travels").into_vec(), fits.as_bytes(), "nothing was left out");
    // A receipt with all that stands beside it fits a relayed frame.
    let full = told(51_000, long.as_bytes());
    assert!(full.output.is_some() && full.log.as_ref().is_some_and(|log| log.len() <= 200), "{:?}", full.log.map(|log| log.len()));
    assert!(told(60_000, long.as_bytes()).log.is_some(), "an output that is fetched leaves room");
}

#[test]
fn a_guest_that_reads_json_gets_its_input_as_json() {
    let lab = Lab::of(Experiment { input: crate::experiment::InputForm::Json, ..experiment(REQUESTER, "json") }, REQUESTER);
    let station = Station::with_leases(config(), &lab, 1, HOUR);
    let (_, job) = station.started.front().expect("an execution");
    assert_eq!(job.input, b"{}");
}
