//! Who offers articles, and which: staff and importers any, a vendor their own.
//!
//! A vendor has to be active to offer anything. What others sell, the house included, does not exist
//! for them: 404, never 403.

use accounts::Role;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::ids::{Sku, VendorId};
use domain::inventory::Inventory;

use super::App;
use super::identity::Caller;
use super::problem::Problem;

/// Whoever offers articles, takes their stock in, or sends what was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offering {
    /// Staff and importers, whosever it is.
    Any,
    /// A vendor, what is theirs.
    Own(VendorId),
}

impl FromRequestParts<App> for Offering {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, app).await? {
            Caller::Account { id, role: Role::Vendor } => Ok(Self::Own(VendorId(id))),
            caller if caller.is_any_of(&[Role::Admin, Role::Importer]) => Ok(Self::Any),
            Caller::Guest => Err(Problem::unauthenticated(
                "this is for staff, importers and vendors: send Authorization: Bearer and a token",
            )),
            _ => Err(Problem::forbidden("this is for staff, importers and vendors")),
        }
    }
}

impl Offering {
    /// Lets pass whoever may offer anything at all.
    pub(crate) fn must_be_open(self, app: &App) -> Result<(), Problem> {
        match self {
            Self::Own(vendor) if !app.sellers.is_active(vendor) => Err(not_active()),
            Self::Any | Self::Own(_) => Ok(()),
        }
    }

    /// Lets pass whose article it is.
    pub(crate) async fn must_hold(self, app: &App, sku: &Sku) -> Result<(), Problem> {
        let Self::Own(vendor) = self else {
            return Ok(());
        };
        self.must_be_open(app)?;
        let offers = app.offers.of(&app.journal, &[sku.as_str()]).await?;
        let offer = offers.get(sku.as_str());
        if offer.is_some_and(|offer| offer.vendor == Some(vendor)) {
            Ok(())
        } else {
            Err(Problem::not_found("article"))
        }
    }

    /// Lets pass whoever may begin to offer it. Stock that was taken in under a name that nobody has
    /// described is the house's, which may sell it at prices given by hand. Whether a product that is
    /// there is theirs is for the product to say.
    pub(crate) async fn must_be_free(self, app: &App, sku: &Sku) -> Result<(), Problem> {
        if self == Self::Any {
            return Ok(());
        }
        self.must_be_open(app)?;
        let offers = app.offers.of(&app.journal, &[sku.as_str()]).await?;
        if offers.contains_key(sku.as_str()) {
            return Ok(());
        }
        let (_, version) = app.journal.load::<Inventory>(sku.as_str()).await?;
        if version == 0 {
            Ok(())
        } else {
            Err(Problem::not_found("article"))
        }
    }
}

fn not_active() -> Problem {
    let detail = "you can sell once staff have activated you as a vendor; GET /vendors/me says \
        how it stands";
    Problem::new(StatusCode::FORBIDDEN, "vendor_not_active", detail)
}
