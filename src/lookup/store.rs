//! A Redis server or an HTTP server, asked for one record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use redis::AsyncConnectionConfig;
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use super::{Answer, NOT_THERE, Record};
use crate::config::{LookupPlan, LookupStore};
use crate::outbound::{Bounds, CallError, Caller, Roots};

/// Most bytes of a record.
const MOST_BYTES: usize = 64 << 10;
/// Most bytes of a field.
const MOST_FIELD_BYTES: usize = 4096;

/// Where records are.
pub(super) enum Store {
    /// The connection carries many look-ups at once; it is made when it is first wanted.
    Redis {
        client: redis::Client,
        connection: Mutex<Option<MultiplexedConnection>>,
    },
    Http(Caller),
}

impl Store {
    pub(super) fn new(plan: &LookupPlan) -> Result<Store, String> {
        match &plan.store {
            LookupStore::Redis(url) => {
                let client = redis::Client::open(url.as_str()).map_err(|error| error.to_string())?;
                Ok(Store::Redis { client, connection: Mutex::default() })
            }
            LookupStore::Http => Caller::new(&Roots::default()).map(Store::Http).map_err(|error| error.to_string()),
        }
    }

    /// The record under `key`, or what is wrong with it; an error where the store cannot say, of this key or of any.
    pub(super) async fn fetch(&self, key: &str, plan: &LookupPlan, within: Duration) -> Result<Answer, String> {
        match self {
            Store::Redis { client, connection } => {
                let mut connection = connected(client, connection, within).await?;
                let mut command = redis::cmd("HMGET");
                command.arg(key).arg(&plan.fields);
                let values: Vec<Option<Vec<u8>>> = match command.query_async(&mut connection).await {
                    Ok(values) => values,
                    Err(error) => return of_this_key(&error).ok_or_else(|| error.to_string()),
                };
                let fields = plan.fields.iter().zip(values).filter_map(|(name, value)| {
                    let value = String::from_utf8(value?).ok()?;
                    Some((name.as_str().into(), value.into()))
                });
                Ok(answer(fields))
            }
            Store::Http(caller) => by_http(caller, key, plan, within).await,
        }
    }

    /// After a failure: the connection is not used again, as it may be dead without saying so.
    pub(super) async fn give_up(&self) {
        if let Store::Redis { connection, .. } = self {
            connection.lock().await.take();
        }
    }
}

async fn connected(
    client: &redis::Client,
    kept: &Mutex<Option<MultiplexedConnection>>,
    within: Duration,
) -> Result<MultiplexedConnection, String> {
    let mut kept = kept.lock().await;
    if let Some(connection) = &*kept {
        return Ok(connection.clone());
    }
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(within)).set_response_timeout(Some(within));
    let made = client.get_multiplexed_async_connection_with_config(&config).await;
    let connection = made.map_err(|error| error.to_string())?;
    *kept = Some(connection.clone());
    Ok(connection)
}

/// What an error of a Redis server says of the key that was asked for; nothing where it is about the server.
pub(super) fn of_this_key(error: &RedisError) -> Option<Answer> {
    match error.code()? {
        "WRONGTYPE" => Some(Answer::Unusable("what the store has is no hash")),
        "MOVED" | "ASK" | "CROSSSLOT" => Some(Answer::Unusable("the key is kept by another server of the cluster")),
        _ => None,
    }
}

async fn by_http(caller: &Caller, url: &str, plan: &LookupPlan, within: Duration) -> Result<Answer, String> {
    let request = Request::get(url).header("accept", "application/json").body(Bytes::new());
    let Ok(request) = request else { return Ok(Answer::Unusable("the key makes no URL")) };
    let bounds = Bounds { within, bytes: MOST_BYTES };
    let answered = match caller.call(request, bounds).await {
        Ok(answered) => answered,
        Err(CallError::TooLarge(_)) => return Ok(Answer::Unusable("the record is larger than 64 KiB")),
        Err(error) => return Err(error.to_string()),
    };
    match answered.status {
        200 => {}
        404 | 410 => return Ok(Answer::Nothing(NOT_THERE)),
        // It wants to be spoken to elsewhere, in another way, or less, or cannot answer: the next key would fare no better.
        status @ (300..=399 | 401 | 403 | 405..=408 | 415 | 421 | 425 | 426 | 429 | 500..) => {
            return Err(format!("it answered {status}"));
        }
        _ => return Ok(Answer::Unusable("the store answered with neither a record nor 404")),
    }
    let Ok(object) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&answered.body) else {
        return Ok(Answer::Unusable("what the store has is no JSON object"));
    };
    let fields = plan.fields.iter().filter_map(|name| {
        let raw = object.get(name)?.get();
        let value = match raw.as_bytes().first()? {
            b'"' => serde_json::from_str::<String>(raw).ok()?,
            b'{' | b'[' | b'n' => return None,
            _ => raw.to_owned(),
        };
        Some((name.as_str().into(), value.into()))
    });
    Ok(answer(fields))
}

fn answer(fields: impl Iterator<Item = (Box<str>, Box<str>)>) -> Answer {
    let record = Record::new(fields.filter(|(_, value)| value.len() <= MOST_FIELD_BYTES));
    if record == Record::default() { Answer::Nothing(NOT_THERE) } else { Answer::Found(Arc::new(record)) }
}
