//! Whose account ends, or is no vendor's any more, sells no more: what is bought would be sent by
//! nobody.
//!
//! The vendor is deactivated before the account changes, so that a process that dies in between leaves
//! nothing on sale that nobody can send; the same request, sent again, does the rest. Only whom a proof
//! of their address merges into another is known no sooner than the token is used up: there the
//! vendor follows at once, and staff where the process dies in between.

use accounts::Role;
use axum::http::StatusCode;
use domain::ids::VendorId;
use domain::vendor::{self, Standing, Vendor};
use store::command::{Envelope, Verdict};
use uuid::Uuid;

use super::App;
use super::identity::Caller;
use super::occurrence::Occurrence;
use super::problem::Problem;

/// Why somebody sells no more, as staff and the log are told; it names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// Their account is closed.
    Closed,
    /// Their account has another role.
    AnotherRole,
    /// They are forgotten.
    Forgotten,
    /// Somebody else has proved the address that their account claimed.
    Merged,
}

impl Because {
    const fn reason(self) -> &'static str {
        match self {
            Self::Closed => "the vendor's account was closed",
            Self::AnotherRole => "the account is no vendor's any more",
            Self::Forgotten => "the vendor's account was closed with its owner's personal data",
            Self::Merged => "the vendor's account was merged into the one that proved its address",
        }
    }
}

/// The envelope of a deactivation that follows from a request without a key.
pub(crate) fn envelope(caller: Caller, occurrence: &Occurrence) -> Envelope {
    let command_id = Uuid::now_v7();
    Envelope {
        command_id,
        // Of a name that is used once.
        fingerprint: [0; 32],
        correlation_id: command_id,
        causation_id: None,
        actor: caller.to_string(),
        request_id: Some(occurrence.request_id.to_string()),
        traceparent: Some(occurrence.traceparent.to_string()),
        reason: None,
        expected_version: None,
    }
}

/// Deactivates the vendor of an account, if there is one; what is as it should be stays so.
pub(crate) async fn sells_no_more(
    app: &App,
    account_id: Uuid,
    because: Because,
    envelope: Envelope,
) -> Result<(), Problem> {
    let vendor = VendorId(account_id);
    let (known, _) = app.journal.decided::<Vendor>(&vendor.to_string()).await?;
    if known.standing() == Standing::Unknown {
        return Ok(());
    }
    let reason = because.reason().to_owned();
    let envelope = Envelope { reason: Some(reason.clone()), ..envelope };
    let command = vendor::Command::Deactivate { reason };
    let receipt = app
        .journal
        .execute_derived::<Vendor>(&vendor.to_string(), command, envelope)
        .await?;
    if receipt.verdict == Verdict::Accepted {
        app.sellers.stands(vendor, receipt.version, false);
    }
    Ok(())
}

/// Refuses to let somebody sell whose account is closed or is no vendor's.
pub(crate) async fn must_have_an_account(app: &App, vendor: VendorId) -> Result<(), Problem> {
    let person = app.accounts.person(vendor.0).await?;
    let signs_in = person.is_some_and(|person| person.role == Role::Vendor.name());
    // Whoever has never registered is told that.
    if signs_in || !app.sellers.knows(vendor) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        "vendor_without_account",
        "nobody could sign in to send what is bought: the vendor's account is closed, or has another \
         role; PUT /customers/{id} gives an open one the role back",
    ))
}
