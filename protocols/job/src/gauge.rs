//! [`Gauge`]: how full something is that has a bound.
//!
//! Guarantees: `len` is what is kept now, `max` the named constant that bounds it, so that whoever watches a station can compare the
//! two. Deliberately lacks consequences: the machines enforce their bounds themselves, and a gauge above its bound is a bug.

/// One queue, map or budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// In plain words, like `outbox entries`. The same in every version that has it.
    pub what: &'static str,
    pub len: usize,
    pub max: usize,
}

impl Gauge {
    #[must_use]
    pub const fn new(what: &'static str, len: usize, max: usize) -> Self {
        Self { what, len, max }
    }

    /// Whether more is kept than the bound says.
    #[must_use]
    pub const fn is_exceeded(&self) -> bool {
        self.len > self.max
    }
}
