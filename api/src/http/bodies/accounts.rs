//! Who may sign in, and what is known of them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A new account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "ada@example.org", "password": "a phrase of some words", "name": "Ada Lovelace"
}))]
pub struct Register {
    #[schema(format = Email, max_length = 254)]
    pub email: String,
    /// At least four different characters, and not the address
    #[schema(min_length = 8, max_length = 128)]
    pub password: String,
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
}

/// Somebody who signs in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "password": "a phrase of some words"}))]
pub struct Login {
    #[schema(format = Email, max_length = 254)]
    pub email: String,
    #[schema(min_length = 1, max_length = 128)]
    pub password: String,
}

/// A refresh token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh": "dbr_Zm9yIGV4YW1wbGUgb25seSwgb2YgMzIgYnl0ZXMgISE"}))]
pub struct Refresh {
    #[schema(min_length = 1, max_length = 200)]
    pub refresh: String,
}

/// Another password, by whoever knows the one there is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "current_password": "a phrase of some words", "new_password": "another phrase of words"
}))]
pub struct ChangePassword {
    #[schema(min_length = 1, max_length = 128)]
    pub current_password: String,
    #[schema(min_length = 8, max_length = 128)]
    pub new_password: String,
}

/// Whose password is forgotten.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org"}))]
pub struct ForgotPassword {
    #[schema(format = Email, max_length = 254)]
    pub email: String,
}

/// Another password, by whoever reads the account's mail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "dbm_Zm9yIGV4YW1wbGUgb25seSwgb2YgMzIgYnl0ZXMgISE", "password": "another phrase"
}))]
pub struct ResetPassword {
    #[schema(min_length = 1, max_length = 200)]
    pub token: String,
    #[schema(min_length = 8, max_length = 128)]
    pub password: String,
}

/// A mailed token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "dbm_Zm9yIGV4YW1wbGUgb25seSwgb2YgMzIgYnl0ZXMgISE"}))]
pub struct Proof {
    #[schema(min_length = 1, max_length = 200)]
    pub token: String,
}

/// A key for a machine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "nightly figures", "role": "analyst"}))]
pub struct MakeApiKey {
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// `analyst`, `auditor` or `importer`
    pub role: String,
    /// When it is to stop working by itself
    pub expires_at: Option<DateTime<Utc>>,
}

/// What somebody is called.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada Byron", "phone": "+44 20 7946 0123"}))]
pub struct DescribeProfile {
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    #[schema(min_length = 1, max_length = 40)]
    pub phone: Option<String>,
}

/// What of it is to change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+44 20 7946 0123"}))]
pub struct AmendProfile {
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    #[schema(min_length = 1, max_length = 40)]
    pub phone: Option<String>,
}

/// An account for somebody.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "name": "Ada Byron", "role": "customer"}))]
pub struct OpenAccount {
    #[schema(format = Email, max_length = 254)]
    pub email: String,
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    #[schema(min_length = 1, max_length = 40)]
    pub phone: Option<String>,
    /// `customer` if not given; `vendor`, `admin`, `analyst` or `auditor`
    pub role: Option<String>,
}

/// What an account is to be from now on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada Byron", "role": "vendor"}))]
pub struct DescribeCustomer {
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    #[schema(min_length = 1, max_length = 40)]
    pub phone: Option<String>,
    /// As it is, if not given
    pub role: Option<String>,
}

/// An address to be kept.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "label": "At home", "line1": "12 St James's Square", "city": "London", "postcode": "SW1Y 4JH",
    "country": "GB", "is_for_delivery": true
}))]
pub struct WriteAddress {
    /// What its owner calls it
    #[schema(min_length = 1, max_length = 100)]
    pub label: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    #[schema(min_length = 1, max_length = 200)]
    pub line2: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    pub city: Option<String>,
    #[schema(min_length = 1, max_length = 20)]
    pub postcode: Option<String>,
    /// ISO 3166-1 alpha-2; its user-assigned codes and `EU` are allowed
    #[schema(min_length = 2, max_length = 2)]
    pub country: String,
    /// Whether it is the default for delivery, in place of the one that is
    pub is_for_delivery: Option<bool>,
    /// The same for billing
    pub is_for_billing: Option<bool>,
}
