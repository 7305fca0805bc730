;; An interpreter: a loop around a `br_table` over a small program in memory, 10,000 × `rounds` times through it. An operator has two
;; bytes, its number and an operand; one calls a function, one skips the next, the last one counts.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\07\01\03\06\00\02\11\07\00\04\01\03\05\05\01\06\00\07\00\00\2a\08\00")
  (func $mix (param $a i32) (result i32)
    (i32.xor (local.get $a) (i32.shr_u (i32.mul (local.get $a) (i32.const 0x9e3779b1)) (i32.const 15))))
  (func $step (param $a i32) (param $times i32) (result i32)
    (local $at i32) (local $operand i32)
    (block $done
      (loop $next
        (local.set $operand (i32.load8_u offset=1 (local.get $at)))
        (block $count (block $skip (block $call (block $load (block $store (block $turn (block $xor (block $mul (block $add
          (br_table $add $mul $xor $turn $store $load $call $skip $count (i32.load8_u (local.get $at))))
          ;; 0: add
          (local.set $a (i32.add (local.get $a) (local.get $operand)))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (br $next))
          ;; 1: multiply
          (local.set $a (i32.mul (local.get $a) (local.get $operand)))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (br $next))
          ;; 2: exclusive or
          (local.set $a (i32.xor (local.get $a) (local.get $operand)))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (br $next))
          ;; 3: rotate
          (local.set $a (i32.rotl (local.get $a) (local.get $operand)))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (br $next))
          ;; 4: store
          (i32.store offset=1024 (i32.shl (local.get $operand) (i32.const 2)) (local.get $a))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (br $next))
          ;; 5: load, and add
          (local.set $a (i32.add (local.get $a) (i32.load offset=1024 (i32.shl (local.get $operand) (i32.const 2)))))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (br $next))
          ;; 6: call
          (local.set $a (call $mix (local.get $a)))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (br $next))
          ;; 7: skip the next where the number is odd
          (local.set $at (i32.add (local.get $at) (select (i32.const 4) (i32.const 2) (i32.and (local.get $a) (i32.const 1)))))
          (br $next))
          ;; 8: from the start, as often as asked
          (local.set $at (i32.const 0))
          (local.set $times (i32.sub (local.get $times) (i32.const 1)))
          (br_if $next (local.get $times))))
    (local.get $a))
  (func (export "run") (param $rounds i32) (result i32)
    (call $step (i32.const 1) (i32.mul (local.get $rounds) (i32.const 10000)))))
