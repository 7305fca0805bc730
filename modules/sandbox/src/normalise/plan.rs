//! Where a function body is charged, and how much.
//!
//! A region is the body, or a loop's body without the loops inside it: nothing in it runs twice before its head is passed again. Its
//! head pays for the part that runs for certain and for up to [`HOISTED_MAX`] of what may be skipped; each further straight run of
//! operators pays for itself where it begins. So nothing runs unpaid, and a large `switch` does not pay for all its arms.
//!
//! Guarantees: linear time; every region's charge is at least 1. Deliberately lacks encoding: `body` writes what stands here.

use std::collections::BTreeSet;

use wasmparser::{FuncValidatorAllocations, FunctionBody, Operator};

use super::NormaliseError;
use super::cost::{self, Length};
use super::weight::Weighing;

/// Fuel for skippable code that a region's head pays at most in advance: enough for an `if` in an inner loop, where one more charge
/// would cost more than it counts.
pub(crate) const HOISTED_MAX: u64 = 64;
/// Charges of a region, its head left out, that may share a local copy of the fuel. The compiler follows such a local through every
/// block, which costs it more than linear time; beyond this number each charge reads the global, which costs the guest a load.
const FRESH_PER_REGION_MAX: usize = 200;
/// The same for all regions of a function: many small loops are as dear as one large one.
const FRESH_PER_BODY_MAX: usize = 2_000;

/// Something to write before the operator at `at`, or in its place. The order of the kinds is the order at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edit {
    pub(super) at: u64,
    pub(super) kind: EditKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EditKind {
    /// Charge this; `fresh`: the local copy of the fuel is right, so the global is not read.
    Charge { fuel: u64, fresh: bool },
    /// Read the fuel into the local.
    Refresh,
    /// The `return` here, `labels` deep.
    Return { labels: u32, end: u64 },
    /// The operator here with a length on the stack.
    Long { length: Length, end: u64 },
}

/// What to do to one body.
#[derive(Debug)]
pub(super) struct Plan {
    /// In order.
    pub(super) edits: Vec<Edit>,
    /// Whether other functions may run below this one: then its frame counts.
    pub(super) calls: bool,
    /// Stack units of its frame.
    pub(super) weight: u64,
    /// Tables that it grows.
    pub(super) grown: BTreeSet<u32>,
    /// Where the first operator is, and where the last one (`end`) is.
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Reads a body once. `entry`: fuel that entering it costs; `call`: stack units of what an operator passes to a function and takes back.
pub(super) fn plan(
    body: &FunctionBody<'_>,
    mut weighing: Weighing,
    entry: u64,
    call: impl Fn(&Operator<'_>) -> Result<u64, NormaliseError>,
) -> Result<(Plan, FuncValidatorAllocations), NormaliseError> {
    let mut operators = body.get_operators_reader()?;
    let first = operators.original_position();
    let mut walk = Walk::new(first, entry);
    let (mut last, mut grown) = (first, BTreeSet::new());
    while !operators.eof() {
        let at = operators.original_position();
        let operator = operators.read()?;
        if cost::is_foreign(&operator) {
            return Err(NormaliseError::Unsupported("an operator that the meter does not know"));
        }
        if let Operator::TableGrow { table } = operator {
            grown.insert(table);
        }
        weighing.operator(&operator, at, call(&operator)?)?;
        walk.operator(&operator, at, operators.original_position());
        last = at;
    }
    operators.finish()?;
    let (weight, allocations) = weighing.finish();
    let calls = walk.calls;
    Ok((Plan { edits: walk.finish(), calls, weight, grown, first, last }, allocations))
}

struct Region {
    /// Its first operator.
    head: u64,
    /// The `loop` operator and the region it stands in; `None` for the body.
    outer: Option<(u64, usize)>,
    fuel: u64,
    hoisted: u64,
    /// Whether control may have left already.
    skippable: bool,
    /// Whether something in it may change the fuel elsewhere.
    charges_elsewhere: bool,
}

/// A straight run of skippable operators.
struct Run {
    at: u64,
    region: usize,
    fuel: u64,
}

struct Frame {
    /// The region outside, where this is a loop.
    outer: Option<usize>,
    /// Whether control could not reach its start.
    dead: bool,
}

struct Walk {
    regions: Vec<Region>,
    runs: Vec<Run>,
    edits: Vec<Edit>,
    frames: Vec<Frame>,
    region: usize,
    run: Option<Run>,
    dead: bool,
    calls: bool,
}

impl Walk {
    fn new(head: u64, entry: u64) -> Self {
        let body = Region { head, outer: None, fuel: entry, hoisted: 0, skippable: false, charges_elsewhere: false };
        Self { regions: vec![body], runs: Vec::new(), edits: Vec::new(), frames: Vec::new(), region: 0, run: None, dead: false, calls: false }
    }

    fn operator(&mut self, operator: &Operator<'_>, at: u64, end: u64) {
        self.pay(cost::of(operator), at);
        if let Some(length) = cost::length(operator) {
            self.edits.push(Edit { at, kind: EditKind::Long { length, end } });
            self.regions[self.region].charges_elsewhere = true;
        }
        match operator {
            Operator::Block { .. } => self.frames.push(Frame { outer: None, dead: self.dead }),
            Operator::If { .. } => {
                self.frames.push(Frame { outer: None, dead: self.dead });
                self.fork();
            }
            Operator::Loop { .. } => {
                self.fork();
                self.frames.push(Frame { outer: Some(self.region), dead: self.dead });
                let outer = Some((at, self.region));
                self.regions.push(Region { head: end, outer, fuel: 0, hoisted: 0, skippable: false, charges_elsewhere: false });
                self.region = self.regions.len() - 1;
            }
            Operator::Else => {
                self.fork();
                self.dead = self.frames.last().is_some_and(|frame| frame.dead);
            }
            Operator::End => self.end(),
            Operator::BrIf { .. } => self.fork(),
            Operator::Br { .. } | Operator::BrTable { .. } | Operator::Unreachable => self.leave(),
            Operator::Return => {
                let labels = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
                self.edits.push(Edit { at, kind: EditKind::Return { labels, end } });
                self.leave();
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.calls = true;
                self.regions[self.region].charges_elsewhere = true;
            }
            _ => {}
        }
    }

    /// Adds an operator's fuel to the head of its region or to its run.
    fn pay(&mut self, fuel: u64, at: u64) {
        if self.dead {
            return;
        }
        let region = &mut self.regions[self.region];
        if !region.skippable {
            region.fuel += fuel;
        } else if let Some(run) = &mut self.run {
            run.fuel += fuel;
        } else {
            self.run = Some(Run { at, region: self.region, fuel });
        }
    }

    /// From here on, control may have gone elsewhere, or come from elsewhere.
    fn fork(&mut self) {
        self.close();
        self.regions[self.region].skippable = true;
    }

    fn leave(&mut self) {
        self.fork();
        self.dead = true;
    }

    fn end(&mut self) {
        self.close();
        let Some(frame) = self.frames.pop() else { return };
        if let Some(outer) = frame.outer {
            self.region = outer;
        }
        self.dead = frame.dead;
    }

    /// Ends the present run: paid by the region's head, or on its own.
    fn close(&mut self) {
        let Some(run) = self.run.take() else { return };
        let region = &mut self.regions[run.region];
        if region.hoisted + run.fuel <= HOISTED_MAX {
            region.hoisted += run.fuel;
            region.fuel += run.fuel;
        } else {
            self.runs.push(run);
        }
    }

    fn finish(mut self) -> Vec<Edit> {
        self.close();
        for at in (1..self.regions.len()).rev() {
            if let (true, Some((_, outer))) = (self.regions[at].charges_elsewhere, self.regions[at].outer) {
                self.regions[outer].charges_elsewhere = true;
            }
        }
        let may_be_fresh = self.may_be_fresh();
        for (region, is_fresh) in self.regions.iter().zip(&may_be_fresh) {
            // The body's head is where the local is first read.
            let fresh = region.outer.is_some() && *is_fresh;
            self.edits.push(Edit { at: region.head, kind: EditKind::Charge { fuel: region.fuel.max(1), fresh } });
            if let (true, Some((at, outer))) = (fresh, region.outer)
                && !may_be_fresh[outer]
            {
                self.edits.push(Edit { at, kind: EditKind::Refresh });
            }
        }
        for run in &self.runs {
            self.edits.push(Edit { at: run.at, kind: EditKind::Charge { fuel: run.fuel, fresh: may_be_fresh[run.region] } });
        }
        self.edits.sort_unstable();
        self.edits
    }

    /// Of each region, whether its charges use the local copy of the fuel: nothing else changes the fuel there, and they are few.
    fn may_be_fresh(&self) -> Vec<bool> {
        let mut runs = vec![0_usize; self.regions.len()];
        for run in &self.runs {
            runs[run.region] += 1;
        }
        let mut left = FRESH_PER_BODY_MAX;
        let mut may_be_fresh = Vec::with_capacity(runs.len());
        for (region, runs) in self.regions.iter().zip(runs) {
            let fresh = !region.charges_elsewhere && runs <= FRESH_PER_REGION_MAX && runs < left;
            if fresh {
                left -= runs + 1;
            }
            may_be_fresh.push(fresh);
        }
        may_be_fresh
    }
}
