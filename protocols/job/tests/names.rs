//! The CDDL of PROTOCOL.md names every field and every word of every message, and no other.
//!
//! Guarantees: the names are those that a decoder is told by the types themselves, so that a field which is new fails here. Deliberately
//! lacks types and bounds: the vectors and `document.rs` have them.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use station_protocol::call::{Call, CallState};
use station_protocol::census::PeerRecord;
use station_protocol::cluster::Cluster;
use station_protocol::content::Content;
use station_protocol::experiment::{Class, Experiment, JobsRef, Measurement, Trust};
use station_protocol::hostcall::{FetchError, Method, Record, Transcript};
use station_protocol::identity::Signed;
use station_protocol::limits::Limits;
use station_protocol::log::{Entry, HeldReceipt, Lost, Page, Root, SettledJob};
use station_protocol::receipt::{Isolation, Outcome, Receipt, Trap};
use station_protocol::verdict::{Canonical, Decision, Group, JobVerdict, Stratum};
use station_protocol::work::{
    Ack, Claim, ClaimRefused, Decline, DeclineReason, Deliver, Delivery, Lease, Leases, Progress, ReceiptRefused, Refusal, Request, Response,
    ReturnReason, Said, Status,
};

const DOCUMENT: &str = include_str!("../PROTOCOL.md");

type Names = BTreeSet<String>;

/// Asked for a value it says only what it was asked for: the fields of a map, or the words that may stand, and the fields beside the `word`.
struct Asked<'a> {
    names: &'a mut Names,
    word: &'a str,
}

#[derive(Debug)]
struct Told;

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("that is all there is to know")
    }
}

impl std::error::Error for Told {}

impl de::Error for Told {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Told> {
        Err(Told)
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: &'static [&'static str], _: V) -> Result<V::Value, Told> {
        self.names.extend(fields.iter().map(|field| (*field).to_owned()));
        Err(Told)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, words: &'static [&'static str], visitor: V) -> Result<V::Value, Told> {
        if self.word.is_empty() {
            self.names.extend(words.iter().map(|word| (*word).to_owned()));
            return Err(Told);
        }
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Asked<'_> {
    type Error = Told;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Told> {
        let word = seed.deserialize(StrDeserializer::<Told>::new(self.word))?;
        Ok((word, self))
    }
}

impl<'de> VariantAccess<'de> for Asked<'_> {
    type Error = Told;

    fn unit_variant(self) -> Result<(), Told> {
        Ok(())
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Told> {
        Err(Told)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Told> {
        Err(Told)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], _: V) -> Result<V::Value, Told> {
        self.names.extend(fields.iter().map(|field| (*field).to_owned()));
        Err(Told)
    }
}

/// The fields of a message, or the words of a choice.
fn names<T: DeserializeOwned>() -> Names {
    let mut names = Names::new();
    // What it says is an error whatever comes: it has no value.
    let _ = T::deserialize(Asked { names: &mut names, word: "" });
    names
}

/// The fields of the map that stands beside each word of a choice, where it is no message of its own.
fn inner<T: DeserializeOwned>() -> Names {
    let mut all = Names::new();
    for word in names::<T>() {
        let _ = T::deserialize(Asked { names: &mut all, word: &word });
    }
    all
}

/// The rule of the page under this name, without comments.
fn rule(name: &str) -> String {
    let cddl = DOCUMENT.split("```cddl").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has its CDDL");
    let lines: Vec<&str> = cddl.lines().map(|line| line.split(';').next().unwrap_or_default()).collect();
    let is_head = |line: &str| line.split_once('=').is_some_and(|(head, _)| !head.starts_with([' ', '}']) && !head.contains(['{', '"']));
    let first = lines.iter().position(|line| is_head(line) && line.split(['=', '<']).next().is_some_and(|head| head.trim() == name));
    let first = first.unwrap_or_else(|| panic!("PROTOCOL.md has no rule {name}"));
    let rest = lines[first + 1..].iter().take_while(|line| !is_head(line)).copied();
    let body = lines[first].split_once('=').map_or("", |(_, body)| body);
    std::iter::once(body).chain(rest).collect::<Vec<_>>().join("\n")
}

/// The keys in a rule by how many braces are around them, and the words in quotes that stand in none.
fn keys(rule: &str) -> (Vec<Names>, Names) {
    let (mut keys, mut words, mut depth) = (vec![Names::new(); 6], Names::new(), 0);
    let (mut token, mut is_quoted) = (String::new(), false);
    for letter in rule.chars() {
        match letter {
            '"' => {
                if is_quoted && depth == 0 {
                    words.insert(std::mem::take(&mut token));
                }
                token.clear();
                is_quoted = !is_quoted;
            }
            '{' if !is_quoted => depth += 1,
            '}' if !is_quoted => depth -= 1,
            ':' if !is_quoted => _ = keys[depth].insert(std::mem::take(&mut token)),
            letter if is_quoted || letter.is_alphanumeric() || letter == '_' => token.push(letter),
            _ => token.clear(),
        }
    }
    (keys, words)
}

fn is_map<T: DeserializeOwned>(name: &str) {
    assert!(!names::<T>().is_empty(), "{name} tells its fields");
    assert_eq!(keys(&rule(name)).0[1], names::<T>(), "fields of {name}, on the page and in the code");
}

fn is_choice<T: DeserializeOwned>(name: &str) {
    let (mut keys, words) = keys(&rule(name));
    let page: Names = words.union(&keys[1]).cloned().collect();
    assert_eq!(page, names::<T>(), "words of {name}, on the page and in the code");
    if name == "decision" {
        keys[2].extend(self::keys(&rule("agreement")).0[1].clone());
    }
    let missing: Vec<String> = inner::<T>().difference(&keys[2]).cloned().collect();
    assert!(missing.is_empty(), "{name} lacks {missing:?} beside its words");
}

#[test]
fn every_field_of_every_message_stands_on_the_page() {
    is_map::<Content>("content");
    is_map::<Signed<Call>>("signed");
    is_map::<Experiment>("experiment");
    is_map::<Limits>("limits");
    is_map::<Measurement>("measurement");
    is_map::<Call>("call");
    is_map::<Claim>("claim");
    is_map::<Deliver>("deliver");
    is_map::<Delivery>("delivery");
    is_map::<Leases>("leases");
    is_map::<Lease>("lease");
    is_map::<Refusal>("refusal");
    is_map::<Ack>("ack");
    is_map::<Status>("status");
    is_map::<Progress>("progress");
    is_map::<PeerRecord>("peer-record");
    is_map::<Receipt>("receipt");
    is_map::<JobVerdict>("verdict");
    is_map::<Stratum>("stratum");
    is_map::<Group>("group");
    is_map::<Root>("log-root");
    is_map::<Page>("log-page");
    is_map::<HeldReceipt>("held-receipt");
    is_map::<Transcript>("transcript");
    is_map::<Record>("record");
}

#[test]
fn every_word_of_every_choice_stands_on_the_page() {
    is_choice::<Class>("class");
    is_choice::<Trust>("trust");
    is_choice::<Request>("request");
    is_choice::<DeclineReason>("decline-reason");
    is_choice::<ReturnReason>("return-reason");
    is_choice::<Isolation>("isolation");
    is_choice::<Response>("response");
    is_choice::<ClaimRefused>("claim-refused");
    is_choice::<ReceiptRefused>("receipt-refused");
    is_choice::<Outcome>("outcome");
    is_choice::<Trap>("trap");
    is_choice::<Decision>("decision");
    is_choice::<Entry>("entry");
    is_choice::<Cluster>("cluster");
    is_choice::<FetchError>("fetch-error");
}

/// What stands within another rule.
#[test]
fn maps_and_words_within_others_stand_on_the_page_too() {
    let within = |name: &str, depth: usize| keys(&rule(name)).0[depth].clone();
    assert_eq!(within("agreement", 2), names::<Canonical>());
    assert_eq!(within("agreement", 1), Names::from(["canonical", "certificate", "against"].map(str::to_owned)));
    assert_eq!(within("experiment", 2), names::<JobsRef>().into_iter().chain(["http".to_owned()]).collect());
    assert_eq!(within("request", 2), inner::<Request>().into_iter().chain(names::<Decline>()).collect());
    assert_eq!(within("progress", 2), names::<Said>());
    assert_eq!(within("entry", 2), names::<SettledJob>());
    assert_eq!(within("call", 3), inner::<CallState>());
    for (rule_of, words) in [("entry", names::<Lost>()), ("record", names::<Method>()), ("call", Names::from(["open".to_owned()]))] {
        words.iter().for_each(|word| assert!(rule(rule_of).contains(&format!("\"{word}\"")), "{rule_of} lacks {word}"));
    }
    assert_eq!(names::<CallState>(), Names::from(["open", "closed"].map(str::to_owned)));
}
