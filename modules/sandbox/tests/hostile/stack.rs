//! Cases 21 to 26: guests that want stack.

use station_protocol::receipt::Outcome;
use station_sandbox::{HostCall, Load, Reply, Step};

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
