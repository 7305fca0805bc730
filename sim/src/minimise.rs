//! The smallest scenario that still fails: delta debugging (Zeller and Hildebrandt's ddmin) over a scenario's lists, then its numbers.
//!
//! ```text
//! lists: checks, faults, works, groups, requesters ─► numbers: counts, jobs, spans ─► again, until nothing can go
//! ```
//!
//! Guarantees: every candidate is a valid scenario (a name that would lead nowhere takes its user along, or is not tried); the result
//! satisfies the predicate whenever the first scenario did; with the same predicate the same result; at most `runs` calls of it.
//! Deliberately lacks a seed search: whoever has a failing seed comes here.

use station_protocol::human::Span;

use crate::scenario::fault::{Fault, Kind};
use crate::scenario::group::NatMix;
use crate::scenario::work::Work;
use crate::scenario::{Gossip, Network, Scenario};

#[cfg(test)]
mod tests;

/// What became of a minimisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Smallest {
    pub scenario: Scenario,
    /// Calls of the predicate.
    pub runs: usize,
    /// Whether it ended because nothing more could go, and not because the runs were used up.
    pub is_complete: bool,
}

impl Smallest {
    /// The scenario as a file, for a regression test.
    #[must_use]
    pub fn text(&self) -> String {
        self.scenario.brief()
    }
}

/// Shrinks `scenario` while `fails` says that it still fails. None when it does not fail to begin with.
pub fn minimise(scenario: &Scenario, runs: usize, fails: impl FnMut(&Scenario) -> bool) -> Option<Smallest> {
    let plain = Scenario { sweep: None, ..scenario.clone() };
    let mut search = Search { best: plain.clone(), left: runs, runs: 0, fails };
    if !search.holds(&plain) {
        return None;
    }
    loop {
        let before = search.best.clone();
        search.lists();
        search.defaults();
        search.numbers();
        if search.best == before || search.left == 0 {
            break;
        }
    }
    Some(Smallest { is_complete: search.left > 0, runs: search.runs, scenario: search.best })
}

/// Whether `candidate` leaves its last work as much time as `first` left its own, or as much as the deadline gives: what is to happen in the end
/// fails in any run that ends at once.
#[must_use]
pub fn leaves_time(first: &Scenario, candidate: &Scenario) -> bool {
    let last = |scenario: &Scenario| {
        let of = |work: &Work| (work.at.0.saturating_add(work.every.0.saturating_mul(u64::from(work.count.saturating_sub(1)))), work.deadline.0);
        scenario.works.iter().map(of).max()
    };
    let left = |scenario: &Scenario, at: u64| scenario.run.duration.0.saturating_sub(at);
    match (last(first), last(candidate)) {
        (Some((before, _)), Some((at, deadline_ms))) => left(candidate, at) >= left(first, before).min(deadline_ms),
        _ => true,
    }
}

struct Search<F> {
    best: Scenario,
    left: usize,
    runs: usize,
    fails: F,
}

impl<F: FnMut(&Scenario) -> bool> Search<F> {
    fn holds(&mut self, candidate: &Scenario) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.runs += 1;
        (self.fails)(candidate)
    }

    /// Takes `candidate` if it is another scenario, is one at all, and still fails.
    fn offer(&mut self, candidate: Scenario) -> bool {
        if candidate == self.best || Scenario::parse(&candidate.text()).ok().as_ref() != Some(&candidate) || !self.holds(&candidate) {
            return false;
        }
        self.best = candidate;
        true
    }

    fn lists(&mut self) {
        self.shrink(|scenario| &mut scenario.checks);
        self.shrink(|scenario| &mut scenario.faults);
        self.shrink(|scenario| &mut scenario.works);
        self.shrink(|scenario| &mut scenario.groups);
        self.shrink(|scenario| &mut scenario.requesters);
        self.shrink(|scenario| &mut scenario.internet.hosts);
        let without_churn = Scenario { churn: None, ..self.best.clone() };
        self.offer(without_churn);
    }

    /// ddmin over one list: leaves out ever smaller parts of it, beginning with halves.
    fn shrink<T: Clone>(&mut self, list: fn(&mut Scenario) -> &mut Vec<T>) {
        let mut parts = 1;
        loop {
            let length = list(&mut self.best).len();
            if length == 0 {
                return;
            }
            parts = parts.min(length);
            let size = length.div_ceil(parts);
            let gone = (0..length).step_by(size).any(|start| {
                let mut candidate = self.best.clone();
                list(&mut candidate).drain(start..(start + size).min(length));
                forget_the_gone(&mut candidate);
                self.offer(candidate)
            });
            // After a success the rest is tried in parts of about the same size; when single ones stay, all are needed.
            match (gone, size) {
                (true, _) => parts = (parts - 1).max(1),
                (false, 1) => return,
                (false, _) => parts *= 2,
            }
        }
    }

    /// Whole tables back to what they are when nobody writes them.
    fn defaults(&mut self) {
        let best = self.best.clone();
        self.offer(Scenario { gossip: Gossip::default(), ..best });
        let best = self.best.clone();
        self.offer(Scenario { network: Network::default(), ..best });
        for index in 0..self.best.groups.len() {
            let edits: [fn(&mut crate::scenario::group::Group); 4] =
                [|group| group.byzantine = None, |group| group.nat = NatMix::default(), |group| group.policy = None, |group| group.labels.clear()];
            for edit in edits {
                let mut candidate = self.best.clone();
                edit(&mut candidate.groups[index]);
                self.offer(candidate);
            }
        }
        for index in 0..self.best.faults.len() {
            if let Kind::Partition(partition) = &self.best.faults[index].kind {
                let (mut candidate, partition) = (self.best.clone(), partition.clone());
                candidate.faults[index].kind = Kind::Partition(crate::scenario::fault::Partition { one_way: false, ..partition });
                self.offer(candidate);
            }
        }
    }

    fn numbers(&mut self) {
        for index in 0..self.best.groups.len() {
            self.lower(0, move |scenario| Number::Small(&mut scenario.groups[index].count));
        }
        for index in 0..self.best.requesters.len() {
            self.lower(1, move |scenario| Number::Small(&mut scenario.requesters[index].keys));
        }
        for index in 0..self.best.works.len() {
            self.lower(1, move |scenario| Number::Small(&mut scenario.works[index].count));
            self.lower(1, move |scenario| Number::Small(&mut scenario.works[index].jobs));
            self.lower(0, move |scenario| Number::Large(&mut scenario.works[index].at.0));
        }
        for index in 0..self.best.faults.len() {
            self.lower(1_000, move |scenario| {
                let Fault { lasts, .. } = &mut scenario.faults[index];
                lasts.as_mut().map_or(Number::None, |Span(ms)| Number::Large(ms))
            });
            self.lower(0, move |scenario| Number::Large(&mut scenario.faults[index].at.0));
        }
        self.lower(0, |scenario| Number::Large(&mut scenario.run.warmup.0));
        self.lower(1_000, |scenario| Number::Large(&mut scenario.run.duration.0));
    }

    /// Bisects one number down to the least that still fails, if failing is monotone; else to some number that fails.
    fn lower(&mut self, floor: u64, number: impl Fn(&mut Scenario) -> Number<'_>) {
        let (mut low, mut high) = (floor, number(&mut self.best).get());
        while low < high {
            let middle = round(low + (high - low) / 2, low);
            let mut candidate = self.best.clone();
            number(&mut candidate).set(middle);
            forget_the_gone(&mut candidate);
            if self.offer(candidate) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
    }
}

/// Spans in whole seconds, where that is possible: a smallest scenario is for people.
fn round(value: u64, low: u64) -> u64 {
    let whole = value / 1_000 * 1_000;
    if whole >= low && whole > 0 { whole } else { value }
}

enum Number<'a> {
    Small(&'a mut u32),
    Large(&'a mut u64),
    None,
}

impl Number<'_> {
    fn get(&self) -> u64 {
        match self {
            Self::Small(number) => u64::from(**number),
            Self::Large(number) => **number,
            Self::None => 0,
        }
    }

    fn set(self, value: u64) {
        match self {
            Self::Small(number) => *number = u32::try_from(value).unwrap_or(*number),
            Self::Large(number) => *number = value,
            Self::None => {}
        }
    }
}

/// A group of nobody, and whatever names what is no longer there, or begins when the run is over, goes too.
fn forget_the_gone(scenario: &mut Scenario) {
    use crate::scenario::fault::Who;
    use crate::scenario::group::Byzantine;
    scenario.groups.retain(|group| group.count > 0);
    let groups: Vec<String> = scenario.groups.iter().map(|group| group.name.to_string()).collect();
    let requesters: Vec<String> = scenario.requesters.iter().map(|requester| requester.name.to_string()).collect();
    let roles: Vec<_> = scenario.groups.iter().flat_map(|group| group.roles.iter().copied()).collect();
    let is_there = |who: &Who| match who {
        Who::Group(name) => groups.iter().any(|known| known == name.as_str()),
        Who::Requester(name) => requesters.iter().any(|known| known == name.as_str()),
        Who::Role(role) => roles.contains(role),
        Who::Everyone | Who::Region(_) => true,
    };
    let duration = scenario.run.duration;
    scenario.faults.retain(|fault| fault.at < duration && fault.whom().iter().all(|who| is_there(who)));
    scenario.works.retain(|work| work.at < duration && requesters.iter().any(|known| known == work.requester.as_str()));
    scenario.churn = scenario.churn.take().filter(|churn| is_there(&churn.who));
    for group in &mut scenario.groups {
        group.byzantine = group.byzantine.take().filter(|byzantine| match byzantine {
            Byzantine::Eclipse { victims } => groups.iter().any(|known| known == victims.as_str()),
            Byzantine::Censor { requester } => requesters.iter().any(|known| known == requester.as_str()),
            _ => true,
        });
    }
}
