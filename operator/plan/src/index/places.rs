//! Where the data of classes is, by the words of those who reach it.

use super::Index;

impl Index {
    /// Where the data of a class was found to be: by who said so first, of a store pod and the runtimes that use it.
    pub(crate) fn place_found(&self, class: &str) -> Option<&str> {
        let sessions = &self.runtimes.sessions;
        let may_say =
            |pod: &str| !sessions.contains_key(pod) || self.pod_classes(pod).contains(class);
        let said = self.classes.health(class);
        let said = said.filter_map(|(pod, health)| Some((pod, health.place.as_ref()?)));
        let said = said.filter(|(pod, _)| may_say(pod));
        said.map(|(_, (at, place))| (at, place.as_str()))
            .min()
            .map(|(_, place)| place)
    }
}
