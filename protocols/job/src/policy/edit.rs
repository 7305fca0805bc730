//! Edits of a policy file: what `station allow` and `station deny` do to its text.
//!
//! Guarantees: everything that the edit is not about keeps its place, its words and its comments, to the byte; what changed is told, also that
//! nothing did. Deliberately lacks any judgement of targets, and the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cid::Cid;
use toml_edit::{Array, ArrayOfTables, Document, Item, Table, Value};

use super::{Subject, module_cids};
use crate::bounded::Name;
use crate::capability::{Capability, TargetPattern};
use crate::identity::NodeId;

#[cfg(test)]
mod tests;

/// The file's new text, and what is different in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub text: String,
    pub changes: Vec<Change>,
    /// A `[[deny]]` that names the subject is left: with somebody else, or with more modules than the subject.
    pub still_denied: bool,
}

/// One thing that an edit changed, for its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These targets were not allowed before.
    Allowed { capability: Capability, targets: Vec<TargetPattern> },
    /// A `[[deny]]` of the subject alone is gone.
    DenyLifted,
    /// Rules of this capability are gone, with their targets as they were written.
    TakenBack { capability: String, targets: Vec<String> },
    /// Nothing is done for the subject any more.
    Denied,
}

/// Why a text cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("the policy cannot be read: {0}")]
    Toml(String),
    #[error("`{0}` is not written as [[{0}]]: edit the file by hand")]
    Form(&'static str),
    #[error("{0}")]
    Subject(String),
}

/// The text with `targets` allowed to `subject`, and `subject` denied no longer. Without a capability a `[[deny]]` is lifted and no more.
pub fn allow(
    text: &str,
    subject: &Subject,
    grant: Option<(Capability, &[TargetPattern])>,
    bundled: &BTreeMap<Name, Vec<Cid>>,
) -> Result<Edit, EditError> {
    let who = Who::of(subject, bundled)?;
    let mut changes = Vec::new();
    let (mut text, gone) = remove(text, "deny", |rule| who.covers(rule, bundled))?;
    if !gone.is_empty() {
        changes.push(Change::DenyLifted);
    }
    if let Some((capability, targets)) = grant {
        let (with, new) = add(&text, &who, capability, targets, bundled)?;
        text = with;
        if !new.is_empty() {
            changes.push(Change::Allowed { capability, targets: new });
        }
    }
    let still_denied = rules(&parse(&text)?, "deny")?.any(|rule| who.is_named_in(rule, bundled));
    Ok(Edit { text, changes, still_denied })
}

/// The text without the rules that give `subject` the capability. Without a capability it loses all of its rules and is denied pure work
/// too. Rules that name `subject` together with somebody else go as well.
pub fn deny(text: &str, subject: &Subject, capability: Option<Capability>, bundled: &BTreeMap<Name, Vec<Cid>>) -> Result<Edit, EditError> {
    let who = Who::of(subject, bundled)?;
    let is_of = |rule: &Table| capability.is_none_or(|capability| text_of(rule, "capability") == Some(&capability.to_string()));
    let (mut text, gone) = remove(text, "allow", |rule| who.is_named_in(rule, bundled) && is_of(rule))?;
    let mut changes: Vec<Change> = gone.into_iter().map(|(capability, targets)| Change::TakenBack { capability, targets }).collect();
    let denied = rules(&parse(&text)?, "deny")?.any(|rule| who.is_covered_by(rule, bundled));
    if capability.is_none() && !denied {
        text = appended(&text, &format!("[[deny]]\n{}", who.written()));
        changes.push(Change::Denied);
    }
    Ok(Edit { text, changes, still_denied: false })
}

fn parse(text: &str) -> Result<Document<&str>, EditError> {
    Document::parse(text).map_err(|error| EditError::Toml(error.to_string().trim_end().to_owned()))
}

/// The text with a paragraph more.
fn appended(text: &str, paragraph: &str) -> String {
    let before = text.trim_end();
    if before.is_empty() { paragraph.to_owned() } else { format!("{before}\n\n{paragraph}") }
}

/// Allows what is not allowed yet: the text, and which targets that were.
fn add(
    text: &str,
    who: &Who<'_>,
    capability: Capability,
    targets: &[TargetPattern],
    bundled: &BTreeMap<Name, Vec<Cid>>,
) -> Result<(String, Vec<TargetPattern>), EditError> {
    let page = parse(text)?;
    let same = |rule: &&Table| {
        let is_his = who.covers(rule, bundled) && who.is_covered_by(rule, bundled);
        is_his && text_of(rule, "capability") == Some(&capability.to_string()) && !rule.contains_key("per_day")
    };
    let rule = rules(&page, "allow")?.find(same);
    let list = rule.map(|rule| rule.get("targets").and_then(Item::as_array).ok_or(EditError::Form("allow"))).transpose()?;
    let known = |target: &TargetPattern| {
        list.into_iter().flatten().any(|known| known.as_str().and_then(|known| TargetPattern::written(known).ok()).as_ref() == Some(target))
    };
    let mut new: Vec<TargetPattern> = Vec::new();
    for target in targets {
        if !known(target) && !new.contains(target) {
            new.push(target.clone());
        }
    }
    let quoted: Vec<String> = new.iter().map(|target| format!("\"{target}\"")).collect();
    let text = match list.and_then(Array::span) {
        _ if new.is_empty() => text.to_owned(),
        Some(span) => into_list(text, span.start, &quoted),
        None => appended(text, &format!("[[allow]]\n{}capability = \"{capability}\"\ntargets = [{}]\n", who.written(), quoted.join(", "))),
    };
    Ok((text, new))
}

/// The text with more in the list that begins at the byte `at`: on lines of their own where the others have some. No line is touched but
/// the list's first.
fn into_list(text: &str, at: usize, quoted: &[String]) -> String {
    let inside = &text[at + 1..];
    let first_line = inside.split_inclusive('\n').next().unwrap_or_default();
    let is_open = first_line.ends_with('\n') && matches!(first_line.trim_start().chars().next(), None | Some('#'));
    let (place, more) = if is_open {
        let next = &inside[first_line.len()..];
        let indent: String = next.chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
        (at + 1 + first_line.len(), quoted.iter().map(|target| format!("{indent}{target},\n")).collect::<String>())
    } else {
        (at + 1, quoted.iter().map(|target| format!("{target}, ")).collect())
    };
    format!("{}{more}{}", &text[..place], &text[place..])
}

/// The rules of this kind, with none where the file has none.
fn rules<'a>(page: &'a Document<&str>, kind: &'static str) -> Result<impl Iterator<Item = &'a Table>, EditError> {
    let tables = match page.as_table().get(kind) {
        None => None,
        Some(item) => Some(item.as_array_of_tables().ok_or(EditError::Form(kind))?),
    };
    Ok(tables.into_iter().flat_map(ArrayOfTables::iter))
}

/// The capability and the targets of a rule that went, as they were written.
type Gone = (String, Vec<String>);

/// Takes out the rules that `goes` names, with the comment right above each: the text, and their capabilities and targets as written.
fn remove(text: &str, kind: &'static str, goes: impl Fn(&Table) -> bool) -> Result<(String, Vec<Gone>), EditError> {
    let page = parse(text)?;
    let (mut gone, mut spans) = (Vec::new(), Vec::new());
    for rule in rules(&page, kind)?.filter(|rule| goes(rule)) {
        let targets = rule.get("targets").and_then(Item::as_array).into_iter().flatten();
        let targets = targets.filter_map(Value::as_str).map(str::to_owned).collect();
        gone.push((text_of(rule, "capability").unwrap_or_default().to_owned(), targets));
        spans.push(lines_of(text, rule));
    }
    let mut left = text.to_owned();
    spans.sort_by_key(|span| std::cmp::Reverse(span.start));
    spans.into_iter().for_each(|span| left.replace_range(span, ""));
    Ok((left, gone))
}

/// The whole lines of a rule: the comment that stands right above it, its header, its keys, and one empty line.
fn lines_of(text: &str, rule: &Table) -> Range<usize> {
    let header = rule.span().unwrap_or_default();
    let ends = rule.iter().filter_map(|(_, item)| item.span()).map(|span| span.end);
    let last = ends.max().unwrap_or(header.end).max(header.end);
    let mut start = text[..header.start].rfind('\n').map_or(0, |at| at + 1);
    while let Some(above) = text[..start].strip_suffix('\n') {
        let line = above.rfind('\n').map_or(0, |at| at + 1);
        if !above[line..].trim_start().starts_with('#') {
            break;
        }
        start = line;
    }
    let mut end = text[last..].find('\n').map_or(text.len(), |at| last + at + 1);
    let is_blank = |line: &str| line.trim().is_empty();
    let above_is_blank = start == 0 || text[..start].trim_end_matches(['\n', '\r']).len() + 1 < start;
    if above_is_blank && let Some(next) = text[end..].split_inclusive('\n').next().filter(|line| is_blank(line)) {
        end += next.len();
    }
    start..end
}

fn text_of<'a>(rule: &'a Table, key: &str) -> Option<&'a str> {
    rule.get(key).and_then(Item::as_str)
}

/// Whom an edit is about, however the file spells them.
struct Who<'a> {
    subject: &'a Subject,
    modules: BTreeSet<Cid>,
}

impl<'a> Who<'a> {
    fn of(subject: &'a Subject, bundled: &BTreeMap<Name, Vec<Cid>>) -> Result<Self, EditError> {
        let modules = match subject {
            Subject::Requester(_) => BTreeSet::new(),
            Subject::Module(module) => module_cids(module, "this", bundled).map_err(|_| {
                let known = bundled.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
                EditError::Subject(format!("{module:?} is neither a bundled module ({known}) nor a module's CID nor a requester's node id"))
            })?,
        };
        Ok(Self { subject, modules })
    }

    /// The modules that a rule names: a bundled name and the CIDs behind it are one.
    fn modules_of(rule: &Table, bundled: &BTreeMap<Name, Vec<Cid>>) -> BTreeSet<Cid> {
        text_of(rule, "module").and_then(|text| module_cids(text, "a rule", bundled).ok()).unwrap_or_default()
    }

    fn is_named_in(&self, rule: &Table, bundled: &BTreeMap<Name, Vec<Cid>>) -> bool {
        match self.subject {
            Subject::Module(_) => !Self::modules_of(rule, bundled).is_disjoint(&self.modules),
            Subject::Requester(node) => text_of(rule, "requester").and_then(|text| text.parse::<NodeId>().ok()) == Some(*node),
        }
    }

    /// Whether the rule is about nobody but the subject.
    fn covers(&self, rule: &Table, bundled: &BTreeMap<Name, Vec<Cid>>) -> bool {
        self.is_alone_in(rule) && self.is_named_in(rule, bundled) && Self::modules_of(rule, bundled).is_subset(&self.modules)
    }

    /// Whether the rule is about all of the subject, whoever else it is about.
    fn is_covered_by(&self, rule: &Table, bundled: &BTreeMap<Name, Vec<Cid>>) -> bool {
        self.is_alone_in(rule) && self.is_named_in(rule, bundled) && self.modules.is_subset(&Self::modules_of(rule, bundled))
    }

    fn is_alone_in(&self, rule: &Table) -> bool {
        !rule.contains_key(if matches!(self.subject, Subject::Module(_)) { "requester" } else { "module" })
    }

    /// The key that names the subject, as a line.
    fn written(&self) -> String {
        match self.subject {
            // It was found to be a name or a CID: nothing in it needs an escape.
            Subject::Module(module) => format!("module = \"{module}\"\n"),
            Subject::Requester(node) => format!("requester = \"{node}\"\n"),
        }
    }
}
