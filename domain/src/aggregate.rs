//! The shape every consistency boundary shares, and its place on cqrs-es.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One stream of facts, and the rules for extending it.
///
/// `Default` is the state of a stream that holds no events yet.
pub trait Decider: Default {
    /// What someone asks for, in the imperative.
    type Command;
    /// What has happened, in the past tense.
    type Event;
    /// Why the answer is no; remembered with the command's receipt, hence serialisable.
    type Refusal: std::error::Error + Serialize + DeserializeOwned;

    /// Answers a command with new facts, or with the first rule that forbids it.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Takes one fact on board. Total: history is not up for debate.
    fn evolve(&mut self, event: &Self::Event);

    /// Rebuilds the state from its history.
    fn replay<'a>(history: impl IntoIterator<Item = &'a Self::Event>) -> Self
    where
        Self::Event: 'a,
    {
        let mut state = Self::default();
        for event in history {
            state.evolve(event);
        }
        state
    }
}

/// Runs a [`Decider`] on cqrs-es: `handle` asks `decide` and writes what it answers.
macro_rules! runs_on_cqrs_es {
    ($aggregate:ty, $stored_name:literal) => {
        impl cqrs_es::Aggregate for $aggregate {
            const TYPE: &'static str = $stored_name;
            type Command = <$aggregate as $crate::aggregate::Decider>::Command;
            type Event = <$aggregate as $crate::aggregate::Decider>::Event;
            type Error = <$aggregate as $crate::aggregate::Decider>::Refusal;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in $crate::aggregate::Decider::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                $crate::aggregate::Decider::evolve(self, &event);
            }
        }
    };
}
pub(crate) use runs_on_cqrs_es;

/// Names an event for the log: its stored name and the integer version of its schema.
///
/// The stored name is also the `type` inside the payload, so that a payload explains itself.
macro_rules! stored_events {
    ($event:ty { $($pattern:pat => $name:literal v $version:literal),+ $(,)? }) => {
        impl $event {
            /// The stored name, `family.verb`; never renamed.
            pub fn name(&self) -> &'static str {
                match self { $($pattern => $name),+ }
            }

            /// The version of the payload's schema; older ones are upcast on load.
            pub fn schema_version(&self) -> u32 {
                match self { $($pattern => $version),+ }
            }

            /// Every stored name of this aggregate.
            pub const NAMES: &'static [&'static str] = &[$($name),+];
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                self.schema_version().to_string()
            }
        }
    };
}
pub(crate) use stored_events;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::order::{Command, Event, Order, Refusal, Stage};
    use crate::testing::an_order;
    use cqrs_es::event_sink::EventSink;

    #[test]
    fn cqrs_es_writes_what_the_rules_answer_and_nothing_where_they_refuse() {
        let mut order = Order::default();
        let placed = Event::Placed(Box::new(an_order()));
        let place = || Command::Place(Box::new(an_order()));
        assert_eq!(handle(&mut order, place()), Ok(vec![placed.clone()]));
        assert_eq!(order, Order::replay(&[placed]));
        assert_eq!(handle(&mut order, place()), Err(Refusal::AlreadyPlaced));
        assert_eq!(order.stage(), Stage::Pending);
    }

    fn handle(order: &mut Order, command: Command) -> Result<Vec<Event>, Refusal> {
        let sink = EventSink::default();
        at_once(cqrs_es::Aggregate::handle(order, command, &(), &sink))?;
        Ok(at_once(sink.collect()))
    }

    /// Rules wait for nothing, so that their futures are ready when first asked.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("a rule waits for something"),
        }
    }
}
