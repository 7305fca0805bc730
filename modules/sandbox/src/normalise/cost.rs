//! The cost table of the profile, and which operators the meter understands.
//!
//! Guarantees: no operator is free; one that works in proportion to a length names the rate. Deliberately lacks host calls: they cost
//! what a call costs, and what they do is paid to the host (`worker::wasi`).

use wasm_encoder::InstructionSink;
use wasmparser::Operator;

/// Locals that cost nothing: what ordinary functions have.
pub(crate) const LOCALS_FREE: u64 = 32;

/// Bytes that bulk operators move for one fuel, a power of two: about what memory moves in the time of an operator.
pub(crate) const BYTES_PER_FUEL: u64 = 8;
/// Fuel per table element: elements are set one by one.
pub(crate) const TABLE_ELEMENT: i64 = 2;
/// Fuel per page, at the start or grown: the system gives and clears 16 of its own pages for it.
pub(crate) const PAGE: i64 = 8_192;

/// What an operator pays for its length, the i32 on top of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Length {
    /// One fuel per eight bytes, before.
    Bytes,
    /// Table elements, before.
    Elements,
    /// Pages, after it succeeded: asking for too much is how a guest finds its limit.
    GrownPages,
    /// Table elements, after it succeeded.
    GrownElements,
}

impl Length {
    /// Whether it is paid after the operator.
    pub(super) fn is_growth(self) -> bool {
        matches!(self, Self::GrownPages | Self::GrownElements)
    }

    /// Turns the i32 on top of the stack into fuel, an i64. 2^32 times any rate stays far below 2^63.
    pub(super) fn fuel(self, code: &mut InstructionSink<'_>) {
        code.i64_extend_i32_u();
        match self {
            Self::Bytes => code.i64_const(i64::from(BYTES_PER_FUEL.trailing_zeros())).i64_shr_u(),
            Self::Elements | Self::GrownElements => code.i64_const(TABLE_ELEMENT).i64_mul(),
            Self::GrownPages => code.i64_const(PAGE).i64_mul(),
        };
    }
}

/// The length an operator pays for besides [`of`].
pub(crate) fn length(operator: &Operator<'_>) -> Option<Length> {
    match operator {
        Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => Some(Length::Bytes),
        Operator::TableFill { .. } | Operator::TableCopy { .. } | Operator::TableInit { .. } => Some(Length::Elements),
        Operator::MemoryGrow { .. } => Some(Length::GrownPages),
        Operator::TableGrow { .. } => Some(Length::GrownElements),
        _ => None,
    }
}

/// Fuel of one operator. At least 1, or a loop could be free; more where one operator is a call into the runtime.
pub(crate) fn of(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Call { .. } | Operator::CallIndirect { .. } => 4,
        Operator::MemorySize { .. } | Operator::TableSize { .. } => 10,
        Operator::TableGet { .. } | Operator::TableSet { .. } | Operator::RefFunc { .. } => 10,
        Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => 50,
        Operator::TableFill { .. } | Operator::TableCopy { .. } | Operator::TableInit { .. } => 50,
        Operator::DataDrop { .. } | Operator::ElemDrop { .. } => 50,
        Operator::MemoryGrow { .. } | Operator::TableGrow { .. } => 1_000,
        _ => 1,
    }
}

/// An operator that moves control in a way the plan does not follow. The profile's features exclude them all; were one let in without
/// teaching the meter, its modules are refused here instead of running for free.
pub(super) fn is_foreign(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::CallRef { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Delegate { .. }
            | Operator::Rethrow { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::Resume { .. }
            | Operator::ResumeThrow { .. }
            | Operator::Suspend { .. }
            | Operator::Switch { .. }
    )
}
