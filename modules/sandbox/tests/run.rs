//! What guests do and what is said of it.

mod common;

use common::{command, echo, finish, guest, load, open, run, told};
use station_protocol::receipt::{Outcome, Trap};
use station_sandbox::{HostCall, Load, Reply, Step};

#[test]
fn standard_input_comes_out_as_standard_output() {
    let input = (0..5_000_u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>();
    let done = run(&echo(), Load { input: input.clone(), ..load() });
    assert_eq!(done.outcome, Outcome::Completed);
    assert_eq!(done.output, input);
    assert!(done.fuel > 0);
}

#[test]
fn an_exit_code_is_an_outcome() {
    assert_eq!(run(&command("(call $proc_exit (i32.const 42))"), load()).outcome, Outcome::Exited(42));
    assert_eq!(run(&command("(call $proc_exit (i32.const 0)) unreachable"), load()).outcome, Outcome::Completed);
}
