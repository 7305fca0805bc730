//! The ways to keep values alive over a call.
//!
//! Guarantees: what a hold leaves on the operand stack before the call, it takes after it. Deliberately lacks a judgement of what is
//! dear: that is what they are measured for.

use wasm_encoder::{BlockType, Instruction, ValType};

use super::{COUNTDOWN, Code, Shape, global, load, store};

/// Values in a body that are nested in blocks of their own at most.
const NESTED_MAX: u64 = 60;
/// Where holds read and write: the first bytes are for the globals at the end.
const PLACES: u64 = 1 << 12;

/// A body's locals as they come to be.
pub(super) struct Body {
    parameters: Vec<ValType>,
    locals: Vec<ValType>,
}

impl Body {
    pub(super) fn new(parameters: &[ValType]) -> Self {
        Self { parameters: parameters.to_vec(), locals: Vec::new() }
    }

    pub(super) fn locals(&self) -> Vec<(u32, ValType)> {
        self.locals.iter().map(|ty| (1, *ty)).collect()
    }

    /// A new local.
    fn local(&mut self, ty: ValType) -> u32 {
        self.locals.push(ty);
        (self.parameters.len() + self.locals.len() - 1) as u32
    }
}

impl Shape {
    /// One hold: what comes before the call, and what after it.
    pub(super) fn hold(&mut self, body: &mut Body) -> (Code, Code) {
        match self.luck.below(15) {
            0 | 1 => self.results(),
            2 => self.globals(),
            3 => self.loads(body),
            4 => self.constants(),
            5 => self.computed(),
            6 | 7 => self.found_twice(body),
            8 => self.moved_out(body),
            9 => self.locals(body),
            10 => self.carried(body),
            11 => self.switched(body),
            12 => self.merged(body),
            13 => {
                let (ty, count) = (self.luck.ty(), self.count());
                self.paired(body, ty, count)
            }
            _ => self.parameters(body),
        }
    }

    fn count(&mut self) -> u64 {
        self.luck.number(self.values_max)
    }

    /// Takes values from the stack, the first of `types` lowest.
    fn take(&mut self, types: &[ValType]) -> Code {
        match self.luck.below(3) {
            0 => types.iter().rev().map(|ty| Instruction::GlobalSet(global(*ty))).collect(),
            1 => types.iter().map(|_| Instruction::Drop).collect(),
            _ => {
                let parts = types.chunks(64).rev().map(<[ValType]>::to_vec).collect::<Vec<_>>();
                parts.into_iter().map(|part| Instruction::Call(self.taker(&part))).collect()
            }
        }
    }

    /// Calls with up to eight results each.
    fn results(&mut self) -> (Code, Code) {
        let mut results = self.luck.types(7);
        results.push(self.luck.ty());
        let giver = self.giver(&results);
        let calls = self.count() / 2 + 1;
        let all = (0..calls).flat_map(|_| results.iter().copied()).collect::<Vec<_>>();
        if self.luck.one_in(4) {
            // Taken at once: only the places of results are left, if they stay.
            let code = (0..calls).flat_map(|_| [Instruction::Call(giver)].into_iter().chain(self.take(&results))).collect();
            return (code, Code::new());
        }
        ((0..calls).map(|_| Instruction::Call(giver)).collect(), self.take(&all))
    }

    fn globals(&mut self) -> (Code, Code) {
        let mixed = self.luck.one_in(2);
        let one = self.luck.ty();
        let types = (0..self.count()).map(|_| if mixed { self.luck.ty() } else { one }).collect::<Vec<_>>();
        (types.iter().map(|ty| Instruction::GlobalGet(global(*ty))).collect(), self.take(&types))
    }

    /// Loads from addresses in a local; the same addresses are written after the call.
    fn loads(&mut self, body: &mut Body) -> (Code, Code) {
        let (ty, base) = (self.luck.ty(), body.local(ValType::I32));
        let offset = 1_024 + self.luck.below(PLACES);
        let apart = self.luck.one_in(2);
        let count = self.count();
        let address = |at: u64| {
            let step = if apart { 16 * at as i32 } else { 0 };
            [Instruction::LocalGet(base), Instruction::I32Const(step), Instruction::I32Add]
        };
        let before = (0..count).flat_map(|at| address(at).into_iter().chain([load(ty, offset)])).collect();
        let mut after = self.take(&vec![ty; count as usize]);
        after.extend((0..count).flat_map(|at| address(at).into_iter().chain([Instruction::GlobalGet(global(ty)), store(ty, offset)])));
        (before, after)
    }

    fn constants(&mut self) -> (Code, Code) {
        let (ty, count) = (self.luck.ty(), self.count());
        ((0..count).map(|at| number(ty, at as i32 + 1_000)).collect(), self.take(&vec![ty; count as usize]))
    }

    /// Of globals, which calls may change: each is computed for itself.
    fn computed(&mut self) -> (Code, Code) {
        let (ty, count, kind) = (self.luck.ty(), self.count(), self.luck.below(4));
        let one = |at: u64| [Instruction::GlobalGet(global(ty)), number(ty, at as i32), operation(ty, kind)];
        ((0..count).flat_map(one).collect(), self.take(&vec![ty; count as usize]))
    }

    /// The same expressions before and after: nothing is on the operand stack, all may be in the frame.
    fn found_twice(&mut self, body: &mut Body) -> (Code, Code) {
        let (ty, count, kind) = (self.luck.ty(), self.count(), self.luck.below(4));
        let (base, known) = (body.local(ty), self.luck.one_in(2));
        let one = |at: u64| {
            let mut code = vec![Instruction::I32Const(1_024 + 16 * at as i32), Instruction::LocalGet(base), number(ty, at as i32 + 3)];
            code.extend([operation(ty, kind), store(ty, 0)]);
            code
        };
        let all = (0..count).flat_map(one).collect::<Code>();
        let begin = if known { Code::new() } else { vec![Instruction::GlobalGet(global(ty)), Instruction::LocalSet(base)] };
        (begin.into_iter().chain(all.clone()).collect(), all)
    }

    /// A loop around the call, with expressions that are the same each time round.
    fn moved_out(&mut self, body: &mut Body) -> (Code, Code) {
        let (ty, count, kind) = (self.luck.ty(), self.count(), self.luck.below(4));
        let (base, rounds) = (body.local(ty), body.local(ValType::I32));
        let before = vec![
            Instruction::GlobalGet(global(ty)),
            Instruction::LocalSet(base),
            Instruction::I32Const(1 + self.luck.below(2) as i32),
            Instruction::LocalSet(rounds),
            Instruction::Loop(BlockType::Empty),
        ];
        let one = |at: u64| {
            let address = [Instruction::LocalGet(rounds), Instruction::I32Const(1_024 + 16 * at as i32), Instruction::I32Add];
            address.into_iter().chain([Instruction::LocalGet(base), number(ty, at as i32 + 3), operation(ty, kind), store(ty, 0)])
        };
        let mut after = (0..count).flat_map(one).collect::<Code>();
        after.extend([Instruction::LocalGet(rounds), Instruction::I32Const(1), Instruction::I32Sub, Instruction::LocalTee(rounds)]);
        after.extend([Instruction::BrIf(0), Instruction::End]);
        (before, after)
    }

    /// The least that an operator table can charge for a value: each is made by one operator from two locals, is the same each time round
    /// a loop, and is taken by a call with many others.
    pub(super) fn paired(&mut self, body: &mut Body, ty: ValType, count: u64) -> (Code, Code) {
        let (kind, rounds) = (self.luck.below(4), body.local(ValType::I32));
        let bases = (0..=count.isqrt() + 1).map(|_| body.local(ty)).collect::<Vec<_>>();
        let mut before = bases.iter().flat_map(|base| [Instruction::GlobalGet(global(ty)), Instruction::LocalSet(*base)]).collect::<Code>();
        before.extend([Instruction::I32Const(1 + self.luck.below(2) as i32), Instruction::LocalSet(rounds), Instruction::Loop(BlockType::Empty)]);
        let pairs = bases.iter().flat_map(|one| bases.iter().map(move |other| [Instruction::LocalGet(*one), Instruction::LocalGet(*other)]));
        let values = pairs.take(count as usize).map(|pair| pair.into_iter().chain([operation(ty, kind)])).collect::<Vec<_>>();
        let mut after = Code::new();
        for part in values.chunks(64) {
            after.extend(part.iter().cloned().flatten());
            after.push(Instruction::Call(self.taker(&vec![ty; part.len()])));
        }
        after.extend([Instruction::LocalGet(rounds), Instruction::I32Const(1), Instruction::I32Sub, Instruction::LocalTee(rounds)]);
        after.extend([Instruction::BrIf(0), Instruction::End]);
        (before, after)
    }

    /// Values in locals, which may change between uses.
    fn locals(&mut self, body: &mut Body) -> (Code, Code) {
        let (ty, count) = (self.luck.ty(), self.count());
        let locals = (0..count).map(|_| body.local(ty)).collect::<Vec<_>>();
        let before = locals.iter().flat_map(|local| [Instruction::GlobalGet(global(ty)), Instruction::LocalSet(*local)]).collect();
        let mut after = locals.iter().map(|local| Instruction::LocalGet(*local)).collect::<Code>();
        after.extend(self.take(&vec![ty; count as usize]));
        (before, after)
    }

    /// Values carried to labels far below, one by one, with a call behind each label.
    fn carried(&mut self, body: &mut Body) -> (Code, Code) {
        let count = self.luck.number(NESTED_MAX) as u32;
        let mut results = self.luck.types(7);
        results.push(self.luck.ty());
        let (block, giver) = (self.block(results.clone()), self.giver(&results));
        let keeps = self.luck.one_in(2);
        let locals = results.iter().map(|ty| body.local(*ty)).collect::<Vec<_>>();
        let mut before = (0..count).map(|_| Instruction::Block(block)).collect::<Code>();
        for label in 0..count {
            // Taken in the deepest call alone.
            before.extend([Instruction::Call(giver), Instruction::GlobalGet(COUNTDOWN), Instruction::I32Eqz, Instruction::BrIf(label)]);
            before.extend(results.iter().map(|_| Instruction::Drop));
        }
        let mut after = Code::new();
        for _ in 0..count {
            after.extend([Instruction::Call(giver), Instruction::End]);
            after.extend(locals.iter().rev().map(|local| Instruction::LocalSet(*local)));
            if keeps {
                after.extend([Instruction::Call(giver)]);
                after.extend(results.iter().map(|_| Instruction::Drop));
            }
            after.extend(locals.iter().map(|local| Instruction::LocalGet(*local)));
            after.extend(self.take(&results));
        }
        (before, after)
    }

    /// A branch table that carries values to one of many labels.
    fn switched(&mut self, body: &mut Body) -> (Code, Code) {
        let count = self.luck.number(NESTED_MAX) as u32;
        let mut results = self.luck.types(5);
        results.push(self.luck.ty());
        let (block, giver) = (self.block(results.clone()), self.giver(&results));
        let kept = body.local(results[0]);
        let mut before = (0..=count).map(|_| Instruction::Block(block)).collect::<Code>();
        before.extend([Instruction::Call(giver), Instruction::GlobalGet(global(ValType::I32))]);
        before.push(Instruction::BrTable((0..count).collect::<Vec<_>>().into(), count));
        before.push(Instruction::End);
        for _ in 0..count {
            before.extend(results.iter().skip(1).rev().map(|ty| Instruction::GlobalSet(global(*ty))));
            before.extend([Instruction::LocalSet(kept), Instruction::Call(giver), Instruction::End]);
        }
        let mut after = self.take(&results);
        after.extend([Instruction::LocalGet(kept), Instruction::GlobalSet(global(results[0]))]);
        (before, after)
    }

    /// Locals that are set on one way and not on the other, over and over.
    fn merged(&mut self, body: &mut Body) -> (Code, Code) {
        let (ty, count) = (self.luck.ty(), self.luck.number(NESTED_MAX));
        let locals = (0..self.luck.number(NESTED_MAX)).map(|_| body.local(ty)).collect::<Vec<_>>();
        let mut code = Code::new();
        for at in 0..count {
            let local = locals[self.luck.below(locals.len() as u64) as usize];
            code.extend([Instruction::GlobalGet(global(ValType::I32)), Instruction::I32Const(at as i32), Instruction::I32And]);
            code.extend([Instruction::If(BlockType::Empty), Instruction::GlobalGet(global(ty)), Instruction::LocalSet(local), Instruction::End]);
        }
        let mut after = if self.luck.one_in(2) { code.clone() } else { Code::new() };
        after.extend(locals.iter().flat_map(|local| [Instruction::LocalGet(*local), Instruction::GlobalSet(global(ty))]));
        (code, after)
    }

    /// The parameters, used after the call.
    fn parameters(&mut self, body: &mut Body) -> (Code, Code) {
        let types = body.parameters.clone();
        let mut after = (0..types.len() as u32).map(Instruction::LocalGet).collect::<Code>();
        after.extend(self.take(&types));
        (Code::new(), after)
    }
}

fn number(ty: ValType, value: i32) -> Instruction<'static> {
    match ty {
        ValType::I64 => Instruction::I64Const(i64::from(value) << 33 | 1),
        ValType::F32 => Instruction::F32Const((value as f32).into()),
        ValType::F64 => Instruction::F64Const(f64::from(value).into()),
        ValType::V128 => Instruction::V128Const(i128::from(value) << 70 | 3),
        _ => Instruction::I32Const(value),
    }
}

/// An operation of two values of a type.
fn operation(ty: ValType, kind: u64) -> Instruction<'static> {
    match (ty, kind) {
        (ValType::I64, 0) => Instruction::I64Add,
        (ValType::I64, 1) => Instruction::I64Mul,
        (ValType::I64, 2) => Instruction::I64Shl,
        (ValType::I64, _) => Instruction::I64Rotl,
        (ValType::F32, 0) => Instruction::F32Add,
        (ValType::F32, 1) => Instruction::F32Div,
        (ValType::F32, 2) => Instruction::F32Min,
        (ValType::F32, _) => Instruction::F32Copysign,
        (ValType::F64, 0) => Instruction::F64Sub,
        (ValType::F64, 1) => Instruction::F64Mul,
        (ValType::F64, 2) => Instruction::F64Max,
        (ValType::F64, _) => Instruction::F64Copysign,
        (ValType::V128, 0) => Instruction::I64x2Mul,
        (ValType::V128, 1) => Instruction::F32x4Add,
        (ValType::V128, 2) => Instruction::I8x16Swizzle,
        (ValType::V128, _) => Instruction::V128Xor,
        (_, 0) => Instruction::I32Add,
        (_, 1) => Instruction::I32Mul,
        (_, 2) => Instruction::I32ShrU,
        (_, _) => Instruction::I32Xor,
    }
}
