-- Seals: a Merkle tree over the log (RFC 9162), and its signed heads. Grown beside the log, never by
-- its writers. Leaf n - 1 is the event at position n.

-- The tree in tiles of 256 hashes. A tile of level 0 holds hashes of leaves, one of level 1 the
-- roots of 256 tiles of level 0, and so on; what lies between is computed from them. Only the last
-- tile of a level is not full, and grows.
create table log_tiles (
    level smallint not null,
    tile bigint not null,
    -- 32 bytes each, in order.
    hashes bytea not null
        constraint log_tiles_hold_hashes check (length(hashes) % 32 = 0 and length(hashes) <= 8192),
    primary key (level, tile)
);

create table log_heads (
    -- Events that it covers: those at positions 1 to here.
    size bigint primary key constraint log_heads_size_is_positive check (0 < size),
    -- The head before; 0 for the first. A head has one successor: the chain does not fork.
    previous_size bigint not null
        constraint log_heads_have_one_successor unique
        constraint log_heads_grow check (previous_size < size),
    -- A signed note, byte for byte.
    note text not null,
    sealed_at timestamptz not null
);

create trigger log_heads_are_append_only
    before update or delete or truncate on log_heads
    for each statement execute function refuse_to_change_history();
