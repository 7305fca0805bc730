//! What benchmarks ask beyond the sandbox's interface: the same code with and without the meter, in one process.
//!
//! Guarantees: engine, features and optimisation are those of a worker's optimised tier. Deliberately lacks isolation: it runs only
//! what the benchmark itself brings.

pub mod shapes;
#[cfg(test)]
mod tests;
pub mod tiers;

use wasmer::{Imports, Instance, Module, Store, TypedFunction, Value};

use crate::artefact::Tier;
use crate::{engine, normalise};

/// A module that exports `run`, a function from a number of rounds to a number.
#[derive(Debug)]
pub struct Kernel {
    store: Store,
    instance: Instance,
    run: TypedFunction<i32, i32>,
}

impl Kernel {
    /// # Panics
    ///
    /// When the module is not such a module.
    #[must_use]
    pub fn new(module: &[u8], metered: bool) -> Self {
        let normal = if metered { normalise::module(module).expect("a good module") } else { module.to_vec() };
        let engine = engine::compiler(Tier::Optimised);
        let module = Module::from_binary(&engine, &normal).expect("a good module");
        let mut store = Store::new(engine);
        let instance = Instance::new(&mut store, &module, &Imports::new()).expect("it imports nothing");
        let run = instance.exports.get_typed_function(&store, "run").expect("it exports run");
        Self { store, instance, run }
    }

    /// What it gives, and the fuel used.
    ///
    /// # Panics
    ///
    /// When it traps.
    pub fn run(&mut self, rounds: i32) -> (i32, Option<i64>) {
        let fuel = self.instance.exports.get_global(normalise::FUEL).ok().cloned();
        if let Some(fuel) = &fuel {
            fuel.set(&mut self.store, Value::I64(i64::MAX)).expect("fuel is a mutable i64");
        }
        let result = self.run.call(&mut self.store, rounds).expect("it does not trap");
        let used = fuel.and_then(|fuel| fuel.get(&mut self.store).i64()).map(|left| i64::MAX - left);
        (result, used)
    }
}
