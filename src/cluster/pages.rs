//! Reading a list page by page, whoever asks and however long he waits. Pure.

use std::fmt::Debug;

use kube::{api::ListParams, core::ObjectList};

/// What is to be asked for next.
#[derive(Debug)]
pub struct Pages {
    params: ListParams,
    over: bool,
}

impl Pages {
    /// A list of which nothing has been read. The parameters say how many objects a page has.
    #[must_use]
    pub fn of(params: ListParams) -> Self {
        Self {
            params,
            over: false,
        }
    }

    /// The question for the next page, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<&ListParams> {
        (!self.over).then_some(&self.params)
    }

    /// The objects of the page that was asked for.
    pub fn take<K>(&mut self, page: ObjectList<K>) -> Vec<K>
    where
        K: Clone + Debug,
    {
        self.params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        self.over = self.params.continue_token.is_none();
        page.items
    }

    /// Whether the list begins anew because of this error: what is left of one expires after some minutes. What was
    /// read of it counts no more.
    pub fn begins_anew(&mut self, error: &kube::Error) -> bool {
        let expired = matches!(error, kube::Error::Api(status) if status.code == 410);
        expired && self.params.continue_token.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use kube::{core::ListMeta, core::Status, core::TypeMeta};

    use super::*;

    fn page(items: &[u8], token: Option<&str>) -> ObjectList<u8> {
        ObjectList {
            types: TypeMeta::default(),
            metadata: ListMeta {
                continue_: token.map(str::to_owned),
                ..ListMeta::default()
            },
            items: items.to_vec(),
        }
    }

    fn error(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status {
            code,
            ..Status::default()
        }))
    }

    #[test]
    fn pages_follow_each_other_until_there_is_none() {
        let mut pages = Pages::of(ListParams::default().limit(2));
        assert_eq!(pages.next().unwrap().continue_token, None);
        assert_eq!(pages.take(page(&[1, 2], Some("more"))), [1, 2]);
        let next = pages.next().unwrap();
        assert_eq!(next.continue_token.as_deref(), Some("more"));
        assert_eq!(next.limit, Some(2));
        assert_eq!(pages.take(page(&[3], Some(""))), [3]);
        assert!(pages.next().is_none());
    }

    #[test]
    fn what_expired_in_the_middle_begins_anew_and_nothing_else_does() {
        let mut pages = Pages::of(ListParams::default());
        assert!(
            !pages.begins_anew(&error(410)),
            "there is nothing before it"
        );
        pages.take(page(&[1], Some("more")));
        assert!(!pages.begins_anew(&error(500)));
        assert!(pages.begins_anew(&error(410)));
        assert_eq!(pages.next().unwrap().continue_token, None);
    }
}
