//! Cases 11 to 20: guests that want memory.

use station_protocol::receipt::{Outcome, Trap};
use station_sandbox::Load;

use super::arena::{attack, job, never_ends, refusal};
use super::common::{command, guest, load, told};

const MEMORY: &str = "(memory (export \"memory\") 1)";

#[test]
fn case_11_a_memory_that_starts_with_all_there_is() {
    let module = |pages: u32| guest(&format!("(memory (export \"memory\") {pages})"), "");
    attack(|sandbox| assert_eq!(job(sandbox, &module(32_767), load()).outcome, Outcome::BadModule));
    attack(|sandbox| assert!(refusal(sandbox, &module(32_768)).contains("32767 is the most")));
}

#[test]
fn case_12_memory_up_to_the_limit_all_of_it_used() {
    let module = command(
        "(call $tell (memory.grow (i32.const 1023)))
         (loop $more
            (i32.store (local.get $i) (i32.const 1))
            (local.set $i (i32.add (local.get $i) (i32.const 4096)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 0x4000000))))",
    );
    let done = attack(|sandbox| job(sandbox, &module, Load { memory_bytes: 64 << 20, ..load() }));
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![1]));
}

#[test]
fn case_13_growing_until_it_is_refused_is_minus_one_at_the_job_limit() {
    let module = command(
        "(loop $more
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (local.set $n (memory.grow (i32.const 1)))
            (br_if $more (i32.ne (local.get $n) (i32.const -1))))
         (call $tell (local.get $i)) (call $tell (memory.grow (i32.const -1)))",
    );
    let done = attack(|sandbox| job(sandbox, &module, Load { memory_bytes: 32 << 16, ..load() }));
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![32, -1]));
}

#[test]
fn case_14_a_table_that_grows_without_a_maximum() {
    let module = guest(&format!("{MEMORY} (table 1 funcref)"), "(call $tell (table.grow (ref.null func) (i32.const 0xffffffff)))");
    let done = attack(|sandbox| job(sandbox, &module, load()));
    assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![-1]));
}

#[test]
fn case_15_a_hundred_tables_of_ten_million_elements() {
    attack(|sandbox| {
        assert!(refusal(sandbox, &guest(&format!("{MEMORY} {}", "(table 10000000 funcref)".repeat(100)), "")).contains("tables"));
        assert!(refusal(sandbox, &guest(&format!("{MEMORY} (table 10000000 funcref)"), "")).contains("table elements"));
        // What is allowed counts as the job's memory, and costs fuel before it is there.
        let most = guest(&format!("{MEMORY} {}", "(table 1048576 funcref)".repeat(4)), "");
        assert_eq!(job(sandbox, &most, Load { memory_bytes: 64 << 20, ..load() }).outcome, Outcome::BadModule);
        let done = job(sandbox, &most, Load { memory_bytes: 65 << 20, ..load() });
        assert_eq!(done.outcome, Outcome::Completed);
        assert!(done.fuel > 8_000_000, "{}", done.fuel);
        assert_eq!(job(sandbox, &most, Load { memory_bytes: 65 << 20, fuel: 8_000_000, ..load() }).outcome, Outcome::OutOfFuel);
    });
}

#[test]
fn case_16_a_table_of_references_filled_whole() {
    let table = format!("{MEMORY} (table $t 1048576 externref)");
    let fill = |length: &str| guest(&table, &format!("(table.fill $t (i32.const 0) (ref.null extern) (i32.const {length}))"));
    let load = || Load { memory_bytes: 32 << 20, ..load() };
    attack(|sandbox| {
        assert_eq!(job(sandbox, &fill("1048576"), load()).outcome, Outcome::Completed);
        assert_eq!(job(sandbox, &fill("1048577"), load()).outcome, Outcome::Trapped(Trap::TableOutOfBounds));
        assert_eq!(job(sandbox, &fill("1048576"), Load { fuel: 3_000_000, ..load() }).outcome, Outcome::OutOfFuel);
    });
}

#[test]
fn case_17_a_hundred_thousand_globals() {
    let module = guest(&format!("{MEMORY} {}", "(global i32 (i32.const 0))".repeat(100_000)), "");
    attack(|sandbox| assert!(refusal(sandbox, &module).contains("globals")));
}

#[test]
fn case_18_data_that_overlaps_ends_at_the_end_or_lies_outside() {
    let with =
        |data: &str| guest(&format!("{MEMORY} {data}"), "(call $tell (i32.load8_u (i32.const 65535))) (call $tell (i32.load8_u (i32.const 1)))");
    attack(|sandbox| {
        let done = job(sandbox, &with("(data (i32.const 0) \"ab\") (data (i32.const 1) \"c\") (data (i32.const 65535) \"z\")"), load());
        assert_eq!((done.outcome.clone(), told(&done)), (Outcome::Completed, vec![122, 99]));
        for data in ["(data (i32.const 65535) \"zz\")", "(data (i32.const -1) \"z\")", "(data (i32.const 65537))"] {
            let done = job(sandbox, &with(data), load());
            assert_eq!(done.outcome, Outcome::Trapped(Trap::MemoryOutOfBounds), "{data}");
            assert!((1..20_000).contains(&done.fuel), "what the instance costs, and no more: {}", done.fuel);
        }
    });
}

#[test]
fn case_19_a_loop_of_copies_from_a_passive_segment() {
    never_ends(&guest(
        &format!("{MEMORY} (data $d \"{}\")", "x".repeat(4_096)),
        "(loop $again (memory.init $d (i32.const 0) (i32.const 0) (i32.const 4096)) (br $again))",
    ));
}

#[test]
fn case_20_two_memories_and_memory_of_64_bits() {
    attack(|sandbox| {
        assert!(refusal(sandbox, &guest(&format!("{MEMORY} (memory 1)"), "")).contains("exactly one memory"));
        let wide = wat::parse_str("(module (memory (export \"memory\") i64 1) (func (export \"_start\")))").unwrap();
        assert!(refusal(sandbox, &wide).contains("it uses 64-bit memory"));
    });
}

#[test]
fn an_instance_pays_for_its_pages_data_elements_and_exports_before_it_runs() {
    let fuel = |fields: &str| attack(|sandbox| job(sandbox, &guest(fields, ""), load())).fuel;
    let empty = fuel(MEMORY);
    let more = |fields: &str| fuel(&format!("{MEMORY} {fields}")) - empty;
    assert_eq!(fuel("(memory (export \"memory\") 11)") - empty, 10 * 8_192);
    assert_eq!(more(&format!("(data (i32.const 0) \"{}\")", "x".repeat(8_000))), 200 + 1_000);
    assert_eq!(more(&format!("(data \"{}\")", "x".repeat(8_000))), 200, "a passive segment pays when it is copied");
    assert_eq!(more("(table 1000 funcref)"), 2_000);
    assert_eq!(more(&format!("(elem declare func {})", "$put ".repeat(1_000))), 200 + 8_000);
    assert_eq!(more("(export \"again\" (memory 0))"), 500);
}

#[test]
fn elements_and_constant_expressions_are_bounded_in_all() {
    let elements = |count: usize| guest(&format!("{MEMORY} {}", format!("(elem func {})", "$put ".repeat(count / 2)).repeat(2)), "");
    let sum = |terms: usize| guest(&format!("{MEMORY} (global i32 (i32.const 1) {})", "(i32.const 1) (i32.add)".repeat(terms)), "");
    attack(|sandbox| {
        assert!(refusal(sandbox, &elements((1 << 20) + 2)).contains("elements of segments"));
        assert!(refusal(sandbox, &sum(100)).contains("bytes in a constant expression"));
        assert_eq!(job(sandbox, &sum(50), load()).outcome, Outcome::Completed);
    });
}
