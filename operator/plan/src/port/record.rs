//! The record of port blocks that were ever handed out.

use std::collections::{BTreeMap, BTreeSet};

/// Name of the ConfigMap, in the system namespace, that holds the record.
pub const PORT_RECORD_NAME: &str = "shoal-ports";

/// Blocks of 128 ports whose ports may have been used, by their number (`port / 128`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortRecord {
    /// Block numbers.
    pub blocks: BTreeSet<u16>,
}

impl PortRecord {
    /// Reads the `data` of the ConfigMap: for each pool the numbers of its blocks. Anything else in it is no
    /// record of ours and does not count.
    pub fn from_data(data: &BTreeMap<String, String>) -> Self {
        let text = data
            .get(shoal_crds::DEFAULT_POOL)
            .map(String::as_str)
            .unwrap_or_default();
        Self {
            blocks: text
                .split_ascii_whitespace()
                .filter_map(|n| n.parse().ok())
                .collect(),
        }
    }

    /// The `data` of the ConfigMap.
    pub fn to_data(&self) -> BTreeMap<String, String> {
        let numbers: Vec<String> = self.blocks.iter().map(u16::to_string).collect();
        BTreeMap::from([(shoal_crds::DEFAULT_POOL.to_owned(), numbers.join(" "))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_what_is_not_ours_does_not_count() {
        let record = PortRecord {
            blocks: [78, 80].into(),
        };
        assert_eq!(PortRecord::from_data(&record.to_data()), record);
        let odd = BTreeMap::from([("default".to_owned(), "78 x 99999 80".to_owned())]);
        assert_eq!(PortRecord::from_data(&odd), record);
        assert_eq!(
            PortRecord::from_data(&BTreeMap::new()),
            PortRecord::default()
        );
    }
}
