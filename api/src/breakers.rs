//! When a payment provider counts as away, so that nobody is routed there for a while
//! (docs/PAYMENTS.md): the circuit breakers' thresholds, as they can be set.

use chrono::TimeDelta;
use gateways::health::Thresholds;

/// The thresholds of all providers' breakers.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Breakers {
    /// Calls to a payment provider that fail one after another until nobody is sent there for a while
    #[arg(
        long, env = "DAYBOOK_BREAKER_FAILURES", value_name = "CALLS", default_value_t = 5,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub breaker_failures: u8,
    /// Percent of the calls of the last while that fail until the same happens
    #[arg(
        long, env = "DAYBOOK_BREAKER_PERCENT", value_name = "PERCENT", default_value_t = 50,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub breaker_percent: u8,
    /// Calls that there have to be in that while for their share to mean anything; the last 100 are
    /// remembered
    #[arg(
        long, env = "DAYBOOK_BREAKER_CALLS", value_name = "CALLS", default_value_t = 20,
        value_parser = clap::value_parser!(u8).range(2..=100)
    )]
    pub breaker_calls: u8,
    /// Seconds that are looked back for that share
    #[arg(
        long, env = "DAYBOOK_BREAKER_WINDOW", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub breaker_window: u32,
    /// Seconds until one attempt finds out whether the provider is back
    #[arg(
        long, env = "DAYBOOK_BREAKER_PAUSE", value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub breaker_pause: u32,
    /// Seconds up to which that pause doubles, each time that it is not; a pause that is longer stays
    #[arg(
        long, env = "DAYBOOK_BREAKER_PAUSE_MAX", value_name = "SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub breaker_pause_max: u32,
}

impl Breakers {
    /// As providers' health is judged by them.
    pub fn thresholds(self) -> Thresholds {
        let pause = TimeDelta::seconds(self.breaker_pause.into());
        Thresholds {
            in_a_row: self.breaker_failures.into(),
            window: TimeDelta::seconds(self.breaker_window.into()),
            window_calls_min: self.breaker_calls.into(),
            window_failed_percent: self.breaker_percent.into(),
            pause,
            pause_max: TimeDelta::seconds(self.breaker_pause_max.into()).max(pause),
            ..Thresholds::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        breakers: Breakers,
    }

    fn read(arguments: &[&str]) -> Result<Thresholds, clap::Error> {
        let program = ["daybook"].iter().chain(arguments);
        Cli::try_parse_from(program).map(|cli| cli.breakers.thresholds())
    }

    #[test]
    fn what_is_not_set_is_as_it_always_was() {
        assert_eq!(read(&[]).unwrap(), Thresholds::default());
    }

    #[test]
    fn each_threshold_can_be_set() {
        let set = read(&[
            "--breaker-failures=3",
            "--breaker-percent=80",
            "--breaker-calls=50",
            "--breaker-window=600",
            "--breaker-pause=5",
            "--breaker-pause-max=40",
        ]);
        let expected = Thresholds {
            in_a_row: 3,
            window: TimeDelta::minutes(10),
            window_calls_min: 50,
            window_failed_percent: 80,
            pause: TimeDelta::seconds(5),
            pause_max: TimeDelta::seconds(40),
            ..Thresholds::default()
        };
        assert_eq!(set.unwrap(), expected);
        let longer = read(&["--breaker-pause=900"]).unwrap();
        assert_eq!(longer.pause_max, TimeDelta::minutes(15), "it does not shrink to the longest");
    }

    #[test]
    fn what_would_open_a_breaker_at_once_or_never_is_refused() {
        for bad in [
            "--breaker-failures=0",
            "--breaker-failures=101",
            "--breaker-percent=0",
            "--breaker-percent=101",
            "--breaker-calls=1",
            "--breaker-calls=101",
            "--breaker-window=0",
            "--breaker-pause=0",
            "--breaker-pause-max=86401",
        ] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
    }
}
