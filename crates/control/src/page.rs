//! Pages: newest first, each continued after the last id of the one before.

use uuid::Uuid;

/// The longest page. A list of so many resources is some hundred kilobytes of JSON, which is as much as a client
/// should have to hold at once.
pub const MAX_PAGE: u32 = 200;

/// What part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last id of the page before; none for the first page.
    pub after: Option<Uuid>,
    /// How many at most; brought into 1..=[`MAX_PAGE`].
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Page {
        Page { after: None, limit: 50 }
    }
}

impl Page {
    fn bounded(self) -> u32 {
        self.limit.clamp(1, MAX_PAGE)
    }

    /// One more than asked for, which tells whether there is another page.
    pub(crate) fn fetch(self) -> u32 {
        self.bounded() + 1
    }

    /// Cuts what [`fetch`](Self::fetch) brought to the page.
    pub(crate) fn cut<T>(self, mut items: Vec<T>, id: impl Fn(&T) -> Uuid) -> Paged<T> {
        let limit = usize::try_from(self.bounded()).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(id);
        Paged { items, next }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for next with [`Page::after`]; none on the last page.
    pub next: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_one_only_if_there_is_one() {
        let page = Page { after: None, limit: 2 };
        let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        assert_eq!(page.fetch(), 3);
        assert_eq!(page.cut(ids.clone(), |id| *id), Paged { items: ids[..2].to_vec(), next: Some(ids[1]) });
        assert_eq!(page.cut(ids[..2].to_vec(), |id| *id).next, None);
        assert_eq!(Page { after: None, limit: 0 }.fetch(), 2);
        assert_eq!(Page { after: None, limit: u32::MAX }.fetch(), MAX_PAGE + 1);
    }
}
