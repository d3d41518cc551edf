insert into pg_temp.batch (
    position, event_id, aggregate_type, aggregate_id, sequence, event_type, recorded_at, payload,
    metadata
)
select
    unnest($1::bigint[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]),
    unnest($5::bigint[]), unnest($6::text[]), unnest($7::timestamptz[]), unnest($8::jsonb[]),
    unnest($9::jsonb[])
