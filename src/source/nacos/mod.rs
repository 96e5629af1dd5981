//! Nacos as a source, by its HTTP API of versions 1 and 2: a listener that holds a long poll over the MD5 of each
//! configuration, and a call that gets one. (Version 3 has no such listener for HTTP.)
//!
//! The data ids are listed, so one that is not there is a fault and not an empty document: what is in force stays.

mod words;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};
use serde::Deserialize;
use tokio::time::Instant;

use super::call::{Client, GRACE, SMALL, WITHIN, form, hexadecimal, refusal, rest, revision, short, text_of};
use super::credentials::password;
use super::pace::Pace;
use super::{Documents, Link, Source, SourceError};
use crate::config::{self, NacosPlan};
use crate::outbound::{Answer, Bounds};
use words::{Watched, changed, listening};

/// The form of a body.
const FORM: &str = "application/x-www-form-urlencoded";
/// How long a token lives where the server does not say.
const TOKEN_LIFE: u64 = 300;

/// A Nacos server.
pub(super) struct Nacos {
    plan: Arc<NacosPlan>,
    /// The text of each data id, in their order; `None` where it has to be asked for.
    texts: Vec<Option<Arc<str>>>,
    token: Option<Token>,
    pace: Pace,
}

struct Token {
    text: String,
    until: Instant,
}

/// The answer to a login.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    access_token: String,
    token_ttl: Option<u64>,
}

impl Nacos {
    pub(super) fn new(plan: NacosPlan) -> Self {
        let texts = vec![None; plan.data_ids.len()];
        Self { plan: Arc::new(plan), texts, token: None, pace: Pace::default() }
    }

    async fn serve(&mut self, link: &mut Link) -> Result<Infallible, SourceError> {
        let client = Client::new(&self.plan.url, &self.plan.tls)?;
        loop {
            let begun = Instant::now();
            if self.texts.iter().any(Option::is_none) {
                self.fetch(&client, link).await?;
                let now = Instant::now();
                self.pace.done(begun, now);
                tokio::time::sleep_until(self.pace.due(now)).await;
                continue;
            }
            if !self.listen(&client, link).await? {
                rest(begun).await;
            }
        }
    }

    /// Asks what changed. Whether anything did; the texts of that are to be asked for.
    async fn listen(&mut self, client: &Client, link: &mut Link) -> Result<bool, SourceError> {
        let plan = self.plan.clone();
        let (group, tenant) = (plan.group.as_str(), plan.tenant.as_str());
        let watched = plan.data_ids.iter().zip(&self.texts).map(|(data_id, text)| Watched {
            data_id,
            group,
            tenant,
            md5: text.as_deref().map(md5).unwrap_or_default(),
        });
        let body = form(&[("Listening-Configs", &listening(watched))]);
        let target = format!("/v1/cs/configs/listener{}", self.credentials(client, '?').await?);
        let fields = [("long-pulling-timeout", plan.wait.as_millis().to_string())];
        let bounds = Bounds { within: plan.wait + GRACE, bytes: SMALL };
        let answer = self.expect(client.post(&target, &fields, (FORM, body), bounds).await?)?;
        link.contact();
        let told = changed(text_of(&answer.body)?)?;
        let mut any = false;
        for (data_id, text) in plan.data_ids.iter().zip(&mut self.texts) {
            if told.iter().any(|told| told.is(data_id, group, tenant)) {
                *text = None;
                any = true;
            }
        }
        Ok(any)
    }

    /// Gets the texts that are not known, and posts all of them together once every one is there.
    async fn fetch(&mut self, client: &Client, link: &mut Link) -> Result<(), SourceError> {
        for place in 0..self.plan.data_ids.len() {
            if self.texts[place].is_none() {
                self.texts[place] = Some(self.get(client, place, link).await?);
            }
        }
        let known = self.plan.data_ids.iter().zip(self.texts.iter().flatten());
        let mut texts: Vec<config::Source> =
            known.map(|(id, text)| config::Source { path: link.path(id), text: text.to_string() }).collect();
        texts.sort_by(|one, other| one.path.cmp(&other.path));
        link.post(Documents { revision: revision(&texts), order: None, texts });
        Ok(())
    }

    async fn get(&mut self, client: &Client, place: usize, link: &mut Link) -> Result<Arc<str>, SourceError> {
        let plan = self.plan.clone();
        let (data_id, group, tenant) = (&plan.data_ids[place], &plan.group, &plan.tenant);
        let query = form(&[("dataId", data_id), ("group", group), ("tenant", tenant)]);
        let target = format!("/v1/cs/configs?{query}{}", self.credentials(client, '&').await?);
        let bounds = Bounds { within: WITHIN, bytes: link.bounds().document_bytes };
        let answer = client.get(&target, &[], bounds).await?;
        if answer.status == 404 {
            let told = format!("`{data_id}` is not there in group `{group}` of namespace `{tenant}`");
            return Err(SourceError::Refused(told));
        }
        let answer = self.expect(answer)?;
        let text = text_of(&answer.body)?;
        let said = answer.fields.get("content-md5").and_then(|said| said.to_str().ok());
        if said.is_some_and(|said| !said.eq_ignore_ascii_case(&md5(text))) {
            return Err(SourceError::Garbled(format!("`{data_id}` has another MD5 than its server says")));
        }
        Ok(text.into())
    }

    /// An answer of success; a token that is no longer taken is forgotten.
    fn expect(&mut self, answer: Answer) -> Result<Answer, SourceError> {
        if answer.status == 200 {
            return Ok(answer);
        }
        if matches!(answer.status, 401 | 403) {
            self.token = None;
        }
        Err(refusal(&answer))
    }

    /// The token as one more parameter of a query; empty where no user is configured.
    async fn credentials(&mut self, client: &Client, before: char) -> Result<String, SourceError> {
        let Some(user) = &self.plan.login.user else { return Ok(String::new()) };
        let token = match &self.token {
            Some(token) if Instant::now() < token.until => token,
            _ => {
                let password = password(&self.plan.login)?.unwrap_or_default();
                let body = form(&[("username", user), ("password", &password)]);
                let answer = client.post("/v1/auth/login", &[], (FORM, body), short()).await?;
                if answer.status != 200 {
                    return Err(refusal(&answer));
                }
                self.token.insert(token(&answer)?)
            }
        };
        Ok(format!("{before}{}", form(&[("accessToken", &token.text)])))
    }
}

impl Source for Nacos {
    async fn session(&mut self, link: &mut Link) -> SourceError {
        match self.serve(link).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}

/// A token is renewed when a tenth of its life is left.
fn token(answer: &Answer) -> Result<Token, SourceError> {
    let said: LoggedIn =
        serde_json::from_slice(&answer.body).map_err(|error| SourceError::Garbled(format!("the login: {error}")))?;
    let life = Duration::from_secs(said.token_ttl.unwrap_or(TOKEN_LIFE).min(365 * 86_400));
    Ok(Token { text: said.access_token, until: Instant::now() + life.mul_f64(0.9) })
}

fn md5(text: &str) -> String {
    hexadecimal(&Md5::digest(text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_that_of_rfc_1321() {
        assert_eq!(super::md5("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(super::md5("hello: 1"), "43759ca1f8cdf4a9713d94656dbdf0f0", "as Nacos 0.8.0 says it");
    }
}
