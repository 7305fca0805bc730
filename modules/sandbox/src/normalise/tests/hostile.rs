//! Guests that want to run for free, hide the meter or break the stack. Numbers are those of the hostile suite.

use super::*;

/// Far more interpreter steps than the fuel below can pay for: reaching it means that something ran unpaid.
const STEPS: u64 = 50_000_000;
const FUEL_GIVEN: u64 = 1_000_000;

fn ends(source: &str) -> Ended {
    Interpreted::new(&normal(&text(source))).unwrap().metered("f", 0, FUEL_GIVEN, STEPS).0
}

#[test]
fn endless_loops_of_every_shape_run_out_of_fuel() {
    let bodies = [
        // 1: the plain one, by each branch.
        "(loop (br 0))",
        "(loop (br_if 0 (i32.const 1)))",
        "(loop (br_table 0 0 (i32.const 0)))",
        "(loop (block (br_table 1 0 (i32.const 0))))",
        "(loop (if (i32.const 1) (then (br 1)) (else (br 1))))",
        "(loop (loop (br 1)))",
        "(loop (loop (br_if 0 (i32.const 0))) (br 0))",
        "(loop (block (loop (br_if 1 (i32.const 1)))) (br 0))",
        // 4: work in proportion to a length.
        "(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))",
        "(loop (memory.copy (i32.const 0) (i32.const 1) (i32.const 65535)) (br 0))",
        "(loop (table.fill 0 (i32.const 0) (ref.null func) (i32.const 1000)) (br 0))",
        "(loop (table.copy (i32.const 0) (i32.const 0) (i32.const 1000)) (br 0))",
        // 5, 6: calls into the runtime.
        "(loop (drop (memory.grow (i32.const 0))) (br 0))",
        "(loop (data.drop 0) (br 0))",
        "(loop (drop (memory.size)) (br 0))",
        // 10: nothing is free.
        "(loop (nop) (br 0))",
        "(loop (block) (br 0))",
    ];
    for body in bodies {
        let source = format!("(module (memory 1) (table 1000 funcref) (data \"x\") (func (export \"f\") {body}))");
        assert_eq!(ends(&source), Ended::OutOfFuel, "{body}");
    }
}

#[test]
fn bulk_operators_cost_their_length() {
    let fuel = |body: &str| {
        let source = format!("(module (memory 1) (table 1000 funcref) (data \"{}\") (elem func) (func (export \"f\") {body}))", "x".repeat(8_000));
        let mut module = Interpreted::new(&normal(&text(&source))).unwrap();
        let (ended, fuel) = module.metered("f", 0, FUEL_GIVEN, STEPS);
        assert_eq!(ended, Ended::Returned(vec![]), "{body}");
        fuel
    };
    for (operator, per_thousand) in [
        ("memory.fill (i32.const 0) (i32.const 0)", 125),
        ("memory.copy (i32.const 0) (i32.const 0)", 125),
        ("memory.init 0 (i32.const 0) (i32.const 0)", 125),
        ("table.fill 0 (i32.const 0) (ref.null func)", 2_000),
        ("table.copy (i32.const 0) (i32.const 0)", 2_000),
    ] {
        let with = |length: u32| fuel(&format!("({operator} (i32.const {length}))"));
        assert_eq!(with(1_000), with(0) + per_thousand, "{operator}");
    }
}

#[test]
fn recursion_without_end_runs_out_of_stack_at_the_same_place() {
    let locals = "i64 ".repeat(4_000);
    let modules = [
        // 9: through each other.
        "(func (export \"f\") (call 1)) (func (call 0))".to_owned(),
        // 21, 22, 24.
        "(func (export \"f\") (call 0))".to_owned(),
        format!("(func (export \"f\") (local {locals}) (call 0))"),
        "(type $t (func)) (table 1 funcref) (elem (i32.const 0) 0) (func (export \"f\") (call_indirect (type $t) (i32.const 0)))".to_owned(),
    ];
    for fields in modules {
        let mut module = Interpreted::new(&normal(&text(&format!("(module {fields})")))).unwrap();
        let first = module.metered("f", 0, 1_000_000_000, u64::MAX);
        assert_eq!(first.0, Ended::OutOfDepth, "{fields}");
        assert_eq!(module.metered("f", 0, 1_000_000_000, u64::MAX), first);
        assert_eq!(module.metered("f", 0, first.1 / 2, u64::MAX).0, Ended::OutOfFuel);
    }
}

#[test]
fn a_guests_own_unreachable_is_its_own() {
    let source = "(module (func (export \"f\") unreachable))";
    assert_eq!(run(source, 0, 1_000).0, Ended::Trapped(TrapCode::UnreachableCodeReached));
}

#[test]
fn the_meters_names_are_refused_and_its_globals_out_of_reach() {
    // 40.
    for name in [FUEL, DEPTH] {
        let source = format!("(module (global (mut i64) (i64.const 0)) (export \"{name}\" (global 0)))");
        assert_eq!(module(&text(&source)), Err(NormaliseError::Reserved(name.to_owned())));
    }
    let source = text("(module (func (export \"f\") (global.set 0 (i64.const 1))))");
    assert!(wasmparser::Validator::new_with_features(crate::check::features()).validate_all(&source).is_err());
}

#[test]
fn very_many_globals_are_counted_past() {
    // 17.
    let source = format!("(module {} (func (export \"f\")))", "(global i32 (i32.const 0))".repeat(100_000));
    assert_eq!(run(&source, 0, 1), (Ended::Returned(vec![]), 1));
}

#[test]
fn what_the_meter_does_not_know_is_refused() {
    let source = text("(module (tag) (func (export \"f\") (throw 0)))");
    assert!(matches!(module(&source), Err(NormaliseError::Invalid(_))));
    let source = text("(module (func (export \"f\") (return_call 0)))");
    assert!(matches!(module(&source), Err(NormaliseError::Unsupported(_))));
}

#[test]
fn a_module_cut_anywhere_does_not_panic() {
    let whole = text("(module (memory 1) (data \"abc\") (func (export \"f\") (param i32) (loop (br_if 0 (local.get 0)) (call 0 (i32.const 1)))))");
    for cut in 0..whole.len() {
        let _ = module(&whole[..cut]);
    }
    assert!(module(&whole).is_ok());
}
