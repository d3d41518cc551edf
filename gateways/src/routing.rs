//! Which provider is asked for a payment when the customer named none.
//!
//! Staff's rules say who is preferred for what; what providers can do, whether they are switched on
//! and whether they are reached says who of them is left. Pure: the same rules, candidates and wish
//! lead to the same route, whether an order is placed, a fallback is looked for, or staff try it out.
//!
//! 1. The first active rule that matches, by priority, is the only one that counts.
//! 2. Where no rule is active, the sandbox is asked where it is on, or else every provider that is on
//!    and can, in the registry's order. Where there are rules and none matches, nobody is: money must
//!    not end up with whom nobody chose.
//! 3. Whoever is left out has a reason that can be told.

use std::borrow::Cow;

use domain::money::{Currency, Money};
use domain::placing::PaymentMethod;
use uuid::Uuid;

use crate::capabilities::Capabilities;
use crate::registry::{self, AcceptsToken, DEFAULT};

/// A rule of staff's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub rule_id: Uuid,
    /// Rules are tried by it, the lowest first.
    pub priority: i32,
    /// What it is for.
    pub conditions: Conditions,
    /// Who is asked, the first first.
    pub gateways: Vec<String>,
    /// Whether it counts.
    pub active: bool,
}

/// What a rule is for. What is empty or absent holds for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Money of one of these currencies.
    pub currencies: Vec<Currency>,
    /// Goods that go to one of these countries (ISO 3166-1 alpha-2).
    pub countries: Vec<String>,
    /// Paid in one of these ways.
    pub methods: Vec<PaymentMethod>,
    /// At least so much, in this currency only.
    pub amount_from: Option<Money>,
    /// At most so much, in this currency only.
    pub amount_to: Option<Money>,
}

/// What is to be paid, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// How much.
    pub amount: Money,
    /// Where the goods go.
    pub country: &'a str,
    /// How the customer pays.
    pub method: PaymentMethod,
    /// What a provider gave the customer's browser; only who takes it is asked.
    pub token: Option<&'a str>,
}

/// A provider that may be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its name.
    pub gateway: &'static str,
    /// What it can do.
    pub capabilities: &'static Capabilities,
    /// Whether it takes a token; whoever does not say takes any.
    pub accepts_token: Option<AcceptsToken>,
    /// Whether it is switched on.
    pub is_on: bool,
    /// Whether it is known not to be reached at this moment.
    pub is_away: bool,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The rule that says so; `None` for the default, or for nobody.
    pub rule_id: Option<Uuid>,
    /// Who is asked, the first first.
    pub gateways: Vec<&'static str>,
    /// Everybody else.
    pub left_out: Vec<LeftOut>,
}

/// Somebody who is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Who. Every order leaves nearly everybody out, so known names are not copied.
    pub gateway: Cow<'static, str>,
    /// Why.
    pub why: Obstacle,
}

/// Why somebody is not asked. When several apply, the first listed is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// There are rules, and none is for this.
    #[error("no rule is for this payment")]
    NoRule,
    /// Somebody else was preferred.
    #[error("the rule does not name it")]
    NotPreferred,
    /// There are no rules, and it is not the default.
    #[error("there are no rules, so that {DEFAULT} is asked")]
    NotDefault,
    /// A rule names what does not exist, or no longer.
    #[error("there is no such gateway")]
    Unknown,
    /// It has no credentials.
    #[error("it is switched off")]
    SwitchedOff,
    /// It could only refuse.
    #[error("it {0}")]
    Unable(String),
    /// The token is of somebody else.
    #[error("it does not take the token: {0}")]
    ForeignToken(String),
    /// Its breaker is open.
    #[error("it is not reached at the moment")]
    Away,
}

impl Route {
    /// Whether somebody could be asked if only they were reached.
    pub fn is_only_away(&self) -> bool {
        let is_away = |left_out: &LeftOut| left_out.why == Obstacle::Away;
        self.gateways.is_empty() && self.left_out.iter().any(is_away)
    }
}

impl Conditions {
    fn hold(&self, wish: &Wish<'_>) -> bool {
        let Wish { amount, country, method, .. } = wish;
        let is_from = |from: Money| from.currency == amount.currency && from.minor <= amount.minor;
        let is_to = |to: Money| to.currency == amount.currency && amount.minor <= to.minor;
        (self.currencies.is_empty() || self.currencies.contains(&amount.currency))
            && (self.countries.is_empty() || self.countries.iter().any(|of| of == country))
            && (self.methods.is_empty() || self.methods.contains(method))
            && self.amount_from.is_none_or(is_from)
            && self.amount_to.is_none_or(is_to)
    }

    /// Why a provider can never be asked under these conditions, as a sentence; nothing if it can.
    pub fn exclude(&self, gateway: &str, capabilities: &Capabilities) -> Option<String> {
        let all = PaymentMethod::NAMES.map(|(_, method)| method);
        let methods: &[PaymentMethod] = match self.methods.as_slice() {
            [] => &all,
            methods => methods,
        };
        let currencies = self.possible_currencies();
        let pairs = currencies
            .iter()
            .flat_map(|currency| methods.iter().map(|method| (*currency, *method)));
        all_refused(pairs.map(|(currency, method)| capabilities.takes(currency, method)))
            .or_else(|| all_refused(self.countries.iter().map(|of| capabilities.serves(of))))
            .map(|why| format!("{gateway} {why}"))
    }

    /// `None` stands for any.
    fn possible_currencies(&self) -> Vec<Option<Currency>> {
        let of_amount = self.amount_from.or(self.amount_to);
        match (of_amount, self.currencies.as_slice()) {
            (Some(amount), _) => vec![Some(amount.currency)],
            (None, []) => vec![None],
            (None, currencies) => currencies.iter().copied().map(Some).collect(),
        }
    }
}

/// The first refusal, if nothing but refusals is there.
fn all_refused(answers: impl Iterator<Item = Result<(), String>>) -> Option<String> {
    let mut first = None;
    for answer in answers {
        let why = answer.err()?;
        first.get_or_insert(why);
    }
    first
}

impl Candidate {
    fn obstacle(&self, wish: &Wish<'_>) -> Option<Obstacle> {
        if !self.is_on {
            return Some(Obstacle::SwitchedOff);
        }
        let is_able = self
            .capabilities
            .takes(Some(wish.amount.currency), wish.method)
            .and_then(|()| self.capabilities.serves(wish.country));
        if let Err(why) = is_able {
            return Some(Obstacle::Unable(why));
        }
        let accepts = self.accepts_token.filter(|_| wish.token.is_some());
        if let Some(Err(why)) = accepts.map(|accepts| accepts(wish.token)) {
            return Some(Obstacle::ForeignToken(why));
        }
        self.is_away.then_some(Obstacle::Away)
    }
}

/// Who is asked for this, and why the others are not.
pub fn route(rules: &[Rule], candidates: &[Candidate], wish: &Wish<'_>) -> Route {
    let active = || rules.iter().filter(|rule| rule.active);
    let rule = active()
        .filter(|rule| rule.conditions.hold(wish))
        .min_by_key(|rule| rule.priority);
    let (preferred, otherwise): (Vec<&str>, Obstacle) = match rule {
        Some(rule) => (rule.gateways.iter().map(String::as_str).collect(), Obstacle::NotPreferred),
        None if active().next().is_none() => (without_rules(candidates), Obstacle::NotDefault),
        None => (vec![], Obstacle::NoRule),
    };
    let rule_id = rule.map(|rule| rule.rule_id);
    let mut route = Route { rule_id, gateways: Vec::new(), left_out: Vec::new() };
    for name in &preferred {
        let candidate = candidates.iter().find(|of| of.gateway == *name);
        let Some(candidate) = candidate else {
            let (gateway, why) = (Cow::Owned((*name).to_owned()), Obstacle::Unknown);
            route.left_out.push(LeftOut { gateway, why });
            continue;
        };
        match candidate.obstacle(wish) {
            None => route.gateways.push(candidate.gateway),
            Some(why) => {
                let gateway = Cow::Borrowed(candidate.gateway);
                route.left_out.push(LeftOut { gateway, why });
            }
        }
    }
    let others = candidates
        .iter()
        .filter(|of| !preferred.contains(&of.gateway));
    let left_out =
        others.map(|of| LeftOut { gateway: Cow::Borrowed(of.gateway), why: otherwise.clone() });
    route.left_out.extend(left_out);
    route
}

/// Who is asked while there are no rules. Whoever is off is among them, so that it is told why.
fn without_rules(candidates: &[Candidate]) -> Vec<&'static str> {
    let is_default = |of: &&Candidate| of.gateway == DEFAULT && of.is_on;
    match candidates.iter().find(is_default) {
        Some(sandbox) => vec![sandbox.gateway],
        None => candidates.iter().map(|of| of.gateway).collect(),
    }
}

/// Whether anybody who is switched on takes this token; the reasons if nobody does. For a token
/// whose provider was not named.
pub fn takes_token(names: &[String], token: &str) -> Result<(), String> {
    if names.is_empty() {
        return Err("there is no gateway that could take it".to_owned());
    }
    let mut reasons = Vec::new();
    for name in names {
        let provider = registry::provider(name);
        match provider.map_or(Ok(()), |provider| (provider.accepts_token)(Some(token))) {
            Ok(()) => return Ok(()),
            Err(why) => reasons.push(why),
        }
    }
    Err(reasons.join("; "))
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
