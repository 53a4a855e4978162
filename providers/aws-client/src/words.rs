//! Between the words of AWS and those of `herald-aws`.

use herald_aws::Word;

/// The word that AWS writes so.
pub(crate) fn word<W: Word>(text: &str) -> Option<W> {
    W::ALL.iter().copied().find(|word| word.word() == text)
}
