//! What customers say that is no order: wishes, reviews, questions.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A wishlist.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "For the kitchen"}))]
pub struct WriteWishlist {
    /// No two lists of one account have the same
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
}

/// An article on a wishlist.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "the red one"}))]
pub struct WishFor {
    #[schema(min_length = 1, max_length = 200)]
    pub note: Option<String>,
}

/// A review.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "author": "Ada from London", "rating": 5, "title": "Keeps tea warm",
    "body": "Two winters old by now, and not a chip."
}))]
pub struct WriteReview {
    /// What the author is called in public; no email address
    #[schema(min_length = 1, max_length = 50)]
    pub author: String,
    /// 5 is best
    #[schema(minimum = 1, maximum = 5)]
    pub rating: i16,
    #[schema(min_length = 1, max_length = 120)]
    pub title: Option<String>,
    /// May have several lines
    #[schema(min_length = 1, max_length = 5000)]
    pub body: Option<String>,
}

/// What staff make of a review.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"decision": "reject", "version": 1, "reason": "names a person"}))]
pub struct ModerateReview {
    /// `publish` or `reject`
    pub decision: String,
    /// The review's version that was read
    #[schema(minimum = 1)]
    pub version: i32,
    /// Why it is rejected, for its author
    #[schema(min_length = 1, max_length = 500)]
    pub reason: Option<String>,
}

/// A question to the shop.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "subject": "A cup arrived broken", "message": "The handle is off.\nCan you send another one?",
    "name": "Ada Byron", "email": "ada@example.org"
}))]
pub struct OpenTicket {
    #[schema(min_length = 1, max_length = 200)]
    pub subject: String,
    /// May have several lines
    #[schema(min_length = 1, max_length = 4000)]
    pub message: String,
    /// The order that it is about, of whoever asks: a guest shows its token
    pub order_id: Option<Uuid>,
    /// Of whoever has no account
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// Where to answer; of whoever has no account, who has to give it
    #[schema(format = Email, max_length = 254)]
    pub email: Option<String>,
}

/// A message in a ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"message": "Another one is on its way."}))]
pub struct WriteMessage {
    /// May have several lines
    #[schema(min_length = 1, max_length = 4000)]
    pub message: String,
}

/// A frequent question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "topic": "Delivery", "question": "How long does it take?", "answer": "Two days within Europe.",
    "place": 10
}))]
pub struct WriteFaqEntry {
    /// Under which heading
    #[schema(min_length = 1, max_length = 100)]
    pub topic: Option<String>,
    /// No two entries ask the same
    #[schema(min_length = 1, max_length = 300)]
    pub question: String,
    /// May have several lines
    #[schema(min_length = 1, max_length = 10000)]
    pub answer: String,
    /// Entries stand in this order; 100 if not given
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub place: Option<i32>,
    /// Whether everybody sees it; true if not given
    pub published: Option<bool>,
}
