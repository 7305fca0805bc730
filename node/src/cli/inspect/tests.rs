//! What authors of modules could write for whoever looks at them.

use super::*;
use crate::printable::is_unprintable;

/// Red, a cleared screen, another title, and a line that looks like ours.
const HOSTILE: &str = "it imports \x1b[31menv\x1b[2J\x1b]0;t\x07.abort\nverdict  runs on this profile";

/// A run that ended so, having written that.
fn ran(outcome: &str, written: &[u8]) -> Trial {
    Trial {
        outcome: outcome.to_owned(),
        completed: outcome == "completed",
        output: results::Output::read(OutputForm::DagCbor, written),
        output_bytes: written.len() as u64,
        output_form: OutputForm::DagCbor,
        written: written.to_vec(),
        log: String::new(),
        fuel: 7,
        duration_ms: 1,
        progress: None,
        limits: Limits::default(),
        requests: None,
        ungranted: Vec::new(),
    }
}

#[derive(clap::Parser)]
struct Words {
    #[command(flatten)]
    args: RunArgs,
}

fn planned(words: &[&str]) -> Result<Plan, Failure> {
    let words = <Words as clap::Parser>::try_parse_from(["run", "noop"].iter().chain(words)).expect("good arguments");
    plan(&words.args).map(|(plan, _)| plan)
}

#[test]
fn text_that_is_no_dag_cbor_is_shown_with_its_length_and_what_to_say() {
    let text = words(&ran("completed", b"Hello, world!\n"), true);
    assert!(text.contains("form     14 bytes, not DAG-CBOR: "), "{text}");
    assert!(text.contains("say output = \"text\"") && text.contains("output   \"Hello, world!\\n\"\n"), "{text}");
    let good = words(&ran("completed", &[0xa1, 0x61, b'a', 1]), true);
    assert!(good.contains("form     4 bytes, DAG-CBOR\n") && good.ends_with("output   {\"a\":1}\n"), "{good}");
    assert!(!words(&ran("completed", b"Hello"), false).contains("output   "), "--raw prints it elsewhere");
    let json = serde_json::to_value(ran("completed", b"Hello")).expect("it has JSON");
    assert_eq!((&json["output_raw"]["text"], json.get("output"), &json["output_bytes"]), (&serde_json::json!("Hello"), None, &serde_json::json!(5)));
}

#[test]
fn a_run_that_a_limit_ended_says_which_how_much_and_how_to_have_more() {
    for (outcome, parts) in [
        ("out_of_fuel", ["1000000000 of fuel", "--fuel", "up to 10000000000000 with [limits] fuel"]),
        ("output_too_large", ["64KiB", "--output", "up to 1MiB with [limits] output"]),
        ("timed_out", ["longer than 1m", "--wall", "up to 1h with [limits] wall"]),
        ("bad_module", ["64MiB of memory", "--memory", "up to 4GiB with [limits] memory"]),
        ("out_of_memory", ["out of memory", "this machine", "--memory"]),
    ] {
        let text = words(&ran(outcome, b""), true);
        assert!(parts.iter().all(|part| text.contains(part)), "{outcome}: {text}");
    }
    assert!(!words(&ran("completed", b"\xf6"), true).contains("limit "));
}

#[test]
fn a_guest_that_ended_itself_for_want_of_memory_is_told_as_that() {
    for (outcome, log) in [
        ("trapped: unreachable", "memory allocation of 67108864 bytes failed\n"),
        ("exited: 1", "Traceback (most recent call last):\nMemoryError\n"),
        ("exited: 2", "fatal error: runtime: out of memory\n"),
    ] {
        let text = words(&Trial { log: log.to_owned(), ..ran(outcome, b"") }, true);
        let parts = ["limit    out of memory", "64MiB", "--memory", "up to 4GiB with [limits] memory"];
        assert!(parts.iter().all(|part| text.contains(part)), "{outcome}: {text}");
    }
    let other = words(&Trial { log: "index out of bounds".to_owned(), ..ran("trapped: unreachable", b"") }, true);
    let said_and_went_on = words(&Trial { log: "out of memory".to_owned(), ..ran("completed", b"\xf6") }, true);
    assert!(!other.contains("limit ") && !said_and_went_on.contains("limit "), "{other}{said_and_went_on}");
}

#[test]
fn what_a_module_asked_for_without_a_grant_is_told_with_the_option() {
    let ungranted = vec!["dweb.link:443".to_owned(), "ipfs.io:443".to_owned()];
    let text = words(&Trial { ungranted, ..ran("exited: 1", b"") }, true);
    assert!(text.contains("add --grant http dweb.link:443 --grant http ipfs.io:443\n"), "{text}");
    assert!(!words(&ran("completed", b"\xf6"), true).contains("grant "));
}

#[test]
fn hosts_are_granted_in_either_case() {
    let words = <Words as clap::Parser>::try_parse_from(["run", "noop", "--grant", "http", "DWEB.link:443"]).expect("good arguments");
    let needs = needs(&words.args, false).expect("a target").expect("a grant");
    assert!(needs[&Capability::Http].iter().any(|target| target.to_string() == "dweb.link:443"));
}

#[test]
fn of_a_long_log_the_end_is_shown_and_that_it_is_one() {
    let logged = |log: String| words(&Trial { log, ..ran("completed", b"\xf6") }, false);
    let long = logged(format!("first\n{}\nlast", "x".repeat(4_096)));
    assert!(long.contains("log      … (only the end of it)\n") && long.contains("log      last\n") && !long.contains("first"), "{long}");
    assert!(logged("ü".repeat(LOG_BYTES_MAX / 2 - 5_000)).matches("only the end").count() == 0, "it fits");
    let short = logged("first\nlast".into());
    assert!(short.contains("log      first\nlog      last\n") && !short.contains('…'), "{short}");
}

#[test]
fn limits_and_input_come_from_the_experiment_and_then_from_what_stands_beside_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("e.toml");
    let text = "module = \"noop\"\ninput = \"json\"\noutput = \"text\"\n[jobs]\nfile = \"i.csv\"\n[pure]\ntrust = \"fixed:2\"\n\
                [limits]\nfuel = 5_000_000_000\nwall = \"2m\"\n";
    std::fs::write(&file, text).expect("written");
    std::fs::write(dir.path().join("i.csv"), "to;name\n9;a\n10;b\n").expect("written");
    let named = ["--experiment", file.to_str().expect("UTF-8")];
    let plan = planned(&named).expect("a good file");
    assert_eq!((plan.limits.fuel, plan.limits.wall_ms, plan.limits.memory_bytes), (5_000_000_000, 120_000, 64 << 20));
    assert_eq!((plan.form, plan.pure, plan.stdin.as_slice()), (OutputForm::Text, true, &b"{\"name\":\"a\",\"to\":9}"[..]));
    let other =
        planned(&[&named[..], &["--fuel", "7", "--memory", "1MiB", "--output", "2KiB", "--wall", "3s", "--input", "[1]"]].concat()).expect("good");
    let Limits { fuel, memory_bytes, output_bytes, wall_ms, .. } = other.limits;
    assert_eq!((fuel, memory_bytes, output_bytes, wall_ms, other.stdin.as_slice()), (7, 1 << 20, 2 << 10, 3_000, &b"[1]"[..]));
    let raw = planned(&["--stdin", dir.path().join("i.csv").to_str().expect("UTF-8")]).expect("a file");
    assert_eq!((raw.stdin.as_slice(), raw.form, raw.pure), (&b"to;name\n9;a\n10;b\n"[..], OutputForm::DagCbor, false));
    assert_eq!(planned(&[]).expect("nothing").stdin, [0xa0]);
    let refused = planned(&["--fuel", "99999999999999"]).expect_err("more than there is");
    assert!(refused.message.contains("fuel") && refused.exit == Exit::Usage, "{}", refused.message);
}

fn inspected(refused: Option<&str>, needs: Option<station_sandbox::Needs>, asks: &[&'static str]) -> Inspection {
    let (cid, refused) = ("bafy".to_owned(), refused.map(str::to_owned));
    Inspection { cid, bytes: 8, profile: "p", refused, needs, imports: Vec::new(), asks: asks.to_vec() }
}

#[test]
fn what_a_module_may_ask_for_is_shown_and_whether_it_can_be_pure() {
    for (asks, says) in [
        (&["http.fetch", "progress"][..], "asks     http.fetch, progress\n"),
        (&["progress"], "asks     progress: it can be pure\n"),
        (&[], "asks     nothing: it can be pure\n"),
    ] {
        let report = inspected(None, None, asks);
        assert!(judgement(&report).ends_with(says), "{}", judgement(&report));
        assert_eq!(serde_json::to_value(&report).expect("it has JSON")["asks"], serde_json::json!(asks));
    }
}

#[test]
fn the_last_progress_is_shown_as_the_guests_words() {
    let said = |permille, message: &str| {
        let progress = Some(crate::api::types::SayingBody { permille, message: message.to_owned() });
        Trial { progress, ..ran("completed", b"\xf6") }
    };
    assert!(words(&said(700, "second half"), true).contains("progress 70 %: second half\n"));
    let hostile = words(&said(705, HOSTILE), true);
    assert!(hostile.contains("progress 70.5 %: it imports") && hostile.matches("\nverdict").count() == 0, "{hostile}");
    assert!(hostile.chars().all(|c| c == '\n' || !is_unprintable(c)), "{hostile:?}");
    let json = serde_json::to_value(said(700, "second half")).expect("it has JSON");
    assert_eq!(json["progress"], serde_json::json!({ "permille": 700, "message": "second half" }));
    assert!(!words(&ran("completed", b"\xf6"), true).contains("progress"), "who said nothing");
}

#[test]
fn a_word_that_is_no_module_gets_the_names_there_are_and_a_cid_what_is_wanted() {
    let refused = |module: &str| bytes(module).expect_err("there is none").message;
    let word = refused("nope-and-never-there");
    assert!(BUNDLED.iter().all(|module| word.contains(module.name)) && word.contains("\"./nope-and-never-there.wasm\""), "{word}");
    let cid = station_car::unixfs::build(b"a module").root.to_string();
    let said = refused(&cid);
    assert!(["is a CID", "the path of a .wasm file", "primes"].iter().all(|part| said.contains(part)), "{said}");
    for path in ["./nope", "nope.wasm", "no/pe"] {
        assert!(refused(path).contains("station module build"), "{}", refused(path));
    }
}

#[test]
fn a_folder_of_which_cargo_can_build_nothing_is_told_as_that() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let said = has_manifest(dir.path()).expect_err("it is empty").message;
    assert!(said.contains("has a Cargo.toml") && !said.contains("rustup"), "{said}");
    assert!(has_manifest(&dir.path().join("none")).is_err_and(|failure| failure.message.contains("No such file")));
    std::fs::write(dir.path().join("Cargo.toml"), "").expect("written");
    let below = dir.path().join("below");
    std::fs::create_dir(&below).expect("made");
    assert!(has_manifest(&below).is_ok(), "a workspace builds its members");
}

#[test]
fn a_refusal_cannot_say_that_the_module_runs() {
    let text = judgement(&inspected(Some(HOSTILE), None, &[]));
    assert!(!text.contains("asks"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("verdict")).count(), 1, "{text}");
    assert!(text.chars().all(|c| c == '\n' || !is_unprintable(c)), "{text:?}");
}

#[test]
fn what_a_module_needs_to_begin_is_shown_and_limits_below_it_say_how_to_give_it_more() {
    // What is shown before a run is what a run says that would have too little.
    let odd = station_sandbox::Needs { fuel: 1, memory_bytes: (1 << 20) + (64 << 10) };
    let said = refused(&TrialError::Short(odd.within(1 << 20, 1).expect_err("too little"))).message;
    let shown = judgement(&inspected(None, Some(odd), &[]));
    assert!(shown.contains("needs    1.06 MiB of memory") && said.contains("it needs 1.06 MiB at the start"), "{shown}{said}");
    let needs = station_sandbox::Needs { fuel: 9_000, memory_bytes: 3 << 20 };
    let text = judgement(&inspected(None, Some(needs), &[]));
    assert!(text.contains("needs    3 MiB of memory and 9000 of fuel before it runs\n"), "{text}");
    for (memory, fuel, words) in
        [(1 << 20, 9_000, ["3 MiB at the start", "[limits] memory", "--memory"]), (3 << 20, 8_999, ["9000 fuel", "[limits] fuel", "--fuel"])]
    {
        let said = refused(&TrialError::Short(needs.within(memory, fuel).expect_err("too little"))).message;
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn a_guests_log_and_output_are_told_apart_from_what_the_station_says() {
    let log = format!("{HOSTILE}\noutcome  completed\r\n\u{202e}fuel     1");
    let output = results::Output::Value(serde_json::json!({ "a": "\u{9b}2J" }));
    let trial = Trial { log, output, ..ran("trapped", b"") };
    let text = words(&trial, true);
    let begins = |word: &str| text.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!([begins("outcome"), begins("fuel"), begins("verdict"), begins("log"), begins("output")], [1, 1, 0, 4, 1], "{text}");
    assert!(text.chars().all(|c| c == '\n' || !is_unprintable(c)), "{text:?}");
    let long = Trial { log: "é".repeat(100_000), ..trial };
    assert!(words(&long, true).chars().count() < LOG_CHARS_MAX + 300);
}

#[test]
fn what_a_run_that_was_ended_left_is_not_made_up() {
    for (outcome, fuel) in [("timed_out", "fuel     not known, at most 1000000000"), ("out_of_fuel", "fuel     7 of 1000000000")] {
        let said = words(&ran(outcome, &[]), true);
        assert!(said.contains(fuel) && said.contains("output   none is kept") && !said.contains("form "), "{said}");
    }
}
