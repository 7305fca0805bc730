//! What the normaliser writes, rule by rule, and what normalised modules do.

mod differential;
mod hostile;
mod rules;

use wasmi::errors::ErrorKind;
use wasmi::{Config, Engine, Extern, ExternType, Instance, Linker, Module, Store, TrapCode, Val, ValType};

use super::{DEPTH, DEPTH_UNITS, FUEL, NormaliseError, module};

/// Validates under the profile's features, as the compiler would.
fn normal(bytes: &[u8]) -> Vec<u8> {
    let normal = module(bytes).unwrap();
    wasmparser::Validator::new_with_features(crate::check::features()).validate_all(&normal).unwrap();
    normal
}

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// How a call of a normalised module ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    Returned(Vec<String>),
    Trapped(TrapCode),
    OutOfFuel,
    OutOfDepth,
    /// The interpreter's own step limit: the meter let something run for free.
    Unbounded,
}

/// A module in the interpreter.
struct Interpreted {
    store: Store<()>,
    instance: Instance,
}

impl Interpreted {
    /// `None` where the module does not instantiate (a segment that does not fit).
    fn new(bytes: &[u8]) -> Option<Self> {
        let mut config = Config::default();
        config.consume_fuel(true).set_max_recursion_depth(1_000_000).set_max_stack_height(1 << 30);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, bytes).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX).unwrap();
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).ok()?;
        Some(Self { store, instance })
    }

    fn functions(&self) -> Vec<String> {
        self.instance.exports(&self.store).filter(|e| matches!(e.ty(&self.store), ExternType::Func(_))).map(|e| e.name().to_owned()).collect()
    }

    /// Calls with the first argument given and the others zero, in at most this many steps of the interpreter.
    fn call(&mut self, name: &str, argument: i64, steps: u64) -> Ended {
        let function = self.instance.get_func(&self.store, name).unwrap();
        let ty = function.ty(&self.store);
        let mut arguments = ty.params().iter().map(|ty| Val::default(*ty)).collect::<Vec<_>>();
        match arguments.first_mut() {
            Some(Val::I32(value)) => *value = i32::try_from(argument).unwrap(),
            Some(Val::I64(value)) => *value = argument,
            _ => {}
        }
        let mut results = ty.results().iter().map(|ty| Val::default(*ty)).collect::<Vec<_>>();
        self.store.set_fuel(steps).unwrap();
        match function.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Ended::Returned(results.iter().map(shown).collect()),
            Err(error) => match error.as_trap_code() {
                Some(TrapCode::OutOfFuel) => Ended::Unbounded,
                Some(code) => Ended::Trapped(code),
                // The interpreter has no trap code for bulk operators of tables.
                None if matches!(error.kind(), ErrorKind::Table(_)) => Ended::Trapped(TrapCode::TableOutOfBounds),
                None => panic!("not a trap: {error}"),
            },
        }
    }

    fn global(&self, name: &str) -> Val {
        self.instance.get_global(&self.store, name).unwrap().get(&self.store)
    }

    fn set(&mut self, name: &str, value: Val) {
        self.instance.get_global(&self.store, name).unwrap().set(&mut self.store, value).unwrap();
    }

    /// Calls with this much fuel and the whole stack; the fuel used.
    fn metered(&mut self, name: &str, argument: i64, fuel: u64, steps: u64) -> (Ended, u64) {
        self.set(FUEL, Val::I64(i64::try_from(fuel).unwrap()));
        self.set(DEPTH, Val::I32(DEPTH_UNITS));
        let ended = self.call(name, argument, steps);
        let (Val::I64(left), Val::I32(depth)) = (self.global(FUEL), self.global(DEPTH)) else { panic!("other globals") };
        match ended {
            Ended::Trapped(TrapCode::UnreachableCodeReached) if left < 0 => (Ended::OutOfFuel, fuel),
            Ended::Trapped(TrapCode::UnreachableCodeReached) if depth < 0 => (Ended::OutOfDepth, fuel - u64::try_from(left).unwrap()),
            ended => {
                if let Ended::Returned(_) = ended {
                    assert_eq!(depth, DEPTH_UNITS, "the stack is given back");
                }
                (ended, fuel - u64::try_from(left).unwrap())
            }
        }
    }

    /// What a later call could see: memories and numbers in globals, the injected ones left out.
    fn state(&self) -> Vec<(String, Vec<u8>)> {
        let mut state = Vec::new();
        for export in self.instance.exports(&self.store).filter(|export| export.name() != FUEL && export.name() != DEPTH) {
            let name = export.name().to_owned();
            match export.into_extern() {
                Extern::Memory(memory) => state.push((name, memory.data(&self.store).to_vec())),
                Extern::Global(global) => state.push((name, shown(&global.get(&self.store)).into_bytes())),
                Extern::Table(table) => state.push((name, table.size(&self.store).to_le_bytes().to_vec())),
                Extern::Func(_) => {}
            }
        }
        state
    }
}

impl Interpreted {
    fn memories(&self) -> Vec<(String, Vec<u8>)> {
        let memory = |export: wasmi::Export<'_>| {
            let name = export.name().to_owned();
            export.into_memory().map(|memory| (name, memory.data(&self.store).to_vec()))
        };
        self.instance.exports(&self.store).filter_map(memory).collect()
    }
}

/// A value to compare; of references, only the type.
fn shown(value: &Val) -> String {
    match value.ty() {
        ValType::FuncRef | ValType::ExternRef => "a reference".into(),
        _ => format!("{value:?}"),
    }
}

/// Runs `f` of a module in text.
fn run(source: &str, argument: i64, fuel: u64) -> (Ended, u64) {
    Interpreted::new(&normal(&text(source))).unwrap().metered("f", argument, fuel, u64::MAX)
}
