-- What customers and guests ask, and what staff answer; and what is asked so often that the answer is
-- public.

create table tickets (
    ticket_id uuid primary key,
    -- Whose it is; null for guests, who show a token.
    account_id uuid,
    -- Of guests, as they give it; an account knows its own.
    name text,
    email text,
    email_key text collate "C",
    -- The order that it is about.
    order_id uuid,
    subject text not null,
    status text not null
        constraint tickets_status_is_known check (status in ('open', 'answered', 'closed')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint tickets_can_be_answered check (account_id is not null or email is not null),
    constraint tickets_find_their_address check ((email is null) = (email_key is null))
);

create index tickets_newest on tickets (created_at desc, ticket_id desc);
create index tickets_by_status on tickets (status, created_at desc, ticket_id desc);
create index tickets_by_account on tickets (account_id, created_at desc, ticket_id desc)
    where account_id is not null;
create index tickets_by_email on tickets (email_key, created_at desc, ticket_id desc)
    where email_key is not null;
create index tickets_by_order on tickets (order_id) where order_id is not null;

create table ticket_messages (
    message_id uuid primary key,
    ticket_id uuid not null references tickets on delete cascade,
    from_staff boolean not null,
    -- Who, as in events: `customer:<id>`, `guest`, `admin:<id>`.
    written_by text not null,
    body text not null,
    created_at timestamptz not null
);

create index ticket_messages_in_order on ticket_messages (ticket_id, created_at, message_id);

create table faq_entries (
    entry_id uuid primary key,
    -- Under which heading; null for none.
    topic text,
    question text not null constraint faq_entries_ask_once unique,
    answer text not null,
    -- Entries stand in this order, and among equals by age.
    place integer not null,
    published boolean not null,
    updated_by text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
