use super::*;
use crate::capability::Capability;
use crate::content::{RAW, cid_of};
use crate::work::INPUT_BYTES_MAX;
use ipld_core::ipld::Ipld;

const EXAMPLE: &str = r#"
name    = "gateways-from-home"
topic   = "ipfs-gateways"
module  = "gateway-check"
contact = "mailto:lab@example.org"

[jobs]
gateway = ["https://ipfs.io", "https://dweb.link"]
cid     = ["bafkqablimvwgy3y"]
target  = "gateway"

[measurement]
stations = 30
spread   = "network"
exact    = ["verdict", "body_sha256"]
report   = ["ttfb_ms", "throughput_kbps"]

[run]
deadline = "5m"

[limits]
fuel = 2_000_000_000
memory = "32MiB"
wall = "30s"
output = "16KiB"
bytes_in = "1MiB"

[needs]
http = ["*.ipfs.io", "DWEB.Link"]

[where]
labels = { region = ["eu", "na"] }
"#;

const SMALL: &str = "module = \"primes\"\n[jobs]\nn = [1, 2]\n[pure]\n";

fn error(text: &str) -> String {
    ExperimentFile::parse(text).and_then(|file| file.jobs(None).map(|_| file)).unwrap_err().to_string()
}

fn input(jobs: &Jobs, index: u64) -> Ipld {
    crate::codec::decode(&jobs.input(index).unwrap(), INPUT_BYTES_MAX).unwrap()
}

fn map(entries: &[(&str, &str)]) -> Ipld {
    Ipld::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), Ipld::String((*value).to_owned()))).collect())
}

#[test]
fn the_example_becomes_the_draft_it_describes() {
    let file = ExperimentFile::parse(EXAMPLE).unwrap();
    assert_eq!(file.module, ModuleRef::Bundled(Name::new("gateway-check").unwrap()));
    assert_eq!(file.inputs_file(), None);
    let jobs = file.jobs(None).unwrap();
    assert_eq!(jobs.count(), 2);
    assert_eq!(input(&jobs, 1), map(&[("cid", "bafkqablimvwgy3y"), ("gateway", "https://dweb.link")]));

    let draft = file.into_draft(Content::raw(b"module"), jobs, Name::new("station-wasm-1").unwrap());
    assert_eq!(
        (draft.name.as_str(), draft.topic.as_str(), draft.contact.as_str()),
        ("gateways-from-home", "ipfs-gateways", "mailto:lab@example.org")
    );
    let limits = Limits { fuel: 2_000_000_000, memory_bytes: 32 << 20, wall_ms: 30_000, output_bytes: 16 << 10, in_bytes: 1 << 20 };
    assert_eq!(draft.limits, limits);
    let Class::Measurement(measurement) = &draft.class else { panic!("{:?}", draft.class) };
    assert_eq!((measurement.stations, measurement.exact.len(), measurement.report.len()), (30, 2, 2));
    assert_eq!(draft.needs[&Capability::Http].iter().map(ToString::to_string).collect::<Vec<_>>(), ["*.ipfs.io", "dweb.link"]);
    assert_eq!(draft.labels[&Name::new("region").unwrap()].len(), 2);
    assert_eq!((draft.deadline_ms, draft.target.as_deref()), (5 * MINUTE, Some("gateway")));
}

#[test]
fn all_but_module_jobs_and_class_has_a_default() {
    let file = ExperimentFile::parse(SMALL).unwrap();
    assert_eq!(file.class, Class::Pure(Trust::Fixed(2)));
    assert_eq!((file.name.as_str(), file.topic.as_str(), file.deadline_ms), ("primes", TOPIC_DEFAULT, DEADLINE_MS_DEFAULT));
    assert_eq!(file.limits, Limits::default());
    assert!(file.needs.is_empty() && file.labels.is_empty() && file.contact.is_empty());
    let measured = ExperimentFile::parse(&SMALL.replace("[pure]", "[measurement]")).unwrap();
    assert!(matches!(measured.class, Class::Measurement(Measurement { stations: STATIONS_DEFAULT, .. })));
}

#[test]
fn a_module_is_a_name_a_path_or_a_cid() {
    let cid = cid_of(RAW, b"module");
    let rows = [
        ("gateway-check", ModuleRef::Bundled(Name::new("gateway-check").unwrap())),
        ("./my.wasm", ModuleRef::Path("./my.wasm".into())),
        ("my.wasm", ModuleRef::Path("my.wasm".into())),
        ("/tmp/x", ModuleRef::Path("/tmp/x".into())),
        (&cid.to_string(), ModuleRef::Cid(cid)),
    ];
    for (text, expected) in rows {
        assert_eq!(text.parse(), Ok(expected));
    }
    assert!(error(&SMALL.replace("primes", "Not A Name")).contains("./my.wasm"));
    assert!(error(&SMALL.replace("primes", &cid.to_string()[..20])).contains("copy it whole"));
}

#[test]
fn trust_is_a_number_of_stations_and_offers_nothing_that_is_refused() {
    let trust = |text: &str| ExperimentFile::parse(&format!("{SMALL}trust = \"{text}\"")).map(|file| file.class);
    assert_eq!(trust("fixed:3"), Ok(Class::Pure(Trust::Fixed(3))));
    for text in ["fixed:0", "fixed:1001", "fixed:", "fixed:-1", "much", "final", "standard", "cheap"] {
        let error = trust(text).unwrap_err().to_string();
        assert!(error.contains("fixed:N"), "{text}: {error}");
        let offered = error.split_once("is no trust").unwrap().1;
        assert!(!["final", "standard", "cheap"].iter().any(|word| offered.contains(word)), "{error}");
    }
}

#[test]
fn mistakes_are_named_with_what_to_write() {
    let with = |more: &str| format!("{SMALL}{more}\n");
    let jobs = |lines: &str| SMALL.replace("n = [1, 2]", lines);
    let rows = [
        ("x =".to_owned(), &["line 1"][..]),
        (format!("colour = 1\n{SMALL}"), &["line 1", "colour", "topic"]),
        (SMALL.replace("module = \"primes\"", ""), &["module"]),
        (SMALL.replace("[jobs]\nn = [1, 2]", ""), &["jobs"]),
        (SMALL.replace("[pure]", ""), &["[pure]", "[measurement]", "found 0"]),
        (with("[measurement]"), &["exactly one", "found 2"]),
        (SMALL.replace("[pure]", "[self_verifying]\nverifier = \"v\""), &["not implemented", "[measurement]"]),
        (with("[needs]\nhttp = [\"a\"]"), &["remove [needs]"]),
        (with("[needs]\nraw = [\"a\"]"), &["line 6", "raw", "http"]),
        (SMALL.replace("[pure]", "[measurement]\n[needs]\nhttp = [\"https://a\"]"), &["line 6", "https://a", "host"]),
        (SMALL.replace("[pure]", "[measurement]\nstations = 0"), &["stations = 0", "1 to 1000"]),
        (SMALL.replace("[pure]", "[measurement]\nspread = \"far\""), &["line 5", "far", "network"]),
        (with("[limits]\nmemory = \"64\""), &["line 6", "64MiB"]),
        (with("[limits]\nmemory = \"0B\""), &["memory", "outside 1"]),
        (with("[limits]\nfuel = -1"), &["line 6", "fuel"]),
        (with("[run]\ndeadline = \"1s\""), &["run.deadline", "10m"]),
        (with("[run]\ndeadline = \"10\""), &["line 6", "\"10m\""]),
        (with("[run]\ndeadline = \"90d\""), &["run.deadline", "90d", "30d"]),
        (with("[run]\nevery = \"1h\""), &["run.every", "publish the experiment again"]),
        (with("[run]\nuntil = \"2026-12-31T00:00:00Z\""), &["run.until", "publish the experiment again"]),
        (with("[where]\nlabels = { region = [] }"), &["where.labels.region", "empty"]),
        (with("[where]\nlabels = { Region = [\"eu\"] }"), &["line 6", "Region", "a-z"]),
        (with("[where]\nlabels = { region = [\"EU\"] }"), &["line 6", "EU", "a-z"]),
        (with("[where]\nlabels = { region = \"eu\" }"), &["line 6", "eu", "sequence"]),
        (with("[limits]\nmemory = \"64GiB\""), &["memory", "64GiB", "4GiB"]),
        (with("[limits]\nwall = \"2h\""), &["wall", "2h", "1h"]),
        (with("[where]\nregion = \"eu\""), &["line 6", "region", "labels"]),
        (jobs(""), &["[jobs]", "file ="]),
        (jobs("n = 1"), &["jobs.n", "n = ["]),
        (jobs("n = []"), &["\"n\"", "empty"]),
        (jobs("n = [1979-05-27]"), &["jobs.n", "quotes"]),
        (jobs("n = [nan]"), &["value 0 of \"n\"", "NaN and infinity"]),
        (jobs("file = \"a.csv\"\ntext = \"n\""), &["jobs.text"]),
        (jobs("file = \"a.ndjson\"\ntext = [\"n\"]"), &["jobs.text"]),
        (format!("output = \"xml\"\n{SMALL}"), &["xml", "text"]),
        (jobs("file = \"a.txt\""), &["a.txt", ".ndjson"]),
        (jobs("file = \"a.csv\"\nn = [1]"), &["lists and a file"]),
        (jobs("file = \"a.csv\""), &["a.csv is missing"]),
        (jobs("n = [\"a\"]\ntarget = \"m\""), &["jobs.target", "\"m\""]),
        (format!("name = \"{}\"\n{SMALL}", "n".repeat(65)), &["name", "64"]),
        ("a".repeat(FILE_BYTES_MAX + 1), &["inputs.ndjson"]),
    ];
    for (text, words) in rows {
        let error = error(&text);
        let missing: Vec<_> = words.iter().filter(|word| !error.contains(**word)).collect();
        assert!(missing.is_empty(), "{missing:?} not in: {error}");
    }
}

#[test]
fn a_file_of_inputs_is_read_as_its_name_says() {
    let file = |name: &str| ExperimentFile::parse(&SMALL.replace("n = [1, 2]", &format!("file = \"{name}\"\ntarget = \"host\""))).unwrap();
    let csv = file("targets.csv");
    assert_eq!(csv.inputs_file(), Some(("targets.csv", FileKind::Csv)));
    assert_eq!(file("A.CSV").inputs_file(), Some(("A.CSV", FileKind::Csv)));
    assert_eq!(csv.jobs(Some(csv.list(b"host\na\nb\n").unwrap())).unwrap().target(1, "host").as_deref(), Some("b"));
    let lines = file("x.jsonl");
    assert_eq!(lines.jobs(Some(lines.list(b"{\"host\": \"c\"}").unwrap())).unwrap().count(), 1);
    assert_eq!(csv.jobs(Some(csv.list(b"name\na\n").unwrap())), Err(FileError::Target("host".into())));
}

#[test]
fn what_a_guest_reads_and_writes_is_part_of_the_experiment() {
    let plain = ExperimentFile::parse(SMALL).unwrap();
    assert_eq!((plain.input, plain.output), (InputForm::DagCbor, OutputForm::DagCbor));
    let text = ExperimentFile::parse(&format!("input = \"json\"\noutput = \"text\"\n{SMALL}")).unwrap();
    assert_eq!((text.input, text.output), (InputForm::Json, OutputForm::Text));
    let jobs = text.jobs(None).unwrap();
    let draft = text.into_draft(Content::raw(b"module"), jobs, Name::new("station-wasm-2").unwrap());
    assert_eq!((draft.input, draft.output), (InputForm::Json, OutputForm::Text));
    let measured = |output: &str, exact: &str| {
        error(&format!("output = \"{output}\"\n{}", SMALL.replace("[pure]", &format!("[measurement]\nexact = [\"{exact}\"]"))))
    };
    assert!(measured("text", "verdict").contains("measurement.exact names \"verdict\""));
    assert!(measured("bytes", "verdict").contains("one field, \"output\""));
}
