//! Entries for the fuzz targets in `fuzz/` and for the replay of their corpora: hostile bytes in, a panic where a promise is broken.
//!
//! Guarantees: nothing here is called by a station. Deliberately lacks the generation of inputs, which is the targets' part.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmparser::{ExternalKind, Operator, OperatorsReader, Parser, Payload, Validator};

use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES, FromWorker, ToWorker};
use crate::isolation::Layers;
use crate::normalise::{self, NormaliseError};
use crate::{check, job};

#[cfg(not(windows))]
pub use crate::worker::drive::shim;

/// Frames: the first byte chooses the type, the second whether the length before the rest is the right one.
pub fn frames(bytes: &[u8]) {
    let [kind, honest, body @ ..] = bytes else { return };
    let mut framed = Vec::new();
    if honest & 1 == 0 {
        framed.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    framed.extend_from_slice(body);
    match kind % 5 {
        0 => {
            if let Some(FromWorker::Call(turn, call)) = frame(&framed) {
                let bounded = call.is_bounded();
                assert_eq!(
                    bounded,
                    again(&FromWorker::Call(turn, call)).is_some_and(|call| matches!(call, FromWorker::Call(_, call) if call.is_bounded()))
                );
            }
        }
        1 => drop(frame::<ToWorker>(&framed)),
        2 => drop(frame::<CompileReport>(&framed)),
        3 => drop(frame::<CompileRequest>(&framed)),
        _ => drop(frame::<Layers>(&framed)),
    }
}

/// Reads a frame as either end does; what is accepted is the same when it is written and read again.
fn frame<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let value: T = frame::read(&mut &*bytes, job::CHECKPOINT_BYTES_MAX + ENVELOPE_BYTES).ok()?;
    let written = written(&value);
    let read: T = frame::read(&mut written.as_slice(), written.len()).expect("what was written is read");
    assert_eq!(self::written(&read), written);
    Some(value)
}

fn written<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, value).expect("a value that was read is written");
    bytes
}

fn again<T: DeserializeOwned + Serialize>(value: &T) -> Option<T> {
    frame::read(&mut written(value).as_slice(), usize::MAX).ok()
}

/// The static checks; what passes them has a normal form.
pub fn validation(bytes: &[u8]) {
    if check::module(bytes).is_ok() {
        assert!(normaliser(bytes), "it passed the checks");
    }
}

/// The normaliser on any bytes: a valid module's normal form validates, keeps what the guest named, and charges in every loop. False
/// where there is no normal form.
#[must_use]
pub fn normaliser(bytes: &[u8]) -> bool {
    let is_valid = Validator::new_with_features(check::features()).validate_all(bytes).is_ok();
    let normal = match normalise::module(bytes) {
        Ok(normal) => normal,
        // Imported memories and tables, which `check` refuses before; names of the meter.
        Err(NormaliseError::Unsupported("an imported memory or table") | NormaliseError::Reserved(_)) => return false,
        Err(error) => {
            assert!(!is_valid, "a valid module has no normal form: {error}");
            return false;
        }
    };
    if !is_valid {
        return false;
    }
    assert_eq!(normalise::module(bytes).as_ref(), Ok(&normal), "the same normal form each time");
    Validator::new_with_features(check::features()).validate_all(&normal).expect("a normal form validates");
    let (guest, normal) = (Facts::of(bytes), Facts::of(&normal));
    assert_eq!(normal.imports, guest.imports);
    assert_eq!(normal.functions, guest.functions + 2);
    assert_eq!(normal.globals, guest.globals + 2);
    assert_eq!(normal.exports[..guest.exports.len()], guest.exports[..]);
    assert_eq!(normal.exports.len(), guest.exports.len() + 2);
    assert_eq!((normal.tables, normal.memories, normal.segments), (guest.tables, guest.memories, guest.segments));
    assert_eq!(normal.unbounded, 0, "memories and tables have a maximum");
    assert_eq!((normal.loops, normal.charged_loops), (guest.loops, guest.loops), "each loop begins with a charge");
    assert_eq!(normal.custom, 0);
    true
}

/// A shape of frames, chosen by the bytes, ends alike on both tiers and never in the native stack.
#[cfg(not(windows))]
pub fn stack(bytes: &[u8]) {
    let mut seed = [0; 8];
    seed.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let tally = crate::measure::tiers::Tally::of([u64::from_le_bytes(seed)]);
    assert!(tally.different.is_empty() && tally.wrong.is_empty(), "{tally:?}");
}

/// What of a module can be compared before and after.
#[derive(Default)]
struct Facts {
    imports: Vec<(String, String)>,
    functions: u32,
    globals: u32,
    exports: Vec<(String, ExternalKind, u32)>,
    tables: u32,
    memories: u32,
    /// Data and element segments.
    segments: u32,
    /// Memories and tables without a maximum.
    unbounded: u32,
    loops: u32,
    charged_loops: u32,
    custom: u32,
}

impl Facts {
    fn of(bytes: &[u8]) -> Self {
        let mut facts = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            facts.take(payload.expect("a valid module parses")).expect("a valid module reads");
        }
        facts
    }

    fn take(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.imports.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::FunctionSection(section) => self.functions = section.count(),
            Payload::GlobalSection(section) => self.globals = section.count(),
            Payload::TableSection(section) => {
                for table in section {
                    self.unbounded += u32::from(table?.ty.maximum.is_none());
                    self.tables += 1;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.unbounded += u32::from(memory?.maximum.is_none());
                    self.memories += 1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.push((export.name.to_owned(), export.kind, export.index));
                }
            }
            Payload::ElementSection(section) => self.segments += section.count(),
            Payload::DataSection(section) => self.segments += section.count(),
            Payload::CodeSectionEntry(body) => self.body(body.get_operators_reader()?)?,
            Payload::CustomSection(_) => self.custom += 1,
            _ => {}
        }
        Ok(())
    }

    fn body(&mut self, mut operators: OperatorsReader<'_>) -> wasmparser::Result<()> {
        let mut last = [const { None }; 3];
        while !operators.eof() {
            let operator = operators.read()?;
            self.loops += u32::from(matches!(operator, Operator::Loop { .. }));
            let charge = matches!(operator, Operator::I64Sub)
                && matches!(
                    last,
                    [
                        Some(Operator::Loop { .. }),
                        Some(Operator::LocalGet { .. } | Operator::GlobalGet { .. }),
                        Some(Operator::I64Const { value: 1.. })
                    ]
                );
            self.charged_loops += u32::from(charge);
            last.rotate_left(1);
            last[2] = Some(operator);
        }
        Ok(())
    }
}
