-- Sales of a day by country and currency: reports by day, month, country and currency add these up.
-- An order has one day, one country and one currency, so counts of orders may be added too.
create table sales_by_country (
    day date not null,
    country text collate "C" not null,
    currency text collate "C" not null,
    orders bigint not null,
    units bigint not null,
    gross_minor bigint not null,
    refunded_minor bigint not null,
    primary key (day, country, currency)
);

-- Sales of a day by SKU. An order counts once for each of its SKUs.
create table sales_by_sku (
    day date not null,
    sku text collate "C" not null,
    currency text collate "C" not null,
    orders bigint not null,
    units bigint not null,
    gross_minor bigint not null,
    refunded_minor bigint not null,
    primary key (day, sku, currency)
);

-- The same by month, which is dated by its first day: a year by SKU is a report of months, and
-- reads a tenth of the rows that its days have.
create table sales_by_sku_and_month (
    month date not null,
    sku text collate "C" not null,
    currency text collate "C" not null,
    orders bigint not null,
    units bigint not null,
    gross_minor bigint not null,
    refunded_minor bigint not null,
    primary key (month, sku, currency)
);

-- Sales of a day by vendor; `house` for what is nobody else's. An order counts once for each of its
-- vendors.
create table sales_by_vendor (
    day date not null,
    vendor text collate "C" not null,
    currency text collate "C" not null,
    orders bigint not null,
    units bigint not null,
    gross_minor bigint not null,
    refunded_minor bigint not null,
    primary key (day, vendor, currency)
);

-- What an order sold, where it is booked, and since when: for its confirmation and its refunds, which
-- say neither day nor country, and for reports as of a moment of the past.
create table sales_orders (
    order_id uuid primary key,
    day date not null,
    country text collate "C" not null,
    currency text collate "C" not null,
    units bigint not null,
    gross_minor bigint not null,
    goods json not null,
    -- Whether any of its goods is a vendor's: a refund then has to know which.
    has_vendors boolean not null,
    -- The confirmation; null until then.
    booked_position bigint,
    booked_at timestamptz
);

create index sales_orders_by_day on sales_orders (day) where booked_position is not null;

-- What went back, and when: the same for refunds.
create table sales_refunds (
    position bigint not null,
    sku text collate "C" not null,
    at timestamptz not null,
    order_id uuid not null,
    day date not null,
    country text collate "C" not null,
    currency text collate "C" not null,
    refunded_minor bigint not null,
    vendor text collate "C" not null,
    primary key (position, sku)
);

create index sales_refunds_by_order on sales_refunds (order_id);
