//! What the disk under the temporary folder needs for one durable write: the floor under every settle latency.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Milliseconds of each of `count` writes of 4 KiB with fsync.
pub(crate) fn fsync_ms(dir: &Path, count: usize) -> Vec<f64> {
    let mut file = std::fs::File::create(dir.join("fsync-probe")).expect("the temporary folder is writable");
    let block = [0u8; 4096];
    let one = || {
        let begun = Instant::now();
        file.write_all(&block).and_then(|()| file.sync_data()).expect("the disk works");
        begun.elapsed().as_secs_f64() * 1_000.0
    };
    std::iter::repeat_with(one).take(count).collect()
}
