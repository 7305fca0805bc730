//! The line of progress and the words of a standstill.

use super::*;

fn body(settled: u64, jobs: u64) -> ExperimentBody {
    serde_json::from_value(serde_json::json!({
        "experiment": "bafyreiaabbzzqrjq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yhe", "name": "n", "topic": "t", "published": 0, "jobs": jobs,
        "settled": settled, "held": 1, "outstanding": 3, "closed": false, "deadline": 0, "log": null, "wanted": 1, "stations": 1,
        "connected": 0, "sampled": 0, "claimants": 2, "full": 0, "resting": 0, "needs": [], "labels": [], "refusals": {}, "declines": {}, "failures": {},
        "advice": ["\x1b[2Jbecause"]
    }))
    .expect("the documented shape")
}

#[test]
fn the_line_fits_any_terminal_and_loses_the_bar_before_a_word() {
    for width in 0..200 {
        assert!(line(&body(1, 2), 12_000, 108_000, width).chars().count() <= width, "{width}");
    }
    let wide = line(&body(1, 2), 12_000, 108_000, 150);
    assert!(wide.starts_with("1 of 2 jobs settled [██████████          ] · after 12 s · 1 min 48 s to the deadline"), "{wide}");
    assert!(wide.ends_with("3 executions running · 1 receipt held · 2 stations claimed"), "{wide}");
    let narrow = line(&body(1, 2), 12_000, 108_000, 80);
    assert_eq!(narrow, "1 of 2 jobs settled · after 12 s · 1 min 48 s to the deadline");
    assert_eq!(line(&body(1, 2), 12_000, 108_000, 40), "1 of 2 jobs settled · after 12 s");
    assert!(line(&body(0, 0), 0, 0, 150).starts_with("0 of 0 jobs"), "no job is no division by zero");
}

#[test]
fn a_heading_stands_over_reasons_or_not_at_all() {
    assert_eq!(standstill(&body(0, 1), None, 7_000), ["nothing moved for 7 s:", "  \\u{1b}[2Jbecause"]);
    let silent = ExperimentBody { advice: Vec::new(), ..body(0, 1) };
    assert!(standstill(&silent, None, 7_000).is_empty());
}

#[test]
fn the_stations_own_pause_stands_before_the_advice() {
    let paused = crate::cli::status::tests::status();
    let rest = rest(&paused).expect("it is paused");
    let lines = standstill(&body(0, 1), Some(&rest.1), 7_000);
    assert!(lines[1].contains("this station") && lines[1].contains("paused") && lines[1].contains("`station resume`"), "{lines:?}");
    assert_eq!(lines.len(), 3);
    let mut working = paused.clone();
    working.state.state = "working".to_owned();
    assert_eq!(super::rest(&working), None);
    assert_eq!(super::rest(&StatusBody { capacity: 0, ..paused }), None, "one that only publishes");
}

#[test]
fn what_guests_say_is_shown_as_their_words_where_there_is_room_and_cannot_steer_the_terminal() {
    let said = HeardBody {
        job: 7,
        node: "12D3KooWabcdefgh12345678".into(),
        heard: 5,
        saying: crate::api::types::SayingBody { permille: 425, message: "\x1b[2J42 of 99".into() },
    };
    let seen = ExperimentBody { said: vec![said], ..body(0, 1) };
    assert!(line(&seen, 0, 0, 200).ends_with(" · a guest says of job 7: 42 %"), "{}", line(&seen, 0, 0, 200));
    assert!(!line(&seen, 0, 0, 80).contains("says"));
    let lines = standstill(&seen, None, 7_000);
    assert_eq!(lines[2..], ["  job 7 at …345678 says that it is at 42 %: \"\\u{1b}[2J42 of 99\""]);
    let json = serde_json::to_value(&seen).expect("our own types have JSON");
    assert_eq!(
        json["said"][0],
        serde_json::json!({ "job": 7, "node": "12D3KooWabcdefgh12345678", "heard": 5, "permille": 425, "message": "\x1b[2J42 of 99" })
    );
}

#[test]
fn whoever_stops_watching_is_told_how_to_return() {
    let home = Home::new("/nowhere".into());
    let id = body(0, 1).experiment;
    let failure = interrupted(&home, &id);
    assert_eq!(failure.exit, Exit::Interrupted);
    for words in ["goes on", "station watch aabbzzqr --home /nowhere", "station cancel aabbzzqr --home /nowhere"] {
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    let failure = stopped(&home, &id);
    assert_eq!(failure.exit, Exit::NotRunning);
    assert!(failure.message.contains("station publish --resume --home /nowhere"), "{}", failure.message);
}

#[test]
fn each_line_of_json_has_a_type() {
    let published = PublishedBody { experiment: "b".into(), name: "n".into(), warnings: Vec::new() };
    let of = |told: &Told<'_>| serde_json::to_value(told).expect("our own types have JSON")["type"].as_str().expect("a type").to_owned();
    assert_eq!([of(&Told::Published(&published)), of(&Told::Progress(&body(0, 1)))], ["published", "progress"]);
}
