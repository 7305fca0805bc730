;; Heap sort of 8,192 pseudo-random numbers, `rounds` times: calls, branches that are hard to foresee, loads and stores.
(module
  (memory (export "memory") 1)
  (func $get (param $index i32) (result i32) (i32.load (i32.shl (local.get $index) (i32.const 2))))
  (func $put (param $index i32) (param $value i32) (i32.store (i32.shl (local.get $index) (i32.const 2)) (local.get $value)))
  (func $sift (param $root i32) (param $end i32)
    (local $child i32) (local $value i32)
    (local.set $value (call $get (local.get $root)))
    (block $done
      (loop $down
        (local.set $child (i32.add (i32.shl (local.get $root) (i32.const 1)) (i32.const 1)))
        (br_if $done (i32.ge_u (local.get $child) (local.get $end)))
        (if (i32.lt_u (i32.add (local.get $child) (i32.const 1)) (local.get $end))
          (then
            (if (i32.gt_u (call $get (i32.add (local.get $child) (i32.const 1))) (call $get (local.get $child)))
              (then (local.set $child (i32.add (local.get $child) (i32.const 1)))))))
        (br_if $done (i32.ge_u (local.get $value) (call $get (local.get $child))))
        (call $put (local.get $root) (call $get (local.get $child)))
        (local.set $root (local.get $child))
        (br $down)))
    (call $put (local.get $root) (local.get $value)))
  (func (export "run") (param $rounds i32) (result i32)
    (local $seed i32) (local $at i32) (local $first i32)
    (local.set $seed (i32.const 12345))
    (loop $round
      (local.set $at (i32.const 0))
      (loop $fill
        (local.set $seed (i32.add (i32.mul (local.get $seed) (i32.const 1664525)) (i32.const 1013904223)))
        (call $put (local.get $at) (local.get $seed))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $fill (i32.lt_u (local.get $at) (i32.const 8192))))
      (local.set $at (i32.const 4096))
      (loop $heapify
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (call $sift (local.get $at) (i32.const 8192))
        (br_if $heapify (local.get $at)))
      (local.set $at (i32.const 8191))
      (loop $take
        (local.set $first (call $get (i32.const 0)))
        (call $put (i32.const 0) (call $get (local.get $at)))
        (call $put (local.get $at) (local.get $first))
        (call $sift (i32.const 0) (local.get $at))
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (br_if $take (local.get $at)))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $round (local.get $rounds)))
    (call $get (i32.const 4096))))
