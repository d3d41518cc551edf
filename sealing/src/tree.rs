//! The tree as it grows, in tiles of 256 hashes: the last tile of every level is in memory, so that
//! a leaf costs a hash or two, a root a few hundred, and memory 8 KB for every factor of 256.

use tlog_tiles::tile::Tile;
use tlog_tiles::tlog::{self, Error, Hash, HashReader};

/// Levels of the tree in a tile: 2^8 hashes. What c2sp.org/tlog-tiles asks for.
pub(crate) const TILE_HEIGHT: u8 = 8;
/// Bytes of a full tile.
const TILE_BYTES: usize = (1 << TILE_HEIGHT) * tlog::HASH_SIZE;

/// A tile, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTile {
    /// 0 for hashes of leaves.
    pub level: u8,
    /// 0, 1, 2 ... within the level.
    pub tile: u64,
    /// 32 bytes each, 256 at most.
    pub hashes: Vec<u8>,
}

/// A tree, as far as it is needed to go on.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// The last tile of each level, where it is not full.
    tails: Vec<Vec<u8>>,
}

impl Tree {
    /// Takes up a tree where it was left. `None` if these are not the tails of such a tree.
    pub fn from_tails(size: u64, tiles: &[StoredTile]) -> Option<Self> {
        let mut tails = vec![Vec::new(); tails_of(size).map(|(level, _, _)| level + 1).max()?];
        for (level, tile, width) in tails_of(size) {
            let stored = tiles
                .iter()
                .find(|stored| usize::from(stored.level) == level && stored.tile == tile)?;
            // A tile may have grown since.
            tails[level] = stored.hashes.get(..width * tlog::HASH_SIZE)?.to_vec();
        }
        Some(Self { size, tails })
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. Tiles that become full with it are handed over, as they will not change again.
    pub fn push(&mut self, leaf: Hash, full: &mut Vec<StoredTile>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8.. {
            let index = usize::from(level);
            if self.tails.len() == index {
                self.tails.push(Vec::new());
            }
            self.tails[index].extend(hash.0);
            if self.tails[index].len() < TILE_BYTES {
                return;
            }
            let hashes = std::mem::take(&mut self.tails[index]);
            hash = Tile::subtree_hash(&hashes);
            let tile = (self.size >> (u32::from(level + 1) * u32::from(TILE_HEIGHT))) - 1;
            full.push(StoredTile { level, tile, hashes });
        }
    }

    /// The tiles that are not full.
    pub fn tails(&self) -> impl Iterator<Item = StoredTile> {
        tails_of(self.size).map(|(level, tile, _)| self.tail(level, tile))
    }

    fn tail(&self, level: usize, tile: u64) -> StoredTile {
        let hashes = self.tails[level].clone();
        let level = u8::try_from(level).expect("eight levels of tiles hold 2^64 leaves");
        StoredTile { level, tile, hashes }
    }

    /// The Merkle tree hash of RFC 9162, section 2.1.1.
    pub fn root(&self) -> Hash {
        self.hash_of(self.size)
    }

    fn hash_of(&self, size: u64) -> Hash {
        tlog::tree_hash(size, self).expect("the tails hold every complete subtree")
    }
}

impl HashReader for Tree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let of_index = |index: &u64| {
            let tile = Tile::from_index(TILE_HEIGHT, *index);
            let tail = self.tails.get(usize::from(tile.level()));
            tile.hash_at_index(tail.ok_or(Error::InvalidTile)?, *index)
        };
        indexes.iter().map(of_index).collect()
    }
}

/// The tiles of a tree that are not full: level, number, and how many hashes they hold.
pub(crate) fn tails_of(size: u64) -> impl Iterator<Item = (usize, u64, usize)> {
    let levels = 0..u64::BITS / u32::from(TILE_HEIGHT);
    levels.filter_map(move |level| {
        let hashes = size >> (level * u32::from(TILE_HEIGHT));
        let width = usize::try_from(hashes % (1 << TILE_HEIGHT)).expect("below 256");
        let level = usize::try_from(level).expect("below 8");
        (0 < width).then_some((level, hashes >> TILE_HEIGHT, width))
    })
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
