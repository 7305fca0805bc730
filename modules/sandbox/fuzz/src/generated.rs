//! A valid module of the profile's features from a fuzzer's bytes; the target and the replay of its corpus share it.

/// `None` where the bytes are too few.
pub(crate) fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let config = wasm_smith::Config {
        export_everything: true,
        max_imports: 8,
        min_funcs: 1,
        max_funcs: 12,
        max_instructions: 200,
        max_memories: 1,
        max_tables: 4,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    wasm_smith::Module::new(config, &mut arbitrary::Unstructured::new(bytes)).ok().map(|module| module.to_bytes())
}
