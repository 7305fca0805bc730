//! What an execution's end asks of whoever published: one sentence for each outcome, by its word on the wire.
//!
//! Deliberately lacks who is to blame: some ends depend on the machine, and others on the module.

/// What would change that executions end so; nothing of those that came to their end.
#[must_use]
pub fn remedy(outcome: &str) -> Option<&'static str> {
    Some(match outcome.split(':').next().unwrap_or_default() {
        "completed" => return None,
        "timed_out" => "raise [limits] wall",
        "out_of_fuel" => "raise [limits] fuel",
        "output_too_large" => "raise [limits] output",
        "out_of_memory" => "those machines had less memory than [limits] memory: lower it, or wait for others",
        "stack_overflow" => "the module calls too deeply: try it with `station module run`",
        "bad_module" => "raise [limits] memory if `station module inspect` says that it needs more to begin; else no station can run the module",
        "refused" => "the module used what [needs] does not name: add it there",
        "killed" => "those stations ended it, which nothing in the experiment changes",
        _ => "try the job with `station module run`",
    })
}
