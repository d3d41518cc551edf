//! One order's way: each fact to its end, where the answer to an intent is the next fact.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use chrono::Utc;
use domain::checkout::{Checkout, Fact, Intent, OutOfPlace};
use domain::ids::OrderId;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use store::command::ExecuteError;

use super::intents::{Answer, Executor};
use super::orders::{Journey, Moved};
use super::{Heard, RETRY_PAUSE};
use crate::derived::Cause;
use crate::parked::ParkedFact;

/// Intents of one order under way at once: an order of 2,000 lines must not crowd out the others.
const INTENTS_AT_ONCE: usize = 256;
/// Intents that are simply waited for together: most facts ask for one thing or nothing, and a
/// queue of futures would cost more than it spares.
const FEW_INTENTS: usize = 8;

/// Carries an order on until it rests. What fails is tried again for ever, from the start: the same
/// facts on the same state ask for the same commands.
pub(super) async fn carry(executor: Arc<Executor>, journey: Journey) -> Moved {
    let Journey { order_id, state, heard } = journey;
    loop {
        match try_to_carry(&executor, order_id, state.clone(), &heard).await {
            Ok(moved) => return moved,
            Err(error) => tracing::warn!(order.id = %order_id, %error, "an order is tried again"),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn try_to_carry(
    executor: &Executor,
    order_id: OrderId,
    mut state: Checkout,
    heard: &[Heard],
) -> Result<Moved, ExecuteError> {
    let mut parked = Vec::new();
    for Heard { cause, position, fact, .. } in heard {
        let mut park = |step: &str, fact: &Fact, reason: String| {
            parked.push(ParkedFact {
                parked_id: cause.leads_to(&format!("parked {step}")),
                order_id: order_id.0,
                position: *position,
                fact: serde_json::to_value(without_personal(fact))
                    .expect("a fact has a form in JSON"),
                reason,
                parked_at: Utc::now(),
            });
        };
        let mut facts = VecDeque::from([Cow::Borrowed(fact)]);
        while let Some(fact) = facts.pop_front() {
            let intents = match state.react(Fact::clone(&fact)) {
                Ok(intents) => intents,
                Err(OutOfPlace { stage, fact: heard }) => {
                    let heard = Box::new(without_personal(&heard));
                    let reason = OutOfPlace { stage, fact: heard }.to_string();
                    park("out of place", &fact, reason);
                    continue;
                }
            };
            for answer in answers(executor, order_id, cause, intents).await? {
                match answer {
                    Answer::Done => {}
                    Answer::Fact(fact) => facts.push_back(Cow::Owned(fact)),
                    Answer::OwnRefund(refund_id) => state.name_own_refund(refund_id),
                    Answer::Park { step, reason } => park(&step, &fact, reason),
                }
            }
        }
    }
    Ok(Moved { order_id, state, parked })
}

/// What is parked is kept in clear, and who ordered is found in the log by its position.
fn without_personal(fact: &Fact) -> Fact {
    let mut fact = fact.clone();
    if let Fact::OrderPlaced(placing) = &mut fact {
        placing.forget();
    }
    fact
}

async fn answers(
    executor: &Executor,
    order_id: OrderId,
    cause: &Cause,
    intents: Vec<Intent>,
) -> Result<Vec<Answer>, ExecuteError> {
    let answers = intents
        .into_iter()
        .map(|intent| executor.execute(order_id, cause, intent));
    if answers.len() <= FEW_INTENTS {
        return try_join_all(answers).await;
    }
    stream::iter(answers)
        .buffered(INTENTS_AT_ONCE)
        .try_collect()
        .await
}
