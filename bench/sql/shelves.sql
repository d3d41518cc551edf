-- The newest sequence of each article's stock, in the order of the articles: one step down the
-- primary key for each.
select (
    select sequence
    from events
    where aggregate_type = 'inventory'
      and aggregate_id = wanted.sku
    order by sequence desc
    limit 1
)
from unnest($1::text[]) with ordinality as wanted (sku, place)
order by place
