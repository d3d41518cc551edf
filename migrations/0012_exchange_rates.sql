-- What one euro costs in other currencies, day by day, as somebody published it. Prices of orders
-- are converted by the newest of them; each order keeps the rate that it was converted by in its own
-- event, so that nothing here is needed to understand the past.
create table exchange_rates (
    -- ISO 4217; the euro itself has no rate.
    currency text collate "C" not null
        constraint exchange_rates_currency_is_not_the_euro check (currency <> 'EUR'),
    date date not null,
    -- Exact, in as many decimals as it was given in.
    per_eur numeric not null
        constraint exchange_rates_per_eur_is_positive check (0 < per_eur),
    -- Who published it.
    source text not null,
    -- Who brought it here last, and when.
    loaded_by text not null,
    loaded_at timestamptz not null default now(),
    primary key (currency, date)
);
