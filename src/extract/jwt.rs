//! Tokens that prove what they say (RFC 7519): claims count only where a key of ours verifies the signature, by an
//! algorithm that we allow and that the key is for.
//!
//! A token that is not believed is as if absent, and counted by its fault; it never fails a request. As it proves itself,
//! it counts from any peer. [`Verifier::verify`] is an entry point for fuzzing: any text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};
use serde::de::IgnoredAny;

use super::json::Key;
use crate::config::{JWT_ALGORITHMS, JwtPlan, TokenPlace};

/// The longest token that is looked at.
const LONGEST_TOKEN: usize = 8 << 10;
/// Most keys that one token is tried with.
const MOST_TRIES: usize = 4;

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenFault {
    /// It is no token.
    Malformed,
    /// It is signed by no algorithm that is allowed, `none` among them.
    Algorithm,
    /// No key is for its algorithm and of its name.
    Key,
    /// No key of ours has signed it.
    Signature,
    /// It is over.
    Expired,
    /// It does not say when it is over.
    NoExpiry,
    /// It does not count yet.
    NotYetValid,
    /// Another one issued it.
    Issuer,
    /// It does not say who issued it.
    NoIssuer,
    /// It is for somebody else.
    Audience,
    /// It does not say for whom it is.
    NoAudience,
}

impl TokenFault {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            TokenFault::Malformed => "the token is malformed",
            TokenFault::Algorithm => "the token is signed by an algorithm that is not allowed",
            TokenFault::Key => "there is no key for the token",
            TokenFault::Signature => "the token is signed by none of the keys",
            TokenFault::Expired => "the token is over",
            TokenFault::NoExpiry => "the token does not say when it is over: `exp` is missing, or no number",
            TokenFault::NotYetValid => "the token does not count yet",
            TokenFault::Issuer => "the token is issued by another one",
            TokenFault::NoIssuer => "the token does not say who issued it: `iss` is missing",
            TokenFault::Audience => "the token is for another audience",
            TokenFault::NoAudience => "the token does not say for whom it is: `aud` is missing",
        }
    }
}

/// Verifies tokens.
#[derive(Debug)]
pub struct Verifier {
    plan: JwtPlan,
    /// One for each algorithm that is allowed.
    rules: Vec<Validation>,
}

/// The first part of a token.
#[derive(serde::Deserialize)]
struct Header<'h> {
    #[serde(borrow)]
    alg: Key<'h>,
    #[serde(borrow, default)]
    kid: Option<Key<'h>>,
    /// Whether it names what a reader must understand (RFC 7515 section 4.1.11): of that we know nothing.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

/// Whatever it holds, `null` too.
fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(|IgnoredAny| true)
}

impl Verifier {
    /// As a configuration says.
    pub fn new(plan: JwtPlan) -> Verifier {
        let rules = plan.algorithms.iter().map(|algorithm| {
            let mut rules = Validation::new(*algorithm);
            let mut required = vec!["exp"];
            rules.leeway = plan.leeway;
            rules.validate_nbf = true;
            rules.validate_aud = !plan.audiences.is_empty();
            if !plan.audiences.is_empty() {
                rules.set_audience(&plan.audiences);
                required.push("aud");
            }
            if !plan.issuers.is_empty() {
                rules.set_issuer(&plan.issuers);
                required.push("iss");
            }
            rules.set_required_spec_claims(&required);
            rules
        });
        Verifier { rules: rules.collect(), plan }
    }

    /// Where a request carries its token.
    pub(super) fn place(&self) -> &TokenPlace {
        &self.plan.place
    }

    /// The claims of a token as JSON text, if it is believed.
    pub fn verify(&self, token: &str) -> Result<String, TokenFault> {
        let (head, rest) = token.split_once('.').ok_or(TokenFault::Malformed)?;
        let (claims, signature) = rest.split_once('.').ok_or(TokenFault::Malformed)?;
        if token.len() > LONGEST_TOKEN || signature.contains('.') {
            return Err(TokenFault::Malformed);
        }
        let head = URL_SAFE_NO_PAD.decode(head).map_err(|_| TokenFault::Malformed)?;
        let head: Header<'_> = serde_json::from_slice(&head).map_err(|_| TokenFault::Malformed)?;
        if head.crit {
            return Err(TokenFault::Malformed);
        }
        let known = JWT_ALGORITHMS.iter().find(|(name, _)| *name == head.alg.0).map(|(_, algorithm)| *algorithm);
        let rules = self.rules.iter().find(|rules| known.is_some_and(|known| rules.algorithms.contains(&known)));
        let (Some(algorithm), Some(rules)) = (known, rules) else { return Err(TokenFault::Algorithm) };
        let keys = self.plan.keys.get();
        let mut fault = TokenFault::Key;
        for key in keys.candidates(algorithm, head.kid.as_ref().map(|id| &*id.0)).take(MOST_TRIES) {
            match decode::<IgnoredAny>(token, &key.key, rules) {
                Ok(_) => return text(claims).ok_or(TokenFault::Malformed),
                Err(error) => fault = fault_of(error.kind()),
            }
            if fault != TokenFault::Signature {
                break;
            }
        }
        Err(fault)
    }
}

/// The claims as they are written: through a parser, long numbers would lose digits.
fn text(claims: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn fault_of(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::ExpiredSignature => TokenFault::Expired,
        ErrorKind::ImmatureSignature => TokenFault::NotYetValid,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenFault::Algorithm,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "exp" => TokenFault::NoExpiry,
            "iss" => TokenFault::NoIssuer,
            "aud" => TokenFault::NoAudience,
            _ => TokenFault::Malformed,
        },
        ErrorKind::InvalidClaimFormat(claim) if claim == "exp" => TokenFault::NoExpiry,
        _ => TokenFault::Malformed,
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
