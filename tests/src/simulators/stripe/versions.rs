//! Which version of the API requests name (`Stripe-Version`): docs.stripe.com/api/versioning.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{Books, Stripe};

/// What requests so far have named.
#[derive(Default)]
pub(super) struct Versions {
    named: BTreeSet<String>,
    is_missing: bool,
}

impl Stripe {
    /// The versions that requests so far have named; nothing if one named none.
    pub fn versions(&self) -> Option<BTreeSet<String>> {
        let pages = self.books.lock();
        let Versions { named, is_missing } = &pages.versions;
        (!is_missing).then(|| named.clone())
    }
}

pub(super) async fn note(State(books): State<Books>, request: Request, next: Next) -> Response {
    let named = request.headers().get("stripe-version");
    let named = named.and_then(|named| named.to_str().ok());
    {
        let mut pages = books.lock();
        pages.versions.is_missing |= named.is_none();
        pages.versions.named.extend(named.map(ToOwned::to_owned));
    }
    next.run(request).await
}
