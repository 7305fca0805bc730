use super::*;
use crate::content::{RAW, cid_of};
use crate::experiment::Experiment;
use crate::identity::SigningKey;
use crate::policy::{HostCall, Policy};

const PAGE: &str = r#"# Mine. Do not touch.
[budget]
memory = "256MiB"   # half of it

# The gateways that I like.
[[allow]]
module = "gateway-check"
capability = "http"
targets = [
    "dweb.link:443",  # theirs
    # and below
    "*.ipfs.io:443",
]

[[deny]]             # too much
module = "primes"

# The end.
"#;

fn cid(bytes: &[u8]) -> Cid {
    cid_of(RAW, bytes)
}

fn bundled() -> BTreeMap<Name, Vec<Cid>> {
    [(Name::new("gateway-check").unwrap(), vec![cid(b"old"), cid(b"new")]), (Name::new("primes").unwrap(), vec![cid(b"primes")])].into()
}

fn module(text: &str) -> Subject {
    Subject::Module(text.to_owned())
}

fn node(seed: u8) -> NodeId {
    SigningKey::from_bytes(&[seed; 32]).node()
}

fn patterns(texts: &[&str]) -> Vec<TargetPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn grant(text: &str, who: &Subject, targets: &[&str]) -> Edit {
    allow(text, who, Some((Capability::Http, &patterns(targets))), &bundled()).unwrap()
}

fn take(text: &str, who: &Subject, capability: Option<Capability>) -> Edit {
    deny(text, who, capability, &bundled()).unwrap()
}

fn permits(text: &str, requester: u8, bytes: &[u8], host: &str) -> bool {
    let policy = Policy::parse(text, &bundled()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    policy.quota_per_day(&HostCall { requester: &node(requester), module: &cid(bytes), capability: Capability::Http, host, port: 443 }).is_some()
}

/// Every line of `before` stands in `after`, in its order.
fn keeps(before: &str, after: &str) -> bool {
    let mut lines = after.lines();
    before.lines().all(|line| lines.any(|other| other == line))
}

#[test]
fn what_is_allowed_is_added_and_every_line_stays() {
    let edit = grant(PAGE, &module("gateway-check"), &["nftstorage.link", "dweb.link:443"]);
    assert_eq!(edit.changes, [Change::Allowed { capability: Capability::Http, targets: patterns(&["nftstorage.link"]) }]);
    assert!(keeps(PAGE, &edit.text), "{}", edit.text);
    assert!(edit.text.contains("\n    \"nftstorage.link\""), "a line of its own:\n{}", edit.text);
    assert!(permits(&edit.text, 1, b"new", "nftstorage.link") && permits(&edit.text, 1, b"new", "dweb.link"));
    let other = grant(PAGE, &Subject::Requester(node(2)), &["a.example", "a.example"]);
    assert!(keeps(PAGE, &other.text), "{}", other.text);
    assert!(permits(&other.text, 2, b"any", "a.example") && !permits(&other.text, 1, b"any", "a.example"));
    assert_eq!(other.text.matches("a.example").count(), 1);
    let in_a_row = grant("[[allow]]\nmodule = \"primes\"\ncapability = \"http\"\ntargets = [\"a\"] # mine\n", &module("primes"), &["b", "c"]);
    assert!(in_a_row.text.contains("targets = [\"b\", \"c\", \"a\"] # mine\n"), "{}", in_a_row.text);
}

#[test]
fn an_edit_that_changes_nothing_gives_the_same_bytes() {
    let odd = "budget = { memory = '256MiB' }\n\n\n[[allow]]\n  module='gateway-check'\n  capability=\"http\"\n  targets=['a']\n[[deny]]\nmodule='primes'\n";
    assert_eq!(grant(odd, &module("gateway-check"), &["a"]), Edit { text: odd.to_owned(), changes: vec![], still_denied: false });
    assert_eq!(take(odd, &module("primes"), Some(Capability::Http)), Edit { text: odd.to_owned(), changes: vec![], still_denied: false });
    assert_eq!(take(odd, &module("primes"), None), Edit { text: odd.to_owned(), changes: vec![], still_denied: false });
    assert!(allow(odd, &module("gateway-check"), None, &bundled()).unwrap().changes.is_empty());
}

#[test]
fn to_allow_lifts_a_deny_and_says_so() {
    let edit = grant(PAGE, &module("primes"), &["a.example"]);
    assert_eq!(edit.changes, [Change::DenyLifted, Change::Allowed { capability: Capability::Http, targets: patterns(&["a.example"]) }]);
    assert!(!edit.text.contains("deny") && !edit.still_denied && permits(&edit.text, 1, b"primes", "a.example"), "{}", edit.text);
    let comments = "# Only comments.\n\n# [[allow]]\n# module = \"x\"\n";
    let grown = grant(comments, &module("primes"), &["a"]);
    assert!(grown.text.starts_with(comments) && permits(&grown.text, 1, b"primes", "a"), "{}", grown.text);
    assert_eq!(take(&grown.text, &module("primes"), Some(Capability::Http)).text.trim_end(), comments.trim_end(), "and back");
    let lifted = allow(PAGE, &module("primes"), None, &bundled()).unwrap();
    assert_eq!(lifted.changes, [Change::DenyLifted]);
    assert!(lifted.text.contains("# Mine.") && lifted.text.contains("# The end."), "{}", lifted.text);
}

#[test]
fn a_deny_of_more_than_the_subject_stays_and_is_told() {
    let page = "[[deny]]\nmodule = \"gateway-check\"\n";
    let old = module(&cid(b"old").to_string());
    let edit = grant(page, &old, &["a"]);
    assert!(edit.still_denied && !permits(&edit.text, 1, b"old", "a"), "{}", edit.text);
    let both = format!("[[deny]]\nmodule = \"primes\"\nrequester = \"{}\"\n", node(3));
    let edit = grant(&both, &module("primes"), &["a"]);
    assert!(edit.still_denied && permits(&edit.text, 1, b"primes", "a") && !permits(&edit.text, 3, b"primes", "a"));
    // The deny of a name covers the CIDs behind it already.
    assert!(take(page, &old, None).changes.is_empty());
}

#[test]
fn what_is_taken_back_is_told_however_the_file_spells_it() {
    let edit = take(PAGE, &module(&cid(b"new").to_string()), Some(Capability::Http));
    assert_eq!(edit.changes, [Change::TakenBack { capability: "http".into(), targets: vec!["dweb.link:443".into(), "*.ipfs.io:443".into()] }]);
    assert!(!permits(&edit.text, 1, b"new", "dweb.link") && edit.text.contains("# too much"), "{}", edit.text);
    let banned = take(&edit.text, &Subject::Requester(node(1)), None);
    assert_eq!(banned.changes, [Change::Denied]);
    assert!(keeps(&edit.text, &banned.text), "{}", banned.text);
    let all = take(PAGE, &module("gateway-check"), None);
    assert_eq!(all.changes.len(), 2, "its rules, and pure work: {:?}", all.changes);
    let policy = Policy::parse(&all.text, &bundled()).unwrap();
    let denied = |experiment: &Experiment| policy.judge(experiment);
    assert!(denied(&crate::policy::tests::pure_of(b"new")).is_err());
}

#[test]
fn what_cannot_be_edited_is_an_error_that_says_what_to_do() {
    let cases = [("allow = []", "by hand"), ("[[allow]", "line 1")];
    for (text, says) in cases {
        let error = allow(text, &module("primes"), Some((Capability::Http, &patterns(&["a"]))), &bundled()).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let error = allow("", &module("nope"), None, &bundled()).unwrap_err().to_string();
    assert!(error.contains("nope") && error.contains("gateway-check"), "{error}");
}
