//! `rebuild-<read model>`: events per second, over HTTP and with everything running, as an operator
//! would rebuild it.

use std::time::{Duration, Instant};

use super::Stage;
use crate::daybook::{Daybook, ReadModel};
use crate::error::Error;
use crate::figure::{Figure, Target};
use crate::http::Connection;
use crate::meter::Meter;
use crate::numbers::float;
use crate::requests;

/// As often as a person's client asks.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// A rebuild that takes longer on a log of this size has come to a halt.
const REBUILD_MAX: Duration = Duration::from_mins(10);

/// Rebuilds one read model, once per round.
pub(crate) async fn run(stage: &mut Stage, model: &str) -> Result<Figure, Error> {
    let mut figure = Figure::new(format!("rebuild-{model}"), "events/s");
    figure.target = match model {
        "sales" => Some(Target::ValueMin(50_000.0)),
        "orders" => Some(Target::ValueMin(20_000.0)),
        _ => None,
    };
    let mut events = 0;
    for _ in 0..stage.settings.rounds {
        stage.daybook.settle().await?;
        let meter = Meter::start(&stage.daybook);
        start(&stage.daybook, model).await?;
        let (position, seconds) = finished(&stage.daybook, model).await?;
        meter.stop(&mut figure, position);
        figure.values.push(float(position) / seconds.max(1e-3));
        events = position;
        stage.tell(&figure);
    }
    figure.detail("events", float(events));
    Ok(figure)
}

async fn start(daybook: &Daybook, model: &str) -> Result<(), Error> {
    let path = format!("/api/v1/projections/{model}/rebuild");
    // Each is a wish of its own.
    let key = format!("rebuild-{model}-{}", chrono::Utc::now().timestamp_micros());
    let request = requests::command("POST", &path, &daybook.token, &key, "{}");
    let mut connection = Connection::open(daybook.address)
        .await
        .map_err(Error::Load)?;
    let answer = connection.exchange(&request).await.map_err(Error::Load)?;
    if answer.is_success() {
        return Ok(());
    }
    Err(Error::Refused { what: format!("rebuild {model}"), answer: answer.text() })
}

/// How many events it took in, and in how many seconds by the server's own clock.
async fn finished(daybook: &Daybook, model: &str) -> Result<(u64, f64), Error> {
    let began = Instant::now();
    while began.elapsed() < REBUILD_MAX {
        let models = daybook.read_models().await?;
        let mut rebuilds = models
            .into_iter()
            .filter(|it: &ReadModel| it.name == model)
            .filter_map(|it| it.rebuild);
        if let Some(rebuild) = rebuilds.next() {
            match rebuild.state.as_str() {
                "done" => return Ok((rebuild.position, rebuild.seconds)),
                "failed" => {
                    let detail = rebuild.detail.unwrap_or_default();
                    return Err(Error::Check(format!("the rebuild of {model} failed: {detail}")));
                }
                _ => {}
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Err(Error::Stuck { what: format!("the rebuild of {model}"), seconds: REBUILD_MAX.as_secs() })
}
