//! The command line's side of the API: the same requests a user's script would make.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::output::{Exit, Failure};
use crate::api::types::ErrorBody;
use crate::platform::home::Home;

/// Largest answer: the results of some hundred thousand executions.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// A station that answers.
#[derive(Clone, Debug)]
pub(super) struct Client {
    addr: SocketAddr,
    token: String,
}

impl Client {
    /// The station that runs from `home`.
    pub(super) async fn connect(home: &Home) -> Result<Self, Failure> {
        Self::find(home)
            .await?
            .ok_or_else(|| Failure::new(format!("no station runs from {}; start it with `station run`", home.dir().display())).with(Exit::NotRunning))
    }

    /// The station that runs from `home`, if one does.
    pub(super) async fn find(home: &Home) -> Result<Option<Self>, Failure> {
        let Some((addr, token)) = home.api()? else { return Ok(None) };
        Ok(TcpStream::connect(addr).await.is_ok().then_some(Self { addr, token }))
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
        let stream = TcpStream::connect(self.addr)
            .await
            .map_err(|error| Failure::new(format!("the station at {} does not answer: {error}", self.addr)).with(Exit::NotRunning))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer; its failure shows in `send_request`.
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.addr.to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::new(error.to_string()))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| Failure::new(error.to_string()))?.to_bytes();
        connection.abort();
        if status.is_success() {
            return Ok(body);
        }
        let error = serde_json::from_slice::<ErrorBody>(&body).map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |body| body.error);
        let exit = if status == StatusCode::SERVICE_UNAVAILABLE { Exit::NotRunning } else { Exit::Failed };
        Err(Failure::new(if error.is_empty() { format!("the station answered {status}") } else { error }).with(exit))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::new(format!("the station's answer is not understood ({error}): is it of another version?")))
}
