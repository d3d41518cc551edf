//! `year`: a real year of a wholesaler's orders, imported over HTTP as anybody would.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use super::Stage;
use crate::error::Error;
use crate::figure::Figure;
use crate::meter::Meter;
use crate::numbers::float;

/// Imports the file once, by the program's own import.
pub(crate) async fn run(stage: &mut Stage, program: &Path) -> Result<Figure, Error> {
    let mut figure = Figure::new("year", "orders/s");
    let Some(file) = stage.settings.year.clone() else {
        figure
            .notes
            .push("give --year FILE to import the Online Retail data set".to_owned());
        return Ok(figure);
    };
    let daybook = &stage.daybook;
    let before = daybook.standing().await?.head;
    let meter = Meter::start(daybook);
    let began = Instant::now();
    let output = Command::new(program)
        .args([
            "import",
            "online-retail",
            "--url",
            &format!("http://{}", daybook.address),
        ])
        .arg("--rejects")
        .arg(daybook.data_dir.join("rejects.csv"))
        .arg(file)
        // Not as an argument, which everybody on this machine can read.
        .env("DAYBOOK_TOKEN", &daybook.token)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::file("start", program))?;
    let took = began.elapsed().as_secs_f64();
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Import(told.lines().last().unwrap_or_default().to_owned()));
    }
    daybook.settle().await?;
    let orders: i64 =
        sqlx::query_scalar("select count(*) from read.order_progress where status = 'completed'")
            .fetch_one(&daybook.database)
            .await?;
    meter.stop(&mut figure, orders.unsigned_abs());
    let events = daybook.standing().await?.head - before;
    figure.values.push(float(orders.unsigned_abs()) / took);
    figure.detail("orders completed", float(orders.unsigned_abs()));
    figure.detail("events", float(events.unsigned_abs()));
    figure.detail("events/s", float(events.unsigned_abs()) / took);
    figure.detail("seconds, the reading of the file included", took);
    Ok(figure)
}
