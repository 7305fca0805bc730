;; FNV-1a over a page, `rounds` times, byte by byte: a tight loop with a load in it.
(module
  (memory (export "memory") 1)
  (func (export "run") (param $rounds i32) (result i32)
    (local $hash i32) (local $at i32)
    (local.set $hash (i32.const 0x811c9dc5))
    (loop $round
      (local.set $at (i32.const 0))
      (loop $byte
        (local.set $hash (i32.mul (i32.xor (local.get $hash) (i32.load8_u (local.get $at))) (i32.const 0x01000193)))
        (i32.store8 (local.get $at) (local.get $hash))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $byte (i32.lt_u (local.get $at) (i32.const 65536))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $round (local.get $rounds)))
    (local.get $hash)))
