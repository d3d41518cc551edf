//! The tables: what they refuse, who else can read them, and what stands in them.

use cqrs_es::EventEnvelope;
use cqrs_es::persist::PersistedEventRepository as _;
use domain::event::Event;
use domain::inventory::Inventory;
use domain::order::{self, Order, Stage};
use postgres_es::PostgresEventRepository;
use store::command::{Envelope, Verdict};
use store::log::{self, Slice};
use tokio::sync::watch;
use uuid::Uuid;

use crate::world::{World, envelope, receive, reserve, stock, worded};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_changes_what_has_been_written() {
    let world = World::new().await;
    stock(&world.journal(), "cup", receive(1)).await;
    for table in ["events", "receipts"] {
        for change in [
            format!("update {table} set recorded_at = now()"),
            format!("delete from {table}"),
            format!("delete from {table} where false"),
            format!("truncate {table}"),
        ] {
            let refused = sqlx::query(&change).execute(&world.pool).await.unwrap_err();
            let text = refused.to_string();
            assert!(text.contains(&format!("{table} is append-only")), "{change}: {text}");
        }
    }
    world.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_constraints_that_the_writer_knows_by_name_are_there() {
    let world = World::new().await;
    let names: Vec<String> = sqlx::query_scalar(
        "select conname::text from pg_constraint \
         where conrelid in ('events'::regclass, 'receipts'::regclass) and contype = 'p' order by 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(names, ["events_stream_is_sequential", "receipts_command_acts_once"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_es_reads_what_we_write() {
    let world = World::new().await;
    let journal = world.journal();
    stock(&journal, "cup", receive(9)).await;
    stock(&journal, "cup", reserve(4)).await;

    let streams = PostgresEventRepository::new(world.pool.clone());
    let events = streams.get_events::<Inventory>("cup").await.unwrap();

    let mut inventory = Inventory::default();
    for (event, sequence) in events.into_iter().zip(1..) {
        let envelope: EventEnvelope<Inventory> = event.try_into().unwrap();
        assert_eq!(envelope.sequence, sequence);
        assert_eq!(envelope.metadata["actor"], "staff");
        cqrs_es::Aggregate::apply(&mut inventory, envelope.payload);
    }
    let (loaded, version) = journal.load::<Inventory>("cup").await.unwrap();
    assert_eq!((inventory, version), (loaded, 2));
    let ids = ["cup", "pot"].map(ToOwned::to_owned);
    let many = journal.fold_many::<Inventory>(&ids).await.unwrap();
    assert_eq!(many.keys().collect::<Vec<_>>(), ["cup"]);
    assert_eq!(many["cup"].0.reserved(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_says_on_whose_behalf_it_happened() {
    let world = World::new().await;
    let asked = Envelope {
        causation_id: Some(Uuid::from_u128(7)),
        actor: "gateway:sandbox".to_owned(),
        request_id: Some("request \"7\" \u{0} é".to_owned()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        reason: Some("counted again".to_owned()),
        ..envelope()
    };
    let journal = world.journal();
    let executed = journal.execute::<Inventory>("cup", receive(1), asked.clone(), worded);

    let receipt = executed.await.unwrap();

    let event = world.log().await.remove(0);
    assert_eq!(receipt.verdict, Verdict::Accepted);
    assert_eq!(event.metadata.command_id, asked.command_id);
    assert_eq!(event.metadata.correlation_id, asked.correlation_id);
    assert_eq!(event.metadata.causation_id, asked.causation_id);
    assert_eq!(event.metadata.actor, asked.actor);
    assert_eq!(event.metadata.request_id, asked.request_id);
    assert_eq!(event.metadata.traceparent, asked.traceparent);
    assert_eq!(event.metadata.reason, asked.reason);
    assert_eq!(event.event_id.get_version_num(), 7);
    assert_eq!(
        (event.event_type.as_str(), event.event_version.as_str()),
        ("inventory.received", "1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_an_older_schema_reads_as_todays_and_stays_as_it_was_stored() {
    let world = World::new().await;
    let id = Uuid::from_u128(5).to_string();
    // As the first version wrote it: no shipping cost, and blanks of its own.
    let stored = r#"{ "type": "order.placed",
        "customer": {"name": "Ada Byron", "email": "ada@example.com"},
        "shipping_address": {"line1": "12 St James's Square", "country": "GB"},
        "currency": "GBP",
        "lines": [{"sku": "cup", "name": "Cup", "quantity": 2, "unit_price_minor": 450}],
        "payment_id": "00000000-0000-0000-0000-000000000009",
        "payment": {"method": "credit_card", "gateway": "sandbox"},
        "placed_at": "2026-03-01T12:00:00Z", "pay_by": "2026-03-01T12:30:00Z" }"#;
    sqlx::query(
        "with head as (update log_head set position = position + 1 returning position) \
         insert into events select position, gen_random_uuid(), 'order', $1, 1, 'order.placed', \
             '1', $2::json, json_build_object('command_id', gen_random_uuid(), \
             'correlation_id', gen_random_uuid(), 'actor', 'staff'), now() from head",
    )
    .bind(&id)
    .bind(stored)
    .execute(&world.pool)
    .await
    .unwrap();
    let (journal, relay) = world.journal_with_a_relay();
    let (_stop, stopped) = watch::channel(false);
    let feeds = store::feed::Feeds::start(
        world.pool.clone(),
        world.stream(),
        store::pace::Pace::default(),
        stopped,
    );
    world.stream_becomes_the_log().await;

    let (order, version) = journal.load::<Order>(&id).await.unwrap();
    let page = log::page(&world.pool, &Slice::default(), 10).await.unwrap();
    let of_order = log::of_aggregate(&world.pool, "order", &id).await.unwrap();
    let fed = feeds.subscribe().next(0, 10).await.unwrap();
    let process = order::Command::Process;
    let executed = journal.execute::<Order>(&id, process, envelope(), |_| None);
    let receipt = executed.await.unwrap();

    assert_eq!((order.stage(), version), (Stage::Pending, 1));
    for event in [&page.events[0], &of_order[0], &fed[0]] {
        let Event::Order(order::Event::Placed(placing)) = &event.event else {
            panic!("read as {:?}", event.event)
        };
        assert_eq!(placing.shipping_minor, 0);
        assert_eq!((&*event.payload, event.event_version.as_str()), (stored, "1"));
    }
    assert_eq!((receipt.verdict, receipt.version), (Verdict::Accepted, 2));
    relay.stop().await;
}
