//! Listings: what a shop shows on one page. A listing has words and pictures, stands in a category,
//! and offers variants: products, each a SKU with a name, a price and stock of its own, which differ
//! by options such as size or tier.
//!
//! ```text
//! none ── Describe, Amend ──▶ listed ── Withdraw ──▶ none (and may be listed again, by anybody)
//! ```
//!
//! 1. Prices and names are the products' own: nothing here changes what an order costs.
//! 2. Variants name the same options, and no two of them choose alike: a customer who chooses a
//!    value for each option has chosen one SKU.
//! 3. That a SKU stands on one page only cannot be decided by one page. Readers of the log give it
//!    to the listing that named it first, and to no other until that one lets it go.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::{Handle, Sku, VendorId};

/// Longest title, in characters: a line on a page.
pub const TITLE_CHARS_MAX: usize = 200;
/// Longest description, in characters: some pages of text.
pub const DESCRIPTION_CHARS_MAX: usize = 10_000;
/// Most images: a gallery that somebody still looks through.
pub const IMAGES_MAX: usize = 20;
/// Longest address of an image, in characters: what browsers and caches surely take.
pub const IMAGE_CHARS_MAX: usize = 1_000;
/// Most tags.
pub const TAGS_MAX: usize = 30;
/// Longest tag, in characters.
pub const TAG_CHARS_MAX: usize = 40;
/// Most variants: a dozen sizes in a dozen colours fit, and a page is still one answer.
pub const VARIANTS_MAX: usize = 200;
/// Most options by which variants differ.
pub const OPTIONS_MAX: usize = 5;
/// Longest name or value of an option, in characters.
pub const OPTION_CHARS_MAX: usize = 60;

/// What rules read of a listing; nothing before it was described, and after it was withdrawn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    description: Option<Box<Description>>,
}

/// How a listing looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its headline.
    pub title: String,
    /// What there is to say, as plain text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Addresses of pictures, the most important one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Handle>,
    /// Words by which it is found, in lower case and in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether customers see it.
    pub active: bool,
    /// What can be chosen, in the order in which it is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// Whose it is, if not the shop's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Uuid>,
}

/// A product as part of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Which product.
    pub sku: Sku,
    /// What sets it apart; nothing where there is no choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Choice {
    /// Such as `size` or `tier`.
    pub name: String,
    /// Such as `large`.
    pub value: String,
}

/// What is to be different. What is not given stays; a new listing needs a title.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
    /// Its headline.
    pub title: Option<String>,
    /// What there is to say.
    pub description: Option<String>,
    /// All pictures.
    pub images: Option<Vec<String>>,
    /// Where it stands.
    pub category: Option<Handle>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Whether customers see it; a new listing is seen.
    pub active: Option<bool>,
    /// Whose it is.
    pub vendor: Option<Uuid>,
    /// Variants that are added, or described anew where they are there already. None is taken away.
    pub variants: Vec<Variant>,
}

/// What can be asked of a listing.
#[derive(Debug, Clone)]
pub enum Command {
    /// Show it like this from now on.
    Describe(Box<Description>),
    /// Change this about it.
    Amend(Box<Amendment>),
    /// Show it no more.
    Withdraw,
    /// Show it like this, by a vendor, whose it is or becomes.
    DescribeOwn(VendorId, Box<Description>),
    /// Show it no more, by the vendor whose it is.
    WithdrawOwn(VendorId),
}

/// What can have happened to a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// It looks like this from now on.
    #[serde(rename = "listing.described")]
    Described(Box<Description>),
    /// It is shown no more, and its products may stand elsewhere.
    #[serde(rename = "listing.withdrawn")]
    Withdrawn,
}

stored_events!(Event {
    Self::Described(_) => "listing.described" v 1,
    Self::Withdrawn => "listing.withdrawn" v 1,
});
runs_on_cqrs_es!(Listing, "listing");

/// Why a listing may say no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// There is nothing to withdraw.
    #[error("there is no such listing")]
    NotListed,
    /// For a vendor, what others list does not exist.
    #[error("there is no such listing of this vendor")]
    NotTheirs,
    /// A page without a headline.
    #[error("a new listing needs a title")]
    TitleMissing,
    /// Beyond a bound.
    #[error("a listing has at most {max} {what}, not {given}")]
    TooMany {
        /// `images`, `tags`, `variants` or `options`.
        what: String,
        /// How many there may be.
        max: usize,
        /// How many there were.
        given: usize,
    },
    /// Which of them would count?
    #[error("{sku} is named twice")]
    SkuTwice {
        /// Which.
        sku: Sku,
    },
    /// Which of them would count?
    #[error("{sku} has two values of the option {option}")]
    OptionTwice {
        /// Which variant.
        sku: Sku,
        /// Which option.
        option: String,
    },
    /// A customer could not choose it.
    #[error("{sku} names other options than {other}: all variants name the same ones")]
    OptionsDiffer {
        /// Which variant.
        sku: Sku,
        /// Than which.
        other: Sku,
    },
    /// A customer could not tell them apart.
    #[error("{sku} and {other} have the same options")]
    NotToldApart {
        /// Which variant.
        sku: Sku,
        /// And which.
        other: Sku,
    },
}

impl Listing {
    /// How it looks, if it is shown at all.
    pub fn description(&self) -> Option<&Description> {
        self.description.as_deref()
    }

    /// Bytes in memory beside the value itself, roughly.
    pub fn heap_bytes(&self) -> usize {
        fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> usize {
            let bytes = texts
                .into_iter()
                .map(|text| text.len().saturating_add(size_of::<String>()));
            bytes.fold(0, usize::saturating_add)
        }
        self.description().map_or(0, |description| {
            let Description { title, description, images, tags, variants, .. } = description;
            let skus = variants.len().saturating_mul(size_of::<Variant>());
            let choices = variants.iter().flat_map(|variant| &variant.options);
            let options = choices.flat_map(|choice| [&choice.name, &choice.value]);
            [
                texts([title, description]),
                texts(images),
                texts(tags),
                texts(options),
                skus,
            ]
            .into_iter()
            .fold(size_of::<Description>(), usize::saturating_add)
        })
    }

    fn amended(&self, amendment: Amendment) -> Result<Description, Refusal> {
        let Amendment { title, description, images, category, tags, active, vendor, variants } =
            amendment;
        let mut amended = match (&self.description, title) {
            (Some(known), title) => {
                let known = known.as_ref().clone();
                Description { title: title.unwrap_or(known.title), ..known }
            }
            (None, Some(title)) => Description::new(title),
            (None, None) => return Err(Refusal::TitleMissing),
        };
        if let Some(description) = description {
            amended.description = description;
        }
        if let Some(images) = images {
            amended.images = images;
        }
        if let Some(tags) = tags {
            amended.tags = tags;
        }
        amended.category = category.or(amended.category);
        amended.vendor = vendor.or(amended.vendor);
        amended.active = active.unwrap_or(amended.active);
        for variant in variants {
            let mut known = amended.variants.iter_mut();
            match known.find(|known| known.sku == variant.sku) {
                Some(known) => *known = variant,
                None => amended.variants.push(variant),
            }
        }
        Ok(amended)
    }
}

impl Description {
    /// A listing of which nothing but its title is known.
    pub fn new(title: String) -> Self {
        Self {
            title,
            description: String::new(),
            images: vec![],
            category: None,
            tags: vec![],
            active: true,
            variants: vec![],
            vendor: None,
        }
    }

    /// Brings what says the same into the same form, and judges the rest.
    fn judged(mut self) -> Result<Self, Refusal> {
        let tags: BTreeSet<String> = self
            .tags
            .iter()
            .map(|tag| tag.trim().to_lowercase())
            .filter(|tag| !tag.is_empty())
            .collect();
        self.tags = tags.into_iter().collect();
        for variant in &mut self.variants {
            variant.options.sort();
        }
        let options = self.variants.iter().map(|variant| variant.options.len());
        for (what, max, given) in [
            ("images", IMAGES_MAX, self.images.len()),
            ("tags", TAGS_MAX, self.tags.len()),
            ("variants", VARIANTS_MAX, self.variants.len()),
            ("options", OPTIONS_MAX, options.max().unwrap_or(0)),
        ] {
            if max < given {
                return Err(Refusal::TooMany { what: what.to_owned(), max, given });
            }
        }
        can_be_chosen(&self.variants)?;
        Ok(self)
    }
}

/// Invariant 2.
fn can_be_chosen(variants: &[Variant]) -> Result<(), Refusal> {
    let mut skus = HashSet::new();
    let mut chosen: Vec<&Variant> = Vec::with_capacity(variants.len());
    for variant in variants {
        let sku = || variant.sku.clone();
        if !skus.insert(&variant.sku) {
            return Err(Refusal::SkuTwice { sku: sku() });
        }
        let twice = variant
            .options
            .iter()
            .zip(variant.options.iter().skip(1))
            .find(|(one, next)| one.name == next.name);
        if let Some((choice, _)) = twice {
            return Err(Refusal::OptionTwice { sku: sku(), option: choice.name.clone() });
        }
        if let Some(first) = chosen.first()
            && !names(first).eq(names(variant))
        {
            return Err(Refusal::OptionsDiffer { sku: sku(), other: first.sku.clone() });
        }
        if let Some(other) = chosen.iter().find(|other| other.options == variant.options) {
            return Err(Refusal::NotToldApart { sku: sku(), other: other.sku.clone() });
        }
        chosen.push(variant);
    }
    Ok(())
}

fn names(variant: &Variant) -> impl Iterator<Item = &String> {
    variant.options.iter().map(|choice| &choice.name)
}

impl Decider for Listing {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        let known = self.description();
        let is_of = |vendor: VendorId| known.is_some_and(|known| known.vendor == Some(vendor.0));
        let described = match command {
            Command::Describe(description) => *description,
            Command::Amend(amendment) => self.amended(*amendment)?,
            Command::DescribeOwn(vendor, description) if known.is_none() || is_of(vendor) => {
                Description { vendor: Some(vendor.0), ..*description }
            }
            Command::Withdraw if known.is_some() => return Ok(vec![Event::Withdrawn]),
            Command::WithdrawOwn(vendor) if is_of(vendor) => return Ok(vec![Event::Withdrawn]),
            Command::Withdraw => return Err(Refusal::NotListed),
            Command::DescribeOwn(..) | Command::WithdrawOwn(_) => return Err(Refusal::NotTheirs),
        };
        let described = described.judged()?;
        // What is as it should be needs no fact.
        if self.description() == Some(&described) {
            return Ok(vec![]);
        }
        Ok(vec![Event::Described(Box::new(described))])
    }

    fn evolve(&mut self, event: &Event) {
        self.description = match event {
            Event::Described(description) => Some(description.clone()),
            Event::Withdrawn => None,
        };
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
