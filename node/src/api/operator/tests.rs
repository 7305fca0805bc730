use std::net::{IpAddr, Ipv4Addr};

use station_protocol::bounded::{List, Name, Text};
use station_protocol::capability::Capability;
use station_protocol::content::{RAW, cid_of};
use station_protocol::limits::Limits;
use station_protocol::policy::Subject;
use station_protocol::policy::edit;
use station_protocol::{NodeId, SigningKey, Time};

use super::*;
use crate::network::Remote;

fn policy(text: &str) -> Policy {
    Policy::parse(text, &bundled_names()).expect("a policy")
}

fn requester() -> NodeId {
    SigningKey::from_bytes(&[3; 32]).node()
}

fn summary(standing: Standing) -> Summary {
    Summary {
        experiment: cid_of(RAW, b"experiment"),
        name: Text::cut("two gateways"),
        requester: requester(),
        topic: Name::new("gateways").expect("a name"),
        module: bundled_names()[&Name::new("gateway-check").expect("a name")][0],
        needs: [(Capability::Http, List::first(["a.example:443".parse().expect("a target"), "*.ipfs.io".parse().expect("a target")]))].into(),
        limits: Limits::default(),
        lacks: Vec::new(),
        seq: 1,
        standing,
        claimed: false,
        running: 0,
        said: Vec::new(),
        queued: 0,
        outbox: 0,
    }
}

fn status(slots: u32, calls: Vec<Summary>) -> Status {
    Status { slots: (slots, 0), calls, ..Status::default() }
}

fn path(last: u8, relay: Option<NodeId>) -> Path {
    Path { node: requester(), remote: Remote { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), relay }, on_topic: true, software: Text::default() }
}

#[test]
fn the_state_says_why_nothing_is_done_and_what_would_change_it() {
    let until = Some(Time(7));
    let resting = |rest| Status { rest: Some(rest), running: 1, ..status(2, Vec::new()) };
    let declined = summary(Standing::Declined(DeclineReason::Capability));
    let cases: Vec<(Status, &str, Option<u64>, &[&str])> = vec![
        (resting(Rest::Paused { until }), "paused", Some(7), &["1 still running", "station resume"]),
        (resting(Rest::Paused { until: None }), "paused", None, &["until `station resume`"]),
        (resting(Rest::Hours { from: Time(9) }), "hours", Some(9), &["outside the hours"]),
        (resting(Rest::Battery), "battery", None, &["on_battery = true"]),
        (resting(Rest::Disk), "disk", None, &["`disk` in station.toml"]),
        (Status { unfit: Some("a no-op trapped".into()), ..resting(Rest::Unfit) }, "unfit", None, &["a no-op trapped: nothing new is taken"]),
        (resting(Rest::Draining), "draining", None, &["stopping"]),
        (Status { running: 1, ..status(2, Vec::new()) }, "working", None, &["1 of 2 slots"]),
        (status(0, Vec::new()), "idle", None, &["only publishes"]),
        (status(1, Vec::new()), "idle", None, &["no other station is connected"]),
        (Status { paths: vec![path(1, None)], ..status(1, Vec::new()) }, "idle", None, &["no open experiment is known"]),
        (status(1, vec![summary(Standing::Closed)]), "idle", None, &["no other station"]),
        (status(1, vec![declined.clone()]), "idle", None, &["the one open experiment is declined"]),
        (status(1, vec![declined.clone(), declined.clone()]), "idle", None, &["all 2 open experiments are declined"]),
        (status(1, vec![declined, summary(Standing::Open)]), "idle", None, &["2 open experiments", "none has a job"]),
    ];
    for (status, state_word, until, says) in cases {
        let body = state(&status, &Spelling::default());
        assert_eq!((body.state.as_str(), body.until), (state_word, until), "{}", body.says);
        assert!(says.iter().all(|part| body.says.contains(part)), "{says:?} in {}", body.says);
    }
}

/// What the offered command does to a policy, as `station allow` would.
fn obey(text: &str, command: &str) -> Policy {
    let words: Vec<String> = command.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect();
    let [station, allow, who, rest @ ..] = words.as_slice() else { panic!("{command}") };
    assert_eq!((station.as_str(), allow.as_str()), ("station", "allow"));
    let subject = who.parse().map_or_else(|_| Subject::Module(who.clone()), Subject::Requester);
    let targets: Vec<TargetPattern> = rest.iter().skip(1).map(|target| target.parse().expect("a target")).collect();
    let grant = rest.first().map(|capability| (capability.parse().expect("a capability"), targets.as_slice()));
    policy(&edit::allow(text, &subject, grant, &bundled_names()).expect("an edit").text)
}

#[test]
fn a_command_that_is_offered_allows_what_was_declined() {
    let call = summary(Standing::Declined(DeclineReason::Capability));
    let lacking = |targets: &[&str]| Summary {
        lacks: targets.iter().map(|target| (Capability::Http, target.parse().expect("a target"))).collect(),
        ..call.clone()
    };
    let found = declined(&[lacking(&["a.example:443", "*.ipfs.io"]), lacking(&["a.example:443", "*.ipfs.io"])], &policy(""), &Spelling::default());
    let [body] = found.as_slice() else { panic!("one reason: {found:?}") };
    let command = body.command.as_deref().expect("a command");
    assert_eq!((body.experiments, command), (2, "station allow gateway-check http a.example:443 '*.ipfs.io'"));
    let then = obey("", command);
    assert!(then.permits(&requester(), &call.module, Capability::Http, "a.example", 443));
    assert!(then.permits(&requester(), &call.module, Capability::Http, "x.ipfs.io", 443));
    let banned = Summary { standing: Standing::Declined(DeclineReason::Banned), ..call };
    for text in ["[[deny]]\nmodule = \"gateway-check\"\n".to_owned(), format!("[[deny]]\nrequester = \"{}\"\n", requester())] {
        let found = declined(std::slice::from_ref(&banned), &policy(&text), &Spelling::default());
        let then = obey(&text, found[0].command.as_deref().expect("a command"));
        assert_eq!(then.denied(&banned.requester, &banned.module), None, "{found:?}");
    }
    let both = format!("[[deny]]\nmodule = \"gateway-check\"\nrequester = \"{}\"\n", requester());
    let found = declined(&[banned], &policy(&both), &Spelling::default());
    assert!(found[0].command.is_none() && found[0].says.contains("[[deny]]"), "{found:?}");
}

#[test]
fn what_no_policy_can_allow_is_said_with_the_reason_and_no_command() {
    for (target, why) in [("127.0.0.1:443", "loopback"), ("a.example:22", "port"), ("printer.local", "local network")] {
        let lacks = ["b.example:443", target].map(|target| (Capability::Http, target.parse().expect("a target"))).to_vec();
        let call = Summary { lacks, ..summary(Standing::Declined(DeclineReason::Target)) };
        let found = declined(&[call], &policy(""), &Spelling::default());
        assert!(found[0].command.is_none(), "{found:?}");
        assert!([target, why, "never be contacted"].iter().all(|word| found[0].says.contains(word)), "{found:?}");
    }
}

#[test]
fn commands_that_are_offered_name_a_home_that_is_not_the_usual_one() {
    let elsewhere = Spelling::of("'/lab/a b'".to_owned());
    let resting = Status { rest: Some(Rest::Paused { until: None }), ..status(2, Vec::new()) };
    assert!(state(&resting, &elsewhere).says.ends_with("until `station resume --home '/lab/a b'`"));
    let lacks = vec![(Capability::Http, "a.example:443".parse().expect("a target"))];
    let call = Summary { lacks, ..summary(Standing::Declined(DeclineReason::Capability)) };
    let found = declined(&[call], &policy(""), &elsewhere);
    assert_eq!(found[0].command.as_deref(), Some("station allow gateway-check http a.example:443 --home '/lab/a b'"));
}

#[test]
fn each_other_reason_names_the_setting() {
    let large = Limits { memory_bytes: 2 << 30, ..Limits::default() };
    for (reason, says) in [
        (DeclineReason::Budget, "`memory` is 512MiB"),
        (DeclineReason::Labels, "[labels] in station.toml"),
        (DeclineReason::Profile, "engine profile"),
        (DeclineReason::Module, "could not be had"),
    ] {
        let call = Summary { limits: large.clone(), ..summary(Standing::Declined(reason)) };
        let found = declined(&[call], &policy(""), &Spelling::default());
        assert!(found[0].says.contains(says), "{found:?}");
    }
}

#[test]
fn rows_of_the_policy_show_what_is_used_of_them_and_networks_are_no_targets() {
    let text = "[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [\"*.ipfs.io:443\", \"dweb.link\"]\nper_day = 50\n";
    let used = Used {
        bytes: 5,
        targets: vec![
            (Target::filed("ipfs.io".to_owned()), 7),
            (Target::filed("dweb.link".to_owned()), 9),
            (Target::filed("dweb.linked.example".to_owned()), 3),
            (Target::at(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))), 16),
        ],
    };
    let body = budgets(&Status { running: 1, slots: (2, 64), ..Status::default() }, &policy(text), &used);
    assert_eq!(body.rules[0].used, [("dweb.link".to_owned(), 9), ("ipfs.io".to_owned(), 7)]);
    assert_eq!((body.rules[0].per_day, body.rules[0].module.as_deref()), (50, Some("gateway-check")));
    let figures: Vec<(&str, u64, u64)> = body.budgets.iter().map(|budget| (budget.what.as_str(), budget.used, budget.max)).collect();
    assert_eq!(figures, [("jobs at once", 1, 2), ("memory", 64, 512 << 20), ("bytes today", 5, 2 << 30)]);
}

#[test]
fn a_bootstrap_address_says_what_is_wrong_with_it() {
    let node = requester();
    let address: libp2p::Multiaddr = format!("/ip4/127.0.0.1/tcp/4999/p2p/{node}").parse().expect("a multiaddr");
    let said = |knock: Knock| bootstrap(&Bootstrap { address: address.clone(), knock, identified: false, ago_ms: 3_400 }, "lost");
    let other = SigningKey::from_bytes(&[4; 32]).node();
    for (knock, bad, says) in [
        (Knock::Failed("refused".to_owned()), true, "bootstrap 127.0.0.1/4999: refused 3 s ago".to_owned()),
        (Knock::WrongNode(Some(other)), true, format!("bootstrap 127.0.0.1/4999: answers as {other}, not {node}")),
        (Knock::OtherNetwork("my-lab".to_owned()), true, "bootstrap 127.0.0.1/4999: speaks network my-lab, not lost".to_owned()),
        (
            Knock::OtherVersion { speaks: "2".to_owned(), own: "1".to_owned() },
            true,
            "bootstrap 127.0.0.1/4999: speaks version 2 of this network's protocol, not 1: update the older of the two".to_owned(),
        ),
        (Knock::Connected, false, "bootstrap 127.0.0.1/4999: connected".to_owned()),
        (Knock::Asked, true, "bootstrap 127.0.0.1/4999: no answer for 3 s".to_owned()),
    ] {
        let body = said(knock);
        assert_eq!((body.bad, body.says), (bad, says));
    }
    let nowhere = said(Knock::Nowhere { name: "boot.example".to_owned() });
    let parts = ["no address of boot.example", "3 s ago", "`bootstrap` in network.toml", "station doctor"];
    assert!(nowhere.bad && parts.iter().all(|part| nowhere.says.contains(part)), "{}", nowhere.says);
}

#[test]
fn peers_are_told_by_their_path_and_reach_by_who_came() {
    let found = peers(&[path(1, None), path(2, Some(requester()))]);
    let told: Vec<(&str, &str, bool)> = found.iter().map(|peer| (peer.path.as_str(), peer.address.as_str(), peer.relay.is_some())).collect();
    assert_eq!(told, [("direct", "192.0.2.1", false), ("relayed", "192.0.2.2", true)]);
    assert!(reach(&Status { reached: 3, ..Status::default() }).says.contains("3 times"));
    assert!(reach(&Status::default()).says.contains("knows no address"));
}

#[test]
fn each_standing_of_an_experiment_is_said_with_its_reason() {
    use station_protocol::work::ClaimRefused;
    let said = |standing| super::super::explain::standing(&summary(standing));
    let open = |change: fn(&mut Summary)| {
        let mut summary = summary(Standing::Open);
        change(&mut summary);
        super::super::explain::standing(&summary)
    };
    let refused = Standing::Refused { reason: ClaimRefused::NotSampled, seq: 1 };
    for (says, expected) in [
        (open(|_| {}), "open"),
        (open(|summary| summary.claimed = true), "claimed; nothing to do now"),
        (open(|summary| (summary.running, summary.outbox) = (2, 1)), "2 running, 0 queued, 1 receipt to deliver"),
        (open(|summary| summary.queued = 1), "0 running, 1 queued, 0 receipts to deliver"),
        (said(Standing::Declined(DeclineReason::Target)), "declined: target"),
        (said(Standing::NotSampled), "not asked: the present Call asks other stations"),
        (said(refused), "refused by the requester until its next Call: not_sampled"),
        (said(Standing::Final(ClaimRefused::Labels)), "refused by the requester: labels"),
        (said(Standing::Late), "its deadline has passed"),
        (said(Standing::Closed), "closed"),
    ] {
        assert_eq!(says, expected);
    }
}

#[test]
fn what_is_at_work_comes_first_and_what_is_over_last_whatever_their_hashes_are() {
    let named = |name: &str, standing, running| Summary { name: Text::cut(name), running, ..summary(standing) };
    let mut calls = vec![
        named("c", Standing::Closed, 0),
        named("b", Standing::Closed, 0),
        named("z", Standing::Open, 1),
        named("d", Standing::NotSampled, 0),
        named("a", Standing::Late, 0),
        named("e", Standing::Open, 0),
    ];
    in_order(&mut calls);
    assert_eq!(calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(), ["z", "d", "e", "a", "b", "c"]);
}

#[test]
fn a_newer_version_is_said_as_the_word_of_those_who_run_it_and_other_software_is_no_version_of_this_one() {
    let of = |last: u8, software: &str| {
        let remote = Remote { ip: IpAddr::V4(Ipv4Addr::new(192, 0, last, 1)), relay: None };
        Path { node: requester(), remote, on_topic: true, software: Text::cut(software) }
    };
    let (major, minor, patch) = version(SOFTWARE).expect("this version has one");
    let same = ["", SOFTWARE, "station/0.0.0", "kubo/9.9.9", "station/9.9", "station/9.9.9.9", "station/9.9.9-rc1", "station/99999999999.0.0"];
    assert_eq!(newer(&[1, 2].map(|network| same.map(|software| of(network, software))).concat()), None);
    let next = format!("station/{major}.{minor}.{}", patch + 1);
    assert_eq!(newer(&[of(1, &next), of(1, "station/9.0.0"), of(2, SOFTWARE)]), None, "one network says so");
    let said = newer(&[of(1, "station/4294967295.0.0"), of(1, "station/9.10.0"), of(2, &next)]).expect("two networks say so");
    let expected = format!("3 connected stations say that they run a newer version, {major}.{minor}.{} or later", patch + 1);
    assert!(said.starts_with(&expected), "{said}");
}
