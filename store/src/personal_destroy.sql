-- Destroys the keys of orders. Run behind the head's lock, so that no writer has a key on its way
-- that this statement does not see.
with destroyed as (
    update personal_keys
    set wrapped = null, destroyed_at = clock_timestamp()
    where order_id = any($1::uuid[]) and wrapped is not null
)
-- An order that was placed before anything was sealed has no key: this stands for it, so that what
-- is given for it later is not kept either.
insert into personal_keys (key_id, order_id, destroyed_at)
select gen_random_uuid(), forgotten.order_id, clock_timestamp()
from unnest($1::uuid[]) as forgotten (order_id)
where not exists (
    select from personal_keys
    where personal_keys.order_id = forgotten.order_id
)
