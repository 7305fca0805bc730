//! Whom `station allow` and `station deny` are about: a module or a requester, whole or as pages show their ids.
//!
//! Guarantees: a short id means one that this station knows, and what several begin or end with is refused with the candidates; a bundled name
//! and a whole id mean themselves. Deliberately lacks names of experiments: who publishes chooses them.

use std::collections::BTreeSet;

use cid::Cid;
use station_protocol::NodeId;
use station_protocol::policy::Subject;

use super::client::Client;
use super::output::Failure;
use crate::api::types::StatusBody;
use crate::library::bundled_names;
use crate::platform::home::Home;
use crate::prepare;
use crate::printable::Line;

/// What ids begin with: those of stations, of raw blocks and of files.
const SAME: [&str; 3] = ["12D3KooW", "bafkrei", "bafybei"];
/// Letters that a short id has at least: pages show as many.
const LETTERS_MIN: usize = 6;
/// Letters of a short id that are enough to allow something: a stranger who makes keys all day finds none that has as many.
const LETTERS_TO_ALLOW_MIN: usize = 14;
/// Candidates that one sentence names.
const CANDIDATES_TOLD: usize = 5;

/// Whom `who` means; `policy` is the policy's text.
pub(super) async fn subject(home: &Home, who: &str, policy: &str) -> Result<Subject, Failure> {
    if let Some(whole) = whole(who) {
        return Ok(whole);
    }
    let mut known = of_policy(policy);
    if let Some(client) = Client::find(home).await? {
        known.extend(of_status(&client.get("/v1/status").await?));
    }
    choose(home, who, &known)
}

/// The subject as sentences and the file name it.
pub(super) fn name(subject: &Subject) -> String {
    match subject {
        Subject::Module(module) => module.clone(),
        Subject::Requester(node) => node.to_string(),
    }
}

/// Whether `who` was long enough to allow what it turned out to mean. Keys that end as a friend's are soon made, and a denial can be taken back.
pub(super) fn is_whole_enough(home: &Home, who: &str, subject: &Subject) -> Result<(), Failure> {
    if whole(who).is_some() || varying(who.trim_start_matches('…')).chars().count() >= LETTERS_TO_ALLOW_MIN {
        return Ok(());
    }
    let (whole, allow) = (name(subject), home.call("allow"));
    let says =
        format!("{:?} may be {whole}: a stranger can make a key that ends alike, so compare it and `{allow}` the whole id", Line(who).to_string());
    Err(Failure::new(says))
}

/// What of an id is not the same in all of them.
fn varying(id: &str) -> &str {
    SAME.iter().find_map(|head| id.strip_prefix(head)).unwrap_or(id)
}

/// A bundled module's name, a CID or a node id.
fn whole(who: &str) -> Option<Subject> {
    if let Ok(node) = who.parse::<NodeId>() {
        return Some(Subject::Requester(node));
    }
    let is_module = bundled_names().keys().any(|name| name.as_str() == who) || who.parse::<Cid>().is_ok();
    is_module.then(|| Subject::Module(who.to_owned()))
}

/// The ids that a policy names.
fn of_policy(text: &str) -> BTreeSet<String> {
    let page: toml::Table = toml::from_str(text).unwrap_or_default();
    let rules = ["allow", "deny"].into_iter().filter_map(|kind| page.get(kind)?.as_array()).flatten();
    let ids = rules.flat_map(|rule| ["requester", "module"].into_iter().filter_map(|key| rule.get(key)?.as_str()));
    ids.filter(|id| whole(id).is_some()).map(str::to_owned).collect()
}

/// The ids that a running station has to do with.
fn of_status(status: &StatusBody) -> BTreeSet<String> {
    let rows = || status.activity.spans.iter().flat_map(|span| &span.rows);
    let peers = status.peers.iter().map(|peer| &peer.node);
    let calls = status.calls.iter().flat_map(|call| [&call.requester, &call.module]);
    let used = rows().flat_map(|row| row.requester.iter().chain(&row.module));
    peers.chain(calls).chain(used).cloned().collect()
}

/// The one of `known` that `who` means.
fn choose(home: &Home, who: &str, known: &BTreeSet<String>) -> Result<Subject, Failure> {
    let status = home.call("status");
    let none = |more: &str| {
        let bundled = prepare::bundled();
        let long = home.call("status --json");
        Failure::new(format!(
            "{:?} is neither a bundled module ({bundled}) nor a module's CID nor a requester's node id{more}: `{status}` shows short ids of those \
             that this station knows, and `{long}` whole ones",
            Line(who).to_string()
        ))
    };
    let wanted = who.trim_start_matches('…');
    let varies = varying(wanted);
    if varies.chars().count() < LETTERS_MIN {
        return Err(none(&format!("; {LETTERS_MIN} letters of an id are needed at least, beside {}", SAME[0])));
    }
    let is_meant = |id: &&String| id.ends_with(wanted) || varying(id).starts_with(varies) || id.starts_with(wanted);
    let found: Vec<&String> = known.iter().filter(is_meant).collect();
    match found[..] {
        [] => Err(none("")),
        [one] => whole(one).ok_or_else(|| none("")),
        _ => {
            let all: Vec<&str> = found.iter().take(CANDIDATES_TOLD).map(|id| id.as_str()).collect();
            let more = if found.len() > CANDIDATES_TOLD { format!(" and {} more", found.len() - CANDIDATES_TOLD) } else { String::new() };
            Err(Failure::new(format!("{who:?} may be {}{more}: write more of it", all.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_protocol::SigningKey;

    fn node(seed: u8) -> String {
        SigningKey::from_bytes(&[seed; 32]).node().to_string()
    }

    fn meant(who: &str, known: &[&String]) -> Result<String, String> {
        let known = known.iter().map(|id| (*id).clone()).collect();
        choose(&Home::new("/nowhere".into()), who, &known).map(|subject| name(&subject)).map_err(|failure| failure.message)
    }

    #[test]
    fn an_end_as_pages_show_it_and_a_beginning_mean_the_station_that_has_them() {
        let (one, other) = (node(1), node(2));
        let end = crate::page::words::tail(&one);
        for who in [end.as_str(), end.trim_start_matches('…'), &one[..20], &one[SAME[0].len()..18]] {
            assert_eq!(meant(who, &[&one, &other]), Ok(one.clone()), "{who}");
        }
        let module = station_car::unixfs::build(b"a module").root.to_string();
        assert_eq!(meant(&crate::page::words::tail(&module), &[&one, &module]), Ok(module.clone()));
        assert_eq!(whole(&one), one.parse().ok().map(Subject::Requester));
        assert_eq!(whole("primes"), Some(Subject::Module("primes".to_owned())));
    }

    #[test]
    fn what_is_too_short_unknown_or_of_several_is_refused_with_how_to_get_the_whole_id() {
        let one = node(1);
        for who in ["T1fBWT", "12D3KooW", "12D3KooWab", "bafkrei", "bafkreiabcde", "x"] {
            let said = meant(who, &[&one]).expect_err(who);
            assert!(said.contains(who) && said.contains("station status --json --home /nowhere"), "{said}");
        }
        // Two that end alike, as a stranger could make them.
        let twin = format!("{}x{}", &one[..20], &one[21..]);
        let said = meant(&one[one.len() - 6..], &[&one, &twin]).expect_err("it may be either");
        assert!(said.contains(&one) && said.contains(&twin) && said.contains("write more"), "{said}");
    }

    #[test]
    fn what_is_allowed_is_named_so_that_no_key_that_a_stranger_makes_is_meant() {
        let (one, home) = (node(1), Home::new("/nowhere".into()));
        let subject = whole(&one).expect("an id");
        let end = crate::page::words::tail(&one);
        for who in [end.as_str(), &one[..20]] {
            let said = is_whole_enough(&home, who, &subject).expect_err(who).message;
            assert!(said.contains(&one) && said.contains("station allow --home /nowhere"), "{said}");
        }
        for who in [one.as_str(), &one[..22]] {
            assert!(is_whole_enough(&home, who, &subject).is_ok(), "{who}");
        }
        assert!(is_whole_enough(&home, "primes", &Subject::Module("primes".to_owned())).is_ok());
    }

    #[test]
    fn a_policy_is_asked_for_ids_where_no_station_runs() {
        let text = format!("[[allow]]\nrequester = \"{}\"\nmodule = \"primes\"\n[[deny]]\nrequester = \"{}\"\n", node(1), node(2));
        assert_eq!(of_policy(&text), [node(1), node(2), "primes".to_owned()].into());
        assert!(of_policy("no toml").is_empty());
        let status = crate::cli::status::tests::status();
        assert!(of_status(&status).iter().any(|id| id.ends_with("T1fBWT")));
    }
}
