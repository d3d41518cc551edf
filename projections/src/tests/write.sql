insert into events (
    position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
    payload, metadata, recorded_at
)
select
    position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
    payload::json, metadata::json, recorded_at
from unnest(
    $1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::timestamptz[]
) as new (
    position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
    payload, metadata, recorded_at
)
