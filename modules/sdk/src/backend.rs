//! The six `station_v1` host calls: the imports themselves on wasm32, a replay elsewhere.
//!
//! Guarantees: the only file with `unsafe`; each use passes a pointer and the length of a slice that outlives the call, and the host
//! copies before it returns. Deliberately lacks any meaning: results are the host's numbers as they are.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::replay::host::{checkpoint, close, progress, read, submit, wait};

#[cfg(target_arch = "wasm32")]
pub(crate) use imports::{checkpoint, close, progress, read, submit, wait};

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the host's imports can be called in no other way")]
mod imports {
    mod raw {
        #[link(wasm_import_module = "station_v1")]
        unsafe extern "C" {
            pub(super) fn submit(op: *const u8, op_len: usize, request: *const u8, request_len: usize) -> i32;
            pub(super) fn wait(handles: *const u32, count: usize, timeout_ms: u32) -> i32;
            pub(super) fn read(handle: u32, buffer: *mut u8, capacity: usize) -> i32;
            pub(super) fn close(handle: u32) -> i32;
            pub(super) fn progress(permille: u32, message: *const u8, message_len: usize) -> i32;
            pub(super) fn checkpoint(bytes: *const u8, len: usize) -> i32;
        }
    }

    pub(crate) fn submit(op: &str, request: &[u8]) -> i32 {
        // SAFETY: both slices are alive during the call, and the host only reads them.
        unsafe { raw::submit(op.as_ptr(), op.len(), request.as_ptr(), request.len()) }
    }

    pub(crate) fn wait(handles: &[u32], timeout_ms: u32) -> i32 {
        // SAFETY: the slice is alive during the call, and the host only reads it.
        unsafe { raw::wait(handles.as_ptr(), handles.len(), timeout_ms) }
    }

    pub(crate) fn read(handle: u32, buffer: &mut [u8]) -> i32 {
        // SAFETY: the host writes at most `capacity` bytes into a slice that is ours alone during the call.
        unsafe { raw::read(handle, buffer.as_mut_ptr(), buffer.len()) }
    }

    pub(crate) fn close(handle: u32) -> i32 {
        // SAFETY: no memory is involved.
        unsafe { raw::close(handle) }
    }

    pub(crate) fn progress(permille: u32, message: &str) -> i32 {
        // SAFETY: the slice is alive during the call, and the host only reads it.
        unsafe { raw::progress(permille, message.as_ptr(), message.len()) }
    }

    pub(crate) fn checkpoint(bytes: &[u8]) -> i32 {
        // SAFETY: the slice is alive during the call, and the host only reads it.
        unsafe { raw::checkpoint(bytes.as_ptr(), bytes.len()) }
    }
}
