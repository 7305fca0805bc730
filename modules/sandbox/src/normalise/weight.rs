//! How much stack a function's frame is taken to need: its weight, in units of eight bytes.
//!
//! A frame holds what is alive at once. Without optimisation that is the locals and the operands, so the peak of the operand stack is
//! followed operator by operator, in units of the operands' types. An optimiser keeps more: values that are computed once and used
//! again, or moved out of a loop. Of these there are at most as many as operators make, so a part of all made values counts too.
//!
//! Guarantees: linear time; `engine::STACK_BYTES` stands for the worst ratio of a real frame to this weight that was measured on both
//! tiers, with a margin. Deliberately lacks knowledge of registers: what is in one is counted as if it were in the frame.

use wasmparser::{FuncToValidate, FuncType, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, ValType, ValidatorResources};

use super::NormaliseError;

/// Stack units of any frame: return address, saved registers, alignment, and the meter's own locals.
pub(crate) const FRAME_UNITS: u64 = 16;
/// Made values of which one is taken to stay alive beside the operand stack.
pub(crate) const VALUES_PER_UNIT: u64 = 4;

/// Stack units of a value: vectors and floats live in slots of sixteen bytes.
pub(super) fn units(ty: ValType) -> u64 {
    match ty {
        ValType::I32 | ValType::I64 | ValType::Ref(_) => 1,
        ValType::F32 | ValType::F64 | ValType::V128 => 2,
    }
}

/// Stack units of what a call passes and what it brings back.
pub(super) fn call_units(ty: &FuncType) -> u64 {
    ty.params().iter().chain(ty.results()).map(|ty| units(*ty)).sum()
}

/// What one operator says about the frame.
struct Effect {
    /// How many values it leaves on the stack anew.
    pushed: u32,
    /// Whether these were made by it, and were not there before.
    makes: bool,
    /// Whether it only takes values: what it makes of them, like the address of a store, is not on the stack.
    sinks: bool,
}

/// Follows one function's operators, and validates them on the way.
pub(super) struct Weighing {
    validator: FuncValidator<ValidatorResources>,
    /// Units of each operand, the top last.
    operands: Vec<u8>,
    /// Sum of `operands`, and its most so far.
    height: u64,
    peak: u64,
    /// Units of all values that operators made.
    made: u64,
    /// Units of what blocks take and leave: each may have a place of its own.
    joined: u64,
    /// Of the largest call.
    call: u64,
    /// Parameters, results and locals.
    fixed: u64,
}

impl Weighing {
    pub(super) fn new(
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        ty: u64,
        allocations: FuncValidatorAllocations,
    ) -> Result<Self, NormaliseError> {
        let mut validator = function.into_validator(allocations);
        validator.read_locals(&mut body.get_binary_reader())?;
        let mut fixed = ty;
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            fixed += u64::from(count) * units(ty);
        }
        Ok(Self { validator, operands: Vec::new(), height: 0, peak: 0, made: 0, joined: 0, call: 0, fixed })
    }

    /// Takes the next operator. `call`: units of what it passes and brings back, where it calls.
    pub(super) fn operator(&mut self, operator: &Operator<'_>, at: u64, call: u64) -> Result<(), NormaliseError> {
        let reachable = self.validator.get_control_frame(0).is_some_and(|frame| !frame.unreachable);
        let effect = self.effect(operator);
        self.validator.op(at, operator)?;
        let before = self.height;
        self.settle(effect.pushed);
        if !reachable {
            return Ok(());
        }
        let pushed = self.top(effect.pushed);
        if effect.makes {
            self.made += pushed;
        } else if is_joint(operator) {
            self.joined += pushed;
        }
        self.made += u64::from(effect.sinks);
        self.call = self.call.max(call);
        // While an operator works, what it takes and what it leaves are there together.
        self.peak = self.peak.max(self.height).max(before + pushed);
        Ok(())
    }

    /// The weight after the last operator, and memory to use again.
    pub(super) fn finish(self) -> (u64, FuncValidatorAllocations) {
        let weight = FRAME_UNITS + self.fixed + self.peak + self.joined + self.call + self.made / VALUES_PER_UNIT;
        (weight, self.validator.into_allocations())
    }

    fn effect(&self, operator: &Operator<'_>) -> Effect {
        // A validator knows the arity of everything it accepts; what it refuses ends the function.
        let (popped, pushed) = operator.operator_arity(&self.validator).unwrap_or((0, 0));
        let moves = matches!(operator, Operator::LocalGet { .. } | Operator::LocalTee { .. } | Operator::BrIf { .. });
        Effect { pushed, makes: !moves && !is_joint(operator), sinks: popped > 0 && pushed == 0 }
    }

    /// Makes `operands` as high as the validator's stack, with the top ones anew.
    fn settle(&mut self, pushed: u32) {
        let height = self.validator.operand_stack_height() as usize;
        let kept = height - height.min(pushed as usize);
        while self.operands.len() > kept {
            self.height -= self.operands.pop().map_or(0, u64::from);
        }
        for at in self.operands.len()..height {
            // A value of unknown type is in dead code; the largest is right for any.
            let ty = self.validator.get_operand_type(height - 1 - at).flatten().unwrap_or(ValType::V128);
            let units = units(ty);
            self.operands.push(u8::try_from(units).unwrap_or(u8::MAX));
            self.height += units;
        }
    }

    fn top(&self, count: u32) -> u64 {
        self.operands.iter().rev().take(count as usize).map(|units| u64::from(*units)).sum()
    }
}

/// Whether control comes together or apart here, with values on the stack.
fn is_joint(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::Else | Operator::End)
}
