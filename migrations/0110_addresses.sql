-- Where people with an account have things sent. Personal, and no fact of money or stock: rows that are
-- changed, and deleted with whoever they belong to. An order that names one freezes a copy of it.

create table addresses (
    address_id uuid primary key,
    account_id uuid not null,
    -- What its owner calls it.
    label text,
    line1 text not null,
    line2 text,
    city text,
    postcode text,
    country text not null,
    is_for_delivery boolean not null,
    is_for_billing boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- So that a repetition adds nothing.
    constraint addresses_stand_in_a_book_once
        unique nulls not distinct (account_id, line1, line2, city, postcode, country)
);

-- There is one of each at most.
create unique index addresses_for_delivery on addresses (account_id) where is_for_delivery;
create unique index addresses_for_billing on addresses (account_id) where is_for_billing;
