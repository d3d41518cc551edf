//! The bodies by which the catalogue is kept, as the OpenAPI document shows them; see
//! [`super::bodies`] for why nothing parses into these.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A listing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "title": "Tea cup",
    "description": "Bone china, for two sips or ten.",
    "images": ["https://images.example/tea-cup.jpg"],
    "category": "tea-cups",
    "tags": ["tea", "gift"],
    "active": true,
    "variants": [
        {"sku": "CUP-S", "options": [{"name": "size", "value": "small"}]},
        {"sku": "CUP-L", "options": [{"name": "size", "value": "large"}]}
    ]
}))]
pub struct DescribeListing {
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// Plain text, of several lines if need be
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// Addresses (`http` or `https`) of pictures, the most important one first
    #[schema(max_items = 20)]
    pub images: Option<Vec<String>>,
    /// The handle of the category it stands in
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
    )]
    pub category: Option<String>,
    /// Words by which it is found; upper and lower case are the same
    #[schema(max_items = 30)]
    pub tags: Option<Vec<String>>,
    /// Whether customers see it
    pub active: bool,
    /// The products that can be chosen, in the order in which they are shown
    #[schema(max_items = 200)]
    pub variants: Option<Vec<Variant>>,
    /// Whose it is, if not the shop's own
    pub vendor: Option<Uuid>,
}

/// A product as part of a listing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Of a product; its name, prices and stock stay its own
    #[schema(min_length = 1, max_length = 64)]
    pub sku: String,
    /// What sets it apart; all variants name the same options
    #[schema(max_items = 5)]
    pub options: Option<Vec<OptionValue>>,
}

/// The value of an option.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionValue {
    #[schema(min_length = 1, max_length = 60, example = "size")]
    pub name: String,
    #[schema(min_length = 1, max_length = 60, example = "large")]
    pub value: String,
}

/// A category.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Tea cups", "parent": "kitchen"}))]
pub struct PutCategory {
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// The handle of the category above it; none at the top
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
    )]
    pub parent: Option<String>,
}
