-- What buyers say of what they have bought, and what staff make of it.

create table reviews (
    review_id uuid primary key,
    sku text collate "C" not null,
    account_id uuid not null,
    -- What the author wants to be called in public; never an address.
    author text not null,
    rating smallint not null
        constraint reviews_rate_from_one_to_five check (rating between 1 and 5),
    title text,
    body text,
    status text not null
        constraint reviews_status_is_known check (status in ('pending', 'published', 'rejected')),
    -- Why it was rejected, for its author.
    reason text,
    -- Counts what the author has written, so that staff judge what they have read.
    version integer not null,
    moderated_by text,
    moderated_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint reviews_are_written_once unique (account_id, sku),
    constraint reviews_rejected_say_why check ((status = 'rejected') = (reason is not null))
);

-- What everybody reads, newest first, and what averages are made of without reading a text.
create index reviews_published on reviews (sku, created_at desc, review_id desc) include (rating)
    where status = 'published';
create index reviews_by_author on reviews (account_id, created_at desc, review_id desc);
create index reviews_by_status on reviews (status, created_at desc, review_id desc);
create index reviews_newest on reviews (created_at desc, review_id desc);
