//! Modules made to have frames that a meter gets wrong: recursive functions that keep values alive in every way known to us.
//!
//! A shape is made of holds. A hold makes values before the recursive call and uses them after it, so that the frame must keep them:
//! results of calls, globals, loads, constants, locals, values that an optimiser finds twice or moves out of a loop, and values that are
//! carried to labels. Holds nest like brackets.
//!
//! Guarantees: a seed is a module, the same everywhere; each is valid and ends by itself or in the meter. Deliberately lacks traps of
//! its own and host calls: the end is a question of fuel and stack alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    Instruction, MemArg, MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

mod holds;

/// The number types, in the order of the globals that hold one of each.
const TYPES: [ValType; 5] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];
/// Global that counts how many more calls may recurse.
const COUNTDOWN: u32 = 5;
/// Most values of one hold, and in one shape of fifty.
const VALUES_MAX: u64 = 120;
const VALUES_LARGE: u64 = 1_500;

/// The module of a seed.
#[must_use]
pub fn shape(seed: u64) -> Vec<u8> {
    Shape::new(seed, None).finish()
}

/// The same with recursion that nothing but a stack ends: what a frame needs is seen where that is.
#[must_use]
pub fn endless(seed: u64) -> Vec<u8> {
    Shape::new(seed, Some(i32::MAX)).finish()
}

/// Frames that would be the dearest, if the optimiser moved all these values of a type out of their loop: for the least weight. Without end.
#[must_use]
pub fn paired(ty: ValType, count: u64) -> Vec<u8> {
    let luck = Luck(ChaCha8Rng::seed_from_u64(0));
    let mut shape = Shape { luck, types: Vec::new(), functions: Vec::new(), countdown: i32::MAX, values_max: count, recursive: Vec::new() };
    let none = shape.ty((Vec::new(), Vec::new()));
    shape.recursive.push(none);
    shape.functions.push(Body { ty: none, locals: Vec::new(), code: Code::new() });
    let mut body = holds::Body::new(&[]);
    let (before, after) = shape.paired(&mut body, ty, count);
    let code = before.into_iter().chain([Instruction::Call(0)]).chain(after).collect();
    shape.functions[0] = Body { ty: none, locals: body.locals(), code };
    shape.start();
    shape.finish()
}

/// Operators on their way into a body.
type Code = Vec<Instruction<'static>>;
/// A type's parameters and results.
type Signature = (Vec<ValType>, Vec<ValType>);

struct Luck(ChaCha8Rng);

impl Luck {
    fn below(&mut self, most: u64) -> u64 {
        self.0.next_u64() % most.max(1)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn ty(&mut self) -> ValType {
        TYPES[self.below(TYPES.len() as u64) as usize]
    }

    /// Small numbers more often than large ones.
    fn number(&mut self, most: u64) -> u64 {
        let bits = u64::from(most.max(1).ilog2()) + 1;
        let within = 1 << (self.below(bits) + 1);
        1 + self.below(within.min(most))
    }

    fn types(&mut self, most: u64) -> Vec<ValType> {
        let count = self.below(most + 1);
        let one = self.ty();
        let mixed = self.one_in(2);
        (0..count).map(|_| if mixed { self.ty() } else { one }).collect()
    }
}

/// A function of the guest: which type, which locals beside the parameters, and what it does.
struct Body {
    ty: u32,
    locals: Vec<(u32, ValType)>,
    code: Code,
}

struct Shape {
    luck: Luck,
    types: Vec<Signature>,
    functions: Vec<Body>,
    countdown: i32,
    values_max: u64,
    /// The recursive functions' types; they come first.
    recursive: Vec<u32>,
}

impl Shape {
    /// Of a seed; with this many recursions, where they are given.
    fn new(seed: u64, countdown: Option<i32>) -> Self {
        let mut luck = Luck(ChaCha8Rng::seed_from_u64(seed));
        let depth = [10, 100, 1_000, 10_000, i32::MAX][luck.below(5) as usize];
        let values_max = if luck.one_in(50) { VALUES_LARGE } else { VALUES_MAX };
        let countdown = countdown.unwrap_or(depth);
        let mut shape = Self { luck, types: Vec::new(), functions: Vec::new(), countdown, values_max, recursive: Vec::new() };
        for _ in 0..1 + shape.luck.below(3) {
            let (most_parameters, most_results) = if shape.luck.one_in(3) { (64, 8) } else { (3, 2) };
            let signature = (shape.luck.types(most_parameters), shape.luck.types(most_results));
            let ty = shape.ty(signature);
            shape.recursive.push(ty);
        }
        let places = shape.recursive.iter().map(|ty| Body { ty: *ty, locals: Vec::new(), code: Code::new() }).collect();
        shape.functions = places;
        for at in 0..shape.recursive.len() {
            shape.recursive(at);
        }
        shape.start();
        shape
    }

    fn ty(&mut self, signature: Signature) -> u32 {
        let known = self.types.iter().position(|known| *known == signature);
        let at = known.unwrap_or_else(|| {
            self.types.push(signature);
            self.types.len() - 1
        });
        at as u32
    }

    /// A block that takes nothing and leaves these.
    fn block(&mut self, results: Vec<ValType>) -> BlockType {
        match results.as_slice() {
            [] => BlockType::Empty,
            [one] => BlockType::Result(*one),
            _ => BlockType::FunctionType(self.ty((Vec::new(), results))),
        }
    }

    /// A function that takes these from the stack.
    fn taker(&mut self, parameters: &[ValType]) -> u32 {
        let code = (0..).zip(parameters).flat_map(|(at, ty)| [Instruction::LocalGet(at), Instruction::GlobalSet(global(*ty))]).collect();
        self.function((parameters.to_vec(), Vec::new()), code)
    }

    /// A function that leaves these on the stack.
    fn giver(&mut self, results: &[ValType]) -> u32 {
        self.function((Vec::new(), results.to_vec()), results.iter().map(|ty| Instruction::GlobalGet(global(*ty))).collect())
    }

    /// The same function for the same type: what it does follows from that.
    fn function(&mut self, signature: Signature, code: Code) -> u32 {
        let ty = self.ty(signature);
        let known = self.functions.iter().skip(self.recursive.len()).position(|body| body.ty == ty);
        let at = known.map_or(self.functions.len(), |at| at + self.recursive.len());
        if at == self.functions.len() {
            self.functions.push(Body { ty, locals: Vec::new(), code });
        }
        at as u32
    }

    fn recursive(&mut self, at: usize) {
        let ty = self.recursive[at];
        let (parameters, results) = self.types[ty as usize].clone();
        let leave = results.iter().map(|ty| Instruction::GlobalGet(global(*ty))).collect::<Code>();
        let mut code = vec![Instruction::GlobalGet(COUNTDOWN), Instruction::I32Eqz, Instruction::If(BlockType::Empty)];
        code.extend(leave.iter().cloned());
        code.extend([Instruction::Return, Instruction::End]);
        code.extend([Instruction::GlobalGet(COUNTDOWN), Instruction::I32Const(1), Instruction::I32Sub, Instruction::GlobalSet(COUNTDOWN)]);
        let mut body = holds::Body::new(&parameters);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for _ in 0..self.luck.below(5) {
            let (make, take) = self.hold(&mut body);
            before.push(make);
            after.push(take);
        }
        code.extend(before.into_iter().flatten());
        let next = (at + 1) % self.recursive.len();
        code.extend(self.call(next as u32));
        code.extend(after.into_iter().rev().flatten());
        code.extend(leave);
        self.functions[at] = Body { ty, locals: body.locals(), code };
    }

    /// A call of a recursive function, with its arguments from the globals and its results back into them.
    fn call(&mut self, function: u32) -> Code {
        let ty = self.recursive[function as usize];
        let (parameters, results) = self.types[ty as usize].clone();
        let mut code = parameters.iter().map(|ty| Instruction::GlobalGet(global(*ty))).collect::<Code>();
        if self.luck.one_in(3) {
            code.extend([Instruction::I32Const(function.cast_signed()), Instruction::CallIndirect { type_index: ty, table_index: 0 }]);
        } else {
            code.push(Instruction::Call(function));
        }
        code.extend(results.iter().rev().map(|ty| Instruction::GlobalSet(global(*ty))));
        code
    }

    /// `_start`: the first call, and all globals into the memory, where they can be compared.
    fn start(&mut self) {
        let mut code = self.call(0);
        for (at, ty) in (0..).zip(TYPES) {
            code.extend([Instruction::I32Const(16 * at), Instruction::GlobalGet(global(ty)), store(ty, 0)]);
        }
        let ty = self.ty((Vec::new(), Vec::new()));
        self.functions.push(Body { ty, locals: Vec::new(), code });
    }

    fn finish(self) -> Vec<u8> {
        let mut types = TypeSection::new();
        for (parameters, results) in self.types {
            types.ty().function(parameters, results);
        }
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for body in &self.functions {
            functions.function(body.ty);
            let mut function = Function::new(body.locals.iter().copied());
            for instruction in &body.code {
                function.instruction(instruction);
            }
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        let recursive = self.recursive.len() as u64;
        let mut tables = TableSection::new();
        tables.table(TableType { element_type: RefType::FUNCREF, table64: false, minimum: recursive, maximum: Some(recursive), shared: false });
        let mut memories = MemorySection::new();
        memories.memory(MemoryType { minimum: 1, maximum: Some(1), memory64: false, shared: false, page_size_log2: None });
        let mut globals = GlobalSection::new();
        for (ty, value) in TYPES.iter().chain([&ValType::I32]).zip([3, 5, 7, 9, 11, self.countdown]) {
            globals.global(GlobalType { val_type: *ty, mutable: true, shared: false }, &constant(*ty, value));
        }
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, self.functions.len() as u32 - 1);
        let mut elements = ElementSection::new();
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions((0..self.recursive.len() as u32).collect::<Vec<_>>().into()));
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&tables).section(&memories).section(&globals);
        module.section(&exports).section(&elements).section(&code);
        module.finish()
    }
}

fn global(ty: ValType) -> u32 {
    TYPES.iter().position(|known| *known == ty).unwrap_or(0) as u32
}

fn constant(ty: ValType, value: i32) -> ConstExpr {
    match ty {
        ValType::I64 => ConstExpr::i64_const(value.into()),
        ValType::F32 => ConstExpr::f32_const((value as f32).into()),
        ValType::F64 => ConstExpr::f64_const(f64::from(value).into()),
        ValType::V128 => ConstExpr::v128_const(value.into()),
        _ => ConstExpr::i32_const(value),
    }
}

fn place(offset: u64) -> MemArg {
    MemArg { offset, align: 0, memory_index: 0 }
}

/// Stores a value above its address.
fn store(ty: ValType, offset: u64) -> Instruction<'static> {
    match ty {
        ValType::I64 => Instruction::I64Store(place(offset)),
        ValType::F32 => Instruction::F32Store(place(offset)),
        ValType::F64 => Instruction::F64Store(place(offset)),
        ValType::V128 => Instruction::V128Store(place(offset)),
        _ => Instruction::I32Store(place(offset)),
    }
}

fn load(ty: ValType, offset: u64) -> Instruction<'static> {
    match ty {
        ValType::I64 => Instruction::I64Load(place(offset)),
        ValType::F32 => Instruction::F32Load(place(offset)),
        ValType::F64 => Instruction::F64Load(place(offset)),
        ValType::V128 => Instruction::V128Load(place(offset)),
        _ => Instruction::I32Load(place(offset)),
    }
}
