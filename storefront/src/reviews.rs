//! Reviews: what buyers say of what they have bought.
//!
//! ```text
//! write ──▶ pending ──┬─ publish ─▶ published ── write something else ──▶ pending
//!                     └─ reject ──▶ rejected ─── write something else ──▶ pending
//! ```
//!
//! 1. An author writes once about an article, and may write it anew: what nobody has read yet is
//!    pending, so that nothing is public which staff have not seen.
//! 2. Staff judge a version: what was written meanwhile is not published with it.
//! 3. Averages are made of what is published.
//!
//! An author is a set of accounts: one, and those that were merged into it. Whether they have bought
//! the article is known by whoever calls.

use chrono::{DateTime, Utc};
use domain::ids::Sku;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Longest public name, in characters.
pub const AUTHOR_CHARS_MAX: usize = 50;
/// Longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 120;
/// Longest text, in characters: two pages.
pub const BODY_CHARS_MAX: usize = 5_000;
/// Worst and best.
pub const RATINGS: std::ops::RangeInclusive<i16> = 1..=5;

/// How far a review has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Written, and not judged yet.
    Pending,
    /// For everybody.
    Published,
    /// Not fit for everybody; its author is told why.
    Rejected,
}

impl Status {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("pending", Self::Pending),
        ("published", Self::Published),
        ("rejected", Self::Rejected),
    ];

    /// Its name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Published => "published",
            Self::Rejected => "rejected",
        }
    }
}

/// Why a review cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no such review")]
    NoSuchReview,
    /// Invariant 2.
    #[error("its author has written it anew: it is at version {actual}; read it again")]
    Rewritten {
        /// The version that there is.
        actual: i32,
    },
    /// The database.
    #[error("reviews: {0}")]
    Database(#[from] sqlx::Error),
}

/// A review as its author writes it.
#[derive(Debug, Clone)]
pub struct NewReview {
    /// What the author is called in public.
    pub author: String,
    /// One of [`RATINGS`].
    pub rating: i16,
    /// In few words.
    pub title: Option<String>,
    /// In many.
    pub body: Option<String>,
}

/// A review as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct Review {
    /// Its name.
    pub review_id: Uuid,
    /// The article.
    pub sku: String,
    /// Whose it is; never public.
    pub account_id: Uuid,
    /// What the author is called in public.
    pub author: String,
    /// One of [`RATINGS`].
    pub rating: i16,
    /// In few words.
    pub title: Option<String>,
    /// In many.
    pub body: Option<String>,
    /// The name of a [`Status`].
    pub status: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// How often it was written.
    pub version: i32,
    /// Who judged it last.
    pub moderated_by: Option<String>,
    /// When.
    pub moderated_at: Option<DateTime<Utc>>,
    /// When it was written first.
    pub created_at: DateTime<Utc>,
    /// When it was written last.
    pub updated_at: DateTime<Utc>,
}

/// What staff make of a review.
#[derive(Debug, Clone)]
pub enum Judgement {
    /// Everybody may read it.
    Publish,
    /// Nobody may, for this reason.
    Reject(String),
}

/// Which reviews to list. What is not given does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// About this article.
    pub sku: Option<&'a Sku>,
    /// As far as this.
    pub status: Option<Status>,
    /// With this rating.
    pub rating: Option<i16>,
    /// By this author.
    pub author: Option<&'a [Uuid]>,
}

/// Published ratings of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ratings {
    /// How many of each, the worst first.
    pub counts: [i64; 5],
}

impl Ratings {
    /// How many.
    pub fn count(&self) -> i64 {
        self.counts.iter().sum()
    }

    /// A hundred times their average, rounded; `None` of nothing.
    pub fn average_hundredths(&self) -> Option<i64> {
        let count = self.count();
        let sum: i64 = (1..).zip(self.counts).map(|(rating, of)| rating * of).sum();
        (0 < count).then(|| (sum * 100 + count / 2) / count)
    }
}

/// Reviews, newest first, after a `(created_at, review_id)`.
pub async fn list(
    pool: &PgPool,
    filter: &Filter<'_>,
    limit: i64,
    after: Option<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<Review>, Error> {
    let (before_at, before_id) = after.unzip();
    Ok(sqlx::query_as(
        "select * from reviews where ($1::text is null or sku = $1) \
         and ($2::text is null or status = $2) and ($3::smallint is null or rating = $3) \
         and ($4::uuid[] is null or account_id = any($4)) \
         and ($5::timestamptz is null or (created_at, review_id) < ($5, $6)) \
         order by created_at desc, review_id desc limit $7",
    )
    .bind(filter.sku.map(Sku::as_str))
    .bind(filter.status.map(Status::name))
    .bind(filter.rating)
    .bind(filter.author)
    .bind(before_at)
    .bind(before_id)
    .bind(limit)
    .fetch_all(pool)
    .await?)
}

/// Published ratings of an article.
pub async fn ratings(pool: &PgPool, sku: &Sku) -> Result<Ratings, Error> {
    let rows: Vec<(i16, i64)> = sqlx::query_as(
        "select rating, count(*) from reviews where sku = $1 and status = 'published' \
         group by rating",
    )
    .bind(sku.as_str())
    .fetch_all(pool)
    .await?;
    let mut ratings = Ratings::default();
    for (rating, count) in rows {
        let index = usize::try_from(rating - RATINGS.start()).unwrap_or(usize::MAX);
        if let Some(of) = ratings.counts.get_mut(index) {
            *of = count;
        }
    }
    Ok(ratings)
}

/// An author's review of an article.
pub async fn of_author(pool: &PgPool, author: &[Uuid], sku: &Sku) -> Result<Option<Review>, Error> {
    let filter = Filter { sku: Some(sku), author: Some(author), ..Filter::default() };
    Ok(list(pool, &filter, 1, None).await?.pop())
}

/// Writes a review, or writes it anew; the same again changes nothing.
pub async fn write(
    pool: &PgPool,
    account_id: Uuid,
    author: &[Uuid],
    sku: &Sku,
    new: &NewReview,
) -> Result<Review, Error> {
    let mut transaction = pool.begin().await?;
    // Accounts that were merged may have written each of their own: the newest is the author's.
    let kept: Vec<Uuid> = sqlx::query_scalar(
        "select review_id from reviews where sku = $1 and account_id = any($2) \
         order by created_at desc, review_id desc for update",
    )
    .bind(sku.as_str())
    .bind(author)
    .fetch_all(&mut *transaction)
    .await?;
    if let [_, others @ ..] = kept.as_slice() {
        sqlx::query("delete from reviews where review_id = any($1)")
            .bind(others)
            .execute(&mut *transaction)
            .await?;
    }
    if let Some(kept) = kept.first() {
        sqlx::query("update reviews set account_id = $2 where review_id = $1")
            .bind(kept)
            .bind(account_id)
            .execute(&mut *transaction)
            .await?;
    }
    // Of two that come together, the second writes anew what the first has written.
    let written: Option<Review> = sqlx::query_as(
        "insert into reviews (review_id, sku, account_id, author, rating, title, body, status, \
         version, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6, $7, 'pending', 1, $8, $8) \
         on conflict on constraint reviews_are_written_once do update \
         set author = excluded.author, rating = excluded.rating, title = excluded.title, \
             body = excluded.body, status = 'pending', reason = null, \
             version = reviews.version + 1, updated_at = excluded.updated_at \
         where (reviews.author, reviews.rating, reviews.title, reviews.body) \
             is distinct from (excluded.author, excluded.rating, excluded.title, excluded.body) \
         returning *",
    )
    .bind(Uuid::now_v7())
    .bind(sku.as_str())
    .bind(account_id)
    .bind(&new.author)
    .bind(new.rating)
    .bind(&new.title)
    .bind(&new.body)
    .bind(Utc::now())
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    match written {
        Some(written) => Ok(written),
        None => of_author(pool, author, sku)
            .await?
            .ok_or(Error::NoSuchReview),
    }
}

/// Takes an author's review back.
pub async fn delete(pool: &PgPool, author: &[Uuid], sku: &Sku) -> Result<(), Error> {
    let deleted = sqlx::query("delete from reviews where sku = $1 and account_id = any($2)")
        .bind(sku.as_str())
        .bind(author)
        .execute(pool)
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(Error::NoSuchReview);
    }
    Ok(())
}

/// Judges a version of a review; judged again, the last word counts.
pub async fn judge(
    pool: &PgPool,
    review_id: Uuid,
    version: i32,
    judgement: &Judgement,
    by: &str,
) -> Result<Review, Error> {
    let (status, reason) = match judgement {
        Judgement::Publish => (Status::Published, None),
        Judgement::Reject(reason) => (Status::Rejected, Some(reason)),
    };
    let judged: Option<Review> = sqlx::query_as(
        "update reviews set status = $3, reason = $4, moderated_by = $5, moderated_at = $6 \
         where review_id = $1 and version = $2 returning *",
    )
    .bind(review_id)
    .bind(version)
    .bind(status.name())
    .bind(reason)
    .bind(by)
    .bind(Utc::now())
    .fetch_optional(pool)
    .await?;
    if let Some(judged) = judged {
        return Ok(judged);
    }
    let actual = sqlx::query_scalar("select version from reviews where review_id = $1")
        .bind(review_id)
        .fetch_optional(pool)
        .await?;
    Err(actual.map_or(Error::NoSuchReview, |actual| Error::Rewritten { actual }))
}

/// Deletes what somebody who is forgotten has written: a text may name its author.
pub async fn forget(pool: &PgPool, accounts: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query("delete from reviews where account_id = any($1)")
        .bind(accounts)
        .execute(pool)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_is_rounded_to_hundredths_and_there_is_none_of_nothing() {
        let average = |counts| Ratings { counts }.average_hundredths();
        assert_eq!(average([0, 0, 0, 0, 0]), None);
        assert_eq!(average([0, 0, 0, 0, 3]), Some(500));
        assert_eq!(average([1, 0, 0, 0, 2]), Some(367), "11 / 3");
        assert_eq!(average([2, 0, 0, 0, 1]), Some(233), "7 / 3");
    }
}
