//! The command line's side of the API: the same requests a user's script would make.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use station_protocol::SigningKey;
use station_protocol::experiment::file::FileKind;
use station_protocol::human::Size;
use tokio::net::TcpStream;

use super::files::PIECE_BYTES;
use super::output::{Exit, Failure};
use super::pick::short;
use crate::api;
use crate::api::types::{ErrorBody, InputsBody, NodeBody};
use crate::platform::home::Home;

/// Largest answer, which is in memory whole: the results of some hundred thousand executions.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// How long a station may take to say who it is. What takes longer is busy or another program.
const NAMED_WITHIN: Duration = Duration::from_secs(10);

/// What is behind the address that a station left in its home.
enum Found {
    Ours(Client),
    /// No address, or nobody there.
    Nobody,
    /// Somebody else: a killed station's port is free for every program.
    Stranger(SocketAddr),
}

/// A station that answers.
#[derive(Clone, Debug)]
pub(super) struct Client {
    addr: SocketAddr,
    token: String,
    home: Home,
}

impl Client {
    /// The station that runs from `home`.
    pub(super) async fn connect(home: &Home) -> Result<Self, Failure> {
        let (dir, run) = (home.dir().display(), home.call("run"));
        let says = match Self::look(home).await? {
            Found::Ours(client) => return Ok(client),
            Found::Nobody => format!("no station runs from {dir}; start it with `{run}`"),
            Found::Stranger(addr) => {
                format!("no station runs from {dir}: at {addr}, where one was killed, another program answers; start it with `{run}`")
            }
        };
        Err(Failure::new(says).with(Exit::NotRunning))
    }

    /// The station that runs from `home`, if one does.
    pub(super) async fn find(home: &Home) -> Result<Option<Self>, Failure> {
        Ok(match Self::look(home).await? {
            Found::Ours(client) => Some(client),
            Found::Nobody | Found::Stranger(_) => None,
        })
    }

    /// Asks whoever is at the home's address for its node id, which only the home's own station can know with the home's token.
    async fn look(home: &Home) -> Result<Found, Failure> {
        let Some((addr, token)) = home.api()? else { return Ok(Found::Nobody) };
        if TcpStream::connect(addr).await.is_err() {
            return Ok(Found::Nobody);
        }
        let (client, own) = (Self { addr, token, home: home.clone() }, SigningKey::from_bytes(&home.key()?).node().to_string());
        match tokio::time::timeout(NAMED_WITHIN, client.get::<NodeBody>("/v1/node")).await {
            Ok(Ok(body)) if body.node == own => Ok(Found::Ours(client)),
            Ok(_) => Ok(Found::Stranger(addr)),
            Err(_) => {
                let says =
                    format!("the station at {addr} does not say within {} s who it is: it is busy or stopped; try again", NAMED_WITHIN.as_secs());
                Err(Failure::new(says).with(Exit::NotRunning))
            }
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        parse(&self.call(Method::GET, path, "application/json", Vec::new()).await?)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        parse(&self.call(Method::POST, path, "application/json", serde_json::to_vec(body)?).await?)
    }

    pub(super) async fn post_bytes<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, Failure> {
        parse(&self.call(Method::POST, path, "application/octet-stream", body).await?)
    }

    /// Hands in a file of inputs piece by piece.
    pub(super) async fn post_inputs(&self, path: &Path, kind: FileKind) -> Result<InputsBody, Failure> {
        let file = File::open(path)?;
        let pieces = futures::stream::unfold(file, |mut file| async move {
            let mut piece = vec![0; PIECE_BYTES];
            match file.read(&mut piece) {
                Ok(0) => None,
                Ok(length) => {
                    piece.truncate(length);
                    Some((Ok(Frame::data(Bytes::from(piece))), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        });
        parse(&self.send(Method::POST, "/v1/inputs", api::kind_of(kind), BodyExt::boxed(StreamBody::new(pieces))).await?)
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.call(Method::DELETE, path, "application/json", Vec::new()).await.map(drop)
    }

    /// The same where the end has an answer.
    pub(super) async fn delete_for<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        parse(&self.call(Method::DELETE, path, "application/json", Vec::new()).await?)
    }

    pub(super) async fn put_text(&self, path: &str, body: String) -> Result<(), Failure> {
        self.call(Method::PUT, path, "text/plain", body.into_bytes()).await.map(drop)
    }

    async fn call(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Bytes, Failure> {
        self.send(method, path, kind, Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed()).await
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: BoxBody<Bytes, io::Error>) -> Result<Bytes, Failure> {
        let stream = TcpStream::connect(self.addr)
            .await
            .map_err(|error| Failure::new(format!("the station at {} does not answer: {error}", self.addr)).with(Exit::NotRunning))?;
        let gone = |error: hyper::Error| self.cut_off(&error);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
        // It ends with the answer; its failure shows in `send_request`.
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.addr.to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(body)
            .map_err(|error| Failure::new(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(gone)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        connection.abort();
        let body = body.map_err(|error| if error.is::<LengthLimitError>() { self.too_long(path) } else { self.cut_off(error.as_ref()) })?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let error = serde_json::from_slice::<ErrorBody>(&body).map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |body| body.error);
        let exit = if status == StatusCode::SERVICE_UNAVAILABLE { Exit::NotRunning } else { Exit::Failed };
        Err(Failure::new(if error.is_empty() { format!("the station answered {status}") } else { error }).with(exit))
    }
}

impl Client {
    fn cut_off(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::new(format!("the station at {} stopped answering: {error}", self.addr)).with(Exit::NotRunning)
    }

    /// What an answer that has no room is, and how to have it all the same: without a station its bound does not hold.
    fn too_long(&self, path: &str) -> Failure {
        let says = format!("the station's answer is larger than {}", Size(ANSWER_BYTES_MAX as u64));
        let of_results = path.strip_prefix("/v1/experiments/").and_then(|rest| rest.strip_suffix("/results"));
        Failure::new(match of_results {
            Some(id) => {
                let command = self.home.call(&format!("results {} --format ndjson", short(id)));
                format!("{says}: stop the station, then `{command}` reads the results from the disk")
            }
            None => says,
        })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::new(format!("the station's answer is not understood ({error}): is it of another version?")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_are_too_large_for_one_answer_name_the_command_that_reads_them() {
        let home = Home::new("/nowhere".into());
        let client = Client { addr: ([127, 0, 0, 1], 1).into(), token: String::new(), home };
        let said = client.too_long("/v1/experiments/bafyreihq3yzb3mh3h/results").message;
        assert!(
            said.contains("1GiB") && said.contains("stop the station, then `station results hq3yzb3m --format ndjson --home /nowhere`"),
            "{said}"
        );
        assert_eq!(client.too_long("/v1/status").message, "the station's answer is larger than 1GiB");
    }
}
