//! PROFILE.md says what the code does: its numbers, tables and names are compared with the constants.
//!
//! Guarantees: a row that is wrong, missing or too many fails. Deliberately lacks the rules in words: `tests/sandbox/profile.rs` runs them.

use std::collections::BTreeMap;

use wasmparser::Operator;

use crate::normalise::{cost, entry, plan, weight};
use crate::worker::run::{PAGE_BYTES, TABLE_ELEMENT_BYTES};
use crate::worker::wasi;
use crate::{check, imports, job, normalise};

const PAGE: &str = include_str!("../../PROFILE.md");

/// The cells of the table whose head is this line.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let after = PAGE.split_once(&format!("\n{head}\n")).unwrap_or_else(|| panic!("no table {head}")).1;
    let rows = after.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split(" |").map(|cell| cell.trim().trim_start_matches("| ")).collect()).collect()
}

/// Every row that names a constant, wherever it stands.
fn constants() -> BTreeMap<&'static str, u64> {
    let named = |line: &'static str| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let value = rest.split(' ').next()?;
        (name.contains('_') || name == "PAGE").then_some(())?;
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_').then_some(())?;
        value.bytes().all(|byte| byte.is_ascii_digit()).then(|| (name, value.parse().unwrap()))
    };
    let rows = PAGE.lines().filter_map(named).collect::<Vec<_>>();
    let map = rows.iter().copied().collect::<BTreeMap<_, _>>();
    assert_eq!(map.len(), rows.len(), "no name stands twice");
    map
}

#[test]
fn every_number_that_has_a_name_is_the_code_s() {
    let expected = BTreeMap::from([
        ("MODULE_BYTES_MAX", check::MODULE_BYTES_MAX as u64),
        ("TYPES_MAX", check::TYPES_MAX.into()),
        ("PARAMETERS_MAX", check::PARAMETERS_MAX as u64),
        ("RESULTS_MAX", check::RESULTS_MAX as u64),
        ("IMPORTS_MAX", check::IMPORTS_MAX.into()),
        ("FUNCTIONS_MAX", check::FUNCTIONS_MAX.into()),
        ("TABLES_MAX", check::TABLES_MAX.into()),
        ("TABLE_ELEMENTS_MAX", check::TABLE_ELEMENTS_MAX.into()),
        ("GLOBALS_MAX", check::GLOBALS_MAX.into()),
        ("SEGMENTS_MAX", check::SEGMENTS_MAX.into()),
        ("ELEMENTS_MAX", check::ELEMENTS_MAX),
        ("CONSTANT_BYTES_MAX", check::CONSTANT_BYTES_MAX),
        ("BODY_BYTES_MAX", check::BODY_BYTES_MAX),
        ("LOCALS_MAX", check::LOCALS_MAX),
        ("LOCALS_TOTAL_MAX", check::LOCALS_TOTAL_MAX),
        ("NESTING_MAX", check::NESTING_MAX.into()),
        ("BRANCH_TARGETS_MAX", check::BRANCH_TARGETS_MAX),
        ("LOOP_LOCALS_MAX", check::LOOP_LOCALS_MAX),
        ("LOOP_LOCALS_TOTAL_MAX", check::LOOP_LOCALS_TOTAL_MAX),
        ("LOOP_LOCALS_FREE", check::LOOP_LOCALS_FREE),
        // The parser's own: `a_name_has_a_bound` looks.
        ("NAME_BYTES_MAX", 100_000),
        ("TYPE_SIZE_MAX", check::TYPE_SIZE_MAX),
        ("FRAME_UNITS_MAX", normalise::FRAME_UNITS_MAX),
        ("LOCALS_FREE", cost::LOCALS_FREE),
        ("HOISTED_MAX", plan::HOISTED_MAX),
        ("BULK_BYTES_PER_FUEL", cost::BYTES_PER_FUEL),
        ("TABLE_ELEMENT", cost::TABLE_ELEMENT.unsigned_abs()),
        ("PAGE", cost::PAGE.unsigned_abs()),
        ("INSTANCE_ITEM", entry::ITEM),
        ("INSTANCE_EXPORT", entry::EXPORT),
        ("INSTANCE_SEGMENT", entry::SEGMENT),
        ("INSTANCE_ELEMENT", entry::ELEMENT),
        ("INSTANCE_BYTES_PER_FUEL", entry::BYTES_PER_FUEL),
        ("DEPTH_UNITS", u64::from(normalise::DEPTH_UNITS.unsigned_abs())),
        ("LEAF_UNITS_MAX", normalise::LEAF_UNITS_MAX),
        ("FRAME_UNITS", weight::FRAME_UNITS),
        ("VALUES_PER_UNIT", weight::VALUES_PER_UNIT),
        ("PAGE_BYTES", PAGE_BYTES),
        ("TABLE_ELEMENT_BYTES", TABLE_ELEMENT_BYTES),
        ("TABLE_GROWTH", normalise::TABLE_GROWTH),
        ("PAGES_MAX", check::PAGES_MAX),
        ("HOST_CALL", wasi::cost::CALL),
        ("HOST_VECTOR", wasi::cost::VECTOR),
        ("HOST_BYTES_PER_FUEL", wasi::cost::BYTES_PER_FUEL),
        ("HOST_SUBSCRIPTION", wasi::cost::SUBSCRIPTION),
        ("HOST_STEP", wasi::cost::STEP),
        ("HOST_STEP_BYTES_PER_FUEL", wasi::cost::STEP_BYTES_PER_FUEL),
        ("VECTORS_MAX", wasi::VECTORS_MAX.into()),
        ("SUBSCRIPTIONS_MAX", u64::from(wasi::poll::SUBSCRIPTIONS_MAX.unsigned_abs())),
        ("LOG_BYTES_MAX", job::LOG_BYTES_MAX as u64),
        ("PURE_EPOCH_NS", wasi::PURE_EPOCH_NS),
        ("CLOCK_RESOLUTION_NS", wasi::CLOCK_RESOLUTION_NS),
        ("OPERATION_BYTES_MAX", job::OPERATION_BYTES_MAX as u64),
        ("REQUEST_BYTES_MAX", job::REQUEST_BYTES_MAX as u64),
        ("HANDLES_MAX", job::HANDLES_MAX as u64),
        ("READ_BYTES_MAX", job::READ_BYTES_MAX as u64),
        ("MESSAGE_BYTES_MAX", job::MESSAGE_BYTES_MAX as u64),
        ("CHECKPOINT_BYTES_MAX", job::CHECKPOINT_BYTES_MAX as u64),
    ]);
    assert_eq!(constants(), expected);
    assert!(PAGE.starts_with(&format!("# The engine profile `{}`\n", super::PROFILE)));
    for name in [normalise::FUEL, normalise::DEPTH] {
        assert!(PAGE.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn operators_cost_what_the_table_says() {
    const MEMORY: u32 = 0;
    let operators = [
        ("call", Operator::Call { function_index: 0 }),
        ("call_indirect", Operator::CallIndirect { type_index: 0, table_index: 0 }),
        ("memory.size", Operator::MemorySize { mem: MEMORY }),
        ("memory.grow", Operator::MemoryGrow { mem: MEMORY }),
        ("memory.fill", Operator::MemoryFill { mem: MEMORY }),
        ("memory.copy", Operator::MemoryCopy { dst_mem: MEMORY, src_mem: MEMORY }),
        ("memory.init", Operator::MemoryInit { data_index: 0, mem: MEMORY }),
        ("data.drop", Operator::DataDrop { data_index: 0 }),
        ("table.size", Operator::TableSize { table: 0 }),
        ("table.grow", Operator::TableGrow { table: 0 }),
        ("table.fill", Operator::TableFill { table: 0 }),
        ("table.copy", Operator::TableCopy { dst_table: 0, src_table: 0 }),
        ("table.init", Operator::TableInit { elem_index: 0, table: 0 }),
        ("elem.drop", Operator::ElemDrop { elem_index: 0 }),
        ("table.get", Operator::TableGet { table: 0 }),
        ("table.set", Operator::TableSet { table: 0 }),
        ("ref.func", Operator::RefFunc { function_index: 0 }),
    ];
    let mut told = BTreeMap::new();
    for row in table("| operators | fuel |") {
        let fuel = row[1].parse::<u64>().unwrap();
        if row[0].starts_with("every other one") {
            assert_eq!(fuel, 1);
        } else {
            told.extend(row[0].split(", ").map(|name| (name.trim_matches('`'), fuel)));
        }
    }
    assert_eq!(told, operators.iter().map(|(name, operator)| (*name, cost::of(operator))).collect());
    let ones = [
        Operator::Nop,
        Operator::Else,
        Operator::End,
        Operator::Return,
        Operator::I64RemS,
        Operator::Drop,
        Operator::RefIsNull,
        Operator::F64x2Sqrt,
        Operator::LocalGet { local_index: 0 },
        Operator::GlobalSet { global_index: 0 },
        Operator::Unreachable,
    ];
    assert!(ones.iter().all(|operator| cost::of(operator) == 1));
    // None of them is an operator that pays for a length and is not in the page's table of lengths.
    let long = operators.iter().filter(|(_, operator)| cost::length(operator).is_some()).map(|(name, _)| *name).collect::<Vec<_>>();
    let lengths = table("| operators | fuel besides the table's | when |");
    let mut listed = lengths.iter().flat_map(|row| row[0].split(", ").map(|name| name.trim_matches('`'))).collect::<Vec<_>>();
    listed.sort_unstable();
    assert_eq!(listed, long.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
}

/// Name, parameters and the third cell of each function of the table with this head.
fn functions(head: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let code = |cell: &'static str| cell.trim_end_matches(" †").trim_matches('`');
    table(head).into_iter().map(|row| (code(row[0]), code(row[1]), row[2])).collect()
}

#[test]
fn the_imports_are_those_of_the_linker() {
    let names = |rows: &[(&'static str, &'static str)]| rows.iter().copied().collect::<BTreeMap<_, _>>();
    let listed = functions("| function | parameters | what it does |");
    let pairs = listed.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>();
    assert_eq!((names(&pairs), pairs.len()), (names(imports::WASI_FUNCTIONS), imports::WASI_FUNCTIONS.len()));
    let absent = listed.iter().skip_while(|row| row.0 != "fd_advise");
    for (name, _, errno) in absent {
        let refusal = wasi::refusal(name);
        assert_eq!((number(errno.trim_matches('`')), *name != "proc_raise"), (refusal.errno, refusal.needs_descriptor), "{name}");
    }
    let station = functions("| function | parameters | bytes in the question |");
    let pairs = station.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>();
    assert_eq!((names(&pairs), pairs.len()), (names(imports::STATION_FUNCTIONS), imports::STATION_FUNCTIONS.len()));
}

/// The errno of that name in the page.
fn number(name: &str) -> i32 {
    let row = table("| errno | number |").into_iter().find(|row| row[0].trim_matches('`') == name).unwrap_or_else(|| panic!("no {name}"));
    row[1].parse().unwrap()
}

#[test]
fn errnos_are_those_of_preview1() {
    use wasi::errno::{BADF, FAULT, INVAL, NOSYS, NOTDIR, NOTSOCK, NOTSUP, SPIPE, SUCCESS};
    let errnos = [
        ("SUCCESS", SUCCESS),
        ("BADF", BADF),
        ("FAULT", FAULT),
        ("INVAL", INVAL),
        ("NOSYS", NOSYS),
        ("NOTDIR", NOTDIR),
        ("NOTSOCK", NOTSOCK),
        ("NOTSUP", NOTSUP),
        ("SPIPE", SPIPE),
    ];
    assert_eq!(errnos.map(|(name, _)| number(name)), errnos.map(|(_, number)| number));
    assert_eq!(table("| errno | number |").len(), errnos.len());
}
