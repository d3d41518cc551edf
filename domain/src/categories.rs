//! Categories: the shelves of a shop, some of them below others.
//!
//! 1. Every category but those at the top has a parent that is there, and nobody is below itself: the
//!    categories are a tree.
//! 2. The tree has at most [`LEVELS_MAX`] levels and [`CATEGORIES_MAX`] categories.
//!
//! Both are about all of them at once, so all of them are one aggregate with one stream: two people
//! who move a category below each other's are decided one after the other. There are few categories
//! and they change seldom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::ids::Handle;

/// The one stream's id.
pub const SHOP: &str = "shop";
/// Longest name, in characters: a line in a menu.
pub const NAME_CHARS_MAX: usize = 100;
/// Most levels: deeper menus are not found through by anybody.
pub const LEVELS_MAX: usize = 6;
/// Most categories: all of them are one answer of some hundred kilobytes.
pub const CATEGORIES_MAX: usize = 2_000;

/// Every category of the shop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    all: BTreeMap<Handle, Category>,
}

/// One category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// What it is called.
    pub name: String,
    /// The one above it; none for those at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Handle>,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Let there be this category, called and placed like this.
    Put {
        /// Which.
        handle: Handle,
        /// How.
        category: Category,
    },
    /// Take it away.
    Remove {
        /// Which.
        handle: Handle,
    },
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// There is one more.
    #[serde(rename = "categories.added")]
    Added {
        /// Which.
        handle: Handle,
        /// How it is called and placed.
        #[serde(flatten)]
        category: Category,
    },
    /// It is called something else.
    #[serde(rename = "categories.renamed")]
    Renamed {
        /// Which.
        handle: Handle,
        /// What it is called now.
        name: String,
    },
    /// It has another parent, and takes what is below along.
    #[serde(rename = "categories.moved")]
    Moved {
        /// Which.
        handle: Handle,
        /// The one above it now; none if it is at the top.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Handle>,
    },
    /// It is gone. Listings that stood in it stand nowhere.
    #[serde(rename = "categories.removed")]
    Removed {
        /// Which.
        handle: Handle,
    },
}

stored_events!(Event {
    Self::Added { .. } => "categories.added" v 1,
    Self::Renamed { .. } => "categories.renamed" v 1,
    Self::Moved { .. } => "categories.moved" v 1,
    Self::Removed { .. } => "categories.removed" v 1,
});
runs_on_cqrs_es!(Categories, "categories");

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// There is nothing to take away.
    #[error("there is no such category")]
    NotThere,
    /// Nothing to stand below.
    #[error("there is no category {parent} to be below")]
    NoSuchParent {
        /// Which.
        parent: Handle,
    },
    /// It would be below itself.
    #[error("{parent} is {handle} itself or below it")]
    BelowItself {
        /// Which category.
        handle: Handle,
        /// Its parent to be.
        parent: Handle,
    },
    /// Beyond [`LEVELS_MAX`].
    #[error("categories have at most {LEVELS_MAX} levels, not {levels}")]
    TooDeep {
        /// How many there would be.
        levels: usize,
    },
    /// Beyond [`CATEGORIES_MAX`].
    #[error("there are at most {CATEGORIES_MAX} categories")]
    TooMany,
    /// Somebody has to say where they go.
    #[error("{child} is below {handle}: move or remove it first")]
    HasChildren {
        /// Which.
        handle: Handle,
        /// One of those below.
        child: Handle,
    },
}

impl Categories {
    /// One of them.
    pub fn get(&self, handle: &Handle) -> Option<&Category> {
        self.all.get(handle)
    }

    /// Bytes in memory beside the value itself, roughly.
    pub fn heap_bytes(&self) -> usize {
        self.all
            .iter()
            .map(|(handle, Category { name, parent })| {
                let parent = parent.as_ref().map_or(0, |parent| parent.as_str().len());
                size_of::<(Handle, Category)>()
                    .saturating_add(handle.as_str().len())
                    .saturating_add(name.len())
                    .saturating_add(parent)
            })
            .fold(0, usize::saturating_add)
    }

    /// A category and those above it, the topmost last. Ends, whatever history holds: a tree of so
    /// many has no longer way.
    fn upwards<'a>(&'a self, handle: &'a Handle) -> impl Iterator<Item = &'a Handle> {
        let above = |handle: &&'a Handle| self.all.get(*handle)?.parent.as_ref();
        std::iter::successors(Some(handle), above).take(CATEGORIES_MAX)
    }

    fn level(&self, handle: &Handle) -> usize {
        self.upwards(handle).count()
    }

    /// How many levels a category and those below it are.
    fn height(&self, handle: &Handle) -> usize {
        let own = self.level(handle);
        let below = self
            .all
            .keys()
            .filter(|other| self.upwards(other).any(|above| above == handle))
            .map(|other| self.level(other));
        let deepest = below.max().unwrap_or(own);
        deepest.saturating_sub(own).saturating_add(1)
    }

    /// Whether the tree is still one with this category there.
    fn fits(&self, handle: &Handle, parent: Option<&Handle>) -> Result<(), Refusal> {
        let above = match parent {
            None => 0,
            Some(parent) if !self.all.contains_key(parent) => {
                return Err(Refusal::NoSuchParent { parent: parent.clone() });
            }
            Some(parent) if self.upwards(parent).any(|above| above == handle) => {
                let (handle, parent) = (handle.clone(), parent.clone());
                return Err(Refusal::BelowItself { handle, parent });
            }
            Some(parent) => self.level(parent),
        };
        let levels = above.saturating_add(self.height(handle));
        if LEVELS_MAX < levels {
            return Err(Refusal::TooDeep { levels });
        }
        Ok(())
    }

    fn put(&self, handle: Handle, category: Category) -> Result<Vec<Event>, Refusal> {
        let Some(known) = self.all.get(&handle) else {
            // Below itself is nobody who is not there; the parent may not be there either.
            self.fits(&handle, category.parent.as_ref())?;
            if CATEGORIES_MAX <= self.all.len() {
                return Err(Refusal::TooMany);
            }
            return Ok(vec![Event::Added { handle, category }]);
        };
        let mut events = vec![];
        if known.name != category.name {
            events.push(Event::Renamed { handle: handle.clone(), name: category.name });
        }
        if known.parent != category.parent {
            self.fits(&handle, category.parent.as_ref())?;
            events.push(Event::Moved { handle, parent: category.parent });
        }
        Ok(events)
    }

    fn remove(&self, handle: Handle) -> Result<Vec<Event>, Refusal> {
        if !self.all.contains_key(&handle) {
            return Err(Refusal::NotThere);
        }
        let mut below = self
            .all
            .iter()
            .filter(|(_, category)| category.parent.as_ref() == Some(&handle));
        match below.next() {
            Some((child, _)) => Err(Refusal::HasChildren { handle, child: child.clone() }),
            None => Ok(vec![Event::Removed { handle }]),
        }
    }
}

impl Decider for Categories {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Put { handle, category } => self.put(handle, category),
            Command::Remove { handle } => self.remove(handle),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Added { handle, category } => {
                self.all.insert(handle.clone(), category.clone());
            }
            Event::Renamed { handle, name } => {
                if let Some(category) = self.all.get_mut(handle) {
                    category.name.clone_from(name);
                }
            }
            Event::Moved { handle, parent } => {
                if let Some(category) = self.all.get_mut(handle) {
                    category.parent.clone_from(parent);
                }
            }
            Event::Removed { handle } => {
                self.all.remove(handle);
            }
        }
    }
}

#[cfg(test)]
#[path = "categories_tests.rs"]
mod tests;
