use super::*;
use crate::bounded::Text;
use crate::content::{Content, RAW, cid_of};
use crate::experiment::{JobsRef, Measurement, Spread, Trust};
use crate::identity::SigningKey;
use crate::limits::Limits;
use crate::time::Time;

fn bundled() -> BTreeMap<Name, Vec<Cid>> {
    let cid = |bytes: &[u8]| cid_of(RAW, bytes);
    [(Name::new("gateway-check").unwrap(), vec![cid(b"old"), cid(b"new")]), (Name::new("primes").unwrap(), vec![cid(b"primes")])].into()
}

fn policy(toml: &str) -> Policy {
    Policy::parse(toml, &bundled()).unwrap_or_else(|error| panic!("{error}"))
}

fn node(seed: u8) -> NodeId {
    SigningKey::from_bytes(&[seed; 32]).node()
}

fn patterns(texts: &[&str]) -> Vec<TargetPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Node 1 asks for a measurement with `module` (its bytes) at `targets`.
fn asks(module: &[u8], targets: &[&str]) -> Experiment {
    let measurement = Measurement { stations: 3, spread: Spread::Network, exact: List::default(), report: List::default() };
    let needs = if targets.is_empty() { Needs::new() } else { [(Capability::Http, List::new(patterns(targets)).unwrap())].into() };
    Experiment {
        requester: node(1),
        network: Name::new("test").unwrap(),
        topic: Name::new("gateways").unwrap(),
        name: Text::new("a").unwrap(),
        module: Content::raw(module),
        profile: Name::new("station-wasm-1").unwrap(),
        needs,
        limits: Limits::default(),
        class: Class::Measurement(measurement),
        jobs: JobsRef { root: cid_of(RAW, b"jobs"), count: 1, target: None },
        labels: crate::experiment::Labels::new(),
        deadline: Time(0),
        contact: Text::default(),
        commitment: Hash32::default(),
        input: crate::experiment::InputForm::DagCbor,
        output: crate::experiment::OutputForm::DagCbor,
        previous: None,
    }
}

/// A pure experiment with `module`.
pub(super) fn pure_of(module: &[u8]) -> Experiment {
    Experiment { module: Content::raw(module), ..pure() }
}

fn pure() -> Experiment {
    Experiment { class: Class::Pure(Trust::Fixed(3)), ..asks(b"any", &[]) }
}

const EXAMPLE: &str = r#"
[budget]
cpu = "0.5 cores"
memory = "256MiB"
bytes_per_day = "1GiB"
hours = "22:00-06:00"
on_battery = true

[[allow]]
module = "gateway-check"
capability = "http"
targets = ["*.ipfs.io:443", "dweb.link:443"]

[network]
upnp = true
tell_why = true

[roles]
relay = true
cache = { enabled = true, size = "1GiB" }
"#;

#[test]
fn the_example_file_is_read_whole() {
    let policy = policy(EXAMPLE);
    let budget =
        Budget { cpu: Cores(500), memory: Size(256 << 20), bytes_per_day: Size(1 << 30), hours: "22:00-06:00".parse().unwrap(), on_battery: true };
    assert_eq!(policy.budget, budget);
    assert_eq!(policy.network, Network { upnp: true, tell_why: true });
    assert_eq!(policy.roles, Roles { relay: true, cache: Cache { enabled: true, size: Size(1 << 30) }, ..Roles::default() });
    assert_eq!(policy.hash(), Hash32(sha256(&[EXAMPLE.as_bytes()])));
}

#[test]
fn an_empty_file_is_the_default_policy() {
    let (empty, default) = (policy(""), Policy::default());
    assert_eq!((&empty.budget, &empty.network, &empty.roles), (&default.budget, &default.network, &default.roles));
    assert_eq!(empty.hash(), default.hash());
    assert_eq!(default.roles, Roles { relay: false, dht_server: false, autonat: false, cache: Cache { enabled: false, size: Size(10 << 30) } });
}

#[test]
fn hosts_in_a_file_are_the_same_in_either_case() {
    let shouted = policy(&EXAMPLE.replace("dweb.link", "DWEB.Link"));
    assert!(shouted.permits(&node(1), &cid_of(RAW, b"new"), Capability::Http, "dweb.link", 443));
}

#[test]
fn by_default_only_pure_experiments_without_needs_are_served() {
    let policy = Policy::default();
    assert_eq!(policy.judge(&pure()), Ok(Needs::new()));
    assert_eq!(policy.judge(&asks(b"new", &["dweb.link"])), Err(DeclineReason::Capability));
    assert_eq!(policy.judge(&asks(b"new", &[])), Err(DeclineReason::Capability));
    let verified = Experiment { class: Class::SelfVerifying { verifier: Content::raw(b"v") }, ..asks(b"new", &[]) };
    assert_eq!(policy.judge(&verified), Err(DeclineReason::Capability));
    assert!(!policy.permits(&node(1), &cid_of(RAW, b"new"), Capability::Http, "dweb.link", 443));
}

#[test]
fn the_gate_is_module_and_requester_and_capability_and_target() {
    let both = format!("[[allow]]\nmodule = \"primes\"\nrequester = \"{}\"\ncapability = \"http\"\ntargets = [\"*\"]", node(1));
    let cid = |bytes: &[u8]| cid_of(RAW, bytes);
    // (policy, requester, module, host, port, permitted)
    let rows = [
        (EXAMPLE, 1, &b"new"[..], "dweb.link", 443, true),
        (EXAMPLE, 2, b"old", "a.ipfs.io", 443, true),
        (EXAMPLE, 1, b"new", "ipfs.io", 443, false),
        (EXAMPLE, 1, b"new", "dweb.link", 80, false),
        (EXAMPLE, 1, b"other", "dweb.link", 443, false),
        (&both, 1, b"primes", "anything", 1, true),
        (&both, 2, b"primes", "anything", 1, false),
        (&both, 1, b"new", "anything", 1, false),
    ];
    for (toml, requester, module, host, port, permitted) in rows {
        let found = policy(toml).permits(&node(requester), &cid(module), Capability::Http, host, port);
        assert_eq!(found, permitted, "node {requester} {module:?} {host}:{port}");
    }
}

#[test]
fn all_that_is_needed_must_be_allowed() {
    let policy = policy(EXAMPLE);
    let rows = [
        (&["dweb.link"][..], Ok(&["dweb.link:443"][..])),
        (&["dweb.link:443", "dweb.link"], Ok(&["dweb.link:443"])),
        (&["*.ipfs.io", "dweb.link"], Ok(&["*.ipfs.io:443", "dweb.link:443"])),
        (&["gw.ipfs.io"], Ok(&["gw.ipfs.io:443"])),
        (&["dweb.link", "elsewhere.example"], Err(DeclineReason::Target)),
        (&["dweb.link:80"], Err(DeclineReason::Target)),
        (&["*"], Err(DeclineReason::Target)),
    ];
    for (needed, expected) in rows {
        let granted = policy.judge(&asks(b"new", needed)).map(|needs| needs[&Capability::Http].to_vec());
        let mut expected = expected.map(patterns);
        let _ = expected.as_mut().map(|patterns| patterns.sort());
        assert_eq!(granted, expected, "{needed:?}");
    }
    assert_eq!(policy.judge(&asks(b"other", &["dweb.link"])), Err(DeclineReason::Capability));
}

#[test]
fn a_grant_permits_what_the_gate_permits() {
    let policy = policy(EXAMPLE);
    let experiment = asks(b"new", &["*.ipfs.io", "dweb.link"]);
    let granted = policy.judge(&experiment).unwrap();
    for (host, port) in [("a.ipfs.io", 443), ("a.ipfs.io", 80), ("dweb.link", 443), ("ipfs.io", 443), ("x.example", 443)] {
        let by_grant = granted[&Capability::Http].iter().any(|pattern| pattern.covers(host, port));
        let by_gate = policy.permits(&experiment.requester, &experiment.module.cid, Capability::Http, host, port);
        assert_eq!(by_grant, by_gate, "{host}:{port}");
    }
}

#[test]
fn limits_above_the_budget_are_declined() {
    let policy = Policy::default();
    let with = |limits: Limits| Experiment { limits, ..pure() };
    let fits = Limits { memory_bytes: 512 << 20, in_bytes: 2 << 30, ..Limits::default() };
    assert_eq!(policy.judge(&with(fits.clone())), Ok(Needs::new()));
    assert_eq!(policy.judge(&with(Limits { memory_bytes: fits.memory_bytes + 1, ..fits.clone() })), Err(DeclineReason::Budget));
    assert_eq!(policy.judge(&with(Limits { in_bytes: fits.in_bytes + 1, ..fits })), Err(DeclineReason::Budget));
}

#[test]
fn the_denied_get_nothing_whatever_else_is_allowed() {
    let denied = format!("{EXAMPLE}\n[[deny]]\nrequester = \"{}\"\n", node(1));
    let policy = policy(&denied);
    assert_eq!(policy.judge(&pure()), Err(DeclineReason::Banned));
    assert_eq!(policy.judge(&Experiment { requester: node(2), ..pure() }), Ok(Needs::new()));
    let new = cid_of(RAW, b"new");
    assert!(!policy.permits(&node(1), &new, Capability::Http, "dweb.link", 443));
    assert!(policy.permits(&node(2), &new, Capability::Http, "dweb.link", 443));
}

#[test]
fn the_most_generous_rule_sets_the_quota() {
    let policy = policy(
        "[[allow]]\nmodule = \"primes\"\ncapability = \"http\"\ntargets = [\"a\"]\nper_day = 7\n\
         [[allow]]\nmodule = \"primes\"\ncapability = \"http\"\ntargets = [\"a:80\"]\nper_day = 9\n\
         [[allow]]\nmodule = \"primes\"\ncapability = \"http\"\ntargets = [\"b\"]",
    );
    let module = cid_of(RAW, b"primes");
    let quota = |host, port| policy.quota_per_day(&HostCall { requester: &node(1), module: &module, capability: Capability::Http, host, port });
    assert_eq!((quota("a", 443), quota("a", 80), quota("b", 1), quota("c", 1)), (Some(7), Some(9), Some(TARGET_QUOTA_PER_DAY), None));
}

#[test]
fn mistakes_are_named_with_what_to_write() {
    let rule = |who: &str| format!("[[allow]]\n{who}\ncapability = \"http\"\ntargets = [\"a\"]");
    let rows = [
        ("[budget]\ncpus = \"1 core\"".to_owned(), &["line 2", "cpus", "bytes_per_day"][..]),
        ("[budget]\nmemory = \"lots\"".to_owned(), &["line 2", "lots", "64MiB"]),
        ("[budget]\nhours = 3".to_owned(), &["line 2", "22:00-06:00"]),
        ("budget = 3".to_owned(), &["line 1"]),
        ("[extra]".to_owned(), &["extra", "budget"]),
        ("[roles]\nrelay = \"yes\"".to_owned(), &["line 2", "relay", "boolean"]),
        (rule(""), &["[[allow]] number 1", "module ="]),
        (rule("module = \"no-such\""), &["[[allow]] number 1", "no-such", "gateway-check, primes"]),
        (rule("requester = \"me\""), &["[[allow]] number 1", "requester", "12D3KooW"]),
        (format!("{}\n{}", rule("module = \"primes\""), rule("")), &["[[allow]] number 2"]),
        ("[[allow]]\nmodule = \"primes\"\ncapability = \"http\"\ntargets = []".to_owned(), &["number 1", "targets ="]),
        ("[[allow]]\nmodule = \"primes\"\ncapability = \"http\"\ntargets = [\"https://a\"]".to_owned(), &["line 4", "https://a", "host"]),
        ("[[allow]]\nmodule = \"primes\"\ncapability = \"raw\"\ntargets = [\"a\"]".to_owned(), &["line 3", "raw", "http"]),
        ("[[allow]]\nmodule = \"primes\"\ntargets = [\"a\"]".to_owned(), &["capability"]),
        ("[[deny]]\n".to_owned(), &["[[deny]] number 1", "requester ="]),
        ("a".repeat(POLICY_BYTES_MAX + 1), &["bytes"]),
    ];
    for (toml, words) in rows {
        let error = Policy::parse(&toml, &bundled()).unwrap_err().to_string();
        let missing: Vec<_> = words.iter().filter(|word| !error.contains(**word)).collect();
        assert!(missing.is_empty(), "{missing:?} not in: {error}");
    }
}

#[test]
fn what_no_rule_allows_is_named() {
    let policy = policy(EXAMPLE);
    let lacks = |module: &[u8], targets: &[&str]| {
        policy.lacking(&asks(module, targets)).into_iter().map(|(_, target)| target.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(lacks(b"new", &["dweb.link", "elsewhere.example", "dweb.link:80"]), ["elsewhere.example", "dweb.link:80"]);
    assert_eq!(lacks(b"other", &["dweb.link"]), ["dweb.link"]);
    assert!(lacks(b"new", &["a.ipfs.io"]).is_empty());
}

#[test]
fn the_written_default_is_the_default() {
    let written = Policy::default().text();
    for key in ["cpu = \"1 core\"", "memory = \"512MiB\"", "bytes_per_day = \"2GiB\"", "hours = \"00:00-24:00\"", "dht_server = false"] {
        assert!(written.contains(key), "{key} in\n{written}");
    }
    assert_eq!(policy(&written).budget, Budget::default());
}
