//! What a module was made for, where that is no station: whose names it imports, and which features it uses.
//!
//! Guarantees: an import that no station provides is found before anything is counted, and the one that tells most is named; a module that
//! is valid by a newer standard is not called invalid. Deliberately lacks an exact answer: names only hint at who chose them.

use std::fmt;

use wasmparser::{ImportSectionReader, TypeRef, Validator, WasmFeatures};

use super::{Refusal, features, invalid};
use crate::imports;

/// Most imports that are looked at for one that says more than the first.
const LOOKED_AT_MAX: usize = 10_000;

/// Where an unknown import comes from; what says most is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// wasm-bindgen.
    Browser,
    /// Go for browsers.
    Go,
    /// C++ exceptions and `longjmp`, by way of JavaScript.
    Exceptions,
    Emscripten,
    /// The same with its names made short.
    Minified,
    Preview0,
    /// A component's interfaces in a core module.
    Preview2,
    Wasix,
    Threads,
    AssemblyScript,
    /// A memory that the host is to make.
    Memory,
    Unknown,
}

impl fmt::Display for Origin {
    /// What follows the import's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Browser => " from a browser binding; build for wasm32-wasip1",
            Self::Go => " from Go for browsers; build with GOOS=wasip1 GOARCH=wasm",
            Self::Exceptions => {
                ", which C++ exceptions and longjmp call; build with -fno-exceptions, with emscripten also -sSUPPORT_LONGJMP=0 -sSTANDALONE_WASM"
            }
            Self::Emscripten => " from emscripten's JavaScript; build with -sSTANDALONE_WASM",
            Self::Minified => ", which looks like a short name of emscripten's; build with -sSTANDALONE_WASM",
            Self::Preview0 => " of WASI preview0; build for preview1, wasm32-wasip1",
            Self::Preview2 => " of WASI preview2; build for preview1: wasm32-wasip1, not wasip2",
            Self::Wasix => " of WASIX, which no station provides; build for plain wasm32-wasip1",
            Self::Threads => ", which threads need; build for one thread, without -pthread: wasm32-wasip1, not wasm32-wasip1-threads",
            Self::AssemblyScript => ", as AssemblyScript does without WASI; extend @assemblyscript/wasi-shim in asconfig.json",
            Self::Memory => "; a module has a memory of its own and exports it as `memory`: link without --import-memory",
            Self::Unknown => ", which no station provides; only functions of wasi_snapshot_preview1 and station_v1 exist",
        })
    }
}

/// Refuses the first of the imports that tell most where no station provides them.
pub(super) fn import(section: ImportSectionReader<'_>) -> Result<(), Refusal> {
    let mut found: Option<(Origin, &str, &str)> = None;
    for import in section.into_imports().take(LOOKED_AT_MAX) {
        let import = import.map_err(invalid)?;
        if matches!(import.ty, TypeRef::Tag(_)) {
            return Err(FEATURES[0].1.into());
        }
        if imports::signature(import.module, import.name).is_some() {
            continue;
        }
        let origin = origin(import.module, import.name, import.ty);
        if found.is_none_or(|(before, _, _)| origin < before) {
            found = Some((origin, import.module, import.name));
        }
    }
    found.map_or(Ok(()), |(origin, module, name)| Err(Refusal::UnknownImport { module: module.to_owned(), name: name.to_owned(), origin }))
}

fn origin(module: &str, name: &str, ty: TypeRef) -> Origin {
    let begins = |with: &[&str]| with.iter().any(|with| name.starts_with(with));
    match module {
        "wbg" => Origin::Browser,
        _ if module.starts_with("__wbindgen") || begins(&["__wbindgen", "__wbg"]) => Origin::Browser,
        "go" | "gojs" => Origin::Go,
        "wasi_unstable" => Origin::Preview0,
        "wasi" if name == "thread-spawn" => Origin::Threads,
        "GOT.mem" | "GOT.func" | "asm2wasm" => Origin::Emscripten,
        _ if module.starts_with("wasi:") => Origin::Preview2,
        _ if module.starts_with("wasix") => Origin::Wasix,
        "a" if name.len() <= 2 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$') => Origin::Minified,
        "env" if begins(&["invoke_", "__cxa_", "_Unwind_", "__resumeException", "__wasm_longjmp", "__wasm_setjmp"]) => Origin::Exceptions,
        "env" if begins(&["emscripten_", "_emscripten_", "__syscall_", "_embind_", "_emval_", "__emscripten_", "emnapi_"]) => Origin::Emscripten,
        "env" if EMSCRIPTEN.contains(&name) => Origin::Emscripten,
        "env" => match (name, ty) {
            ("memory", TypeRef::Memory(memory)) => {
                if memory.shared {
                    Origin::Threads
                } else {
                    Origin::Memory
                }
            }
            ("abort" | "trace" | "seed", TypeRef::Func(_)) => Origin::AssemblyScript,
            _ => Origin::Unknown,
        },
        _ => Origin::Unknown,
    }
}

/// Names of emscripten's that share no beginning.
const EMSCRIPTEN: [&str; 14] = [
    "getTempRet0",
    "setTempRet0",
    "__assert_fail",
    "__handle_stack_overflow",
    "abortStackOverflow",
    "segfault",
    "alignfault",
    "_abort_js",
    "_mmap_js",
    "_munmap_js",
    "_tzset_js",
    "_localtime_js",
    "__memory_base",
    "__stack_pointer",
];

/// A feature's name, and how to do without it.
#[derive(Clone, Copy)]
struct Named(&'static str, &'static str);

impl From<Named> for Refusal {
    fn from(named: Named) -> Self {
        Self::Feature { what: named.0, hint: named.1 }
    }
}

/// What newer standards have and the profile has not. Flags that can stand for each other are in one row.
const FEATURES: [(WasmFeatures, Named); 13] = [
    (WasmFeatures::EXCEPTIONS.union(WasmFeatures::LEGACY_EXCEPTIONS), Named("exceptions", "; build with -fno-exceptions")),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, Named("shared functions and tables", "")),
    (WasmFeatures::THREADS, Named("threads", "; build for one thread, without -pthread and atomics")),
    (WasmFeatures::MEMORY64, Named("64-bit memory", "; build for wasm32")),
    (WasmFeatures::TAIL_CALL, Named("tail calls", "; build with -mno-tail-call")),
    (WasmFeatures::RELAXED_SIMD, Named("relaxed SIMD", "; build with -mno-relaxed-simd")),
    (WasmFeatures::MULTI_MEMORY, Named("several memories", "; build with -mno-multimemory")),
    (WasmFeatures::WIDE_ARITHMETIC, Named("wide arithmetic", "; build with -mno-wide-arithmetic")),
    (WasmFeatures::CUSTOM_PAGE_SIZES.union(WasmFeatures::MEMORY_CONTROL), Named("pages of other sizes", "")),
    (WasmFeatures::COMPACT_IMPORTS, Named("compact imports", "")),
    (WasmFeatures::STACK_SWITCHING, Named("stack switching", "")),
    (WasmFeatures::GC, Named("garbage-collected types", "; use a compiler that brings its own memory management, for wasm32-wasip1")),
    (WasmFeatures::FUNCTION_REFERENCES, Named("typed function references", "")),
];

/// The feature that a module needs and the profile lacks; `None` where no feature would make it valid.
pub(super) fn feature(bytes: &[u8]) -> Option<Refusal> {
    let with = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
    let all = FEATURES.iter().fold(features(), |all, (feature, _)| all.union(*feature));
    if !with(all) {
        return None;
    }
    FEATURES.iter().find(|(feature, _)| !with(all.difference(*feature))).map(|(_, named)| (*named).into())
}
