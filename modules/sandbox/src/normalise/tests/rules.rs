//! Each rule of the normaliser, as text in and text out.

use super::*;

const HELPER_TYPES: &str = "(type (func (param i64))) (type (func (param i32 i64) (result i32)))";

/// The meter's globals of a module whose instance costs this much.
fn globals(cost: u64) -> String {
    format!("(global (mut i64) (i64.const -{cost})) (global (mut i32) (i32.const 524288))")
}
const EXPORTS: &str = "(export \"station_fuel\" (global 0)) (export \"station_depth\" (global 1))";

/// The injected functions; `charge` is the first one's index.
fn helpers(types: [u32; 2], charge: u32) -> String {
    format!(
        "(func (type {}) global.get 0 local.get 0 i64.sub global.set 0 global.get 0 i64.const 0 i64.lt_s if unreachable end)
         (func (type {}) local.get 0 i32.const -1 i32.ne if local.get 1 call {charge} end local.get 0)",
        types[0], types[1]
    )
}

fn charge(from: &str, local: u32, fuel: u64) -> String {
    format!("{from} i64.const {fuel} i64.sub local.tee {local} global.set 0 local.get {local} i64.const 0 i64.lt_s if unreachable end")
}

#[test]
fn a_leaf_charges_at_its_entry_and_at_the_loop_from_a_local() {
    let given = text("(module (memory 1) (func (export \"f\") (param i32) (loop (br_if 0 (local.get 0)))))");
    let expected = format!(
        "(module (type (func (param i32))) {HELPER_TYPES} (memory 1 65536) {} (export \"f\" (func 0)) {EXPORTS}
            (func (type 0) (local i64 i32) {} loop {} local.get 0 br_if 0 end) {})",
        globals(8_192 + 500 + 10),
        charge("global.get 0", 1, 2),
        charge("local.get 1", 1, 3),
        helpers([1, 2], 1)
    );
    assert_eq!(normal(&given), text(&expected));
}

#[test]
fn a_caller_takes_its_weight_and_gives_it_back_on_every_way_out() {
    let given = text("(module (func (export \"f\") (result i32) (if (i32.const 1) (then (return (i32.const 7)))) (call 0)))");
    let expected = format!(
        "(module (type (func (result i32))) {HELPER_TYPES} {} (export \"f\" (func 0)) {EXPORTS}
            (func (type 0) (local i64 i32 i32)
                global.get 1 local.tee 2 i32.const 22 i32.sub global.set 1 global.get 1 i32.const 0 i32.lt_s if unreachable end
                block (result i32) {} i32.const 1 if i32.const 7 br 1 end call 0 end
                local.get 2 global.set 1) {})",
        globals(500 + 10),
        charge("global.get 0", 0, 9),
        helpers([1, 2], 1)
    );
    assert_eq!(normal(&given), text(&expected));
}

#[test]
fn bulk_operators_pay_before_and_growth_pays_after_by_length() {
    let given = text(
        "(module (memory 1 3) (func (export \"f\") (param i32)
            i32.const 0 i32.const 0 local.get 0 memory.fill local.get 0 memory.grow drop))",
    );
    let expected = format!(
        "(module (type (func (param i32))) {HELPER_TYPES} (memory 1 3) {} (export \"f\" (func 0)) {EXPORTS}
            (func (type 0) (local i64 i32) {}
                i32.const 0 i32.const 0 local.get 0
                local.tee 2 i64.extend_i32_u i64.const 3 i64.shr_u call 1 local.get 2 memory.fill
                local.get 0 local.tee 2 memory.grow local.get 2 i64.extend_i32_u i64.const 8192 i64.mul call 2 drop) {})",
        globals(8_192 + 500 + 10),
        charge("global.get 0", 1, 1_056),
        helpers([1, 2], 1)
    );
    assert_eq!(normal(&given), text(&expected));
}

#[test]
fn custom_sections_go_and_tables_may_grow_as_far_as_somebody_grows_them() {
    let table = |given: &str, body: &str| text(&format!("(module $name (@custom \"note\" \"x\") {given} (func $f (export \"f\") {body}))"));
    let expected = format!(
        "(module (type (func)) {HELPER_TYPES} (table 1 1 funcref) (table 2 2 externref) {} (export \"f\" (func 0)) {EXPORTS} (func (type 0) (local i64 i32) {}) {})",
        globals(3 * 2 + 500 + 10),
        charge("global.get 0", 0, 1),
        helpers([1, 2], 1)
    );
    assert_eq!(normal(&table("(table 1 funcref) (table 2 3 externref)", "")), text(&expected));
    let most = |given: &str| {
        let normal = normal(&table(given, "(drop (table.grow 0 (ref.null func) (i32.const 1)))"));
        wasmparser::Parser::new(0)
            .parse_all(&normal)
            .find_map(|payload| match payload.unwrap() {
                wasmparser::Payload::TableSection(section) => section.into_iter().next().unwrap().unwrap().ty.maximum,
                _ => None,
            })
            .unwrap()
    };
    assert_eq!([most("(table 1 funcref)"), most("(table 1 3 funcref)"), most("(table 1 2000000 funcref)")], [32_769, 3, 1 << 20]);
}

#[test]
fn what_is_injected_comes_after_imports_and_the_guests_own() {
    let given = "(module (import \"a\" \"b\" (func (param i32))) (import \"a\" \"g\" (global i32)) (global i64 (i64.const 5))
        (func (export \"f\") (result i64) (call 0 (global.get 0)) (global.get 1)))";
    let normal = normal(&text(given));
    let exports = wasmparser::Parser::new(0).parse_all(&normal).find_map(|payload| match payload.unwrap() {
        wasmparser::Payload::ExportSection(section) => Some(section.into_iter().map(|e| e.map(|e| (e.name, e.index)).unwrap()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(exports.unwrap(), [("f", 1), (FUEL, 2), (DEPTH, 3)]);
}

#[test]
fn several_results_leave_the_block_around_a_body() {
    let source = "(module
        (func $two (result i32 i64) (i32.const 1) (i64.const 2))
        (func (export \"f\") (param i32) (result i32 i64)
            (if (local.get 0) (then (return (call $two))))
            (block (result i32 i64) (br 1 (call $two)))))";
    let two = Ended::Returned(vec!["I32(1)".into(), "I64(2)".into()]);
    assert_eq!(run(source, 1, 1_000).0, two);
    assert_eq!(run(source, 0, 1_000).0, two);
}

#[test]
fn fuel_is_exact_and_one_less_is_not_enough() {
    let source = "(module (func (export \"f\") (param i32) (loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0)))))";
    // 2 at the entry, 7 for each time round.
    assert_eq!(run(source, 10, 1_000), (Ended::Returned(vec![]), 72));
    assert_eq!(run(source, 10, 72), (Ended::Returned(vec![]), 72));
    assert_eq!(run(source, 10, 71), (Ended::OutOfFuel, 71));
}

#[test]
fn a_large_switch_does_not_pay_for_the_arms_it_skips() {
    let arms = 200;
    let (open, targets) = ("(block ".repeat(arms + 1), (0..=arms).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
    let arm = format!("{} (return))", "(drop (i32.const 0))".repeat(20));
    let source = format!("(module (func (export \"f\") (param i32) {open} (br_table {targets} (local.get 0))) {}))", arm.repeat(arms));
    for argument in [0, 5, 199] {
        let (ended, fuel) = run(&source, argument, 10_000);
        assert_eq!(ended, Ended::Returned(vec![]));
        // The blocks themselves, the arm's 41 operators, and at most what is paid in advance.
        assert!((200 + 41..200 + 41 + 64 + 8).contains(&fuel), "{argument}: {fuel}");
    }
}

#[test]
fn code_after_a_label_pays_though_the_way_to_it_was_skipped() {
    let work = "(drop (i32.const 0))".repeat(100);
    let source = format!("(module (func (export \"f\") (param i32) (block (br_if 0 (local.get 0)) {work}) {work}))");
    let (skipped, through) = (run(&source, 1, 1_000).1, run(&source, 0, 1_000).1);
    assert!(skipped >= 200 && through >= 400, "{skipped} {through}");
}

#[test]
fn a_function_pays_for_its_locals() {
    let with = |count: usize| run(&format!("(module (func (export \"f\") (local {})))", "i64 ".repeat(count)), 0, 10_000).1;
    assert_eq!((with(0), with(32), with(832)), (1, 1, 801));
}

#[test]
fn growth_that_is_refused_costs_no_length() {
    let source = "(module (memory 1 2) (table 1 2 funcref) (func (export \"f\") (param i32) (result i32 i32)
        (memory.grow (local.get 0)) (table.grow 0 (ref.null func) (local.get 0))))";
    let refused = run(source, -1, 10_000);
    assert_eq!(refused.0, Ended::Returned(vec!["I32(-1)".into(), "I32(-1)".into()]));
    let granted = run(source, 1, 20_000);
    assert_eq!(granted.0, Ended::Returned(vec!["I32(1)".into(), "I32(1)".into()]));
    assert_eq!(granted.1, refused.1 + 8_192 + 2);
}

#[test]
fn a_start_function_finds_no_fuel() {
    assert!(Interpreted::new(&normal(&text("(module (func $s) (start $s))"))).is_none());
}
