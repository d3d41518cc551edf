-- Which commands have put something into a cart: pieces are added by them, so that one which is sent
-- again, after its answer was lost, must not add them again.

create table cart_additions (
    -- The name of the command, which its Idempotency-Key gives it.
    addition_id uuid primary key,
    cart_id uuid not null references carts on delete cascade
);

create index cart_additions_by_cart on cart_additions (cart_id);
