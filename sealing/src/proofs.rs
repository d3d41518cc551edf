//! Proofs out of stored tiles: that an event is in the log, and that a log goes on from another.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use sqlx::PgPool;
use tlog_tiles::tile::Tile;
use tlog_tiles::tlog::{self, Error, Hash, HashReader};

use crate::head::Head;
use crate::tables;
use crate::tree::{StoredTile, TILE_HEIGHT};

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The database did not answer.
    #[error("the tree cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// The tiles do not lead to the head that was signed: somebody has changed them.
    #[error("the stored tree is not the one that was sealed: {0}")]
    Unsound(#[from] Error),
}

/// An inclusion proof (RFC 9162, section 2.1.3).
#[derive(Debug, Clone, PartialEq)]
pub struct Inclusion {
    /// The event's hash as a leaf.
    pub leaf: Hash,
    /// From the leaf to the root.
    pub path: Vec<Hash>,
}

/// That the event at `position` is in the log that `head` covers. Checked before it is handed out.
pub async fn inclusion(pool: &PgPool, position: u64, head: &Head) -> Result<Inclusion, ProofError> {
    let tiles = load(pool, |reader| read_inclusion(reader, position, head)).await?;
    tiles.proven(position, head)
}

/// The same of many events, all of which the head covers, in the order of `positions`: their tiles
/// are read together.
pub async fn inclusions(
    pool: &PgPool,
    positions: &[u64],
    head: &Head,
) -> Result<Vec<Inclusion>, ProofError> {
    let tiles = load(pool, |reader| {
        let mut read = positions
            .iter()
            .map(|position| read_inclusion(reader, *position, head));
        read.try_for_each(|read| read.map(drop))
            .map(|()| Vec::new())
    })
    .await?;
    let proven = positions
        .iter()
        .map(|position| tiles.proven(*position, head));
    proven.collect()
}

fn read_inclusion(reader: &Wishes, position: u64, head: &Head) -> Result<Vec<Hash>, Error> {
    let index = position - 1;
    tlog::prove_record(head.size, index, reader)?;
    reader.read_hashes(&[tlog::stored_hash_index(0, index)])
}

/// That the log that `to` covers begins with the one that `from` covers (RFC 9162, section 2.1.4).
/// Checked before it is handed out.
pub async fn consistency(pool: &PgPool, from: &Head, to: &Head) -> Result<Vec<Hash>, ProofError> {
    let tiles = load(pool, |reader| tlog::prove_tree(to.size, from.size, reader)).await?;
    let path = tiles.consistency(from.size, to.size)?;
    tlog::check_tree(&path, to.size, to.root, from.size, from.root)?;
    Ok(path)
}

/// Loads the tiles that a proof reads. What it reads does not depend on what is read, so it is
/// tried on nothing first: one query then brings everything.
async fn load(
    pool: &PgPool,
    prove: impl FnOnce(&Wishes) -> Result<Vec<Hash>, Error>,
) -> Result<Tiles, ProofError> {
    let wishes = Wishes::default();
    prove(&wishes)?;
    let tiles = wishes
        .0
        .into_inner()
        .into_iter()
        .map(|index| Tile::from_index(TILE_HEIGHT, index))
        .map(|tile| (tile.level(), tile.level_index()))
        .collect::<BTreeSet<_>>();
    let tiles: Vec<_> = tiles.into_iter().collect();
    Ok(tables::tiles(pool, &tiles).await?.into_iter().collect())
}

/// Tells what would be read.
#[derive(Default)]
struct Wishes(RefCell<Vec<u64>>);

impl HashReader for Wishes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        self.0.borrow_mut().extend(indexes);
        Ok(vec![Hash::default(); indexes.len()])
    }
}

/// Some tiles of a tree.
#[derive(Debug, Default)]
pub struct Tiles(HashMap<(u8, u64), Vec<u8>>);

impl Tiles {
    fn proven(&self, position: u64, head: &Head) -> Result<Inclusion, ProofError> {
        let index = position - 1;
        let leaf = self.read_hashes(&[tlog::stored_hash_index(0, index)])?[0];
        let path = self.inclusion(index, head.size)?;
        tlog::check_record(&path, head.size, head.root, index, leaf)?;
        Ok(Inclusion { leaf, path })
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        tlog::prove_record(size, index, self)
    }

    pub(crate) fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, Error> {
        tlog::prove_tree(to, from, self)
    }
}

impl FromIterator<StoredTile> for Tiles {
    fn from_iter<I: IntoIterator<Item = StoredTile>>(tiles: I) -> Self {
        let tiles = tiles.into_iter();
        Self(
            tiles
                .map(|stored| ((stored.level, stored.tile), stored.hashes))
                .collect(),
        )
    }
}

impl IntoIterator for Tiles {
    type Item = StoredTile;
    type IntoIter = std::vec::IntoIter<StoredTile>;

    fn into_iter(self) -> Self::IntoIter {
        let tiles = self.0.into_iter();
        let tiles = tiles.map(|((level, tile), hashes)| StoredTile { level, tile, hashes });
        tiles.collect::<Vec<_>>().into_iter()
    }
}

impl HashReader for Tiles {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let of_index = |index: &u64| {
            let tile = Tile::from_index(TILE_HEIGHT, *index);
            let hashes = self.0.get(&(tile.level(), tile.level_index()));
            tile.hash_at_index(hashes.ok_or(Error::InvalidTile)?, *index)
        };
        indexes.iter().map(of_index).collect()
    }
}
