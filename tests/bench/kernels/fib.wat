;; Fibonacci's 25th number by recursion, `rounds` times: nothing but calls of a small function.
(module
  (memory (export "memory") 1)
  (func $fib (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else
        (i32.add
          (call $fib (i32.sub (local.get $n) (i32.const 1)))
          (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func (export "run") (param $rounds i32) (result i32)
    (local $sum i32)
    (loop $round
      (local.set $sum (i32.add (local.get $sum) (call $fib (i32.const 25))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $round (local.get $rounds)))
    (local.get $sum)))
