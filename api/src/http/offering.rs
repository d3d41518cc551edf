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
use super::problem::{Flaw, Problem};

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

/// Which of these articles a vendor does not sell; what nobody has described is nobody's.
pub(crate) async fn of_others(
    app: &App,
    vendor: VendorId,
    skus: &[String],
) -> Result<Vec<String>, Problem> {
    let asked: Vec<&str> = skus.iter().map(String::as_str).collect();
    let offers = app.offers.of(&app.journal, &asked).await?;
    let is_theirs = |sku: &&String| {
        let offer = offers.get(sku.as_str());
        offer.is_some_and(|offer| offer.vendor == Some(vendor))
    };
    Ok(skus.iter().filter(|sku| !is_theirs(sku)).cloned().collect())
}

/// Who sells it, where that is not the house.
pub(crate) async fn vendor_of(app: &App, sku: &Sku) -> Result<Option<VendorId>, Problem> {
    let offers = app.offers.of(&app.journal, &[sku.as_str()]).await?;
    Ok(offers.get(sku.as_str()).and_then(|offer| offer.vendor))
}

/// Whether customers can buy it: described, on sale, and by somebody who may sell.
pub(crate) async fn can_be_bought(app: &App, sku: &Sku) -> Result<bool, Problem> {
    let offers = app.offers.of(&app.journal, &[sku.as_str()]).await?;
    let offer = offers.get(sku.as_str());
    Ok(offer.is_some_and(|offer| {
        let is_sold = |vendor| app.sellers.is_active(vendor);
        offer.active && offer.vendor.is_none_or(is_sold)
    }))
}

/// What whoever names a vendor that is not there is told.
pub(crate) fn unknown_vendor() -> Problem {
    let flaw = Flaw { pointer: "/vendor".to_owned(), detail: "is no vendor".to_owned() };
    let detail = "there is no such vendor; GET /vendors lists them";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_vendor", detail).with_flaws(vec![flaw])
}

fn not_active() -> Problem {
    let detail = "you can sell once staff have activated you as a vendor; GET /vendors/me says \
        how it stands";
    Problem::new(StatusCode::FORBIDDEN, "vendor_not_active", detail)
}
