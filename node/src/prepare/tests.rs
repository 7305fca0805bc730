//! From the files that people write to what is published.

use station_protocol::experiment::{Class, Trust};

use super::*;

const PRIMES: &str = include_str!("../../../modules/primes/experiment.toml");
const GATEWAYS: &str = include_str!("../../../modules/gateway-check/experiment.toml");

fn prepared(text: &str, inputs: Option<&str>) -> Result<Draft, PrepareError> {
    let file = ExperimentFile::parse(text)?;
    let listed = inputs.map(|text| file.list(text.as_bytes())).transpose()?;
    draft(file, Content::raw(b"module"), listed)
}

/// The same as `publish` does it.
fn published(text: &str) -> Result<Draft, PrepareError> {
    let draft = prepared(text, None)?;
    check(&draft).map(|()| draft)
}

#[test]
fn every_modules_example_prepares_and_names_a_bundled_module() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../modules")).expect("the modules") {
        let path = entry.expect("an entry").path().join("experiment.toml");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let file = ExperimentFile::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let module = file.module.clone();
        assert!(
            matches!(&module, station_protocol::experiment::file::ModuleRef::Bundled(name) if crate::library::bundled_names().contains_key(name)),
            "{}: {module:?}",
            path.display()
        );
        let draft = published(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(draft.jobs.count() > 0 && draft.profile.as_str() == station_sandbox::PROFILE);
    }
}

#[test]
fn a_draft_says_what_its_file_says() {
    let primes = prepared(PRIMES, None).expect("the example prepares");
    assert_eq!((primes.topic.as_str(), &primes.class, primes.jobs.count()), ("compute", &Class::Pure(Trust::Fixed(3)), 1));
    assert_eq!((primes.limits.fuel, primes.limits.output_bytes, primes.deadline_ms), (2_000_000_000, 1 << 10, 300_000));
    assert!(primes.needs.is_empty());
    let gateways = prepared(GATEWAYS, None).expect("the example prepares");
    assert!(matches!(gateways.class, Class::Measurement(_)) && !gateways.needs.is_empty());
}

#[test]
fn a_recurring_experiment_is_refused_by_name_and_not_run_once_in_silence() {
    let text = PRIMES.replace("deadline = \"5m\"", "deadline = \"5m\"\nevery = \"1h\"");
    let error = prepared(&text, None).expect_err("not implemented");
    assert!(error.to_string().contains("run.every"), "{error}");
}

#[test]
fn what_can_never_be_contacted_is_refused_by_name_and_with_the_reason() {
    let file = |needs: &str, gateway: &str| {
        format!(
            "module = \"gateway-check\"\n[jobs]\ngateway = [\"https://ipfs.io\", {gateway:?}]\ncid = [\"bafkqaaa\"]\ntarget = \"gateway\"\n[measurement]\n[needs]\nhttp = [\"ipfs.io\", {needs:?}]\n"
        )
    };
    for (needs, why) in [("127.0.0.1:8080", "loopback"), ("192.168.1.1", "private"), ("*.local", "local network"), ("ipfs.io:22", "port")] {
        let error = published(&file(needs, "https://ipfs.io")).expect_err(needs).to_string();
        assert!(error.contains("[needs]") && error.contains(needs) && error.contains(why), "{error}");
    }
    for (gateway, words) in [
        ("http://127.0.0.1:8080", &["job 1", "127.0.0.1", "loopback"][..]),
        ("http://localhost", &["job 1", "localhost", "local network"]),
        ("https://ipfs.io:22", &["job 1", "port"]),
        ("https://example.org", &["job 1", "example.org", "[needs]"]),
    ] {
        let error = published(&file("*.ipfs.io", gateway)).expect_err(gateway).to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    for (needs, gateway) in [("*", "https://example.org:8443"), ("*.ipfs.io", "no URL"), ("example.org:443", "https://example.org/x")] {
        published(&file(needs, gateway)).unwrap_or_else(|error| panic!("{needs} {gateway}: {error}"));
    }
}

#[test]
fn inputs_come_from_the_file_that_the_experiment_names_or_it_is_refused() {
    let text = PRIMES.replace("from = [0]\nto   = [1_000_000]", "file = \"inputs.ndjson\"");
    let lines = "{\"from\":0,\"to\":9}\n{\"from\":10,\"to\":19}\n";
    assert_eq!(prepared(&text, Some(lines)).expect("two lines").jobs.count(), 2);
    assert!(matches!(prepared(&text, None), Err(PrepareError::File(FileError::InputsMissing(_)))));
    assert!(matches!(prepared(&text, Some("{\"from\":")), Err(PrepareError::File(FileError::Line { line: 1, .. }))));
}

#[test]
fn a_spelling_mistake_is_an_error_that_names_it() {
    let error = prepared(&PRIMES.replace("fuel ", "feul "), None).expect_err("no such limit");
    assert!(error.to_string().contains("feul"), "{error}");
}

#[test]
fn a_measurement_that_names_nobody_to_ask_is_refused() {
    let without = GATEWAYS.split("[needs]").next().expect("the needs come last");
    let refused = published(without).expect_err("nobody would ever be asked");
    assert!(matches!(refused, PrepareError::NoNeeds), "{refused}");
    assert!(refused.to_string().contains("[needs]"), "{refused}");
}
