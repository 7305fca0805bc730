//! The names a module may import, with their types.
//!
//! Guarantees: the static check, the linker of the run worker and the documentation read the same two tables. Deliberately lacks the
//! functions themselves: `worker::wasi` and `worker::station`.

/// Module name of WASI preview1.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";
/// Module name of the station's host calls.
pub(crate) const STATION: &str = "station_v1";

/// Name and parameters (`i` = i32, `I` = i64). Every function returns one i32, `proc_exit` alone nothing.
type Row = (&'static str, &'static str);

/// All of preview1: toolchains like Go's import names that the program never calls.
pub(crate) const WASI_FUNCTIONS: &[Row] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("sched_yield", ""),
    ("random_get", "ii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// The host calls.
pub(crate) const STATION_FUNCTIONS: &[Row] =
    &[("submit", "iiii"), ("wait", "iii"), ("read", "iii"), ("close", "i"), ("progress", "iii"), ("checkpoint", "ii")];

/// The parameters of a known function, and whether it returns an i32.
pub(crate) fn signature(module: &str, name: &str) -> Option<(&'static str, bool)> {
    let table = match module {
        WASI => WASI_FUNCTIONS,
        STATION => STATION_FUNCTIONS,
        _ => return None,
    };
    table.iter().find(|row| row.0 == name).map(|row| (row.1, name != "proc_exit"))
}
