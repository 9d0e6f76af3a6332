//! What is in a bucket, page by page.

use hearth_types::limits::STORE_KEY_BYTES;

use crate::S3;
use crate::address::encode;
use crate::buckets::page_size;
use crate::error::S3Error;
use crate::headers::{iso_date, quoted};
use crate::records::{self, Content, Version};
use crate::route::{Answer, Call, document};
use crate::versions::Stored;
use crate::xml::Xml;

/// Records read at a time.
const BATCH: usize = 500;

/// One page of keys.
#[derive(Default)]
struct Page {
    objects: Vec<(String, Version, Content)>,
    /// What keys up to the delimiter have in common.
    prefixes: Vec<String>,
    /// The last key or common prefix of the page, where there is more behind it.
    next: Option<String>,
}

/// What a client asks for.
struct Wanted<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    /// Keys behind this one, which may be a common prefix of the page before.
    after: &'a str,
    size: usize,
}

impl Wanted<'_> {
    /// What the key has in common with its neighbours, up to the delimiter.
    fn common<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let at = key.get(self.prefix.len()..)?.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }
}

impl S3 {
    pub(crate) async fn list_objects_v2(&self, call: &Call, bucket: &str) -> Answer {
        self.bucket(bucket).await?;
        let query = &call.query;
        let token = query.given("continuation-token").map(|token| {
            from_token(token).ok_or_else(|| {
                S3Error::invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
            })
        });
        let token = token.transpose()?;
        let wanted = Wanted {
            prefix: query.get("prefix").unwrap_or_default(),
            delimiter: query.given("delimiter"),
            after: token.as_deref().or(query.given("start-after")).unwrap_or_default(),
            size: page_size(call, "max-keys")?,
        };
        let page = self.keys(bucket, &wanted).await?;
        let mut xml = Xml::new();
        let shown = Shown::of(call);
        xml.root("ListBucketResult").text("Name", bucket).text("Prefix", &shown.key(wanted.prefix));
        xml.maybe("StartAfter", query.given("start-after").map(|after| shown.key(after)).as_deref());
        xml.maybe("ContinuationToken", query.given("continuation-token"));
        xml.maybe("NextContinuationToken", page.next.as_deref().map(to_token).as_deref());
        xml.text("KeyCount", &(page.objects.len() + page.prefixes.len()).to_string());
        let with_owner = query.get("fetch-owner") == Some("true");
        self.show_page(&mut xml, &shown, &wanted, &page, with_owner);
        xml.close("ListBucketResult");
        Ok(document(xml))
    }

    pub(crate) async fn list_objects(&self, call: &Call, bucket: &str) -> Answer {
        self.bucket(bucket).await?;
        let query = &call.query;
        let wanted = Wanted {
            prefix: query.get("prefix").unwrap_or_default(),
            delimiter: query.given("delimiter"),
            after: query.get("marker").unwrap_or_default(),
            size: page_size(call, "max-keys")?,
        };
        let page = self.keys(bucket, &wanted).await?;
        let mut xml = Xml::new();
        let shown = Shown::of(call);
        xml.root("ListBucketResult").text("Name", bucket).text("Prefix", &shown.key(wanted.prefix));
        xml.text("Marker", &shown.key(wanted.after));
        xml.maybe("NextMarker", page.next.as_deref().map(|next| shown.key(next)).as_deref());
        self.show_page(&mut xml, &shown, &wanted, &page, true);
        xml.close("ListBucketResult");
        Ok(document(xml))
    }

    fn show_page(&self, xml: &mut Xml, shown: &Shown, wanted: &Wanted<'_>, page: &Page, with_owner: bool) {
        xml.text("MaxKeys", &wanted.size.to_string());
        xml.maybe("Delimiter", wanted.delimiter.map(|delimiter| shown.key(delimiter)).as_deref());
        xml.text("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        xml.maybe("EncodingType", shown.encoding());
        for (key, version, content) in &page.objects {
            xml.open("Contents").text("Key", &shown.key(key));
            show_content(xml, version, content);
            if with_owner {
                xml.open("Owner").text("ID", &self.owner()).close("Owner");
            }
            xml.close("Contents");
        }
        shown.prefixes(xml, &page.prefixes);
    }

    /// Reads on until the page is full. What has a common prefix is stepped over as one.
    async fn keys(&self, bucket: &str, wanted: &Wanted<'_>) -> Result<Page, S3Error> {
        let all = records::objects(bucket);
        let prefix = format!("{all}{}", wanted.prefix);
        let mut page = Page::default();
        let mut after = format!("{all}{}", self::after(wanted));
        loop {
            let batch = self.page::<Version>(&prefix, Some(&after), BATCH).await?;
            let is_last = batch.len() < BATCH;
            let mut skipped: Option<String> = None;
            for (rest, Stored { record, .. }) in batch {
                let key = format!("{}{rest}", wanted.prefix);
                after = format!("{all}{key}");
                let Some(content) = record.content.clone() else { continue };
                if skipped.as_deref().is_some_and(|common| key.starts_with(common)) {
                    continue;
                }
                if page.objects.len() + page.prefixes.len() == wanted.size {
                    page.next = page.last().map(str::to_owned);
                    return Ok(page);
                }
                match wanted.common(&key) {
                    Some(common) => {
                        page.prefixes.push(common.to_owned());
                        skipped = Some(common.to_owned());
                    }
                    None => page.objects.push((key, record, content)),
                }
            }
            if let Some(common) = skipped.filter(|common| after[all.len()..].starts_with(common.as_str())) {
                after = format!("{all}{}", behind_all(&common));
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    pub(crate) async fn list_versions(&self, call: &Call, bucket: &str) -> Answer {
        self.bucket(bucket).await?;
        let query = &call.query;
        let (key_marker, id_marker) = (query.given("key-marker"), query.given("version-id-marker"));
        if id_marker.is_some() && key_marker.is_none() {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::invalid_argument(message, "version-id-marker", id_marker.unwrap_or_default()));
        }
        let wanted = Wanted {
            prefix: query.get("prefix").unwrap_or_default(),
            delimiter: query.given("delimiter"),
            after: key_marker.unwrap_or_default(),
            size: page_size(call, "max-keys")?,
        };
        let (page, prefixes, next) = self.versions(bucket, &wanted, id_marker).await?;
        let shown = Shown::of(call);
        let mut xml = Xml::new();
        xml.root("ListVersionsResult").text("Name", bucket).text("Prefix", &shown.key(wanted.prefix));
        xml.text("KeyMarker", &shown.key(wanted.after)).text("VersionIdMarker", id_marker.unwrap_or_default());
        if let Some((key, id)) = &next {
            xml.text("NextKeyMarker", &shown.key(key)).maybe("NextVersionIdMarker", id.as_deref());
        }
        xml.text("MaxKeys", &wanted.size.to_string());
        xml.maybe("Delimiter", wanted.delimiter.map(|delimiter| shown.key(delimiter)).as_deref());
        xml.text("IsTruncated", if next.is_some() { "true" } else { "false" });
        xml.maybe("EncodingType", shown.encoding());
        for (key, version, is_latest) in &page {
            let element = if version.content.is_some() { "Version" } else { "DeleteMarker" };
            xml.open(element).text("Key", &shown.key(key)).text("VersionId", version.shown_id());
            xml.text("IsLatest", if *is_latest { "true" } else { "false" });
            match &version.content {
                Some(content) => show_content(&mut xml, version, content),
                None => drop(xml.text("LastModified", &iso_date(version.modified_ms))),
            }
            xml.open("Owner").text("ID", &self.owner()).close("Owner").close(element);
        }
        shown.prefixes(&mut xml, &prefixes);
        xml.close("ListVersionsResult");
        Ok(document(xml))
    }

    /// Keys in order, of each the versions from the newest on.
    async fn versions(&self, bucket: &str, wanted: &Wanted<'_>, id_marker: Option<&str>) -> Result<Versions, S3Error> {
        let all = records::objects(bucket);
        let prefix = format!("{all}{}", wanted.prefix);
        let (mut page, mut prefixes): (Vec<(String, Version, bool)>, Vec<String>) = (Vec::new(), Vec::new());
        let mut next: Option<(String, Option<String>)> = None;
        // With an id the rest of the key's own versions comes first.
        let mut resume = id_marker;
        let mut after = match id_marker {
            Some(_) => None,
            None => Some(format!("{all}{}", self::after(wanted))),
        };
        if id_marker.is_some() {
            let key = records::object(bucket, wanted.after);
            let found = self.load::<Version>(&key).await?;
            after = Some(key);
            if let Some(found) = found {
                let full = self.add_versions(bucket, wanted.after, found.record, resume.take(), wanted.size, &mut page);
                if full.await? {
                    next = page.last().map(|(key, version, _)| (key.clone(), Some(version.shown_id().to_owned())));
                    return Ok((page, prefixes, next));
                }
            }
        }
        while let Some((rest, found)) = self.page::<Version>(&prefix, after.as_deref(), 1).await?.pop() {
            let key = format!("{}{rest}", wanted.prefix);
            if page.len() + prefixes.len() == wanted.size {
                return Ok((page, prefixes, next));
            }
            if let Some(common) = wanted.common(&key) {
                prefixes.push(common.to_owned());
                next = Some((common.to_owned(), None));
                after = Some(format!("{all}{}", behind_all(common)));
                continue;
            }
            after = Some(format!("{all}{key}"));
            let room = wanted.size - prefixes.len();
            let is_full = self.add_versions(bucket, &key, found.record, None, room, &mut page).await?;
            next = page.last().map(|(key, version, _)| (key.clone(), Some(version.shown_id().to_owned())));
            if is_full {
                return Ok((page, prefixes, next));
            }
        }
        Ok((page, prefixes, None))
    }

    /// Adds a key's versions, those behind the one of this id where one is given; whether some had no room.
    async fn add_versions(
        &self,
        bucket: &str,
        key: &str,
        latest: Version,
        behind: Option<&str>,
        size: usize,
        page: &mut Vec<(String, Version, bool)>,
    ) -> Result<bool, S3Error> {
        let older = self.older(bucket, key).await?;
        let all = std::iter::once((latest, true)).chain(older.into_iter().map(|older| (older.record, false)));
        let mut skipping = behind;
        for (version, is_latest) in all {
            if let Some(id) = skipping {
                if version.shown_id() == id {
                    skipping = None;
                }
                continue;
            }
            if page.len() == size {
                return Ok(true);
            }
            page.push((key.to_owned(), version, is_latest));
        }
        Ok(false)
    }
}

/// Versions with whether each is the latest; common prefixes; where the next page begins.
type Versions = (Vec<(String, Version, bool)>, Vec<String>, Option<(String, Option<String>)>);

impl Page {
    fn last(&self) -> Option<&str> {
        let object = self.objects.last().map(|(key, ..)| key.as_str());
        object.max(self.prefixes.last().map(String::as_str))
    }
}

/// Where to read on: a common prefix of the page before stands for all keys that have it.
fn after(wanted: &Wanted<'_>) -> String {
    match wanted.common(wanted.after) {
        Some(common) if common == wanted.after => behind_all(common),
        _ => wanted.after.to_owned(),
    }
}

/// A key behind all keys that begin so.
fn behind_all(prefix: &str) -> String {
    let room = STORE_KEY_BYTES.saturating_sub(prefix.len()) / char::MAX.len_utf8() + 1;
    prefix.chars().chain(std::iter::repeat_n(char::MAX, room)).collect()
}

fn show_content(xml: &mut Xml, version: &Version, content: &Content) {
    xml.text("LastModified", &iso_date(version.modified_ms)).text("ETag", &quoted(&content.etag));
    if let Some(checksum) = &content.checksum {
        xml.text("ChecksumAlgorithm", checksum.algorithm.name()).text("ChecksumType", checksum.kind.name());
    }
    xml.text("Size", &content.size.to_string()).text("StorageClass", "STANDARD");
}

/// How keys are written.
pub(crate) struct Shown {
    is_encoded: bool,
}

impl Shown {
    pub(crate) fn of(call: &Call) -> Self {
        Self { is_encoded: call.query.get("encoding-type") == Some("url") }
    }

    pub(crate) fn key(&self, key: &str) -> String {
        if self.is_encoded { encode(key) } else { key.to_owned() }
    }

    pub(crate) fn encoding(&self) -> Option<&'static str> {
        self.is_encoded.then_some("url")
    }

    pub(crate) fn prefixes(&self, xml: &mut Xml, prefixes: &[String]) {
        for prefix in prefixes {
            xml.open("CommonPrefixes").text("Prefix", &self.key(prefix)).close("CommonPrefixes");
        }
    }
}

fn to_token(key: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key)
}

fn from_token(token: &str) -> Option<String> {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
