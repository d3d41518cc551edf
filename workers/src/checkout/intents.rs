//! What each intent asks for, and what its answer means to the process.

use chrono::Utc;
use domain::checkout::{Brief, Fact, Intent};
use domain::event::Event;
use domain::ids::{OrderId, PaymentId, RefundId, Sku, attempt_reference};
use domain::inventory::{self, Inventory};
use domain::money::Money;
use domain::order::{self, Failure, Order};
use domain::payment::{self, Attempt, Payment, Terms};
use domain::promotion::{self, Code, Promotion};
use domain::risk::Assessment;
use sqlx::PgPool;
use store::command::{ExecuteError, Receipt, Verdict};
use store::journal::Journal;
use store::log::{self, Slice};
use store::states::Kept;

use crate::derived::{self, Cause};
use crate::fraud::Fraud;

/// Who acts.
const ACTOR: &str = "checkout";

/// What came of an intent.
pub(super) enum Answer {
    /// Done; nothing to hear.
    Done,
    /// Something to hear.
    Fact(Fact),
    /// The process has named a refund.
    OwnRefund(RefundId),
    /// A person is needed.
    Park {
        /// Which intent, for the parked fact's name.
        step: String,
        /// Why.
        reason: String,
    },
}

/// Turns intents into commands.
pub(super) struct Executor {
    pool: PgPool,
    journal: Journal,
    fraud: Fraud,
}

/// What one command of the process is about.
struct Step<'a> {
    order_id: OrderId,
    cause: &'a Cause,
    name: String,
    reason: Option<&'a str>,
}

impl Executor {
    pub(super) fn new(pool: PgPool, journal: Journal, fraud: Fraud) -> Self {
        Self { pool, journal, fraud }
    }

    /// Carries one intent out. Its command id follows from cause and step.
    pub(super) async fn execute(
        &self,
        order_id: OrderId,
        cause: &Cause,
        intent: Intent,
    ) -> Result<Answer, ExecuteError> {
        let step = |name: String| Step { order_id, cause, name, reason: None };
        match intent {
            Intent::ReserveStock { sku, quantity, expires_at } => {
                let command = inventory::Command::Reserve { order_id, quantity, expires_at };
                self.reserve(step(format!("reserve {sku}")), sku, command)
                    .await
            }
            Intent::ReleaseStock { sku } => {
                let command = inventory::Command::Release { order_id };
                self.must::<Inventory>(sku.as_str(), step(format!("release {sku}")), command)
                    .await
            }
            Intent::IssueStock { sku } => {
                let command = inventory::Command::Issue { order_id };
                self.must::<Inventory>(sku.as_str(), step(format!("issue {sku}")), command)
                    .await
            }
            Intent::IssuePart { sku, quantity } => {
                let command = inventory::Command::IssuePart { order_id, quantity };
                self.must::<Inventory>(sku.as_str(), step(format!("issue part {sku}")), command)
                    .await
            }
            Intent::RestockStock { refund_id, part } => {
                let quantity = u64::from(part.quantity);
                let command = inventory::Command::Restock { order_id, refund_id, quantity };
                let step = step(format!("restock {refund_id} {}", part.sku));
                self.must::<Inventory>(part.sku.as_str(), step, command)
                    .await
            }
            Intent::ReservePromotion { promotion, customer_id } => {
                let command = promotion::Command::Reserve { order_id, customer_id };
                let step = step(format!("reserve promotion {promotion}"));
                self.reserve_use(step, &promotion, command).await
            }
            Intent::ReleasePromotion { promotion } => {
                let command = promotion::Command::Release { order_id };
                let step = step(format!("release promotion {promotion}"));
                self.must::<Promotion>(promotion.as_str(), step, command)
                    .await
            }
            Intent::SettlePromotion { promotion } => {
                let command = promotion::Command::Settle { order_id };
                let step = step(format!("settle promotion {promotion}"));
                self.must::<Promotion>(promotion.as_str(), step, command)
                    .await
            }
            Intent::ProcessOrder => {
                let step = step("process".to_owned());
                self.order(step, order::Command::Process, Some(Fact::OrderProcessing))
                    .await
            }
            Intent::ConfirmOrder { captured, assessment: None } => {
                let command = order::Command::Confirm { captured };
                self.order(step("confirm".to_owned()), command, Some(Fact::OrderConfirmed))
                    .await
            }
            Intent::ConfirmOrder { captured, assessment: Some(assessment) } => {
                self.confirm_screened(step("confirm".to_owned()), captured, &assessment)
                    .await
            }
            Intent::EndReview => self.end_review(step("end review".to_owned())).await,
            Intent::FailOrder(failure) => {
                let command = order::Command::Fail(failure);
                self.order(step("fail".to_owned()), command, None).await
            }
            Intent::SettleRefund { refund_id } => {
                let command = order::Command::SettleRefund { refund_id };
                let step = step(format!("settle refund {refund_id}"));
                self.must::<Order>(&order_id.to_string(), step, command)
                    .await
            }
            Intent::FailRefund { refund_id, reason } => {
                let command = order::Command::FailRefund { refund_id, reason };
                let step = step(format!("fail refund {refund_id}"));
                self.must::<Order>(&order_id.to_string(), step, command)
                    .await
            }
            Intent::OpenPayment(brief) => {
                self.open_payment(step("open payment".into()), brief).await
            }
            Intent::VoidPayment(payment_id) => {
                self.void(step("void payment".to_owned()), payment_id).await
            }
            Intent::RefundPayment { payment_id, refund_id, reference, amount_minor, reason } => {
                let step = Step { reason: Some(&reason), ..step("refund payment".to_owned()) };
                self.refund(step, payment_id, refund_id, (amount_minor, reference), reason.clone())
                    .await
            }
            Intent::RefundAgain { payment_id, failed, reason } => {
                let step = Step { reason: Some(&reason), ..step("refund again".to_owned()) };
                self.refund_again(step, payment_id, failed, reason.clone())
                    .await
            }
            Intent::CallStaff { reason } => {
                Ok(Answer::Park { step: "call staff".to_owned(), reason })
            }
        }
    }

    async fn send<A: Kept>(
        &self,
        aggregate_id: &str,
        step: &Step<'_>,
        command: A::Command,
    ) -> Result<Verdict<A::Error>, ExecuteError> {
        Ok(self.ask::<A>(aggregate_id, step, command).await?.verdict)
    }

    async fn ask<A: Kept>(
        &self,
        aggregate_id: &str,
        step: &Step<'_>,
        command: A::Command,
    ) -> Result<Receipt<A::Error>, ExecuteError> {
        let Step { order_id, cause, name, reason } = step;
        let reason = reason.map(ToOwned::to_owned);
        let envelope = derived::envelope(ACTOR, *order_id, cause, name, reason);
        self.journal
            .execute_derived::<A>(aggregate_id, command, envelope)
            .await
    }

    /// A command that only a mistake of ours can have refused.
    async fn must<A: Kept>(
        &self,
        aggregate_id: &str,
        step: Step<'_>,
        command: A::Command,
    ) -> Result<Answer, ExecuteError> {
        Ok(match self.send::<A>(aggregate_id, &step, command).await? {
            Verdict::Refused(refusal) => unexpected(step, &refusal),
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                Answer::Done
            }
        })
    }

    async fn reserve(
        &self,
        step: Step<'_>,
        sku: Sku,
        command: inventory::Command,
    ) -> Result<Answer, ExecuteError> {
        Ok(match self.send::<Inventory>(sku.as_str(), &step, command).await? {
            Verdict::Refused(inventory::Refusal::InsufficientStock { .. }) => {
                Answer::Fact(Fact::StockShort { sku })
            }
            Verdict::Refused(refusal) => unexpected(step, &refusal),
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                Answer::Fact(Fact::StockReserved { sku })
            }
        })
    }

    /// Whatever the limit is that others have reached: the order cannot have what it was promised.
    async fn reserve_use(
        &self,
        step: Step<'_>,
        promotion: &Code,
        command: promotion::Command,
    ) -> Result<Answer, ExecuteError> {
        use promotion::Refusal as R;

        Ok(
            match self
                .send::<Promotion>(promotion.as_str(), &step, command)
                .await?
            {
                Verdict::Refused(R::UsedUp | R::UsedUpByCustomer | R::SignIn) => {
                    Answer::Fact(Fact::PromotionUsedUp)
                }
                Verdict::Refused(refusal) => unexpected(step, &refusal),
                Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                    Answer::Fact(Fact::PromotionReserved)
                }
            },
        )
    }

    /// A command that the order refuses if it has come to another end meanwhile.
    async fn order(
        &self,
        step: Step<'_>,
        command: order::Command,
        done: Option<Fact>,
    ) -> Result<Answer, ExecuteError> {
        let order_id = step.order_id.to_string();
        Ok(match self.send::<Order>(&order_id, &step, command).await? {
            Verdict::Refused(refusal) => or_moved_on(step, &refusal),
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                done.map_or(Answer::Done, Answer::Fact)
            }
        })
    }

    /// Confirms an order unless screening would have it otherwise. A repetition may find other rules;
    /// what counts is what was written down the first time.
    async fn confirm_screened(
        &self,
        step: Step<'_>,
        captured: Money,
        assessment: &Assessment,
    ) -> Result<Answer, ExecuteError> {
        let screening = self.fraud.screen_payment(step.order_id, assessment).await?;
        let is_plain = screening.is_none();
        let command = match screening {
            None => order::Command::Confirm { captured },
            Some(screening) => order::Command::ConfirmScreened { captured, screening },
        };
        let order_id = step.order_id.to_string();
        let receipt = self.ask::<Order>(&order_id, &step, command).await?;
        match receipt.verdict {
            Verdict::Refused(refusal) => Ok(or_moved_on(step, &refusal)),
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway
                if is_plain && !receipt.replayed =>
            {
                Ok(Answer::Fact(Fact::OrderConfirmed))
            }
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                self.what_was_decided(receipt.first_position, receipt.last_position)
                    .await
            }
        }
    }

    async fn what_was_decided(&self, from: i64, to: i64) -> Result<Answer, ExecuteError> {
        let slice = Slice { from: Some(from), to: Some(to), ..Slice::default() };
        let page = log::page(&self.pool, &slice, log::PAGE_MAX).await;
        let page = page.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
        let found = page.events.iter().rev().find_map(|recorded| {
            let Event::Order(event) = &recorded.event else {
                return None;
            };
            match event {
                order::Event::Confirmed { .. } => Some(Fact::OrderConfirmed),
                order::Event::Failed(_) => Some(Fact::OrderRefused),
                order::Event::Screened(screening) => {
                    let review_by = screening.review_by?;
                    Some(Fact::OrderHeld { review_by })
                }
                _ => None,
            }
        });
        let unreadable = || {
            let why = format!("nothing at {from} to {to} says what became of a paid order");
            ExecuteError::Corrupt(why)
        };
        Ok(Answer::Fact(found.ok_or_else(unreadable)?))
    }

    /// Ends a hold, unless staff have looked in this moment: then that fact is on its way.
    async fn end_review(&self, step: Step<'_>) -> Result<Answer, ExecuteError> {
        let command = order::Command::Fail(Failure::ReviewTimedOut);
        let order_id = step.order_id.to_string();
        Ok(match self.send::<Order>(&order_id, &step, command).await? {
            Verdict::Refused(order::Refusal::NotHeld) => Answer::Done,
            Verdict::Refused(refusal) => or_moved_on(step, &refusal),
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                Answer::Fact(Fact::OrderRefused)
            }
        })
    }

    async fn open_payment(&self, step: Step<'_>, brief: Brief) -> Result<Answer, ExecuteError> {
        let terms = Terms { order_id: step.order_id, amount: brief.total, pay_by: brief.pay_by };
        let attempt = Attempt {
            reference: attempt_reference(step.cause.leads_to("attempt")),
            choice: brief.payment,
            started_at: Utc::now(),
            instead_of: None,
        };
        let command = payment::Command::Open { terms, attempt };
        self.must::<Payment>(&brief.payment_id.to_string(), step, command)
            .await
    }

    async fn void(&self, step: Step<'_>, payment_id: PaymentId) -> Result<Answer, ExecuteError> {
        use payment::Refusal as R;
        let command = payment::Command::Void;
        Ok(
            match self
                .send::<Payment>(&payment_id.to_string(), &step, command)
                .await?
            {
                // Paid in the same moment: that fact is on its way.
                Verdict::Refused(R::AlreadyCaptured) => Answer::Done,
                Verdict::Refused(refusal) => unexpected(step, &refusal),
                Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                    Answer::Done
                }
            },
        )
    }

    async fn refund(
        &self,
        mut step: Step<'_>,
        payment_id: PaymentId,
        refund_id: Option<RefundId>,
        (amount_minor, reference): (i64, Option<String>),
        reason: String,
    ) -> Result<Answer, ExecuteError> {
        let own = RefundId(step.cause.leads_to("own refund"));
        let is_the_orders = refund_id.is_some();
        let refund_id = refund_id.unwrap_or(own);
        step.name = format!("refund payment {refund_id}");
        let command = payment::Command::Refund { refund_id, amount_minor, reference, reason };
        let verdict = self
            .send::<Payment>(&payment_id.to_string(), &step, command)
            .await?;
        Ok(match verdict {
            // Its provider has taken the money back meanwhile, which the order does not know: what it
            // asked for fails, like what a provider cannot pay out.
            Verdict::Refused(refusal @ payment::Refusal::RefundTooLarge { .. })
                if is_the_orders =>
            {
                let reason = refusal.to_string();
                Answer::Fact(Fact::PaymentRefundFailed { refund_id, reason })
            }
            Verdict::Refused(refusal) => unexpected(step, &refusal),
            Verdict::Accepted | Verdict::VersionMismatch { .. } | Verdict::TurnedAway => {
                if is_the_orders {
                    Answer::Done
                } else {
                    Answer::OwnRefund(refund_id)
                }
            }
        })
    }
}

impl Executor {
    async fn refund_again(
        &self,
        mut step: Step<'_>,
        payment_id: PaymentId,
        failed: RefundId,
        reason: String,
    ) -> Result<Answer, ExecuteError> {
        let refund_id = RefundId(step.cause.leads_to("own refund"));
        step.name = format!("refund payment {refund_id} for {failed}");
        let command = payment::Command::RefundAgain { refund_id, failed, reason };
        let answer = self
            .must::<Payment>(&payment_id.to_string(), step, command)
            .await?;
        Ok(match answer {
            Answer::Done => Answer::OwnRefund(refund_id),
            other => other,
        })
    }
}

/// A refusal of an order that has come to another end meanwhile, or one that nobody expects.
fn or_moved_on(step: Step<'_>, refusal: &order::Refusal) -> Answer {
    match refusal {
        order::Refusal::AlreadyCancelled | order::Refusal::AlreadyFailed => {
            Answer::Fact(Fact::OrderMovedOn)
        }
        refusal => unexpected(step, refusal),
    }
}

fn unexpected(step: Step<'_>, refusal: &dyn std::error::Error) -> Answer {
    let reason = format!("\"{}\" was refused: {refusal}", step.name);
    Answer::Park { step: step.name, reason }
}
