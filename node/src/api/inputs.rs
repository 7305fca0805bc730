//! `POST /v1/inputs`: a long list of inputs, read as it comes and kept until an experiment takes it.
//!
//! Guarantees: one list is read and one is kept at a time, each of at most what the rules allow, so that what lists cost in memory does not
//! grow with those who hand them in; a list is published once, and stays where its publication fails. Deliberately lacks a disk: what no
//! experiment took is gone with the process.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt as _;
use station_protocol::experiment::file::{ColumnKind, FileError, FileKind, INPUTS_BYTES_MAX, Listed, Reader};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::types::InputsBody;
use super::{Api, Refused};

/// The list that waits for its experiment, by its name.
type Waiting = Arc<Mutex<Option<(String, Arc<Listed>)>>>;

/// The list that waits for its experiment, and whose turn it is to hand one in.
#[derive(Clone, Default)]
pub(super) struct HandedIn {
    waiting: Waiting,
    turn: Arc<Turn<u64>>,
}

impl HandedIn {
    /// The list of that name for one publication: until it is over no other is handed in or published.
    pub(super) async fn lend(&self, name: &str) -> Result<Lent, Refused> {
        let turn = self.turn.clone().lock_owned().await;
        match &*self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((own, listed)) if own == name => Ok(Lent { listed: listed.clone(), waiting: self.waiting.clone(), _turn: turn }),
            _ => {
                let sentence = format!("no inputs {name:?} are here: hand them in with POST /v1/inputs, and publish before others are handed in");
                Err(Refused(StatusCode::CONFLICT, sentence))
            }
        }
    }
}

/// A list that is being published. Where that fails it stays for another attempt.
pub(super) struct Lent {
    listed: Arc<Listed>,
    waiting: Waiting,
    _turn: OwnedMutexGuard<u64>,
}

impl Lent {
    /// A copy of the list.
    pub(super) fn list(&self) -> Listed {
        Listed::clone(&self.listed)
    }

    /// It has its experiment and is no longer here.
    pub(super) fn taken(self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The content type of a kind of file.
#[must_use]
pub fn kind_of(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Csv => "text/csv",
        FileKind::Ndjson => "application/x-ndjson",
    }
}

pub(super) async fn hand_in(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Json<InputsBody>, Refused> {
    let said = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    let kind = [FileKind::Csv, FileKind::Ndjson].into_iter().find(|kind| kind_of(*kind) == said);
    let kind = kind.ok_or_else(|| {
        let sentence = format!("say what the inputs are: Content-Type {} or {}", kind_of(FileKind::Csv), kind_of(FileKind::Ndjson));
        Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence)
    })?;
    let mut turn = api.inputs.turn.lock().await;
    // Before another one is read: two would be twice the memory.
    api.inputs.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    let refused = |error: FileError| Refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    let mut reader = Reader::new(kind);
    let mut pieces = body.into_data_stream();
    let (mut fault, mut left) = (None, 2 * INPUTS_BYTES_MAX);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Refused(StatusCode::BAD_REQUEST, format!("the inputs did not come whole: {error}")))?;
        // What follows a fault is read and thrown away: who is still sending reads no answer.
        left = left.saturating_sub(piece.len());
        if fault.is_none() {
            fault = reader.push(&piece).err();
        } else if left == 0 {
            break;
        }
    }
    if let Some(fault) = fault {
        return Err(refused(fault));
    }
    let listed = reader.finish().map_err(refused)?;
    *turn += 1;
    let name = format!("inputs-{}", *turn);
    let columns = listed.columns().into_iter().map(|(name, kind)| (name, word(kind).to_owned())).collect();
    let answer = InputsBody { inputs: name.clone(), count: listed.count(), columns };
    *api.inputs.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some((name, Arc::new(listed)));
    Ok(Json(answer))
}

fn word(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Whole => "whole",
        ColumnKind::Decimal => "decimal",
        ColumnKind::Text => "text",
    }
}
