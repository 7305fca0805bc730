//! Writes function bodies with their charges, and the two injected functions.
//!
//! A body that calls stands in a block of its result types, after its frame's weight was taken and before it is given back; `return`
//! and branches to the body's label leave that block. A body that calls nothing and is light is a leaf: one such frame fits the stack's
//! head-room.
//!
//! Guarantees: the guest's operators are copied as they are. Deliberately lacks knowledge of the compiler: `weight` estimates frames
//! from the source, and `engine::STACK_BYTES` has the head-room above that.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Function, InstructionSink, TypeSection, ValType};
use wasmparser::{FuncToValidate, FuncType, FuncValidatorAllocations, FunctionBody, Operator, ValidatorResources};

use super::cost;
use super::plan::{EditKind, Plan, plan};
use super::weight::{Weighing, call_units};
use super::{FRAME_UNITS_MAX, Injected, LEAF_UNITS_MAX, NormaliseError, u32_of};

/// A function type, as far as bodies need it.
pub(super) struct Signature {
    parameters: u32,
    /// Stack units of parameters and results.
    units: u64,
    results: Vec<ValType>,
}

impl Signature {
    pub(super) fn new(ty: &FuncType) -> Result<Self, NormaliseError> {
        let results = ty.results().iter().map(|ty| RoundtripReencoder.val_type(*ty)).collect::<Result<_, _>>()?;
        Ok(Self { parameters: u32_of(ty.params().len())?, units: call_units(ty), results })
    }
}

/// The guest's function types and those appended after them: one per type with several results that a body calls within, for the
/// block around it, and the two of the injected functions.
#[derive(Default)]
pub(super) struct Signatures {
    guest: Vec<Signature>,
    blocks: BTreeMap<u32, u32>,
    appended: Vec<(Vec<ValType>, Vec<ValType>)>,
}

impl Signatures {
    pub(super) fn push(&mut self, signature: Signature) {
        self.guest.push(signature);
    }

    fn get(&self, ty: u32) -> Result<&Signature, NormaliseError> {
        self.guest.get(ty as usize).ok_or_else(|| NormaliseError::Invalid("a function of no type".into()))
    }

    fn append(&mut self, parameters: Vec<ValType>, results: Vec<ValType>) -> Result<u32, NormaliseError> {
        self.appended.push((parameters, results));
        u32_of(self.guest.len() + self.appended.len() - 1)
    }

    /// The type of the block around a body.
    fn block(&mut self, ty: u32) -> Result<BlockType, NormaliseError> {
        let results = &self.get(ty)?.results;
        match results.as_slice() {
            [] => Ok(BlockType::Empty),
            [one] => Ok(BlockType::Result(*one)),
            _ => {
                if let Some(index) = self.blocks.get(&ty) {
                    return Ok(BlockType::FunctionType(*index));
                }
                let results = results.clone();
                let index = self.append(Vec::new(), results)?;
                self.blocks.insert(ty, index);
                Ok(BlockType::FunctionType(index))
            }
        }
    }

    /// Writes what was appended.
    pub(super) fn finish(self, types: &mut TypeSection) {
        for (parameters, results) in self.appended {
            types.ty().function(parameters, results);
        }
    }
}

/// A function on its way to its normal form.
pub(super) struct Source<'a> {
    pub(super) function: FuncToValidate<ValidatorResources>,
    pub(super) body: FunctionBody<'a>,
}

/// What all bodies of a module share.
pub(super) struct Bodies {
    pub(super) signatures: Signatures,
    /// Type of each function, imported ones first.
    pub(super) types: Vec<u32>,
    pub(super) injected: Injected,
    /// Memory of the validator, used again for each body.
    pub(super) allocations: FuncValidatorAllocations,
    /// Tables that some body grows.
    pub(super) grown: BTreeSet<u32>,
}

impl Bodies {
    /// Stack units of what an operator passes to a function and takes back.
    fn call(&self, operator: &Operator<'_>) -> Result<u64, NormaliseError> {
        let ty = match operator {
            Operator::Call { function_index } => self.types.get(*function_index as usize).copied(),
            Operator::CallIndirect { type_index, .. } => Some(*type_index),
            _ => return Ok(0),
        };
        Ok(self.signatures.get(ty.unwrap_or(u32::MAX))?.units)
    }

    /// A function of this type in its normal form.
    pub(super) fn function(&mut self, source: Source<'_>, ty: u32) -> Result<Function, NormaliseError> {
        let body = source.body;
        let locals = Locals::read(&body)?;
        let weighing = Weighing::new(source.function, &body, self.signatures.get(ty)?.units, std::mem::take(&mut self.allocations))?;
        let (mut plan, allocations) = plan(&body, weighing, locals.count.saturating_sub(cost::LOCALS_FREE), |operator| self.call(operator))?;
        self.allocations = allocations;
        self.grown.append(&mut plan.grown);
        if plan.weight > FRAME_UNITS_MAX {
            return Err(NormaliseError::TooMany { what: "units of stack in one function", count: plan.weight, most: FRAME_UNITS_MAX });
        }
        let is_leaf = !plan.calls && plan.weight <= LEAF_UNITS_MAX;
        let fuel_local = self.signatures.get(ty)?.parameters.checked_add(u32::try_from(locals.count).unwrap_or(u32::MAX));
        let fuel_local = fuel_local.filter(|local| *local < u32::MAX - 1).ok_or(NormaliseError::Unsupported("2^32 locals"))?;
        let mut groups = locals.groups;
        groups.extend([(1, ValType::I64), (if is_leaf { 1 } else { 2 }, ValType::I32)]);
        let injected = self.injected;
        let writer = Writer { injected, fuel_local, length_local: fuel_local + 1, depth_local: fuel_local + 2, is_leaf };
        let mut function = Function::new(groups);
        if !is_leaf {
            writer.enter(&mut function.instructions(), i32::try_from(plan.weight).unwrap_or(i32::MAX));
            function.instructions().block(self.signatures.block(ty)?);
        }
        writer.copy(&body, &plan, &mut function)?;
        if !is_leaf {
            // What is called gives back what it took, so this is what there was before.
            function.instructions().end().local_get(writer.depth_local).global_set(injected.depth);
        }
        function.instructions().end();
        Ok(function)
    }
}

/// The injected functions with their types, in the order of their indices.
pub(super) fn helpers(signatures: &mut Signatures, injected: Injected) -> Result<[(u32, Function); 2], NormaliseError> {
    let mut charge = Function::new([]);
    let mut code = charge.instructions();
    code.global_get(injected.fuel).local_get(0).i64_sub().global_set(injected.fuel);
    code.global_get(injected.fuel).i64_const(0).i64_lt_s().if_(BlockType::Empty).unreachable().end().end();
    let mut grown = Function::new([]);
    let mut code = grown.instructions();
    code.local_get(0).i32_const(-1).i32_ne().if_(BlockType::Empty).local_get(1).call(injected.charge).end().local_get(0).end();
    let charge_type = signatures.append(vec![ValType::I64], Vec::new())?;
    let grown_type = signatures.append(vec![ValType::I32, ValType::I64], vec![ValType::I32])?;
    Ok([(charge_type, charge), (grown_type, grown)])
}

/// The locals a body declares.
struct Locals {
    groups: Vec<(u32, ValType)>,
    count: u64,
}

impl Locals {
    fn read(body: &FunctionBody<'_>) -> Result<Self, NormaliseError> {
        let mut locals = Self { groups: Vec::new(), count: 0 };
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            locals.groups.push((count, RoundtripReencoder.val_type(ty)?));
            locals.count += u64::from(count);
        }
        Ok(locals)
    }
}

struct Writer {
    injected: Injected,
    /// Holds the fuel between charges.
    fuel_local: u32,
    /// Holds a length while its operator waits for it.
    length_local: u32,
    /// Holds the stack that was left when the body was entered; a leaf has none.
    depth_local: u32,
    is_leaf: bool,
}

impl Writer {
    fn enter(&self, code: &mut InstructionSink<'_>, weight: i32) {
        let depth = self.injected.depth;
        code.global_get(depth).local_tee(self.depth_local).i32_const(weight).i32_sub().global_set(depth);
        code.global_get(depth).i32_const(0).i32_lt_s().if_(BlockType::Empty).unreachable().end();
    }

    /// Copies the body without its last `end`, with the edits in their places.
    fn copy(&self, body: &FunctionBody<'_>, plan: &Plan, function: &mut Function) -> Result<(), NormaliseError> {
        let (bytes, start) = (body.as_bytes(), body.range().start);
        let part = |from: u64, to: u64| super::slice(bytes, &(from.saturating_sub(start)..to.saturating_sub(start)));
        let mut at = plan.first;
        for edit in &plan.edits {
            function.raw(part(at, edit.at)?.iter().copied());
            at = edit.at;
            let mut code = function.instructions();
            match edit.kind {
                EditKind::Charge { fuel, fresh } => self.charge(&mut code, fuel, fresh)?,
                EditKind::Refresh => {
                    code.global_get(self.injected.fuel).local_set(self.fuel_local);
                }
                // A leaf stands in no block; its own label is as far away.
                EditKind::Return { labels, end } => {
                    if self.is_leaf {
                        code.return_();
                    } else {
                        code.br(labels);
                    }
                    at = end;
                }
                EditKind::Long { length, end } => {
                    if length.is_growth() {
                        code.local_tee(self.length_local);
                        function.raw(part(edit.at, end)?.iter().copied());
                        let mut code = function.instructions();
                        code.local_get(self.length_local);
                        length.fuel(&mut code);
                        code.call(self.injected.grown);
                    } else {
                        code.local_tee(self.length_local);
                        length.fuel(&mut code);
                        code.call(self.injected.charge).local_get(self.length_local);
                        function.raw(part(edit.at, end)?.iter().copied());
                    }
                    at = end;
                }
            }
        }
        function.raw(part(at, plan.last)?.iter().copied());
        Ok(())
    }

    fn charge(&self, code: &mut InstructionSink<'_>, fuel: u64, fresh: bool) -> Result<(), NormaliseError> {
        let fuel = i64::try_from(fuel).map_err(|_| NormaliseError::Unsupported("a body that costs more than any fuel"))?;
        if fresh {
            code.local_get(self.fuel_local);
        } else {
            code.global_get(self.injected.fuel);
        }
        code.i64_const(fuel).i64_sub().local_tee(self.fuel_local).global_set(self.injected.fuel);
        code.local_get(self.fuel_local).i64_const(0).i64_lt_s().if_(BlockType::Empty).unreachable().end();
        Ok(())
    }
}
