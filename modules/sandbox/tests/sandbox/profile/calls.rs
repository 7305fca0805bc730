//! Vectors of the counted stack, of instances and of what a module may be.

use super::{Case, case, plain, telling};

pub(super) fn cases() -> Vec<Case> {
    [stack(), frames(), instances(), memories(), modules()].into_iter().flatten().collect()
}

/// Recursion without end: how much fuel it has used says how many frames there were room for, and so what one weighs.
fn stack() -> Vec<Case> {
    let of = |name, fields: &str, body: &str| case("Stack", name, plain(fields, body));
    let many = |count: usize, what: &str| what.repeat(count);
    vec![
        of("frames-of-nothing", "(func $f (call $f))", "(call $f)"),
        of(
            "frames-of-parameters-and-results",
            "(func $f (param i64 f64 v128) (result i32 f32) (call $f (local.get 0) (local.get 1) (local.get 2)))",
            "(call $f (i64.const 0) (f64.const 0) (v128.const i64x2 0 0)) (drop) (drop)",
        ),
        of("frames-of-locals", "(func $f (local i32 i64 f32 f64 v128 funcref externref) (call $f))", "(call $f)"),
        of("frames-of-operands", &format!("(func $f {} (call $f) {})", many(20, "(i64.const 1)"), many(20, "(drop)")), "(call $f)"),
        of("frames-of-vector-operands", &format!("(func $f {} (call $f) {})", many(9, "(v128.const i64x2 1 2)"), many(9, "(drop)")), "(call $f)"),
        of(
            "frames-of-what-is-read-from-locals",
            &format!("(func $f (param i64) {} (call $f (local.get 0)) {})", many(12, "(local.get 0)"), many(12, "(drop)")),
            "(call $f (i64.const 1))",
        ),
        of(
            "frames-of-tees-and-sets",
            "(func $f (local i64 f64) (local.set 0 (local.tee 0 (i64.const 3))) (local.set 1 (f64.const 1)) (call $f))",
            "(call $f)",
        ),
        of(
            "frames-of-blocks-with-results",
            "(func $f (drop (block (result f64) (f64.const 1))) (drop (block (result i64) (i64.const 1))) (call $f))",
            "(call $f)",
        ),
        of(
            "frames-of-ifs-with-results",
            "(func $f (param i32) (drop (if (result i64) (local.get 0) (then (i64.const 1)) (else (i64.const 2)))) (if (local.get 0) (then (nop))) (call $f (local.get 0)))",
            "(call $f (i32.const 1))",
        ),
        of(
            "frames-of-blocks-with-parameters",
            "(type $t (func (param i64 i32) (result f64))) (func $f (i64.const 1) (i32.const 2) (block (type $t) (drop) (drop) (f64.const 3)) (drop) (call $f))",
            "(call $f)",
        ),
        of(
            "frames-of-loops-with-parameters",
            "(type $t (func (param i32) (result i32))) (func $f (i32.const 0) (loop (type $t) (br_if 0 (i32.const 0))) (drop) (call $f))",
            "(call $f)",
        ),
    ]
}

/// The same for calls, branches and code that is never reached; and which functions take nothing.
fn frames() -> Vec<Case> {
    let of = |name, fields: &str, body: &str| case("Stack", name, plain(fields, body));
    let many = |count: usize, what: &str| what.repeat(count);
    let wide = "(func $wide (param v128 f64 i32 i64) (result f32) (f32.const 1))";
    vec![
        of(
            "frames-of-the-widest-call",
            &format!("{wide} (func $f (drop (call $wide (v128.const i64x2 0 0) (f64.const 0) (i32.const 0) (i64.const 0))) (call $f))"),
            "(call $f)",
        ),
        of(
            "frames-of-indirect-calls",
            "(type $t (func (param i64))) (table 1 funcref) (elem (i32.const 0) $f) (func $f (param i64) (call_indirect (type $t) (local.get 0) (i32.const 0)))",
            "(call $f (i64.const 1))",
        ),
        of(
            "frames-of-stores-and-selects",
            "(func $f (i64.store (i32.const 0) (select (i64.const 1) (i64.const 2) (i32.const 1))) (f32.store (i32.const 8) (f32.add (f32.const 1) (f32.const 2))) (call $f))",
            "(call $f)",
        ),
        of(
            "frames-of-branches-with-values",
            "(func $f (param i32) (drop (block (result i64) (br_if 0 (i64.const 1) (local.get 0)) (drop) (br 0 (i64.const 2)))) (call $f (local.get 0)))",
            "(call $f (i32.const 0))",
        ),
        of(
            "frames-of-tables-of-branches",
            "(func $f (param i32) (drop (block $a (result i32) (block $b (result i32) (br_table $a $b (i32.const 5) (local.get 0))))) (call $f (local.get 0)))",
            "(call $f (i32.const 0))",
        ),
        of(
            "dead-code-weighs-nothing",
            &format!("(func $f (block (br 0) {} {}) (call $f))", many(30, "(v128.const i64x2 1 2)"), many(30, "(drop)")),
            "(call $f)",
        ),
        of(
            "return-in-an-arm",
            "(func $f (param i32) (result i64) (if (local.get 0) (then (return (i64.const 1)))) (call $f (local.get 0)))",
            "(drop (call $f (i32.const 0)))",
        ),
        of(
            "a-call-in-dead-code-is-a-call",
            &format!("(func $f (call $g) (call $f)) (func $g (local {}) (return) (call $g))", many(200, "f64 ")),
            "(call $f)",
        ),
        of("a-light-leaf-takes-nothing", &format!("(func $f (call $g) (call $f)) (func $g (local {}))", many(504, "f64 ")), "(call $f)"),
        of("a-heavy-leaf-takes-its-weight", &format!("(func $g (local {})) (func $f (call $g) (call $f))", many(505, "f64 ")), "(call $f)"),
        of(
            "what-was-taken-is-given-back",
            &format!("(func $g (local {}) (call $h)) (func $h)", many(1_000, "v128 ")),
            "(local $i i32) (loop $l (call $g) (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 400))))",
        ),
        of(
            "recursion-that-ends",
            "(func $fib (param i32) (result i32) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0)) (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))",
            "(drop (call $fib (i32.const 12)))",
        ),
        of("the-stack-is-taken-before-the-charge", "(func $f (call $f))", "(call $f)").fuel(173_052),
    ]
}

fn instances() -> Vec<Case> {
    let of = |name, fields: &str| case("Instance", name, plain(fields, ""));
    vec![
        of("functions-and-globals", "(func) (func) (global i32 (i32.const 1)) (global (mut f64) (f64.const 2))"),
        case("Instance", "imports-are-free", telling("(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))", "", "")),
        of("exports", "(func (export \"a\") (export \"b\")) (global (export \"c\") i32 (i32.const 1))"),
        of("data-segments", "(data (i32.const 0) \"1234567\") (data (i32.const 0) \"12345678\") (data \"passive, and as long as it likes\")"),
        of("element-segments", "(table 5 funcref) (func $f) (elem (i32.const 0) $f $f $f) (elem func $f $f) (elem declare func $f)"),
        of("tables-and-pages", "(table 100 funcref) (table 10 50 externref)"),
        case("Instance", "pages", "(module (memory (export \"memory\") 3) (func (export \"_start\")))"),
        of("an-instance-that-cannot-be-paid", "").fuel(9_201),
        of("an-instance-that-can-just-be-paid", "").fuel(9_202),
        of("an-instance-and-its-first-charge", "").fuel(9_203),
        case("A run", "data-outside-the-memory", plain("(data (i32.const 65530) \"1234567\")", "(nop)")),
        case(
            "A run",
            "elements-outside-the-table",
            plain("(table 2 funcref) (func $f) (elem (i32.const 1) $f $f) (data (i32.const 65530) \"1234567\")", "(nop)"),
        ),
    ]
}

fn memories() -> Vec<Case> {
    let rule = "Memory and tables";
    let starts = |name, pages: u32| case(rule, name, format!("(module (memory (export \"memory\") {pages}) (func (export \"_start\")))"));
    let grow = |first: u32, second: u32| format!("(call $tell (memory.grow (i32.const {first}))) (call $tell (memory.grow (i32.const {second})))");
    let grow_table = |count: u32| format!("(call $tell (table.grow 0 (ref.null func) (i32.const {count}))) (call $tell (table.size 0))");
    vec![
        starts("all-of-the-limit-at-the-start", 16),
        starts("a-page-more-than-the-limit", 17),
        starts("more-than-the-most-pages", 32_768).memory(4 << 30).fuel(1 << 40),
        case(rule, "growth-to-the-limit-and-beyond", telling("", "", &grow(15, 1))),
        case(rule, "a-limit-that-is-no-whole-page", telling("", "", &grow(2, 1))).memory((4 << 16) - 1),
        case(rule, "a-maximum-of-its-own", telling("", "", &grow(2, 1)).replace("\"memory\") 1)", "\"memory\") 1 3)")),
        case(rule, "growth-beyond-the-most-pages", telling("", "", &grow(32_767, 1))).memory(4 << 30).fuel(1 << 40),
        case(rule, "a-table-takes-of-the-memory", telling("", "(table 4096 funcref)", &grow(14, 1))),
        case(rule, "a-table-that-grows-takes-more", telling("", "(table 4096 funcref)", &[grow(7, 1), grow_table(32_768), grow_table(1)].concat())),
        case(rule, "a-table-with-a-maximum", telling("", "(table 2 5 funcref)", &[grow_table(3), grow_table(1)].concat())),
        case(rule, "a-table-leaves-no-page", plain("(table 61441 funcref)", "")),
        case(rule, "a-table-leaves-one-page", plain("(table 61440 funcref)", "")),
    ]
}

fn modules() -> Vec<Case> {
    let of = |name, wat: String| case("Modules", name, wat);
    let many = |count: usize, what: &str| what.repeat(count);
    let nested = |count: usize| plain("", &[many(count, "(block "), many(count, ")")].concat());
    let known = "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))";
    let targets = |count: usize| plain("", &format!("(block (br_table {} 0 (i32.const 0)))", many(count, "0 ")));
    let loops = |locals: usize| plain("", &format!("(local {}) {} (nop) {}", many(locals, "i32 "), many(20, "(loop "), many(20, ")")));
    vec![
        of("extended-constants", plain("(global i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))", "")),
        of("custom-sections-are-nothing", plain("(@custom \"name\" \"no names\")", "")),
        of("threads", plain("", "(atomic.fence)")),
        of("tail-calls", plain("(func $f (return_call $f))", "")),
        of("exceptions", plain("(tag $t)", "(throw $t)")),
        of("relaxed-vectors", plain("", "(drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))")),
        of("wide-memory", "(module (memory (export \"memory\") i64 1) (func (export \"_start\")))".into()),
        of("two-memories", plain("(memory 1)", "")),
        of("no-memory", "(module (func (export \"_start\")))".into()),
        of("a-memory-that-is-not-exported", "(module (memory 1) (func (export \"_start\")))".into()),
        of("no-start", "(module (memory (export \"memory\") 1))".into()),
        of("a-start-with-a-result", "(module (memory (export \"memory\") 1) (func (export \"_start\") (result i32) (i32.const 0)))".into()),
        of("a-start-section", plain("(func $s) (start $s)", "")),
        of("a-reserved-name", plain("(func (export \"station_fuel\"))", "")),
        of("an-unknown-import", format!("(module (import \"env\" \"f\" (func)) {}", plain("", "").trim_start_matches("(module"))),
        of("an-import-of-another-type", format!("(module (import \"station_v1\" \"close\" (func)) {}", plain("", "").trim_start_matches("(module"))),
        of("sixty-four-imports", format!("(module {} {}", many(64, known), plain("", "").trim_start_matches("(module"))),
        of("sixty-five-imports", format!("(module {} {}", many(65, known), plain("", "").trim_start_matches("(module"))),
        of("sixty-four-parameters", plain(&format!("(func (param {}))", many(64, "i64 ")), "")),
        of("sixty-five-parameters", plain(&format!("(func (param {}))", many(65, "i64 ")), "")),
        of("eight-results", plain(&format!("(func (result {}) {})", many(8, "i32 "), many(8, "(i32.const 0)")), "")),
        of("nine-results", plain(&format!("(func (result {}) {})", many(9, "i32 "), many(9, "(i32.const 0)")), "")),
        of("four-tables", plain(&many(4, "(table 1 funcref)"), "")),
        of("five-tables", plain(&many(5, "(table 1 funcref)"), "")),
        of("a-table-of-too-many", plain("(table 1048577 funcref)", "")).memory(1 << 30).fuel(1 << 40),
        of(
            "tables-of-externref",
            plain(
                "(table 2 externref)",
                "(table.set 0 (i32.const 0) (ref.null extern)) (table.fill 0 (i32.const 0) (ref.null extern) (i32.const 2))",
            ),
        ),
        of(
            "passive-elements-of-externref",
            plain("(table 2 externref) (elem $e externref (ref.null extern))", "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))"),
        ),
        of("active-elements-of-externref", plain("(table 2 externref) (elem (i32.const 0) externref (ref.null extern))", "")),
        of(
            "elements-of-funcref-as-expressions",
            plain("(table 2 funcref) (elem $e funcref (ref.null func))", "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))"),
        ),
        of("a-thousand-blocks", nested(1_000)),
        of("a-thousand-and-one-blocks", nested(1_001)),
        of("4096-locals", plain(&format!("(func (local {}))", many(4_096, "i32 ")), "")),
        of("4097-locals", plain(&format!("(func (local {}))", many(4_097, "i32 ")), "")),
        of("a-constant-of-256-bytes", plain(&format!("(global i32 (i32.const 64) {})", many(84, "(i32.const 1) (i32.add)")), "")),
        of("a-constant-of-257-bytes", plain(&format!("(global i32 (i32.const 8192) {})", many(84, "(i32.const 1) (i32.add)")), "")),
        of("twenty-loops-around-a-thousand-locals", loops(1_000)),
        of("twenty-loops-around-a-thousand-and-one-locals", loops(1_001)),
        of("a-table-of-branches", targets(300)),
        of("not-valid", plain("", "(i32.const 1)")),
    ]
}
