//! The sum of all records: what the next snapshot holds.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::record::{Record, SettingsOf};

/// A topic as the records describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its id.
    pub id: Uuid,
    /// Number of partitions.
    pub partitions: i32,
    /// Count of unclean starts when it was made.
    pub since: i32,
    /// What was set for it.
    pub settings: BTreeMap<String, String>,
}

/// Everything that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The cluster's id, empty before the first record.
    pub cluster_id: String,
    /// How often the broker came up without having gone down properly.
    pub unclean_starts: i32,
    /// By name.
    pub topics: BTreeMap<String, TopicImage>,
    /// Settings of other things.
    pub settings: BTreeMap<(SettingsOf, String), BTreeMap<String, String>>,
    /// Producer ids below this may have been given out.
    pub producer_ids_below: i64,
    /// Topics that were deleted since the snapshot: their directories may still be there.
    pub gone: BTreeSet<String>,
}

impl Image {
    /// Applies one record. A record that names what does not exist changes nothing: it was valid when it was written,
    /// so that can only be a journal which lost its beginning, and the snapshot at its start forbids that.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Cluster { id } => self.cluster_id = id,
            Record::UncleanStart { count } => self.unclean_starts = count,
            Record::Topic { name, id, partitions, since, settings } => {
                self.gone.remove(&name);
                self.topics.insert(name, TopicImage { id, partitions, since, settings });
            }
            Record::TopicGone { name } => {
                self.topics.remove(&name);
                self.gone.insert(name);
            }
            Record::Partitions { name, count } => {
                if let Some(topic) = self.topics.get_mut(&name) {
                    topic.partitions = count;
                }
            }
            Record::TopicSettings { name, settings } => {
                if let Some(topic) = self.topics.get_mut(&name) {
                    topic.settings = settings;
                }
            }
            Record::Settings { kind, name, settings } => {
                if settings.is_empty() {
                    self.settings.remove(&(kind, name));
                } else {
                    self.settings.insert((kind, name), settings);
                }
            }
            Record::ProducerIds { below } => self.producer_ids_below = self.producer_ids_below.max(below),
        }
    }

    /// The fewest records that make this image.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![
            Record::Cluster { id: self.cluster_id.clone() },
            Record::UncleanStart { count: self.unclean_starts },
            Record::ProducerIds { below: self.producer_ids_below },
        ];
        for ((kind, name), settings) in &self.settings {
            let settings = settings.clone();
            records.push(Record::Settings { kind: *kind, name: name.clone(), settings });
        }
        for (name, topic) in &self.topics {
            let TopicImage { id, partitions, since, settings } = topic.clone();
            records.push(Record::Topic { name: name.clone(), id, partitions, since, settings });
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: i32) -> Record {
        let id = Uuid::from_u128(7);
        Record::Topic { name: name.into(), id, partitions, since: 0, settings: BTreeMap::new() }
    }

    #[test]
    fn the_records_of_an_image_make_the_same_image() {
        let mut image = Image::default();
        for record in [
            Record::Cluster { id: "c".into() },
            topic("a", 3),
            topic("b", 1),
            Record::Partitions { name: "a".into(), count: 5 },
            Record::TopicSettings { name: "a".into(), settings: BTreeMap::from([("k".into(), "v".into())]) },
            Record::TopicGone { name: "b".into() },
            Record::ProducerIds { below: 1000 },
            Record::UncleanStart { count: 2 },
        ] {
            image.apply(record);
        }
        assert!(image.gone.contains("b"), "directories of a deleted topic are still to be removed");
        let mut again = Image::default();
        image.records().into_iter().for_each(|record| again.apply(record));
        image.gone.clear();
        assert_eq!(again, image);
    }
}
