-- Replaces a rule and notes who did. The number of rules does not change, so $14, the most there
-- may be, only has to be there.
with replaced as (
    update routing_rules
    set priority = $2, currencies = $3, countries = $4, methods = $5, amount_currency = $6,
        amount_from_minor = $7, amount_to_minor = $8, gateways = $9, active = $10, note = $11,
        updated_by = $12, updated_at = $13
    where rule_id = $1 and 0 < $14::bigint
    returning *
),
noted as (
    insert into routing_changes (rule_id, what, rule, changed_by, changed_at)
    select rule_id, 'replaced', to_jsonb(replaced), $12, $13
    from replaced
)
select * from replaced
