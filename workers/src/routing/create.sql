-- Makes a rule and notes who did, unless there are too many.
with created as (
    insert into routing_rules (
        rule_id, priority, currencies, countries, methods, amount_currency, amount_from_minor,
        amount_to_minor, gateways, active, note, created_by, created_at, updated_by, updated_at
    )
    select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12, $13
    where (select count(*) from routing_rules) < $14
    returning *
),
noted as (
    insert into routing_changes (rule_id, what, rule, changed_by, changed_at)
    select rule_id, 'created', to_jsonb(created), $12, $13
    from created
)
select * from created
