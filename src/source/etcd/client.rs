//! Calls to one member of the cluster.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::{Fault, TokenAnswer};
use crate::config::{EtcdPlan, Login};
use crate::outbound::{Bounds, Caller, Stream};
use crate::source::{SourceError, credentials};

/// How long the server may take for one answer.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// The longest answer of which only the head matters.
const SHORT: usize = 64 << 10;
/// How much of an answer that is no JSON is told.
const EXCERPT: usize = 200;

/// Why a call yields nothing.
#[derive(Debug)]
pub(super) enum EtcdError {
    /// It failed.
    Source(SourceError),
    /// The revision is gone, the cluster is another one, or it went back: everything has to be read again.
    Compacted,
    /// The token has expired.
    Token,
}

impl<E: Into<SourceError>> From<E> for EtcdError {
    fn from(error: E) -> Self {
        EtcdError::Source(error.into())
    }
}

/// One member of the cluster.
pub(super) struct Client {
    caller: Caller,
    endpoint: String,
    login: Login,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(endpoint: String, plan: &EtcdPlan) -> Result<Self, SourceError> {
        let caller = Caller::new(&credentials::roots(&plan.tls))?;
        Ok(Self { caller, endpoint, login: plan.login.clone(), token: None })
    }

    /// Asks, and logs in where that is needed: first, and whenever the token has expired.
    pub(super) async fn call(&mut self, path: &str, question: &Value, bytes: usize) -> Result<Bytes, EtcdError> {
        self.log_in().await?;
        match self.ask(path, question, bytes).await {
            Err(EtcdError::Token) if self.login.user.is_some() => {
                self.token = None;
                self.log_in().await?;
                self.ask(path, question, bytes).await
            }
            answer => answer,
        }
        .map_err(refused_token)
    }

    /// Opens an answer that goes on.
    pub(super) async fn open(&mut self, path: &str, question: &Value) -> Result<Stream, EtcdError> {
        self.log_in().await?;
        let request = self.request(path, question)?;
        let mut stream = self.caller.open(request, ANSWER).await?;
        if stream.status == 200 {
            return Ok(stream);
        }
        let said = tokio::time::timeout(ANSWER, stream.next()).await.unwrap_or(Ok(None))?.unwrap_or_default();
        Err(refused_token(refused(stream.status, &said[..said.len().min(SHORT)])))
    }

    async fn ask(&self, path: &str, question: &Value, bytes: usize) -> Result<Bytes, EtcdError> {
        let request = self.request(path, question)?;
        let answer = self.caller.call(request, Bounds { within: ANSWER, bytes: bytes.max(SHORT) }).await?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refused(answer.status, &answer.body)) }
    }

    async fn log_in(&mut self) -> Result<(), EtcdError> {
        let Some(user) = self.login.user.clone().filter(|_| self.token.is_none()) else { return Ok(()) };
        let password = credentials::password(&self.login)?.unwrap_or_default();
        let question = json!({ "name": user, "password": password });
        let body = self.ask("/v3/auth/authenticate", &question, SHORT).await;
        self.token = Some(parsed::<TokenAnswer>(&body.map_err(refused_token)?)?.token);
        Ok(())
    }

    fn request(&self, path: &str, question: &Value) -> Result<Request<Bytes>, SourceError> {
        let mut request = Request::post(format!("{}{path}", self.endpoint)).header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        request
            .body(Bytes::from(question.to_string()))
            .map_err(|error| SourceError::Unreachable(format!("`{}`: {error}", self.endpoint)))
    }
}

/// A fresh token that is not taken either is a refusal.
fn refused_token(error: EtcdError) -> EtcdError {
    match error {
        EtcdError::Token => SourceError::Refused("the token was not taken".to_owned()).into(),
        other => other,
    }
}

/// An answer as what it should be.
pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, SourceError> {
    serde_json::from_slice(body).map_err(|error| SourceError::Garbled(error.to_string()))
}

/// An answer that is no answer. Not everything in front of the gateway speaks JSON.
fn refused(status: u16, body: &[u8]) -> EtcdError {
    if let Ok(fault) = serde_json::from_slice::<Fault>(body)
        && !fault.text().is_empty()
    {
        return failure(&fault);
    }
    let text = format!("status {status}: {}", String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).trim_end());
    match status {
        400..=403 => SourceError::Refused(text).into(),
        502..=504 => SourceError::Unreachable(text).into(),
        _ => SourceError::Garbled(text).into(),
    }
}

/// What a gRPC status means here.
pub(super) fn failure(fault: &Fault) -> EtcdError {
    const INVALID_ARGUMENT: u32 = 3;
    const PERMISSION_DENIED: u32 = 7;
    const OUT_OF_RANGE: u32 = 11;
    const UNAVAILABLE: u32 = 14;
    const UNAUTHENTICATED: u32 = 16;
    let text = fault.text().to_owned();
    match fault.code {
        UNAUTHENTICATED => EtcdError::Token,
        OUT_OF_RANGE => EtcdError::Compacted,
        // Wrong passwords and missing users come under this code.
        INVALID_ARGUMENT | PERMISSION_DENIED => SourceError::Refused(text).into(),
        UNAVAILABLE => SourceError::Unreachable(text).into(),
        _ => SourceError::Garbled(text).into(),
    }
}
