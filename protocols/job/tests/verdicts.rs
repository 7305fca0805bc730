//! A second opinion on verdicts: recomputed from the files in `vectors/verdicts/` by nothing but the rules of PROTOCOL.md.
//!
//! Guarantees: shares no code with ours. Deliberately lacks signatures and whatever no file needs: lists are short, values are text or numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_cbor::Value as Cbor;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

const OUTCOMES: [&str; 11] = [
    "completed",
    "exited",
    "trapped",
    "out_of_fuel",
    "output_too_large",
    "bad_module",
    "refused",
    "stack_overflow",
    "out_of_memory",
    "timed_out",
    "killed",
];
const TRAPS: [&str; 9] = [
    "unreachable",
    "memory_out_of_bounds",
    "table_out_of_bounds",
    "indirect_call_to_null",
    "bad_signature",
    "integer_overflow",
    "integer_division_by_zero",
    "bad_conversion_to_integer",
    "other",
];
const LARGEST_EXACT: usize = 256;

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("hexadecimal text");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn tree(hex: &Json) -> Cbor {
    serde_cbor::from_slice(&bytes(hex)).unwrap()
}

fn text(text: &str) -> Cbor {
    Cbor::Text(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Cbor); N]) -> Cbor {
    Cbor::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}

fn numbers(numbers: impl IntoIterator<Item = i128>) -> Cbor {
    let sorted: BTreeSet<i128> = numbers.into_iter().collect();
    Cbor::Array(sorted.into_iter().map(Cbor::Integer).collect())
}

/// The value under `key`, if it is there and no null.
fn at<'a>(value: &'a Cbor, key: &str) -> Option<&'a Cbor> {
    match value {
        Cbor::Map(map) => map.get(&text(key)).filter(|value| **value != Cbor::Null),
        _ => None,
    }
}

fn number(value: Option<&Cbor>) -> i128 {
    match value {
        Some(Cbor::Integer(number)) => *number,
        other => panic!("no number but {other:?}"),
    }
}

/// The order of the CDDL, then the number or the trap.
fn rank(outcome: &Cbor) -> (usize, i128) {
    let of = |word: &str| OUTCOMES.iter().position(|known| *known == word).unwrap();
    match outcome {
        Cbor::Text(word) => (of(word), 0),
        Cbor::Map(map) => {
            let (Cbor::Text(word), inner) = map.first_key_value().unwrap() else { panic!("a word") };
            let inner = match inner {
                Cbor::Integer(number) => *number,
                Cbor::Text(trap) => TRAPS.iter().position(|known| known == trap).map_or(0, |at| at as i128),
                other => panic!("{other:?}"),
            };
            (of(word), inner)
        }
        other => panic!("{other:?}"),
    }
}

struct Held {
    lease: i128,
    outcome: Cbor,
    /// The content that is named: its CID and bytes.
    output: Option<Cbor>,
    fuel: i128,
    region: Option<String>,
    inline: Option<Vec<u8>>,
    cluster: Cbor,
    node: Cbor,
}

fn held(value: &Cbor) -> Held {
    let body = at(at(value, "receipt").unwrap(), "body").unwrap();
    let region = at(at(value, "labels").unwrap(), "region").map(|values| match values {
        Cbor::Array(values) => values[0].clone(),
        other => panic!("{other:?}"),
    });
    Held {
        lease: number(at(body, "lease")),
        outcome: at(body, "outcome").unwrap().clone(),
        output: at(body, "output").cloned(),
        fuel: number(at(body, "fuel")),
        region: region.map(|region| if let Cbor::Text(region) = region { region } else { panic!("a name") }),
        inline: at(value, "output").map(|output| if let Cbor::Bytes(output) = output { output.clone() } else { panic!("bytes") }),
        cluster: at(value, "cluster").unwrap().clone(),
        node: at(body, "node").unwrap().clone(),
    }
}

/// Rule 1: those that count, by lease.
fn counted(held: &[Held]) -> Vec<&Held> {
    let mut sorted: Vec<&Held> = held.iter().filter(|held| rank(&held.outcome).0 < 8).collect();
    sorted.sort_by_key(|held| held.lease);
    let (mut nodes, mut clusters) = (Vec::new(), Vec::new());
    sorted.retain(|held| {
        let is_new = !nodes.contains(&held.node) && !clusters.contains(&held.cluster);
        if is_new {
            nodes.push(held.node.clone());
            clusters.push(held.cluster.clone());
        }
        is_new
    });
    sorted
}

/// What is compared of a receipt of a pure job, as it is ordered: the outcome, the output (none first, then by CID and bytes), the fuel.
type Canonical = ((usize, i128), Option<(Vec<u8>, i128)>, i128);

fn groups<'a>(counted: &[&'a Held]) -> BTreeMap<Canonical, Vec<&'a Held>> {
    let mut groups: BTreeMap<Canonical, Vec<&Held>> = BTreeMap::new();
    for held in counted {
        let output = held.output.as_ref().map(|output| match at(output, "cid") {
            Some(Cbor::Bytes(cid)) => (cid.clone(), number(at(output, "bytes"))),
            other => panic!("{other:?}"),
        });
        groups.entry((rank(&held.outcome), output, held.fuel)).or_default().push(held);
    }
    groups
}

/// Rule 2.
fn agreed(wanted: i128, held: &[Held]) -> Option<Cbor> {
    let counted = counted(held);
    let groups = groups(&counted);
    let most = groups.values().map(Vec::len).max()?;
    if (most as i128) < wanted {
        return None;
    }
    let members = groups.values().find(|members| members.len() == most)?;
    let of: Vec<i128> = members.iter().map(|held| held.lease).collect();
    let first = members[0];
    let canonical =
        map([("outcome", first.outcome.clone()), ("output", first.output.clone().unwrap_or(Cbor::Null)), ("fuel", Cbor::Integer(first.fuel))]);
    let against = counted.iter().map(|held| held.lease).filter(|lease| !of.contains(lease));
    let agreement = map([("canonical", canonical), ("certificate", numbers(of.clone())), ("against", numbers(against))]);
    Some(map([(if first.outcome == text("completed") { "agreed" } else { "failed" }, agreement)]))
}

/// The DAG-CBOR of text or a number.
fn encoded(value: &Cbor) -> Vec<u8> {
    let head = |major: u8, length: usize| match length {
        0..=23 => vec![major << 5 | length as u8],
        24..=255 => vec![major << 5 | 24, length as u8],
        _ => vec![major << 5 | 25, (length >> 8) as u8, length as u8],
    };
    match value {
        Cbor::Text(text) => [head(3, text.len()), text.as_bytes().to_vec()].concat(),
        Cbor::Integer(number) => head(0, usize::try_from(*number).unwrap()),
        Cbor::Float(number) => [vec![0xfb], number.to_be_bytes().to_vec()].concat(),
        other => panic!("no file has {other:?}"),
    }
}

/// The fields of an output that the experiment names: rule 3.
fn exact(experiment: &Cbor, held: &Held) -> BTreeMap<String, Vec<u8>> {
    let class = at(at(experiment, "class").unwrap(), "measurement").unwrap();
    let Some(Cbor::Array(names)) = at(class, "exact") else { panic!("a list") };
    let Some(output) = &held.inline else { return BTreeMap::new() };
    let value: Option<Cbor> = match at(experiment, "output") {
        None => serde_cbor::from_slice(output).ok(),
        Some(_) => serde_json::from_slice::<Json>(output).ok().and_then(|json| serde_cbor::value::to_value(json).ok()),
    };
    let field = |name: &Cbor| {
        let Cbor::Text(name) = name else { panic!("text") };
        let value = encoded(at(value.as_ref()?, name)?);
        // A CID under tag 42: version 1, DAG-CBOR, sha2-256.
        let short = [&[0xd8, 0x2a, 0x58, 0x25, 0, 1, 0x71, 0x12, 0x20][..], &Sha256::digest(&value)].concat();
        Some((name.clone(), if value.len() > LARGEST_EXACT { short } else { value }))
    };
    names.iter().filter_map(field).collect()
}

/// Rules 3 and 4.
fn measured(experiment: &Cbor, held: &[Held]) -> Cbor {
    type Group<'a> = ((Cbor, BTreeMap<String, Vec<u8>>), Vec<&'a Held>);
    let counted = counted(held);
    let mut regions: BTreeMap<Option<&str>, Vec<&Held>> = BTreeMap::new();
    counted.iter().for_each(|held| regions.entry(held.region.as_deref()).or_default().push(held));
    let mut regions: Vec<(Option<&str>, Vec<&Held>)> = regions.into_iter().collect();
    regions.sort_by_key(|(_, members)| Reverse(members.len()));
    let strata = regions.into_iter().map(|(region, members)| {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for held in &members {
            let says = (held.outcome.clone(), exact(experiment, held));
            match groups.iter_mut().find(|(known, _)| *known == says) {
                Some((_, group)) => group.push(held),
                None => groups.push((says, vec![held])),
            }
        }
        groups.sort_by_key(|((outcome, exact), group)| (*outcome != text("completed"), Reverse(group.len()), rank(outcome), exact.clone()));
        let certified = groups.first().is_some_and(|((outcome, _), group)| *outcome == text("completed") && 2 * group.len() > members.len());
        let groups = groups.into_iter().map(|((outcome, exact), group)| {
            let exact = exact.into_iter().map(|(name, value)| (Cbor::Text(name), Cbor::Bytes(value))).collect();
            map([("outcome", outcome), ("exact", Cbor::Map(exact)), ("receipts", numbers(group.iter().map(|held| held.lease)))])
        });
        let region = region.map_or(Cbor::Null, text);
        map([("region", region), ("groups", Cbor::Array(groups.collect())), ("certified", Cbor::Bool(certified))])
    });
    let strata = Cbor::Array(strata.collect());
    let is_counted = |held: &Held| counted.iter().any(|other| other.lease == held.lease);
    let unusable = numbers(held.iter().filter(|held| !is_counted(held)).map(|held| held.lease));
    map([("measured", map([("strata", strata), ("unusable", unusable)]))])
}

/// The decisions that a Log may hold of these receipts.
fn due(experiment: &Cbor, held: &[Held]) -> Vec<Cbor> {
    let expired = map([("expired", map([("receipts", numbers(held.iter().map(|held| held.lease)))]))]);
    let class = at(experiment, "class").unwrap();
    if let Some(trust) = at(class, "pure") {
        if let Some(decision) = agreed(number(at(trust, "fixed")), held) {
            return vec![decision];
        }
        let groups = Cbor::Integer(groups(&counted(held)).len() as i128);
        let receipts = numbers(held.iter().map(|held| held.lease));
        return vec![map([("undecided", map([("groups", groups), ("receipts", receipts)]))]), expired];
    }
    let counted = counted(held).len() as i128;
    let stations = number(at(at(class, "measurement").unwrap(), "stations"));
    let measured = measured(experiment, held);
    if counted < stations && counted == 0 { vec![measured, expired] } else { vec![measured] }
}

#[test]
fn verdicts_are_recomputed_from_the_page_alone() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/verdicts");
    let mut kinds = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the vectors are there") {
        let vector: Json = serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        let experiment = tree(&vector["experiment"]);
        let receipts: Vec<Held> = vector["receipts"].as_array().unwrap().iter().map(|hex| held(&tree(hex))).collect();
        let verdict = tree(&vector["verdict"]);
        let decision = at(&verdict, "decision").unwrap();
        let follows = due(&experiment, &receipts).contains(decision);
        assert_eq!(vector["follows"], follows, "{}: {}", vector["name"], vector["why"]);
        let Cbor::Map(decision) = decision else { panic!("a decision") };
        let Some(Cbor::Text(kind)) = decision.keys().next() else { panic!("a word") };
        kinds.insert((kind.clone(), follows));
    }
    for kind in ["agreed", "failed", "undecided", "expired", "measured"] {
        assert!(kinds.contains(&(kind.to_owned(), true)), "{kind}");
    }
    for kind in ["agreed", "undecided", "expired", "measured"] {
        assert!(kinds.contains(&(kind.to_owned(), false)), "{kind}");
    }
}
