//! A fuzzer's bytes, taken apart.

/// Takes a fuzzer's bytes apart.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of some things; the first one when the bytes are used up.
    pub(crate) fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        let at = usize::from(self.byte().unwrap_or(0)) % of.len();
        of[at]
    }

    /// Some of the bytes as they are.
    pub(crate) fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }
}
