//! Which experiment is meant, and what is said where none or several are.

use super::*;

/// Ids as they are, newest first: two of them begin alike.
const IDS: [&str; 3] = [
    "bafyreiaabbzzqrjq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yhe",
    "bafyreiaaccyyqrjq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yhe",
    "bafyreihq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yheaaccyyqr",
];

fn own() -> Vec<ExperimentBody> {
    let body = |(number, id): (u64, &&str)| {
        serde_json::from_value(serde_json::json!({
            "experiment": id, "name": format!("number {number}"), "topic": "t", "published": 9 - number, "jobs": 1, "settled": 0, "held": 0,
            "outstanding": 0, "closed": false, "deadline": 0, "log": null, "wanted": 1, "stations": 1, "connected": 0, "sampled": 0,
            "claimants": 0, "full": 0, "resting": 0, "needs": [], "labels": [], "refusals": {}, "declines": {}, "failures": {}, "advice": []
        }))
        .expect("the documented shape")
    };
    (0..).zip(&IDS).map(body).collect()
}

fn home() -> Home {
    Home::new("/nowhere/at all".into())
}

#[test]
fn last_places_and_beginnings_mean_one_experiment() {
    for (text, expected) in [
        ("last", 0),
        ("LAST", 0),
        ("Last", 0),
        ("@1", 0),
        ("@2", 1),
        ("@3", 2),
        ("aab", 0),
        ("AAC", 1),
        ("h", 2),
        ("bafyreih", 2),
        (&IDS[1][..20], 1),
        (short(IDS[2]), 2),
    ] {
        assert_eq!(choose(&home(), text, &own()).expect(text), IDS[expected], "{text}");
    }
}

#[test]
fn what_means_none_or_several_is_refused_with_what_there_is() {
    let rows = [
        ("aa", &["\"aa\"", "aabbzzqr \"number 0\"", "aaccyyqr \"number 1\"", "write more"][..]),
        ("bafyrei", &["aabbzzqr", "aaccyyqr", "hq3yzb3m"]),
        ("", &["\"\" may be", "aabbzzqr", "write more"]),
        ("zz", &["\"zz\"", "station experiments --home '/nowhere/at all'"]),
        ("@4", &["@4", "has 3", "station experiments"]),
        ("@0", &["@0", "@1"]),
        ("@x", &["@x", "@1"]),
        ("gw.toml", &["is a file", "last", "station experiments", "station publish gw.toml"]),
    ];
    for (text, words) in rows {
        let said = choose(&home(), text, &own()).expect_err(text).message;
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
    assert!(choose(&home(), "last", &[]).expect_err("none").message.contains("station publish FILE"));
}

#[test]
fn what_every_id_begins_with_names_not_even_the_only_experiment() {
    let only = &own()[..1];
    for text in ["", "b", "bafy", "bafyrei", "BAFYREI"] {
        let said = choose(&home(), text, only).expect_err(text).message;
        assert!(said.contains(&format!("{text:?}")), "{said}");
    }
    assert_eq!(choose(&home(), "bafyreia", only).expect("a letter of its own"), IDS[0]);
}

#[test]
fn a_file_without_an_ending_is_told_by_looking() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let said = choose(&home(), file.path().to_str().expect("UTF-8"), &own()).expect_err("a file").message;
    assert!(said.contains("is a file"), "{said}");
}
