//! Cases 21 to 26: guests that want stack.

use station_protocol::receipt::Outcome;
use station_sandbox::{Done, HostCall, Load, Reply, Sandbox, Step, Tier};

use super::arena::{attack, job, refusal, session};
use super::common::{command, finish, guest, load};

const MEMORY: &str = "(memory (export \"memory\") 1)";

fn overflows(module: &[u8]) {
    attack(|sandbox| {
        let first = job(sandbox, module, Load { fuel: 1 << 40, ..load() });
        assert_eq!(first.outcome, Outcome::StackOverflow);
        assert_eq!(job(sandbox, module, Load { fuel: 1 << 40, ..load() }), first, "at the same place each time");
    });
}

/// The same module on both tiers, which end alike.
fn on_both_tiers(sandbox: &Sandbox, module: &[u8]) -> Done {
    let [baseline, optimised] = [Tier::Baseline, Tier::Optimised].map(|tier| {
        let artefact = sandbox.compile_at(module, tier).unwrap();
        finish(sandbox.open(&artefact).unwrap().start(Load { fuel: 1 << 40, ..load() }).unwrap())
    });
    assert_eq!(baseline, optimised);
    baseline
}

/// A recursion whose frames keep `values` operands, made by an operator and taken by another; `depth` calls deep.
fn keeps(fields: &str, depth: u32, make: &str, take: &str, times: usize) -> Vec<u8> {
    guest(
        &format!(
            "{MEMORY} (global $n (mut i32) (i32.const {depth})) {fields}
             (func $f (if (i32.eqz (global.get $n)) (then (return))) (global.set $n (i32.sub (global.get $n) (i32.const 1)))
                {} (call $f) {})",
            make.repeat(times),
            take.repeat(times)
        ),
        "(call $f)",
    )
}

#[test]
fn frames_of_every_kind_end_in_the_counted_stack_alike_on_both_tiers() {
    let ty = |of: &str, count: usize| format!("{of} ").repeat(count);
    let all = |of: &str| {
        let (give, take) = ("(global.get $v) ".repeat(8), "(drop) ".repeat(8));
        let start = if of == "v128" { "(v128.const i64x2 1 2)" } else { "(i64.const 1)" };
        (format!("(global $v (mut {of}) {start}) (func $g (result {}) {give})", ty(of, 8)), take)
    };
    let (numbers, drop_eight) = all("i64");
    let (vectors, _) = all("v128");
    let load = "(i64.load (i32.const 8)) ";
    attack(|sandbox| {
        let end =
            |fields: &str, depth: u32, make: &str, take: &str, times: usize| on_both_tiers(sandbox, &keeps(fields, depth, make, take, times)).outcome;
        // 200 calls with eight results each, kept over a call.
        assert_eq!(end(&numbers, 1_000, "(call $g) ", &drop_eight, 200), Outcome::StackOverflow);
        assert_eq!(end(&vectors, 500, "(call $g) ", &drop_eight, 200), Outcome::StackOverflow);
        assert_eq!(end(&vectors, 20, "(call $g) ", &drop_eight, 200), Outcome::Completed);
        // 2,048 vectors from a global.
        for depth in [500, 900, 1_000] {
            assert_eq!(end(&vectors, depth, "(global.get $v) ", "(global.set $v) ", 2_048), Outcome::StackOverflow, "{depth}");
        }
        assert_eq!(end(&vectors, 50, "(global.get $v) ", "(global.set $v) ", 2_048), Outcome::Completed);
        // Values of loads, and one that is loaded before and after.
        assert_eq!(end("", 1_000, load, "(drop) ", 2_000), Outcome::StackOverflow);
        assert_eq!(end("", 100_000, &format!("(drop {load})"), &format!("(drop {load})"), 10), Outcome::StackOverflow);
    });
}

#[test]
fn a_leaf_of_any_size_is_bounded_too() {
    // Operands without a call: as many as there is code for are refused by their number, fewer of them are counted.
    let deep = |count: usize| {
        let (push, add) = ("(global.get $v) ".repeat(count), "(i64x2.add) ".repeat(count - 1));
        guest(&format!("{MEMORY} (global $v (mut v128) (v128.const i64x2 1 2)) (func $leaf {push} {add} (global.set $v))"), "(call $leaf)")
    };
    attack(|sandbox| {
        assert!(refusal(sandbox, &deep(70_000)).contains("units of stack in one function"));
        assert_eq!(on_both_tiers(sandbox, &deep(5_000)).outcome, Outcome::Completed);
    });
}

#[test]
fn case_21_recursion_without_end() {
    overflows(&guest(
        &format!("{MEMORY} (func $deep (param i32) (call $deep (local.get 0)) (call $tell (local.get 0)))"),
        "(call $deep (i32.const 1))",
    ));
}

#[test]
fn case_22_recursion_with_thousands_of_locals() {
    let with = |locals: usize| guest(&format!("{MEMORY} (func $deep (local {}) (call $deep))", "i64 ".repeat(locals)), "(call $deep)");
    attack(|sandbox| assert!(refusal(sandbox, &with(50_000)).contains("locals in one function")));
    overflows(&with(4_096));
}

#[test]
fn case_23_calls_with_very_many_parameters() {
    let with = |parameters: usize| {
        let arguments = "(i64.const 1) ".repeat(parameters);
        guest(&format!("{MEMORY} (func $deep (param {}) (call $deep {arguments}))", "i64 ".repeat(parameters)), &format!("(call $deep {arguments})"))
    };
    attack(|sandbox| assert!(refusal(sandbox, &with(1_000)).contains("parameters of one type")));
    overflows(&with(64));
}

#[test]
fn case_24_recursion_through_a_table() {
    overflows(&guest(
        &format!("{MEMORY} (type $none (func)) (table 1 funcref) (elem (i32.const 0) $deep) (func $deep (call_indirect (type $none) (i32.const 0)))"),
        "(call $deep)",
    ));
}

#[test]
fn case_25_a_host_call_from_the_depth() {
    let module = guest(
        &format!(
            "{MEMORY} (func $deep (param i32)
                (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (drop (call $close (i32.const 7))))))"
        ),
        "(call $deep (i32.const 20000))",
    );
    attack(|sandbox| {
        let mut session = session(sandbox, &module);
        assert_eq!(session.start(load()).unwrap(), Step::Call(HostCall::Close { handle: 7 }));
        assert_eq!(finish(session.step(Reply::Number(0)).unwrap()).outcome, Outcome::Completed);
    });
}

#[test]
fn case_26_a_hundred_thousand_nested_blocks() {
    let nested = |depth: usize| command(&format!("{} {}", "block ".repeat(depth), "end ".repeat(depth)));
    attack(|sandbox| {
        assert!(refusal(sandbox, &nested(100_000)).contains("nested blocks"));
        assert_eq!(job(sandbox, &nested(999), load()).outcome, Outcome::Completed);
    });
}
