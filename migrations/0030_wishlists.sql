-- What people with an account would like to have. Nothing of it is a fact of money or stock: rows that
-- are changed, and deleted with whoever they belong to.

create table wishlists (
    wishlist_id uuid primary key,
    account_id uuid not null,
    name text not null,
    -- What the link of the list is computed from; null while it is not shared. Another one ends the
    -- link that was given out before.
    share_id uuid,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- So that a repetition makes no second list.
    constraint wishlists_have_names_of_their_own unique (account_id, name)
);

create table wishlist_items (
    wishlist_id uuid not null references wishlists on delete cascade,
    sku text collate "C" not null,
    note text,
    added_at timestamptz not null,
    primary key (wishlist_id, sku)
);
