//! The simulators in a person's hand: lines of text say what customers and providers do, and Daybook
//! is told of it as the provider would tell it.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::money::{Currency, Money};
use reqwest::Client;

use crate::simulators::{Decline, Fault, Sent, Simulator};

/// What can be said, for people.
pub const HELP: &str = "\
pay REFERENCE                   the customer pays what is asked for, and Daybook is told
pay REFERENCE AMOUNT CURRENCY   the customer pays something else
decline REFERENCE [WORD]        the customer is turned away, in a word of the provider's
tell REFERENCE                  Daybook is told once more how the attempt stands
forge REFERENCE                 somebody without the secret tells it
refunds [REFERENCE]             what was taken on is paid out, or fails; Daybook is told of it
refunds-fail, refunds-work      what becomes of refunds from now on
account REFERENCE               what the provider's own books say
fault NAME GATEWAY              the next call meets: fails, acts-then-fails, breaks-off,
                                acts-then-breaks-off, acts-then-hangs, babbles, turns-away,
                                knows-no-key, delays
words GATEWAY                   in which words it turns customers away
away GATEWAY, back GATEWAY      nobody is reached there, until it is back";

/// Faults by the names that people give them.
const FAULTS: [(&str, Fault); 10] = [
    ("fails", Fault::Fails),
    ("acts-then-fails", Fault::ActsThenFails),
    ("breaks-off", Fault::BreaksOff),
    ("acts-then-breaks-off", Fault::ActsThenBreaksOff),
    ("acts-then-hangs", Fault::ActsThenHangs),
    ("babbles", Fault::Babbles),
    ("turns-away", Fault::TurnsAway),
    ("refuses-and-repeats", Fault::RefusesAndRepeats),
    ("knows-no-key", Fault::KnowsNoKey),
    ("delays", Fault::Delays),
];

/// Some simulators, and the Daybook that they speak to.
pub struct Hand {
    simulators: Vec<Arc<dyn Simulator>>,
    /// Without a slash at the end.
    daybook: String,
    http: Client,
}

impl Hand {
    /// These simulators, and where Daybook is reached.
    pub fn new(simulators: Vec<Arc<dyn Simulator>>, daybook: &str) -> Self {
        // Whoever came first has installed the same one.
        let _there = rustls::crypto::ring::default_provider().install_default();
        let daybook = daybook.trim_end_matches('/').to_owned();
        Self { simulators, daybook, http: Client::new() }
    }

    /// The variables with which a Daybook uses them, as a shell reads them.
    pub fn exports(&self) -> String {
        let mut settings: Vec<_> = self
            .simulators
            .iter()
            .flat_map(|simulator| simulator.settings())
            .collect();
        settings.sort();
        settings.dedup();
        let mut text = String::new();
        for (name, value) in settings {
            writeln!(text, "export {name}='{value}'").expect("text can be added to");
        }
        text
    }

    /// Does what a line says.
    ///
    /// # Errors
    /// If there is nobody to do it, or it says nothing that can be done.
    pub async fn obey(&self, line: &str) -> Result<String, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => Ok(String::new()),
            ["pay", reference] => {
                self.whose(reference)?.customer_pays(reference);
                self.told(reference).await
            }
            ["pay", reference, amount, currency] => {
                let money = money(amount, currency)?;
                let simulator = self.whose(reference)?;
                simulator.customer_pays_instead(reference, money);
                self.told(reference).await
            }
            ["decline", reference, words @ ..] => {
                let simulator = self.whose(reference)?;
                let how = way(simulator.as_ref(), &words.join(" "))?;
                simulator.customer_is_declined(reference, how);
                self.told(reference).await
            }
            ["tell", reference] => self.told(reference).await,
            ["forge", reference] => {
                let simulator = self.whose(reference)?;
                let forged = simulator.forged_webhook(reference);
                let forged = forged.ok_or("this provider signs nothing")?;
                self.send(simulator.name(), forged).await
            }
            ["refunds"] => {
                for simulator in &self.simulators {
                    simulator.works_off_refunds();
                }
                Ok("paid out; a look at the order's payment asks the provider".to_owned())
            }
            ["refunds", reference] => self.works_off(reference).await,
            ["refunds-fail"] => Ok(self.refunds_work(false)),
            ["refunds-work"] => Ok(self.refunds_work(true)),
            ["account", reference] => {
                let account = self.whose(reference)?.account(reference);
                let came_in: Vec<String> = account.came_in.iter().map(Money::to_string).collect();
                let (gone, going) = (account.gone_minor, account.going_minor);
                Ok(format!("came in: {came_in:?}; gone (minor units): {gone}; going: {going}"))
            }
            ["fault", name, gateway] => {
                let fault = FAULTS.iter().find(|(known, _)| known == name);
                let (_, fault) = fault.ok_or_else(|| format!("there is no fault {name}"))?;
                self.named(gateway)?.faults().next(*fault);
                Ok(format!("the next call to {gateway} meets it"))
            }
            ["words", gateway] => {
                let declines = self.named(gateway)?.declines().iter();
                let words: Vec<&str> = declines.map(|how| how.theirs).collect();
                Ok(words.join("\n"))
            }
            ["away", gateway] => {
                self.named(gateway)?.server().goes_away().await;
                Ok(format!("{gateway} is away"))
            }
            ["back", gateway] => {
                self.named(gateway)?.server().comes_back().await;
                Ok(format!("{gateway} is back"))
            }
            _ => Err(format!("what is meant?\n{HELP}")),
        }
    }

    async fn works_off(&self, reference: &str) -> Result<String, String> {
        let simulator = self.whose(reference)?;
        simulator.works_off_refunds();
        let mut answers = vec!["paid out".to_owned()];
        for sent in simulator.refund_webhooks(reference) {
            answers.push(self.send(simulator.name(), sent).await?);
        }
        Ok(answers.join("; "))
    }

    fn refunds_work(&self, they_do: bool) -> String {
        for simulator in &self.simulators {
            simulator.refunds_work(they_do);
        }
        let become_what = if they_do { "are paid out" } else { "fail" };
        format!("refunds {become_what} from now on")
    }

    async fn told(&self, reference: &str) -> Result<String, String> {
        let simulator = self.whose(reference)?;
        self.send(simulator.name(), simulator.webhook(reference))
            .await
    }

    async fn send(&self, gateway: &str, sent: Sent) -> Result<String, String> {
        let url = format!("{}/api/v1/webhooks/{gateway}", self.daybook);
        let request = self.http.post(&url).headers(sent.headers).body(sent.body);
        let answer = request.send().await;
        let answer = answer.map_err(|error| format!("Daybook is not reached: {error}"))?;
        Ok(format!("{gateway} has told Daybook, which says {}", answer.status()))
    }

    /// The simulator that has been asked for this attempt.
    fn whose(&self, reference: &str) -> Result<&Arc<dyn Simulator>, String> {
        let mut simulators = self.simulators.iter();
        let found = simulators.find(|simulator| 0 < simulator.asked_for(reference));
        found.ok_or_else(|| {
            format!(
                "nobody was asked for {reference}; GET /api/v1/orders/ORDER/payment says what an \
                 order's attempt is called"
            )
        })
    }

    fn named(&self, gateway: &str) -> Result<&Arc<dyn Simulator>, String> {
        let mut simulators = self.simulators.iter();
        let found = simulators.find(|simulator| simulator.name() == gateway);
        found.ok_or_else(|| format!("{gateway} is not among those that were started"))
    }
}

/// The first of its ways to say no, or the one that is meant.
fn way(simulator: &dyn Simulator, word: &str) -> Result<Decline, String> {
    let mut declines = simulator.declines().iter();
    let found = declines.find(|how| word.is_empty() || how.theirs == word);
    let gateway = simulator.name();
    let unknown = || format!("{gateway} does not say {word}; `words {gateway}` lists what it says");
    found.copied().ok_or_else(unknown)
}

fn money(amount: &str, currency: &str) -> Result<Money, String> {
    let currency: Result<Currency, _> = currency.parse();
    let currency = currency.map_err(|error| error.to_string())?;
    Money::parse(amount, currency).map_err(|error| error.to_string())
}
