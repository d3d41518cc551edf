//! What an order can be recognised by, however it is written.
//!
//! Both sides are read by the same rules: what an order says, and what staff put on a list. So
//! `Ada+shop@Example.COM` and `ada@example.com` are one address, `+44 7700 900123` and, sent to
//! Britain, `07700-900123` one number. What only looks alike (a Cyrillic `а`) stays different.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::calling_codes;
use crate::placing::{Address, Placing};

/// Fewest digits of a telephone number: shorter ones are services, which nobody orders from.
const PHONE_DIGITS_MIN: usize = 6;
/// Most: E.164 has 15, people add an extension.
const PHONE_DIGITS_MAX: usize = 20;
/// Longest text of any kind that is looked at, in characters.
const CHARS_MAX: usize = 320;
/// Hosts at which the part of an address before the @ may be dotted at will.
const DOTTED_AT_WILL: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Sorts of identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// The host of an e-mail address; one on a list stands for every host below it.
    EmailDomain,
    /// A telephone number.
    Phone,
    /// Where the goods go, or where the customer says to pay from.
    Country,
    /// Where the goods go.
    Postcode,
    /// Where the order came from; one on a list may be a network (`203.0.113.0/24`).
    Ip,
    /// The customer's account.
    Account,
    /// The provider's name for a card or account.
    Fingerprint,
}

impl Kind {
    /// Every kind with its name in bodies, rows and answers.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("email", Self::Email),
        ("email_domain", Self::EmailDomain),
        ("phone", Self::Phone),
        ("country", Self::Country),
        ("postcode", Self::Postcode),
        ("ip", Self::Ip),
        ("account", Self::Account),
        ("fingerprint", Self::Fingerprint),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::EmailDomain => "email_domain",
            Self::Phone => "phone",
            Self::Country => "country",
            Self::Postcode => "postcode",
            Self::Ip => "ip",
            Self::Account => "account",
            Self::Fingerprint => "fingerprint",
        }
    }

    /// For people, as in "the ... is blocked".
    pub fn words(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::EmailDomain => "host of the e-mail address",
            Self::Phone => "telephone number",
            Self::Country => "country",
            Self::Postcode => "postcode",
            Self::Ip => "IP address",
            Self::Account => "account",
            Self::Fingerprint => "card or account at the provider",
        }
    }
}

/// Something to recognise an order by, in the one form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// What it is.
    pub kind: Kind,
    /// Its value as compared.
    pub value: String,
}

impl Identifier {
    /// Reads what staff put on a list; the error is the rest of a sentence about the value.
    pub fn listed(kind: Kind, text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let (value, or_else) = match kind {
            Kind::Email => (email(text), "must be an e-mail address"),
            Kind::EmailDomain => {
                let host = host(text.strip_prefix('@').unwrap_or(text));
                (host.filter(|host| host.contains('.')), "must be a host such as example.com")
            }
            Kind::Phone => (
                international(text).filter(|digits| is_phone(digits)),
                "must be a number in international form such as +447700900123",
            ),
            Kind::Country => (country(text), "must be a country code of two letters"),
            Kind::Postcode => (letters_and_digits(text), "must have letters or digits"),
            Kind::Ip => (
                network(text),
                "must be an address such as 203.0.113.7 or a network such as 203.0.113.0/24",
            ),
            Kind::Account => (
                text.parse::<uuid::Uuid>().ok().map(|id| id.to_string()),
                "must be the UUID of an account",
            ),
            Kind::Fingerprint => {
                (Some(text.to_owned()).filter(|text| !text.is_empty()), "must not be empty")
            }
        };
        let value = value.filter(|_| text.chars().count() <= CHARS_MAX);
        value.map(|value| Self { kind, value }).ok_or(or_else)
    }

    fn new(kind: Kind, value: Option<String>) -> Option<Self> {
        value.map(|value| Self { kind, value })
    }

    /// Every value of this kind that would be about it, were it on a list.
    pub fn listed_as(&self) -> Vec<String> {
        match self.kind {
            Kind::EmailDomain => {
                let begins = self
                    .value
                    .match_indices('.')
                    .map(|(dot, _)| dot.saturating_add(1));
                let below = begins.filter_map(|begin| self.value.get(begin..));
                std::iter::once(self.value.as_str())
                    .chain(below)
                    .map(ToOwned::to_owned)
                    .collect()
            }
            Kind::Ip => match self.value.parse() {
                Ok(address) => networks_of(address),
                Err(_) => vec![],
            },
            Kind::Email
            | Kind::Phone
            | Kind::Country
            | Kind::Postcode
            | Kind::Account
            | Kind::Fingerprint => vec![self.value.clone()],
        }
    }
}

/// Everything by which an order can be recognised when it is placed.
pub fn of(placing: &Placing, payer_country: Option<&str>, ip: Option<IpAddr>) -> Vec<Identifier> {
    let Placing { customer, customer_id, shipping_address: address, .. } = placing;
    let email = email(&customer.email);
    let host = email
        .as_deref()
        .and_then(|email| Some(email.rsplit_once('@')?.1.to_owned()));
    let phone = customer.phone.as_deref();
    let phone = phone.and_then(|phone| phone_at(phone, &address.country));
    let account = customer_id.map(|customer| customer.0.to_string());
    let postcode = address.postcode.as_deref().and_then(letters_and_digits);
    let countries: BTreeSet<String> = [Some(address.country.as_str()), payer_country]
        .into_iter()
        .flatten()
        .filter_map(country)
        .collect();
    let ip = ip.map(|ip| ip.to_canonical().to_string());
    [
        Identifier::new(Kind::Email, email),
        Identifier::new(Kind::EmailDomain, host),
        Identifier::new(Kind::Phone, phone),
        Identifier::new(Kind::Postcode, postcode),
        Identifier::new(Kind::Ip, ip),
        Identifier::new(Kind::Account, account),
    ]
    .into_iter()
    .flatten()
    .chain(
        countries
            .into_iter()
            .map(|value| Identifier { kind: Kind::Country, value }),
    )
    .collect()
}

/// The countries that a telephone number in international form can belong to.
pub(crate) fn countries_of_phone(phone: &str) -> Vec<&'static str> {
    international(phone).map_or_else(Vec::new, |digits| calling_codes::countries_of(&digits))
}

/// An address as it is compared: letters and digits of all of it.
pub(crate) fn address(address: &Address) -> Option<String> {
    let Address { line1, line2, city, postcode, country } = address;
    let parts = [
        Some(line1),
        line2.as_ref(),
        city.as_ref(),
        postcode.as_ref(),
        Some(country),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter_map(|part| letters_and_digits(part))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Lower case, without what follows a plus; where dots mean nothing, without them.
fn email(text: &str) -> Option<String> {
    let text: String = text.trim().nfkc().collect::<String>().to_lowercase();
    let (local, at) = text.rsplit_once('@')?;
    let host = host(at)?;
    let plain = local.split('+').next().filter(|plain| !plain.is_empty());
    let local = plain.unwrap_or(local);
    if local.is_empty() {
        return None;
    }
    Some(if DOTTED_AT_WILL.contains(&host.as_str()) {
        format!("{}@gmail.com", local.replace('.', ""))
    } else {
        format!("{local}@{host}")
    })
}

/// The form that the domain name system knows, so that both ways to write an umlaut are one.
fn host(text: &str) -> Option<String> {
    let host = idna::domain_to_ascii(text.trim().trim_end_matches('.')).ok()?;
    (!host.is_empty()).then_some(host)
}

fn phone_at(text: &str, country: &str) -> Option<String> {
    let number = international(text)
        .or_else(|| calling_codes::from_national(&digits(text), country))
        .unwrap_or_else(|| digits(text));
    is_phone(&number).then_some(number)
}

fn is_phone(digits: &str) -> bool {
    (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits.len())
}

/// The digits of a number that begins with `+` or `00`; `(0)` behind the code is for calls at home.
fn international(text: &str) -> Option<String> {
    let plain: String = text.trim().nfkc().collect();
    let plain = plain.replace("(0)", "");
    let written = plain.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '+');
    let rest = written
        .strip_prefix('+')
        .map(digits)
        .or_else(|| digits(written).strip_prefix("00").map(ToOwned::to_owned))?;
    (!rest.is_empty()).then_some(rest)
}

fn digits(text: &str) -> String {
    text.nfkc().filter(char::is_ascii_digit).collect()
}

fn country(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

fn letters_and_digits(text: &str) -> Option<String> {
    let kept: String = text.nfkc().filter(|c| c.is_alphanumeric()).collect();
    let kept = kept.to_lowercase();
    (!kept.is_empty()).then_some(kept)
}

/// One address, or a network with the bits beyond its prefix cleared.
fn network(text: &str) -> Option<String> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text
            .parse::<IpAddr>()
            .ok()
            .map(|ip| ip.to_canonical().to_string());
    };
    let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?);
    (1..=bits_of(address))
        .contains(&prefix)
        .then(|| masked(address, prefix))
}

fn networks_of(address: IpAddr) -> Vec<String> {
    (1..=bits_of(address))
        .map(|prefix| masked(address, prefix))
        .collect()
}

fn bits_of(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

/// The network of an address; the address itself if it has all bits.
fn masked(address: IpAddr, prefix: u32) -> String {
    let beyond = bits_of(address).saturating_sub(prefix);
    if beyond == 0 {
        return address.to_string();
    }
    let network = match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    };
    format!("{network}/{prefix}")
}

#[cfg(test)]
#[path = "identifiers_tests.rs"]
mod tests;
