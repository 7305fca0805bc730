//! Vectors of what code costs: operators, charge points, lengths, traps.

use super::{Case, case, plain, telling};

pub(super) fn cases() -> Vec<Case> {
    [operators(), charges(), skips(), lengths(), traps()].into_iter().flatten().collect()
}

fn operators() -> Vec<Case> {
    let of = |name, fields: &str, body: &str| case("Operators", name, plain(fields, body));
    let table = "(table 4 funcref) (elem declare func $f) (elem $e func $f) (data $d \"abcdefgh\") (func $f)";
    vec![
        of("empty", "", ""),
        of("straight", "", "(nop) (drop (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))) (block (nop))"),
        of("call", "(func $f (param i64) (result i64) (local.get 0))", "(drop (call $f (i64.const 1)))"),
        of("call-indirect", "(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f)", "(call_indirect (type $t) (i32.const 0))"),
        of("memory-size", "", "(drop (memory.size))"),
        of(
            "tables",
            table,
            "(drop (table.size 0)) (drop (table.get 0 (i32.const 1))) (table.set 0 (i32.const 1) (ref.func $f)) (drop (ref.is_null (ref.null func)))",
        ),
        of("drops", table, "(data.drop $d) (elem.drop $e)"),
        of(
            "vectors-cost-one",
            "",
            "(drop (f64x2.sqrt (f64x2.splat (f64.const 2)))) (drop (i64x2.mul (v128.const i64x2 1 2) (v128.const i64x2 3 4)))",
        ),
        of("globals", "(global $g (mut i64) (i64.const 5))", "(global.set $g (i64.add (global.get $g) (i64.const 1)))"),
    ]
}

fn charges() -> Vec<Case> {
    let of = |name, fields: &str, body: &str| case("Charge points", name, plain(fields, body));
    let count = "(local $i i32) (local.set $i (i32.const 10)) (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))";
    let nested = "(local $i i32) (local $j i32) (local.set $i (i32.const 3))
        (loop $a (local.set $j (i32.const 4)) (loop $b (br_if $b (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
         (br_if $a (local.tee $i (i32.sub (local.get $i) (i32.const 1)))) (nop) (nop))";
    vec![
        of("thirty-two-locals", &format!("(func $f (local {}))", "i32 ".repeat(32)), "(call $f)"),
        of(
            "forty-locals-and-parameters",
            &format!("(func $f (param i32 i32) (local {}))", "i64 ".repeat(40)),
            "(call $f (i32.const 1) (i32.const 2))",
        ),
        of("loop-ten-times", "", count),
        of("loop-within-loop", "", nested),
        of("loop-that-is-left-early", "", "(block $out (loop $l (br_if $out (i32.const 1)) (nop) (nop) (nop) (br $l)))"),
        of("loop-of-nothing", "", "(loop) (loop) (nop)"),
        of(
            "loop-with-a-call",
            "(func $f (nop))",
            "(local $i i32) (loop $l (call $f) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))",
        ),
        of("endless-loop", "", "(loop $l (br $l))").fuel(20_000),
        of("fuel-to-the-unit", "", count).fuel(9_266),
        of("one-fuel-too-little", "", count).fuel(9_265),
        of("a-head-is-paid-in-advance-also-where-it-then-traps", "", "(drop (i32.div_u (i32.const 1) (i32.const 0))) (nop) (nop) (nop)"),
    ]
}

/// Code that may be skipped.
fn skips() -> Vec<Case> {
    let of = |name, fields: &str, body: &str| case("Charge points", name, plain(fields, body));
    let nops = |count: usize| "(nop)".repeat(count);
    let chosen = |choice: u32, yes: usize, no: usize| format!("(if (i32.const {choice}) (then {}) (else {}))", nops(yes), nops(no));
    let switch = |arm: u32| {
        let work = nops(40);
        format!(
            "(func $f (param i32) (block $c (block $b (block $a (br_table $a $b $c (local.get 0))) {work} (return)) {work} (return)) {work})|(call $f (i32.const {arm}))"
        )
    };
    let with = |name, both: String| {
        let (fields, body) = both.split_once('|').unwrap();
        of(name, fields, body)
    };
    vec![
        of("if-both-arms-in-advance", "", &chosen(1, 5, 9)),
        of("if-neither-arm-cheaper", "", &chosen(0, 5, 9)),
        of("if-sixty-four-in-advance", "", &format!("(if (i32.const 0) (then {}))", nops(63))),
        of("if-sixty-five-on-their-own-skipped", "", &format!("(if (i32.const 0) (then {}))", nops(64))),
        of("if-sixty-five-on-their-own-taken", "", &format!("(if (i32.const 1) (then {}))", nops(64))),
        of("the-advance-is-filled-by-what-fits", "", &[chosen(0, 40, 50), chosen(0, 10, 60), chosen(1, 8, 2)].concat()),
        of("br-if-over-a-few", "", "(block (br_if 0 (i32.const 1)) (nop) (nop) (nop)) (nop)"),
        of("br-if-over-many", "", &format!("(block (br_if 0 (i32.const 1)) {}) {}", nops(100), nops(100))),
        of("br-if-not-taken-over-many", "", &format!("(block (br_if 0 (i32.const 0)) {}) {}", nops(100), nops(100))),
        of("nothing-after-br-is-paid", "", &format!("(block (br 0) {} (block {} (loop {})))", nops(9), nops(9), nops(9))),
        of("nothing-after-return-is-paid-but-else-is", "", &format!("(if (i32.const 0) (then (return) {}) (else {})) (nop)", nops(70), nops(70))),
        of("a-block-that-nothing-leaves-is-paid-by-the-head", "", &format!("(block (block {}))", nops(200))),
        with("switch-first", switch(0)),
        with("switch-second", switch(1)),
        with("switch-default", switch(7)),
        of(
            "an-advance-of-each-loop-is-its-own",
            "",
            &format!(
                "(local $i i32) (loop $l (if (i32.and (local.get $i) (i32.const 1)) (then {}) (else {})) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))",
                nops(60),
                nops(60)
            ),
        ),
        of(
            "a-loop-in-an-arm",
            "",
            &format!(
                "(local $i i32) (if (i32.const 1) (then (nop) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3)))) {}))",
                nops(70)
            ),
        ),
        of("calls-do-not-end-a-run", "(func $f)", &format!("(if (i32.const 1) (then {} (call $f) {}))", nops(40), nops(40))),
    ]
}

fn lengths() -> Vec<Case> {
    let of = |name, fields: &str, body: &str| case("Lengths", name, telling("", fields, body));
    let segments = "(table 20 30 funcref) (elem $e func $tell $tell $tell) (data $d \"abcdefghijklmnopqrstuvwxyz\")";
    vec![
        of(
            "fill-of-7-8-and-1001",
            "",
            "(memory.fill (i32.const 0) (i32.const 1) (i32.const 7)) (memory.fill (i32.const 0) (i32.const 1) (i32.const 8)) (memory.fill (i32.const 0) (i32.const 1) (i32.const 1001))",
        ),
        of(
            "copy-that-overlaps",
            "",
            "(i32.store (i32.const 0) (i32.const 0x01020304)) (memory.copy (i32.const 1) (i32.const 0) (i32.const 800)) (call $tell (i32.load (i32.const 1)))",
        ),
        of(
            "init-of-bytes-and-elements",
            segments,
            "(memory.init $d (i32.const 8) (i32.const 1) (i32.const 17)) (table.init $e (i32.const 0) (i32.const 1) (i32.const 2)) (call $tell (i32.load (i32.const 8)))",
        ),
        of(
            "tables-filled-and-copied",
            segments,
            "(table.fill 0 (i32.const 0) (ref.null func) (i32.const 20)) (table.copy (i32.const 5) (i32.const 0) (i32.const 10))",
        ),
        of(
            "growth-that-is-granted",
            segments,
            "(call $tell (memory.grow (i32.const 2))) (call $tell (table.grow 0 (ref.null func) (i32.const 10))) (call $tell (memory.grow (i32.const 0)))",
        ),
        of(
            "growth-that-is-refused",
            segments,
            "(call $tell (memory.grow (i32.const 65536))) (call $tell (table.grow 0 (ref.null func) (i32.const 11)))",
        ),
        of("what-cannot-be-paid-is-not-grown", "", "(call $tell (memory.grow (i32.const 5)))").fuel(40_000),
        of("out-of-bounds-pays-its-length", "", "(memory.fill (i32.const 65000) (i32.const 0) (i32.const 4000))"),
        of("out-of-fuel-before-out-of-bounds", "", "(memory.fill (i32.const 0) (i32.const 0) (i32.const -1))"),
        of("a-table-out-of-bounds-pays-its-length", segments, "(table.fill 0 (i32.const 10) (ref.null func) (i32.const 11))"),
        of(
            "a-dropped-segment-is-empty",
            segments,
            "(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))",
        ),
        of("a-data-segment-that-is-too-short", segments, "(memory.init $d (i32.const 0) (i32.const 1) (i32.const 1000))"),
        of("an-element-segment-that-is-too-short", segments, "(table.init $e (i32.const 0) (i32.const 1) (i32.const 9))"),
    ]
}

fn traps() -> Vec<Case> {
    let fields = "(type $none (func)) (table 2 funcref) (elem (i32.const 1) $other) (func $other (param i32))";
    let of = |name, body: &str| case("A run", name, plain(fields, body));
    vec![
        of("trap-unreachable", "(nop) (unreachable)"),
        of("trap-load", "(drop (i32.load (i32.const 65533)))"),
        of("trap-store-by-offset", "(i64.store offset=65000 (i32.const 529) (i64.const 1))"),
        of("trap-table-get", "(drop (table.get 0 (i32.const 2)))"),
        of("trap-call-outside", "(call_indirect (type $none) (i32.const 2))"),
        of("trap-call-null", "(call_indirect (type $none) (i32.const 0))"),
        of("trap-call-of-another-type", "(call_indirect (type $none) (i32.const 1))"),
        of("trap-divide-overflow", "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"),
        of("remainder-of-the-same-is-zero", "(if (i32.rem_s (i32.const 0x80000000) (i32.const -1)) (then (unreachable)))"),
        of("trap-divide-by-zero", "(drop (i64.rem_u (i64.const 1) (i64.const 0)))"),
        of("trap-convert-nan", "(drop (i32.trunc_f32_s (f32.const nan)))"),
        of("trap-convert-infinity", "(drop (i64.trunc_f64_u (f64.const inf)))"),
        of("trap-convert-too-large", "(drop (i32.trunc_f64_s (f64.const 2147483648)))"),
        case("A run", "trap-in-a-callee-after-charges", plain("(func $f (loop (drop (i32.div_u (i32.const 1) (i32.const 0)))))", "(call $f) (nop)")),
    ]
}
