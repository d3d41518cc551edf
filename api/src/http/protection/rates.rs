//! How often who may ask: a rate for each role and class of routes, as production has it unless it
//! is told otherwise.
//!
//! `guest.query=1200/m,customer.command=none`: what is named is changed, the rest stays as it is;
//! `none` alone lifts all limits.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use accounts::Role;

use super::super::identity::Caller;
use super::classes::Class;

/// Callers with rates of their own: guests, each role, and whoever shows the staff token.
const TIERS: usize = Role::ALL.len() + 2;
const CLASSES: usize = Class::ALL.len();
/// Most requests in a window; more is no limit.
const COUNT_MAX: u32 = 10_000_000;

/// What a caller is, as far as rates are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tier(usize);

impl Tier {
    pub(crate) const GUEST: Self = Self(0);
    const STAFF: Self = Self(TIERS - 1);

    pub(crate) fn of(caller: Caller) -> Self {
        match caller {
            Caller::Guest => Self::GUEST,
            Caller::Staff => Self::STAFF,
            Caller::Account { role, .. } | Caller::Machine { role, .. } => Self::of_role(role),
        }
    }

    fn of_role(role: Role) -> Self {
        let place = Role::ALL.iter().position(|one| *one == role);
        place.map_or(Self::GUEST, |place| Self(place + 1))
    }

    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            0 => "guest",
            place => Role::ALL.get(place - 1).map_or("staff", |role| role.name()),
        }
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..TIERS).map(Self)
    }

    /// Where it stands among all.
    pub(crate) fn place(self) -> usize {
        self.0
    }
}

/// So many requests in such a time, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) count: NonZeroU32,
    pub(crate) window: Duration,
}

impl Rate {
    const fn per(count: u32, seconds: u64) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) => Some(Self { count, window: Duration::from_secs(seconds) }),
            None => None,
        }
    }
}

/// A rate for each role and class; none where there is no limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Rates([[Option<Rate>; CLASSES]; TIERS]);

impl Default for Rates {
    /// No limits at all.
    fn default() -> Self {
        Self([[None; CLASSES]; TIERS])
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates")
    }
}

/// Why a text says no rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rate: write `none`, or role.class=count/s, /m or /h, such as \
     guest.query=1200/m or customer.command=none, separated by commas; roles are guest, \
     customer, vendor, admin, analyst, auditor, importer and staff, classes query, command, \
     sign_in, mail, guess and webhook"
)]
pub struct BadRates(String);

impl Rates {
    /// Production's. Behind one address may be an office or a mobile network, so guests get what
    /// some dozens of people need. Staff's token and importers bring a year of orders in, and have
    /// no limit.
    pub fn production() -> Self {
        let mut rates = Self::default();
        for tier in Tier::all() {
            let [query, command] = match tier.name() {
                "guest" => [Rate::per(1_200, 60), Rate::per(300, 60)],
                "customer" => [Rate::per(600, 60), Rate::per(120, 60)],
                "vendor" | "analyst" | "auditor" => [Rate::per(3_000, 60), Rate::per(600, 60)],
                "admin" => [Rate::per(6_000, 60), Rate::per(3_000, 60)],
                _ => continue,
            };
            rates.set(tier, Class::Query, query);
            rates.set(tier, Class::Command, command);
            rates.set(tier, Class::SignIn, Rate::per(30, 60));
            rates.set(tier, Class::Mail, Rate::per(20, 3_600));
            // Some people mistype some codes; at this rate nobody comes upon one that means something.
            rates.set(tier, Class::Guess, Rate::per(30, 3_600));
            rates.set(tier, Class::Webhook, Rate::per(6_000, 60));
        }
        // Opens accounts for others, each with a mail that invites them.
        rates.set(Tier::of_role(Role::Admin), Class::Mail, Rate::per(600, 3_600));
        rates
    }

    /// For a person at a desk, who may well try how much Daybook takes: signing in and mail alone
    /// are limited.
    pub fn desk() -> Self {
        let mut rates = Self::production();
        for tier in Tier::all() {
            for class in [Class::Query, Class::Command, Class::Guess, Class::Webhook] {
                rates.set(tier, class, None);
            }
        }
        rates
    }

    pub(crate) fn of(&self, tier: Tier, class: Class) -> Option<Rate> {
        self.0[tier.place()][class as usize]
    }

    fn set(&mut self, tier: Tier, class: Class, rate: Option<Rate>) {
        self.0[tier.place()][class as usize] = rate;
    }

    /// The same with what a setting says.
    #[must_use]
    pub fn changed_by(mut self, changes: &Changes) -> Self {
        for change in &changes.0 {
            match *change {
                Change::LiftAll => self = Self::default(),
                Change::Set(tier, class, rate) => self.set(tier, class, rate),
            }
        }
        self
    }
}

/// What a setting says of rates.
#[derive(Debug, Clone, Default)]
pub struct Changes(Vec<Change>);

#[derive(Debug, Clone, Copy)]
enum Change {
    LiftAll,
    Set(Tier, Class, Option<Rate>),
}

impl FromStr for Changes {
    type Err = BadRates;

    fn from_str(text: &str) -> Result<Self, BadRates> {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        let changes = parts.map(|part| match part {
            "none" => Ok(Change::LiftAll),
            _ => read(part).ok_or_else(|| BadRates(part.to_owned())),
        });
        changes.collect::<Result<_, _>>().map(Self)
    }
}

/// One change: `guest.query=1200/m`.
fn read(part: &str) -> Option<Change> {
    let (name, rate) = part.split_once('=')?;
    let (tier, class) = name.trim().split_once('.')?;
    let tier = Tier::all().find(|one| one.name() == tier)?;
    let class = Class::ALL.into_iter().find(|one| one.name() == class)?;
    if rate.trim() == "none" {
        return Some(Change::Set(tier, class, None));
    }
    let (count, unit) = rate.trim().split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    let count: u32 = count.trim().parse().ok()?;
    let rate = Rate::per(count.min(COUNT_MAX), seconds)?;
    Some(Change::Set(tier, class, Some(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn rates(text: &str) -> Rates {
        Rates::production().changed_by(&text.parse().unwrap())
    }

    fn rate(rates: &Rates, tier: &str, class: Class) -> Option<(u32, u64)> {
        let tier = Tier::all().find(|one| one.name() == tier).unwrap();
        let rate = rates.of(tier, class)?;
        Some((rate.count.get(), rate.window.as_secs()))
    }

    #[test]
    fn production_limits_everybody_but_staff_and_importers() {
        let rates = Rates::production();
        for tier in ["staff", "importer"] {
            for class in Class::ALL {
                assert_eq!(rate(&rates, tier, class), None, "{tier} {class:?}");
            }
        }
        for tier in ["guest", "customer", "vendor", "admin", "analyst", "auditor"] {
            for class in Class::ALL {
                assert!(rate(&rates, tier, class).is_some(), "{tier} {class:?}");
            }
        }
        assert_eq!(rate(&rates, "guest", Class::SignIn), Some((30, 60)));
        assert_eq!(rate(&rates, "guest", Class::Guess), Some((30, 3_600)));
    }

    #[test]
    fn a_desk_is_limited_in_signing_in_and_mail_alone() {
        let rates = Rates::desk();
        assert_eq!(rate(&rates, "guest", Class::Query), None);
        assert_eq!(rate(&rates, "guest", Class::Command), None);
        assert_eq!(rate(&rates, "guest", Class::Mail), Some((20, 3_600)));
    }

    #[test]
    fn a_setting_changes_what_it_names() {
        let rates = super::tests::rates("guest.query = 5/s , customer.command=none,");
        assert_eq!(rate(&rates, "guest", Class::Query), Some((5, 1)));
        assert_eq!(rate(&rates, "customer", Class::Command), None);
        assert_eq!(rate(&rates, "guest", Class::Command), Some((300, 60)));
        assert_eq!(super::tests::rates(""), Rates::production());
        let alone = super::tests::rates("none,guest.mail=3/h");
        assert_eq!(rate(&alone, "guest", Class::Mail), Some((3, 3_600)));
        assert_eq!(rate(&alone, "guest", Class::Query), None);
    }

    #[test]
    fn what_is_no_rate_is_told_so() {
        for bad in [
            "guest",
            "guest.query",
            "guest.query=",
            "guest.query=0/s",
            "guest.query=5",
            "guest.query=5/d",
            "guest.query=-5/s",
            "guest.query=x/s",
            "king.query=5/s",
            "guest.beer=5/s",
            "guest=5/s",
        ] {
            let told = bad.parse::<Changes>().unwrap_err().to_string();
            assert!(told.contains(bad) && told.contains("guest.query=1200/m"), "{told}");
        }
    }
}
