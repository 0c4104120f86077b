//! What an agent starts with of an identity, and what people should know of it. A file that is damaged or gone keeps no agent
//! from starting: what serves without it serves.

use std::sync::Arc;

use skerry_core::id::SiteId;
use tracing::{error, warn};

use super::{Enrolment, EnrolmentError, Found, make_private};
use crate::layout::Layout;

/// What an agent starts with.
#[derive(Debug)]
pub(crate) struct Start {
    /// What the site has; nothing if it is lost.
    pub(crate) enrolment: Option<Arc<Enrolment>>,
    /// What people should know: at most one for each of what can be wrong, two in all.
    pub(crate) troubles: Vec<String>,
}

impl Start {
    /// Reads what the data folder of a site has, and mends what can be mended: the file by its copy, and the reverse.
    ///
    /// # Errors
    /// It is another site's.
    pub(crate) fn of(site: &SiteId, layout: &Layout) -> anyhow::Result<Self> {
        let open = [layout.enrolment(), layout.enrolment_copy()].map(|path| make_private(&path));
        let mut troubles: Vec<String> =
            open.contains(&true).then(|| could_be_read(site)).into_iter().collect();
        let enrolment = match Enrolment::find(layout) {
            Found::Whole(enrolment) => {
                enrolment.keep_copy(layout);
                Some(enrolment)
            }
            Found::Copy(enrolment, wrong) => {
                troubles.push(is_copy(&wrong));
                if let Err(error) = enrolment.save(&layout.enrolment()) {
                    warn!("the site's identity is not put back: {error}");
                }
                Some(enrolment)
            }
            Found::Nothing(wrong) => {
                troubles.push(is_lost(site, &wrong));
                None
            }
        };
        troubles.iter().for_each(|trouble| error!("{trouble}"));
        match enrolment {
            Some(other) if other.site() != site => {
                anyhow::bail!("the data folder is enrolled as site {}, not {site}", other.site())
            }
            enrolment => Ok(Self { enrolment: enrolment.map(Arc::from), troubles }),
        }
    }
}

fn could_be_read(site: &SiteId) -> String {
    format!(
        "the site's keys could be read by others until the agent started (help: enrol the site anew if somebody may have read them, with \
         `skerry site enroll {site} --replace`)"
    )
}

fn is_copy(wrong: &EnrolmentError) -> String {
    format!(
        "{wrong}: the agent goes on with its copy, and puts that in its place (help: look at the machine's disk)"
    )
}

fn is_lost(site: &SiteId, wrong: &EnrolmentError) -> String {
    format!(
        "{wrong}, and there is no copy: what is served is served without an identity, `Strict` services are closed, and there is no link \
         (help: enrol the site again with the token of `skerry site enroll {site} --replace`; the agent takes that by itself)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::tests::enrolment;

    #[test]
    fn what_is_damaged_is_mended_and_said_and_what_is_lost_keeps_nobody_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let (site, layout) = (SiteId::new("oslo").unwrap(), Layout::new(folder.path()));
        let start = || {
            let Start { enrolment, troubles } = Start::of(&site, &layout).unwrap();
            (enrolment.map(|enrolment| enrolment.agent_key.thumbprint()), troubles)
        };
        let kept = enrolment();
        let key = Some(kept.agent_key.thumbprint());
        kept.save(&layout.enrolment()).unwrap();
        assert_eq!(start(), (key, vec![]));

        // By the copy that was made then.
        fs_err::write(layout.enrolment(), b"{").unwrap();
        let (found, troubles) = start();
        assert_eq!(found, key);
        assert!(
            troubles[0].contains("is damaged") && troubles[0].contains("goes on with its copy"),
            "{troubles:?}"
        );
        assert_eq!(start(), (key, vec![]), "it was put back");

        fs_err::remove_file(layout.enrolment()).unwrap();
        fs_err::write(layout.enrolment_copy(), b"").unwrap();
        let (found, troubles) = start();
        assert_eq!(found, None);
        assert!(troubles[0].contains("identity.json is gone, and there is no copy"), "{troubles:?}");
        assert!(troubles[0].contains("`skerry site enroll oslo --replace`"), "{troubles:?}");

        kept.keep(&layout).unwrap();
        let error = Start::of(&SiteId::new("bergen").unwrap(), &layout).unwrap_err().to_string();
        assert_eq!(error, "the data folder is enrolled as site oslo, not bergen");
    }

    #[test]
    fn keys_that_others_could_read_are_said() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (site, layout) = (SiteId::new("oslo").unwrap(), Layout::new(folder.path()));
        enrolment().keep(&layout).unwrap();
        fs_err::set_permissions(layout.enrolment_copy(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let troubles = Start::of(&site, &layout).unwrap().troubles;
        assert!(troubles[0].contains("could be read by others"), "{troubles:?}");
        assert_eq!(Start::of(&site, &layout).unwrap().troubles, [] as [String; 0]);
    }
}
