//! Access tokens: short-lived JSON Web Tokens, judged without asking anybody.
//!
//! 1. One algorithm, HMAC with SHA-256: whoever judges a token is whoever signs it, so nothing is
//!    gained by a public key, and it is some fifty times as fast. A header that names another is
//!    refused before anything is computed.
//! 2. The header names the key (`kid`). A key that is not known is none.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::hmac;
use serde::{Deserialize, Serialize};
use signature::{Signer, Verifier};
use uuid::Uuid;

use crate::role::Role;

/// Who issues and who accepts.
const ISSUER: &str = "daybook";
/// Seconds by which clocks of our own processes may differ.
const LEEWAY_S: u64 = 5;

/// What a token says of who shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: Issuer,
    /// The account.
    pub(crate) sub: Uuid,
    /// The session.
    pub(crate) sid: Uuid,
    pub(crate) role: Role,
    iat: i64,
    exp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Issuer {
    Daybook,
}

/// A key that signs or has signed.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) kid: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl SigningKey {
    pub(crate) fn new(kid: Uuid, created_at: DateTime<Utc>, secret: &[u8]) -> Self {
        // Whoever comes second finds the same one there.
        let _there = PROVIDER.install_default();
        Self {
            kid,
            created_at,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// A token for a session; `None` if it cannot be signed.
    pub(crate) fn sign(
        &self,
        account_id: Uuid,
        session_id: Uuid,
        role: Role,
        life: TimeDelta,
    ) -> Option<String> {
        let now = Utc::now();
        let claims = Claims {
            iss: Issuer::Daybook,
            sub: account_id,
            sid: session_id,
            role,
            iat: now.timestamp(),
            exp: (now + life).timestamp(),
        };
        let header = Header { kid: Some(self.kid.to_string()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.encoding).ok()
    }
}

/// What a token says, if one of these keys has signed it and it has not expired.
pub(crate) fn judge(token: &str, keys: &[SigningKey]) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let kid: Uuid = header.kid?.parse().ok()?;
    let key = keys.iter().find(|key| key.kid == kid)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY_S;
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    let read = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation).ok()?;
    Some(read.claims)
}

/// The cryptography: ring's, which TLS brings along anyway.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        only_hs256(*algorithm)?;
        Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))))
    },
    verifier_factory: |algorithm, key| {
        only_hs256(*algorithm)?;
        Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?))))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn only_hs256(algorithm: Algorithm) -> Result<(), JwtError> {
    match algorithm {
        Algorithm::HS256 => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct Hs256(hmac::Key);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::new(Uuid::from_u128(seed.into()), Utc::now(), &[seed; 32])
    }

    fn token(key: &SigningKey, life: TimeDelta) -> String {
        key.sign(Uuid::from_u128(10), Uuid::from_u128(20), Role::Customer, life)
            .unwrap()
    }

    #[test]
    fn a_token_says_who_shows_it() {
        let (old, new) = (key(1), key(2));
        for signer in [&old, &new] {
            let token = token(signer, TimeDelta::minutes(15));
            let claims = judge(&token, &[new.clone(), old.clone()]).unwrap();
            assert_eq!((claims.sub, claims.role), (Uuid::from_u128(10), Role::Customer));
        }
    }

    #[test]
    fn an_expired_token_or_one_of_an_unknown_key_says_nothing() {
        let known = key(1);
        assert!(
            judge(&token(&known, TimeDelta::seconds(-6)), std::slice::from_ref(&known)).is_none()
        );
        assert!(
            judge(&token(&key(2), TimeDelta::minutes(1)), std::slice::from_ref(&known)).is_none()
        );
        // The right name, and another secret.
        let forged = SigningKey::new(known.kid, Utc::now(), &[9; 32]);
        assert!(judge(&token(&forged, TimeDelta::minutes(1)), &[known]).is_none());
    }

    #[test]
    fn a_forged_or_garbled_token_says_nothing() {
        let known = key(1);
        let good = token(&known, TimeDelta::minutes(1));
        let (head, signature) = good.rsplit_once('.').unwrap();
        let (header, claims) = head.split_once('.').unwrap();
        let with_header = |header: &str| {
            format!("{}.{claims}.{signature}", crate::secrets::encoded(header.as_bytes()))
        };
        let kid = known.kid;
        for bad in [
            String::new(),
            "a.b.c".to_owned(),
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            format!("{good}x"),
            format!("{header}.{}.{signature}", &claims[1..]),
            with_header(&format!(r#"{{"alg":"none","kid":"{kid}"}}"#)),
            with_header(&format!(r#"{{"alg":"HS512","kid":"{kid}"}}"#)),
            with_header(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#)),
            with_header(r#"{"alg":"HS256"}"#),
        ] {
            assert!(judge(&bad, std::slice::from_ref(&known)).is_none(), "{bad}");
        }
        assert!(judge(&good, &[known]).is_some());
    }
}
