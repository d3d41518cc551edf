//! Vendors: who may sell under their own name, and what their business is called.
//!
//! ```text
//! Unknown ─ Register ─▶ Applied ─ Activate ─▶ Active ─ Deactivate ─▶ Inactive ─ Activate ─▶ Active
//!                          └──────── Deactivate ────────────────────▶┘
//! ```
//!
//! A vendor's id is that of the account that signs in for it. Name and address are a business's, and
//! facts of the catalogue: whoever signs in, and how they are reached, is the account's and is not in
//! the log.
//!
//! Invariants:
//! 1. Only what staff have activated is active, and they may take it back at any time.
//! 2. A profile may be changed whatever the vendor's standing: staff judge it before they activate.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decider, runs_on_cqrs_es, stored_events};
use crate::placing::Address;

/// Whether a vendor may sell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// No such vendor: the stream is empty.
    #[default]
    Unknown,
    /// Has registered, and waits for staff.
    Applied,
    /// Sells.
    Active,
    /// Does not sell any more, or was not let.
    Inactive,
}

/// Longest text in which a vendor says what it is, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;

/// A business. Customers see its name and, of the rest, what it has agreed to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What it trades as.
    pub business_name: String,
    /// Where it is.
    pub address: Address,
    /// What it tells customers of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether customers are told its town and country; never more of the address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shows_place: bool,
}

/// What rules read of a vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vendor {
    standing: Standing,
    profile: Option<Profile>,
}

/// What can be asked of a vendor.
#[derive(Debug, Clone)]
pub enum Command {
    /// Take it on.
    Register(Profile),
    /// It is called, and to be found, like this from now on.
    Describe(Profile),
    /// Let it sell.
    Activate,
    /// Let it sell no more.
    Deactivate {
        /// Why.
        reason: String,
    },
}

/// What can have happened to a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// It asked to sell.
    #[serde(rename = "vendor.registered")]
    Registered(Profile),
    /// It is called, and to be found, like this from now on.
    #[serde(rename = "vendor.profile_changed")]
    ProfileChanged(Profile),
    /// It may sell.
    #[serde(rename = "vendor.activated")]
    Activated,
    /// It may not.
    #[serde(rename = "vendor.deactivated")]
    Deactivated {
        /// Why.
        reason: String,
    },
}

stored_events!(Event {
    Self::Registered(_) => "vendor.registered" v 1,
    Self::ProfileChanged(_) => "vendor.profile_changed" v 1,
    Self::Activated => "vendor.activated" v 1,
    Self::Deactivated { .. } => "vendor.deactivated" v 1,
});
runs_on_cqrs_es!(Vendor, "vendor");

/// Why a vendor may say no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// There is nothing to act on.
    #[error("there is no such vendor")]
    NotRegistered,
    /// A vendor registers once.
    #[error("the vendor has already been registered")]
    AlreadyRegistered,
}

impl Vendor {
    /// Whether it may sell.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What it is called and where it is, once it is known.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// Bytes in memory beside the value itself, roughly: whoever keeps many bounds them by it.
    pub fn heap_bytes(&self) -> usize {
        self.profile.as_ref().map_or(0, |profile| {
            let Address { line1, line2, city, postcode, country } = &profile.address;
            let further = [line2, city, postcode, &profile.description]
                .into_iter()
                .flatten();
            [&profile.business_name, line1, country]
                .into_iter()
                .chain(further)
                .fold(0, |bytes, text| bytes.saturating_add(text.len()))
        })
    }
}

impl Decider for Vendor {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Refusal> {
        use Command as C;
        use Standing as S;

        match (self.standing, command) {
            (S::Unknown, C::Register(profile)) => Ok(vec![Event::Registered(profile)]),
            (S::Unknown, _) => Err(Refusal::NotRegistered),
            (S::Applied | S::Active | S::Inactive, C::Register(_)) => {
                Err(Refusal::AlreadyRegistered)
            }
            // What is as it should be needs no fact.
            (_, C::Describe(profile)) if self.profile.as_ref() == Some(&profile) => Ok(vec![]),
            (S::Active, C::Activate) | (S::Inactive, C::Deactivate { .. }) => Ok(vec![]),

            (S::Applied | S::Active | S::Inactive, C::Describe(profile)) => {
                Ok(vec![Event::ProfileChanged(profile)])
            }
            (S::Applied | S::Inactive, C::Activate) => Ok(vec![Event::Activated]),
            (S::Applied | S::Active, C::Deactivate { reason }) => {
                Ok(vec![Event::Deactivated { reason }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Registered(profile) => {
                self.standing = Standing::Applied;
                self.profile = Some(profile.clone());
            }
            Event::ProfileChanged(profile) => self.profile = Some(profile.clone()),
            Event::Activated => self.standing = Standing::Active,
            Event::Deactivated { .. } => self.standing = Standing::Inactive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn pottery(business_name: &str) -> Profile {
        let address = Address {
            line1: "3 Kiln Lane".into(),
            line2: None,
            city: Some("Stoke-on-Trent".into()),
            postcode: None,
            country: "GB".into(),
        };
        let business_name = business_name.into();
        Profile { business_name, address, description: None, shows_place: false }
    }

    fn registered() -> Event {
        Event::Registered(pottery("Potts"))
    }

    fn deactivated() -> Event {
        Event::Deactivated { reason: "sold fakes".into() }
    }

    fn deactivate() -> Command {
        Command::Deactivate { reason: "sold fakes".into() }
    }

    #[test]
    fn a_vendor_registers_once() {
        given::<Vendor>(&[])
            .when(Command::Register(pottery("Potts")))
            .then(&[registered()]);
        for history in [
            vec![registered()],
            vec![registered(), Event::Activated],
            vec![registered(), Event::Activated, deactivated()],
        ] {
            given::<Vendor>(&history)
                .when(Command::Register(pottery("Potts")))
                .then_refused(&Refusal::AlreadyRegistered);
        }
    }

    #[test]
    fn staff_let_a_vendor_sell_and_take_it_back_and_may_turn_an_applicant_away() {
        given::<Vendor>(&[registered()])
            .when(Command::Activate)
            .then(&[Event::Activated]);
        given::<Vendor>(&[registered(), Event::Activated])
            .when(deactivate())
            .then(&[deactivated()]);
        given::<Vendor>(&[registered()])
            .when(deactivate())
            .then(&[deactivated()]);
        given::<Vendor>(&[registered(), deactivated()])
            .when(Command::Activate)
            .then(&[Event::Activated]);
    }

    #[test]
    fn what_a_vendor_is_already_needs_no_fact() {
        given::<Vendor>(&[registered(), Event::Activated])
            .when(Command::Activate)
            .then(&[]);
        given::<Vendor>(&[registered(), deactivated()])
            .when(deactivate())
            .then(&[]);
        given::<Vendor>(&[registered()])
            .when(Command::Describe(pottery("Potts")))
            .then(&[]);
    }

    #[test]
    fn a_profile_may_be_changed_whatever_the_standing() {
        for history in [
            vec![registered()],
            vec![registered(), Event::Activated],
            vec![registered(), deactivated()],
        ] {
            given::<Vendor>(&history)
                .when(Command::Describe(pottery("Potts & Daughter")))
                .then(&[Event::ProfileChanged(pottery("Potts & Daughter"))]);
        }
    }

    #[test]
    fn nobody_acts_on_a_vendor_that_never_registered() {
        for command in [
            Command::Activate,
            deactivate(),
            Command::Describe(pottery("Potts")),
        ] {
            given::<Vendor>(&[])
                .when(command)
                .then_refused(&Refusal::NotRegistered);
        }
    }

    #[test]
    fn only_an_activated_vendor_is_active() {
        let standing = |history: &[Event]| Vendor::replay(history).standing();
        assert_eq!(standing(&[]), Standing::Unknown);
        assert_eq!(standing(&[registered()]), Standing::Applied);
        assert_eq!(standing(&[registered(), Event::Activated]), Standing::Active);
        let changed = Event::ProfileChanged(pottery("Potts & Daughter"));
        assert_eq!(standing(&[registered(), Event::Activated, changed]), Standing::Active);
        assert_eq!(standing(&[registered(), Event::Activated, deactivated()]), Standing::Inactive);
    }
}
